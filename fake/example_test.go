package fake_test

import (
	"context"
	"fmt"
	"log"

	"google.golang.org/api/cloudresourcemanager/v3"
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
