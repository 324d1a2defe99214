package preflight_test

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

// exampleCloud is a cloud in which user:dev@example.com may deploy, but not act
// as the job's new identity.
func exampleCloud() *fake.Backend {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com"})
	b.AddJSON("projects/web-prod/locations/europe-west1/jobs/nightly", []byte(`{"template": {"template": {"containers": [{"image": "job"}]}}}`))
	b.Grant("projects/web-prod", "roles/run.developer", "user:dev@example.com")
	b.Grant("projects/web-prod", "roles/iam.securityReviewer", "user:dev@example.com")
	b.Grant("projects/web-prod", "roles/iam.denyReviewer", "user:dev@example.com")
	b.Grant("projects/web-prod", "roles/viewer", "user:dev@example.com")
	return b
}

func ExampleChecker_Check() {
	ctx := context.Background()
	b := exampleCloud()
	defer b.Close()
	checker, err := preflight.NewChecker(ctx, b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		fmt.Println(err)
		return
	}
	checker.Caller = "user:dev@example.com" // the fake's credentials don't tell

	report, err := checker.Check(ctx, preflight.Target{
		Workload: identity.Job("web-prod", "europe-west1", "nightly"),
		Identity: identity.MustParseServiceAccount("runner@web-prod.iam.gserviceaccount.com"),
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Verdict())
	fmt.Println(report.Err())
	// Output:
	// fail
	// preflight of projects/web-prod/locations/europe-west1/jobs/nightly:
	// fail: deployer-act-as: dev@example.com (the caller) lacks iam.serviceAccounts.actAs on runner@web-prod.iam.gserviceaccount.com, which it takes to attach the account
	//   fix: gcloud iam service-accounts add-iam-policy-binding runner@web-prod.iam.gserviceaccount.com --member=user:dev@example.com --role=roles/iam.serviceAccountUser --project=web-prod --condition=None
}

func ExampleFixer_Repair() {
	ctx := context.Background()
	b := exampleCloud()
	defer b.Close()
	checker, err := preflight.NewChecker(ctx, b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		fmt.Println(err)
		return
	}
	checker.Caller = "user:dev@example.com"
	report, err := checker.Check(ctx, preflight.Target{
		Workload: identity.Job("web-prod", "europe-west1", "nightly"),
		Identity: identity.MustParseServiceAccount("runner@web-prod.iam.gserviceaccount.com"),
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}

	fixer, err := preflight.NewFixer(ctx, b.ClientOptions(fake.Admin)...) // who may grant
	if err != nil {
		fmt.Println(err)
		return
	}
	report, steps, err := fixer.Repair(ctx, checker, report, nil)
	for _, s := range steps {
		fmt.Println(s.Outcome, s.Fix)
	}
	fmt.Println(report.Verdict(), err)
	// Output:
	// applied grant roles/iam.serviceAccountUser to dev@example.com on runner@web-prod.iam.gserviceaccount.com
	// pass <nil>
}

func ExampleChecker_CheckAll() {
	ctx := context.Background()
	b := exampleCloud()
	defer b.Close()
	checker, err := preflight.NewChecker(ctx, b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		fmt.Println(err)
		return
	}
	targets := []preflight.Target{{Workload: identity.Job("web-prod", "europe-west1", "nightly")}}
	for report, err := range checker.CheckAll(ctx, slices.Values(targets), &preflight.CheckAllOptions{Check: preflight.CheckOptions{NoAdvice: true}}) {
		fmt.Println(report.Target.Workload.ID, report.Identity, report.Verdict(), err)
	}
	// Output: nightly 123456789012-compute@developer.gserviceaccount.com fail <nil>
}
