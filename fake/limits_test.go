package fake_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/policytroubleshooter/v3"
	"google.golang.org/api/recommender/v1"
	"google.golang.org/api/run/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
)

// What the package says that it does not do, it does not do. A limit that
// falls is to be taken out of the package's documentation with its test.
func TestLimits(t *testing.T) {
	t.Parallel()
	notImplemented := func(t *testing.T, verb, url string) {
		t.Helper()
		b := newBackend()
		defer b.Close()
		status, body := call(t, b, verb, url, "{}")
		assert.Equal(t, http.StatusNotImplemented, status, "%s: %s", url, body)
	}
	t.Run("gRPC is not served", func(t *testing.T) {
		t.Parallel()
		notImplemented(t, http.MethodPost, "https://run.googleapis.com/google.cloud.run.v2.Jobs/GetJob")
	})
	t.Run("projects, folders and organizations are seeded", func(t *testing.T) {
		t.Parallel()
		notImplemented(t, http.MethodPost, "https://cloudresourcemanager.googleapis.com/v3/projects")
		notImplemented(t, http.MethodPost, "https://cloudresourcemanager.googleapis.com/v3/projects/web-prod:move")
		notImplemented(t, http.MethodDelete, "https://cloudresourcemanager.googleapis.com/v3/folders/1")
	})
	t.Run("tasks, builds and instances", func(t *testing.T) {
		t.Parallel()
		notImplemented(t, http.MethodGet, api+jobName+"/executions/e/tasks")
		notImplemented(t, http.MethodPost, api+location+"/builds:submit")
		notImplemented(t, http.MethodGet, api+location+"/instances")
		for _, kind := range []string{"configurations", "routes"} {
			notImplemented(t, http.MethodGet, "https://europe-west1-run.googleapis.com/apis/serving.knative.dev/v1/namespaces/web-prod/"+kind)
		}
		notImplemented(t, http.MethodGet, "https://europe-west1-run.googleapis.com/apis/domains.cloudrun.com/v1/namespaces/web-prod/domainmappings")
		notImplemented(t, http.MethodGet, "https://cloudresourcemanager.googleapis.com/v2/folders")
	})
	t.Run("a role that is not known", func(t *testing.T) {
		t.Parallel()
		told := &failures{TB: t}
		b := startedFor(told)
		b.Grant("projects/web-prod", "roles/apigee.admin", "user:dan@example.com")
		b.Grant("projects/web-prod", "roles/editor", "user:eve@example.com")
		assert.Contains(t, b.Explain("user:dan@example.com", "run.jobs.get", "projects/web-prod"), "unknown: ")
		assert.Contains(t, b.Explain("user:eve@example.com", "run.jobs.get", "projects/web-prod"), "granted: ")
		assert.Contains(t, b.Explain("user:eve@example.com", "storage.objects.get", "projects/web-prod"), "unknown: ")
	})
	t.Run("conditions", func(t *testing.T) {
		t.Parallel()
		b := newBackend()
		defer b.Close()
		account := "projects/-/serviceAccounts/x@web-prod.iam.gserviceaccount.com"
		for _, expression := range []string{
			`resource.matchTag("1/env", "prod")`, `request.path.startsWith("/x")`, `destination.ip == "1.2.3.4"`,
		} {
			assert.Panics(t, func() { b.GrantIf(account, "roles/iam.serviceAccountUser", "user:dan@example.com", expression) }, expression)
		}
		b.GrantIf(account, "roles/iam.serviceAccountUser", "user:dan@example.com", `resource.name.startsWith("projects/")`)
		assert.Contains(t, b.Explain("user:dan@example.com", "iam.serviceAccounts.actAs", account), "denied: ", "an account has no resource.name")
	})
	t.Run("other constraints have no effect", func(t *testing.T) {
		t.Parallel()
		b := newBackend()
		defer b.Close()
		b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{
			Name: "projects/web-prod/policies/iam.disableServiceAccountCreation",
			Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{Enforce: true}}},
		})
		svc, err := iam.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
		require.NoError(t, err)
		create(t, svc.Projects.ServiceAccounts, "web-prod", "still-created")
	})
	t.Run("users and domains are taken to exist", func(t *testing.T) {
		t.Parallel()
		b := newBackend()
		defer b.Close()
		b.Grant("projects/web-prod", "roles/viewer", "user:nobody@nowhere.example")
		b.Grant("projects/web-prod", "roles/viewer", "domain:nowhere.example")
		assert.Panics(t, func() { b.Grant("projects/web-prod", "roles/viewer", "group:nobody@nowhere.example") })
	})
	t.Run("APIs that are off answer all the same", func(t *testing.T) {
		t.Parallel()
		b := newBackend()
		defer b.Close()
		b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: "projects/web-prod/services/iam.googleapis.com", State: "DISABLED"})
		svc, err := iam.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
		require.NoError(t, err)
		_, err = svc.Projects.ServiceAccounts.List("projects/web-prod").Do()
		require.NoError(t, err)
	})
	t.Run("images are not pulled", func(t *testing.T) {
		t.Parallel()
		_, svc := started(t)
		_, err := svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: jobTemplate("no.such/image")}).Do()
		require.NoError(t, err)
		job, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
		require.NoError(t, err)
		assert.Equal(t, "CONDITION_SUCCEEDED", job.TerminalCondition.State)
	})
	t.Run("recommendations are seeded", func(t *testing.T) {
		t.Parallel()
		b := newBackend()
		defer b.Close()
		b.Grant("projects/web-prod", "roles/editor", "serviceAccount:x@web-prod.iam.gserviceaccount.com") // which nobody uses
		svc, err := recommender.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
		require.NoError(t, err)
		list, err := svc.Projects.Locations.Recommenders.Recommendations.
			List("projects/web-prod/locations/global/recommenders/google.iam.policy.Recommender").Do()
		require.NoError(t, err)
		assert.Empty(t, list.Recommendations)
	})
	t.Run("who is in a group is shown to every sender", func(t *testing.T) {
		t.Parallel()
		b := newBackend()
		defer b.Close()
		b.AddGroup("team@example.com", "user:ann@example.com")
		b.Grant("projects/web-prod", "roles/run.viewer", "group:team@example.com")
		svc, err := policytroubleshooter.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
		require.NoError(t, err)
		answer, err := svc.Iam.Troubleshoot(&policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyRequest{
			AccessTuple: &policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AccessTuple{
				Principal: "ann@example.com", Permission: "run.jobs.get",
				FullResourceName: "//cloudresourcemanager.googleapis.com/projects/web-prod",
			},
		}).Do()
		require.NoError(t, err)
		assert.Equal(t, "CAN_ACCESS", answer.OverallAccessState)
	})
}

// A project without an organization has its own policy alone.
func TestProjectsMayHaveNoParent(t *testing.T) {
	t.Parallel()
	b := fake.NewBackend()
	defer b.Close()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "alone"})
	assert.Contains(t, b.Explain("user:dev@example.com", "run.jobs.get", "projects/alone"), "nothing grants it")
}
