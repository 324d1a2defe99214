package preflight_test

import (
	"context"
	"encoding/json"
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
	b.AddRunJSON("projects/web-prod/locations/europe-west1/jobs/nightly", []byte(`{"template": {"template": {"containers": [{"image": "job"}]}}}`))
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

// A fixer shows what it would apply before it applies it.
func ExampleFixer_Apply() {
	ctx := context.Background()
	b := exampleCloud()
	defer b.Close()
	fixer, err := preflight.NewFixer(ctx, b.ClientOptions(fake.Admin)...)
	if err != nil {
		fmt.Println(err)
		return
	}
	fixes := []preflight.Fix{{
		Kind:     preflight.FixGrantRole,
		Resource: "//run.googleapis.com/projects/web-prod/locations/europe-west1/jobs/nightly",
		Role:     "roles/run.invoker",
		Member:   "user:dev@example.com",
	}}
	for _, opts := range []*preflight.ApplyOptions{{DryRun: true}, nil, nil} {
		steps, err := fixer.Apply(ctx, fixes, opts)
		for _, s := range steps {
			fmt.Println(s.Outcome, s.Fix, err)
		}
	}
	// Output:
	// left grant roles/run.invoker to dev@example.com on projects/web-prod/locations/europe-west1/jobs/nightly <nil>
	// applied grant roles/run.invoker to dev@example.com on projects/web-prod/locations/europe-west1/jobs/nightly <nil>
	// unneeded grant roles/run.invoker to dev@example.com on projects/web-prod/locations/europe-west1/jobs/nightly <nil>
}

func ExampleFixes() {
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
		Identity: identity.MustParseServiceAccount("new-runner@web-prod.iam.gserviceaccount.com"),
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, fix := range preflight.Fixes(report) {
		fmt.Println(fix.Kind, fix.ChangesGuardrail())
		fmt.Println(" ", fix.Gcloud())
		fmt.Println(" ", fix.SideEffect())
	}
	// Output:
	// create-account false
	//   gcloud iam service-accounts create new-runner --project=web-prod
	//   the account has no rights yet, and takes a minute or more to be seen everywhere; takes iam.serviceAccounts.create
	// grant-role false
	//   gcloud iam service-accounts add-iam-policy-binding new-runner@web-prod.iam.gserviceaccount.com --member=user:dev@example.com --role=roles/iam.serviceAccountUser --project=web-prod --condition=None
	//   whoever acts as the account has its rights; takes iam.serviceAccounts.setIamPolicy
}

// The report for a pull request: a table, the commands that fix what failed, and a
// diagram of who needs what on whom.
func ExampleReport_Markdown() {
	const runner = "//iam.googleapis.com/projects/web-prod/serviceAccounts/runner@web-prod.iam.gserviceaccount.com"
	report := preflight.Report{ // as a Checker makes it
		Target:   preflight.Target{Workload: identity.Job("web-prod", "europe-west1", "nightly")},
		Identity: identity.MustParseServiceAccount("runner@web-prod.iam.gserviceaccount.com"),
		Findings: []preflight.Finding{{
			Code: preflight.CheckDeployerActAs, Verdict: preflight.Fail, Resource: runner,
			Principal: "user:dev@example.com", Permission: "iam.serviceAccounts.actAs",
			Message:  "dev@example.com lacks iam.serviceAccounts.actAs on the account",
			Evidence: preflight.Evidence{Method: preflight.ByTestIAMPermissions},
			Fix: &preflight.Fix{
				Kind: preflight.FixGrantRole, Resource: runner, Role: "roles/iam.serviceAccountUser", Member: "user:dev@example.com",
			},
		}},
	}
	fmt.Print(report.Markdown())
	// Output:
	// ### Preflight ✗: `projects/web-prod/locations/europe-west1/jobs/nightly` as `runner@web-prod.iam.gserviceaccount.com`
	//
	// 1 failed.
	//
	// | | check | finding | how it was found |
	// |---|---|---|---|
	// | ✗ | deployer may act as it | dev@example.com lacks iam.serviceAccounts.actAs on the account | testIamPermissions |
	//
	// **Smallest fixes**
	//
	// - grant roles/iam.serviceAccountUser to dev@example.com on runner@web-prod.iam.gserviceaccount.com
	//
	// ```sh
	// gcloud iam service-accounts add-iam-policy-binding runner@web-prod.iam.gserviceaccount.com --member=user:dev@example.com --role=roles/iam.serviceAccountUser --project=web-prod --condition=None
	// ```
	//
	// ```mermaid
	// graph LR
	//   n0["user:dev#64;example.com"]
	//   n1["runner#64;web-prod.iam.gserviceaccount.com"]
	//   n0 -->|"✗ iam.serviceAccounts.actAs"| n1
	// ```
}

// A report that is stored says its version.
func ExampleReport_MarshalJSON() {
	var report preflight.Report
	err := json.Unmarshal([]byte(`{"version": 2, "findings": []}`), &report)
	fmt.Println(err)

	text, err := json.Marshal(preflight.Report{
		Target:   preflight.Target{Workload: identity.Job("web-prod", "europe-west1", "nightly")},
		Findings: []preflight.Finding{{Code: preflight.CheckRunAPI, Verdict: preflight.Pass, Message: "the Cloud Run API is enabled"}},
	})
	fmt.Println(string(text), err)
	// Output:
	// preflight report: version: 2 is not a version that is known: 1 is
	// {"version":1,"verdict":"pass","target":{"workload":"projects/web-prod/locations/europe-west1/jobs/nightly"},"findings":[{"code":"run-api","verdict":"pass","resource":"","message":"the Cloud Run API is enabled","evidence":{"method":""}}]} <nil>
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
