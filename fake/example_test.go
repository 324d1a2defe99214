package fake_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

func ExampleNewBackend() {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
	b.Grant("projects/web-prod", "roles/run.viewer", "user:dev@example.com")
	name := "projects/web-prod/locations/europe-west1/jobs/nightly"
	b.AddRunJSON(name, []byte(`{"template": {"template": {"containers": [{"image": "job"}], "maxRetries": 0}}}`))

	svc, err := run.NewService(context.Background(), b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		log.Fatal(err)
	}
	job, err := svc.Projects.Locations.Jobs.Get(name).Do()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(job.Template.Template.ServiceAccount)
	for _, c := range b.Calls() {
		fmt.Println(c.Method, "as", c.Caller, c.Status)
	}
	// Output:
	// 200000000001-compute@developer.gserviceaccount.com
	// run.projects.locations.jobs.get as user:dev@example.com 200
}

// A deploy is refused until the deployer may act as the service account.
func ExampleBackend_Grant() {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com"})
	name := "projects/web-prod/locations/europe-west1/services/web"
	b.AddRunJSON(name, []byte(`{"template": {"containers": [{"image": "web"}]}}`))
	b.Grant("projects/web-prod", "roles/run.developer", "user:dev@example.com")

	svc, err := run.NewService(context.Background(), b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		log.Fatal(err)
	}
	deploy := func() error {
		_, err := svc.Projects.Locations.Services.Patch(name, &run.GoogleCloudRunV2Service{
			Template: &run.GoogleCloudRunV2RevisionTemplate{
				ServiceAccount: "runner@web-prod.iam.gserviceaccount.com",
				Containers:     []*run.GoogleCloudRunV2Container{{Image: "web"}},
			},
		}).Do()
		return err
	}
	fmt.Println(deploy())
	b.Grant("projects/web-prod/serviceAccounts/runner@web-prod.iam.gserviceaccount.com", "roles/iam.serviceAccountUser", "user:dev@example.com")
	fmt.Println(deploy())
	// Output:
	// googleapi: Error 403: Permission 'iam.serviceaccounts.actAs' denied on service account runner@web-prod.iam.gserviceaccount.com (or it may not exist).
	// <nil>
}

func ExampleBackend_Inject() {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
	b.Grant("projects/web-prod", "roles/run.viewer", "user:dev@example.com")
	b.Inject("run.projects.locations.jobs.list", fake.Fault{Status: 503, Times: 1})

	svc, err := run.NewService(context.Background(), b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		_, err := svc.Projects.Locations.Jobs.List("projects/web-prod/locations/europe-west1").Do()
		fmt.Println(err)
	}
	// Output:
	// googleapi: Error 503: Service Unavailable
	// <nil>
}
