package fake_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/orgpolicy/v2"
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

// Middleware sees requests as they come, with the caller as bearer token, and may
// look at them, answer them or change them.
func ExampleBackend_Use() {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
	b.Grant("projects/web-prod", "roles/run.viewer", "user:dev@example.com")
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Println(r.Header.Get("Authorization"), r.Method, r.Host+r.URL.Path)
			if r.Method != http.MethodGet {
				http.Error(w, "read-only while the freeze lasts", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	})

	svc, err := run.NewService(context.Background(), b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		log.Fatal(err)
	}
	_, err = svc.Projects.Locations.Jobs.List("projects/web-prod/locations/europe-west1").Do()
	fmt.Println(err)
	_, err = svc.Projects.Locations.Jobs.Delete("projects/web-prod/locations/europe-west1/jobs/nightly").Do()
	fmt.Println(err)
	// Output:
	// Bearer user:dev@example.com GET run.googleapis.com/v2/projects/web-prod/locations/europe-west1/jobs
	// <nil>
	// Bearer user:dev@example.com DELETE run.googleapis.com/v2/projects/web-prod/locations/europe-west1/jobs/nightly
	// googleapi: got HTTP response code 403 with body: read-only while the freeze lasts
}

// A project may use accounts of another one only if that one's organization policy
// says so: by default it doesn't.
func ExampleBackend_SetOrgPolicy() {
	b := fake.NewBackend()
	number := b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "data-prod"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@data-prod.iam.gserviceaccount.com"})
	runner := "projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com"
	agent := fmt.Sprintf("serviceAccount:service-%d@serverless-robot-prod.iam.gserviceaccount.com", number)
	b.Grant("projects/web-prod", "roles/run.developer", "user:dev@example.com")
	b.Grant(runner, "roles/iam.serviceAccountUser", "user:dev@example.com")
	b.Grant(runner, "roles/iam.serviceAccountTokenCreator", agent)

	svc, err := run.NewService(context.Background(), b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		log.Fatal(err)
	}
	create := func() {
		job := &run.GoogleCloudRunV2Job{Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{
			ServiceAccount: "runner@data-prod.iam.gserviceaccount.com",
			Containers:     []*run.GoogleCloudRunV2Container{{Image: "job"}},
		}}}
		_, err := svc.Projects.Locations.Jobs.Create("projects/web-prod/locations/europe-west1", job).JobId("nightly").Do()
		fmt.Println("created:", err == nil)
	}
	create()
	b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{
		Name: "projects/data-prod/policies/iam.disableCrossProjectServiceAccountUsage",
		Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{Enforce: false}}},
	})
	create()
	// Output:
	// created: false
	// created: true
}

// A workflow of GitHub's that signs in through workload identity federation: the
// pool's provider tells its repository, and a grant to the repository reaches it.
func ExampleBackend_AddFederatedIdentity() {
	const pool = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github"
	workflow := "principal://" + pool + "/subject/repo:acme/web:ref:refs/heads/main"
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.AddFederatedIdentity(workflow, map[string]string{"attribute.repository": "acme/web"})
	b.Grant("projects/web-prod", "roles/run.viewer", "principalSet://"+pool+"/attribute.repository/acme/web")

	for _, caller := range []string{workflow, "principal://" + pool + "/subject/repo:acme/shop:ref:refs/heads/main"} {
		svc, err := run.NewService(context.Background(), b.ClientOptions(caller)...)
		if err != nil {
			log.Fatal(err)
		}
		_, err = svc.Projects.Locations.Jobs.List("projects/web-prod/locations/europe-west1").Do()
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// googleapi: Error 403: Permission 'run.jobs.list' denied on resource 'projects/web-prod/locations/europe-west1' (or resource may not exist).
}
