package identity_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// exampleCloud stands for a real project: what option.WithCredentialsFile and
// the like would be.
func exampleCloud() *fake.Backend {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "data-prod"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@data-prod.iam.gserviceaccount.com"})
	b.AddJob(&run.GoogleCloudRunV2Job{
		Name: "projects/web-prod/locations/europe-west1/jobs/nightly",
		Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{
			Containers: []*run.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/job"}},
		}},
	})
	// What it takes to attach an account of another project.
	b.Grant("projects/web-prod", "roles/owner", "user:dev@example.com")
	account := "projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com"
	b.Grant(account, "roles/iam.serviceAccountUser", "user:dev@example.com")
	b.Grant(account, "roles/iam.serviceAccountTokenCreator", identity.RunServiceAgent(123456789012).Member())
	b.SetOrgPolicy(crossProjectAllowed())
	return b
}

func exampleClient() *identity.Client {
	client, err := identity.NewClient(context.Background(), exampleCloud().ClientOptions("user:dev@example.com")...)
	if err != nil {
		panic(err)
	}
	return client
}

func ExampleNewClient() {
	cloud := exampleCloud() // a real one: identity.NewClient(ctx)
	client, err := identity.NewClient(context.Background(), cloud.ClientOptions("user:dev@example.com")...)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Get(context.Background(), identity.Job("web-prod", "europe-west1", "nightly"), nil)
	fmt.Println(err)
	// Output: <nil>
}

func ExampleClient_Get() {
	client := exampleClient()
	a, err := client.Get(context.Background(), identity.Job("web-prod", "europe-west1", "nightly"),
		&identity.GetOptions{ProjectNumber: 123456789012})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(a.ServiceAccount)
	fmt.Println("the project's default:", a.Default)
	// Output:
	// 123456789012-compute@developer.gserviceaccount.com
	// the project's default: yes
}

func ExampleClient_Attach() {
	client := exampleClient()
	w := identity.Job("web-prod", "europe-west1", "nightly")
	sa := identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")

	change, err := client.Attach(context.Background(), w, sa, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(change.Old, "->", change.New)

	again, err := client.Attach(context.Background(), w, sa, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("written again:", again.Written)
	// Output:
	// 123456789012-compute@developer.gserviceaccount.com -> runner@data-prod.iam.gserviceaccount.com
	// written again: false
}

// A change is undone by attaching what it replaced.
func ExampleClient_Attach_undo() {
	client := exampleClient()
	ctx := context.Background()
	w := identity.Job("web-prod", "europe-west1", "nightly")
	change, err := client.Attach(ctx, w, identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com"), nil)
	if err != nil {
		log.Fatal(err)
	}

	undo := func() (identity.Change, error) {
		if change.Old.IsZero() { // the template named none
			return client.Detach(ctx, change.Workload, nil)
		}
		return client.Attach(ctx, change.Workload, change.Old, nil)
	}
	undone, err := undo()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(undone.New)
	// Output: 123456789012-compute@developer.gserviceaccount.com
}

// What went wrong is told apart with errors.Is and errors.As.
func ExampleClient_Attach_errors() {
	cloud := exampleCloud()
	cloud.Inject("run.projects.locations.jobs.patch", fake.Fault{Status: 403, Body: `{"error": {"code": 403, "status": "PERMISSION_DENIED",
		"message": "Permission 'iam.serviceaccounts.actAs' denied on service account runner@data-prod.iam.gserviceaccount.com (or it may not exist)."}}`})
	client, err := identity.NewClient(context.Background(), cloud.ClientOptions("user:dev@example.com")...)
	if err != nil {
		log.Fatal(err)
	}

	_, err = client.Attach(context.Background(), identity.Job("web-prod", "europe-west1", "nightly"),
		identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com"), nil)
	var lost *identity.InterleavedError
	var pending *identity.UnfinishedError
	switch {
	case errors.Is(err, identity.ErrActAsDenied):
		fmt.Println("grant roles/iam.serviceAccountUser on the account, and check its spelling")
	case errors.As(err, &lost):
		fmt.Println("look at what was overwritten:", lost.Read, lost.Answered)
	case errors.As(err, &pending):
		fmt.Println("look again later:", pending.Operation)
	}
	// Output: grant roles/iam.serviceAccountUser on the account, and check its spelling
}

func ExampleClient_Detach() {
	client := exampleClient()
	ctx := context.Background()
	w := identity.Job("web-prod", "europe-west1", "nightly")
	if _, err := client.Attach(ctx, w, identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com"), nil); err != nil {
		log.Fatal(err)
	}
	change, err := client.Detach(ctx, w, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(change.New)
	// Output: 123456789012-compute@developer.gserviceaccount.com
}

func ExampleClient_CreateJob() {
	client := exampleClient()
	change, err := client.CreateJob(context.Background(),
		identity.Job("web-prod", "europe-west1", "report"),
		identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com"),
		&run.GoogleCloudRunV2Job{Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{
			Containers:      []*run.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/job"}},
			ForceSendFields: []string{"MaxRetries"}, // 0, where the default is 3
		}}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(change.Workload, "runs as", change.New)
	// Output: projects/web-prod/locations/europe-west1/jobs/report runs as runner@data-prod.iam.gserviceaccount.com
}

func ExampleClient_Execute() {
	client := exampleClient()
	execution, err := client.Execute(context.Background(), identity.Job("web-prod", "europe-west1", "nightly"),
		&identity.ExecuteOptions{WaitForCompletion: true, Overrides: &run.GoogleCloudRunV2Overrides{TaskCount: 3}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("as:", execution.ServiceAccount)
	fmt.Println("tasks:", execution.Succeeded, "of", execution.Tasks)
	// Output:
	// as: 123456789012-compute@developer.gserviceaccount.com
	// tasks: 3 of 3
}

func ExampleClient_EnsureServiceAccount() {
	client := exampleClient()
	account, err := client.EnsureServiceAccount(context.Background(), identity.MustParseServiceAccount("nightly-runner@web-prod.iam.gserviceaccount.com"), &identity.EnsureServiceAccountOptions{DisplayName: "Runs the nightly job"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("created:", account.Created, "in", account.Project)
	// Output: created: true in web-prod
}

// A program that makes the API calls itself tells refusals apart all the same.
func ExampleWrapError() {
	b := exampleCloud()
	b.Grant("projects/web-prod", "roles/run.developer", "user:new@example.com")
	client, err := run.NewService(context.Background(), b.ClientOptions("user:new@example.com")...)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Projects.Locations.Jobs.Create("projects/web-prod/locations/europe-west1", &run.GoogleCloudRunV2Job{
		Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{
			ServiceAccount: "runner@data-prod.iam.gserviceaccount.com",
			Containers:     []*run.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/job"}},
		}},
	}).JobId("hourly").Do()
	fmt.Println(errors.Is(err, identity.ErrActAsDenied))
	fmt.Println(errors.Is(identity.WrapError(err), identity.ErrActAsDenied))
	// Output:
	// false
	// true
}

func ExampleSet() {
	job := &run.GoogleCloudRunV2Job{}
	if err := identity.Set(job, identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")); err != nil {
		log.Fatal(err)
	}
	sa, err := identity.Of(job)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sa, job.Template.Template.ServiceAccount == sa.Email())
	// Output: runner@data-prod.iam.gserviceaccount.com true
}
