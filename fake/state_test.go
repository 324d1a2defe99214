package fake_test

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
)

func ExampleBackend_Load() {
	b := fake.NewBackend()
	err := b.Load(strings.NewReader(`{
	  "version": 1,
	  "projects": [{"projectId": "web-prod"}],
	  "serviceAccounts": [{"email": "runner@web-prod.iam.gserviceaccount.com"}],
	  "run": [{"name": "projects/web-prod/locations/europe-west1/jobs/nightly",
	           "resource": {"template": {"template": {"containers": [{"image": "job"}]}}}}],
	  "policies": [{"resource": "projects/web-prod", "bindings": [
	    {"role": "roles/run.viewer", "members": ["user:dev@example.com"]}]}]
	}`))
	fmt.Println(err)
	fmt.Println(b.Explain("user:dev@example.com", "run.jobs.get", "projects/web-prod"))

	err = b.Load(strings.NewReader(`{"version": 1}`))
	fmt.Println(err)
	err = fake.NewBackend().Load(strings.NewReader("{\"version\": 1,\n\"folders\": [{\"name\": \"folders/2\"}]}"))
	fmt.Println(err)
	// Output:
	// <nil>
	// granted: user:dev@example.com has run.jobs.get on cloudresourcemanager.googleapis.com/projects/200000000001: roles/run.viewer grants it on //cloudresourcemanager.googleapis.com/projects/200000000001 to user:dev@example.com
	// load the state: the backend holds something already; load into a new one
	// line 2: folders[0]: AddFolder: there is no parent ""; add it first
}

// richBackend has something of everything that a backend may hold.
func richBackend(t *testing.T) *fake.Backend {
	t.Helper()
	b := fake.NewBackend()
	t.Cleanup(b.Close)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com", DirectoryCustomerId: "C1"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/9", Parent: "organizations/1", DisplayName: "prod"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/2", Parent: "folders/9"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012", Parent: "folders/2", Labels: map[string]string{"a": "b"}})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "data-prod"})
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: "projects/data-prod/services/run.googleapis.com", State: "DISABLED"})
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{
		Name: "projects/web-prod/services/odd.example.com", State: "ENABLED", Config: &serviceusage.GoogleApiServiceusageV1ServiceConfig{Title: "Odd"},
	})
	b.AddServiceAccount(&iam.ServiceAccount{Email: account, DisplayName: "x", Disabled: true})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "y@web-prod.iam.gserviceaccount.com", Description: "<&>"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "123@cloudservices.gserviceaccount.com", ProjectId: "data-prod"})
	b.AddGroup("team@example.com", "user:dev@example.com", "group:more@example.com")
	b.AddGroup("more@example.com")
	const pool = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/p/subject/s"
	b.AddFederatedIdentity(pool, map[string]string{"attribute.repository": "r"}, "g")
	b.AddRole(&iam.Role{Name: "organizations/1/roles/deployer", Title: "Deployer", IncludedPermissions: []string{"run.jobs.get"}, Stage: "GA"})
	b.AddRole(&iam.Role{Name: "projects/web-prod/roles/gone", IncludedPermissions: []string{"run.jobs.list"}, Deleted: true})
	b.AddRole(&iam.Role{Name: "roles/apigee.admin", IncludedPermissions: []string{"run.jobs.get"}})
	b.Grant("organizations/1", "organizations/1/roles/deployer", "group:team@example.com")
	b.GrantIf("projects/web-prod/serviceAccounts/y@web-prod.iam.gserviceaccount.com", "roles/iam.serviceAccountUser", pool,
		`request.time < timestamp("2036-01-01T00:00:00Z")`)
	b.Grant("projects/web-prod", "roles/owner", "user:dev@example.com")
	b.AddDenyPolicy("folders/2", &iamv2.GoogleIamV2Policy{Name: "no-keys", DisplayName: "No keys", Rules: []*iamv2.GoogleIamV2PolicyRule{{
		DenyRule: &iamv2.GoogleIamV2DenyRule{DeniedPrincipals: []string{"principalSet://goog/public:all"}, DeniedPermissions: []string{"iam.googleapis.com/serviceAccountKeys.create"}},
	}}})
	b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{
		Name: "projects/web-prod/policies/" + sharing,
		Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{}}},
	})
	b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{
		Name: "folders/2/policies/run.allowedIngress", DryRunSpec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Reset: true},
	})
	b.AddRunJSON(location+"/jobs/seeded", []byte(`{"ofTomorrow":1.50,"template":{"template":{"maxRetries":0,"containers":[{"image":"i"}]}}}`))
	b.AddRecommenderJSON("projects/web-prod/locations/global/recommenders/google.iam.policy.Recommender/recommendations/r1", []byte(`{"priority":"P1","x":1.0}`))
	b.AddRecommenderJSON("projects/web-prod/locations/global/insightTypes/google.iam.policy.Insight/insights/i1", []byte(`{"category":"SECURITY"}`))

	for _, call := range [][2]string{
		{jobsV1, `{"apiVersion":"run.googleapis.com/v1","kind":"Job","metadata":{"name":"by-gcloud","namespace":"web-prod","annotations":{"run.googleapis.com/odd":"y"}},
			"spec":{"template":{"spec":{"template":{"spec":{"runtimeClassName":"z","containers":[{"image":"i","securityContext":{"runAsUser":0}}]}}}}}}`},
		{servingV1, `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"web","namespace":"web-prod"},
			"spec":{"template":{"spec":{"containers":[{"image":"i"}]}}}}`},
		{poolsV1, `{"apiVersion":"run.googleapis.com/v1","kind":"WorkerPool","metadata":{"name":"pool","namespace":"web-prod"},
			"spec":{"template":{"spec":{"containers":[{"image":"i"}]}}}}`},
		{jobsV1 + "/by-gcloud:run", `{}`},
		{api + location + "/jobs/seeded:run", `{}`},
		{"https://iam.googleapis.com/v1/projects/web-prod/serviceAccounts", `{"accountId":"by-api"}`},
		{"https://orgpolicy.googleapis.com/v2/organizations/1/customConstraints", `{"name":"organizations/1/customConstraints/custom.c",
			"resourceTypes":["run.googleapis.com/Job"],"methodTypes":["CREATE"],"condition":"true","actionType":"ALLOW","displayName":"c"}`},
		{api + location + "/jobs/seeded:setIamPolicy", `{"policy":{"bindings":[{"role":"roles/run.invoker","members":["user:dev@example.com"]}]}}`},
		{"https://iam.googleapis.com/v1/projects/web-prod/serviceAccounts", `{"accountId":"deleted"}`},
		{"https://iam.googleapis.com/v1/projects/-/serviceAccounts/deleted@web-prod.iam.gserviceaccount.com:setIamPolicy",
			`{"policy":{"bindings":[{"role":"roles/iam.serviceAccountUser","members":["user:dev@example.com"]}]}}`},
		{api + location + "/jobs?jobId=deleted", `{"template":{"template":{"containers":[{"image":"i"}]}}}`},
	} {
		status, answer := ask(t, b, fake.Admin, http.MethodPost, call[0], call[1])
		require.Equal(t, http.StatusOK, status, "%s: %s", call[0], answer)
	}
	for _, url := range []string{
		api + location + "/jobs/deleted",
		"https://iam.googleapis.com/v1/projects/-/serviceAccounts/deleted@web-prod.iam.gserviceaccount.com",
		"https://iam.googleapis.com/v1/projects/-/serviceAccounts/123456789012-compute@developer.gserviceaccount.com",
	} {
		status, answer := ask(t, b, fake.Admin, http.MethodDelete, url, "")
		require.Equal(t, http.StatusOK, status, answer)
	}
	return b
}

func dump(t *testing.T, b *fake.Backend) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, b.Dump(&out))
	return out.String()
}

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	b := richBackend(t)
	first := dump(t, b)
	assert.Equal(t, first, dump(t, b), "a dump changes nothing")
	copied := fake.NewBackend()
	t.Cleanup(copied.Close)
	require.NoError(t, copied.Load(strings.NewReader(first)))
	assert.Equal(t, first, dump(t, copied))
	assert.NotContains(t, first, "jobs/deleted")
	assert.NotContains(t, first, "deleted@web-prod")
	status, _ := ask(t, copied, fake.Admin, http.MethodGet, "https://iam.googleapis.com/v1/projects/-/serviceAccounts/123456789012-compute@developer.gserviceaccount.com", "")
	assert.Equal(t, http.StatusForbidden, status, "the default account is deleted in the copy, too")
	assert.Contains(t, first, "by-api@web-prod.iam.gserviceaccount.com")

	for _, url := range []string{
		jobsV1 + "/by-gcloud", servingV1 + "/web", poolsV1 + "/pool", api + location + "/jobs/seeded",
		regional + "apis/serving.knative.dev/v1/namespaces/web-prod/revisions",
		"https://iam.googleapis.com/v1/projects/-/serviceAccounts/" + account,
	} {
		_, before := ask(t, b, fake.Admin, http.MethodGet, url, "")
		_, after := ask(t, copied, fake.Admin, http.MethodGet, url, "")
		assert.JSONEq(t, withoutOperation(before), withoutOperation(after), url)
	}
	for _, question := range [][3]string{
		{"user:dev@example.com", "run.jobs.get", "organizations/1"},
		{"user:dev@example.com", "iam.serviceAccounts.actAs", "projects/web-prod"},
		{"principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/p/subject/s", "iam.serviceAccounts.actAs",
			"projects/web-prod/serviceAccounts/y@web-prod.iam.gserviceaccount.com"},
		{"user:eve@example.com", "iam.serviceAccountKeys.create", "projects/web-prod"},
	} {
		assert.Equal(t, b.Explain(question[0], question[1], question[2]), copied.Explain(question[0], question[1], question[2]))
	}
}

// withoutOperation drops the id of the latest operation, which is not kept.
func withoutOperation(body string) string {
	return regexp.MustCompile(`(?m),?\s*"run\.googleapis\.com/operation-id": "[^"]*"`).ReplaceAllString(body, "")
}

// A change that is under way ends with a dump.
func TestDumpEndsOperations(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	b.SetOperationTime(time.Hour)
	status, body := call(t, b, http.MethodPost, servingV1, `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"web","namespace":"web-prod"},
		"spec":{"template":{"spec":{"containers":[{"image":"i"}]}}}}`)
	require.Equal(t, http.StatusOK, status, body)
	assert.NotContains(t, dump(t, b), "CONDITION_PENDING")
}

func TestStateErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, document, says string
	}{
		{"nothing", ``, `line 1: unexpected end of JSON input`},
		{"no object", `[]`, `line 1: the state is a JSON object, as in {"version": 1}`},
		{"not JSON", "{\"version\": 1,\n\n  oops}", `line 3: invalid character 'o' looking for beginning of object key string`},
		{"no version", `{}`, `line 1: version: missing; 1 is the one that is known`},
		{"other version", "{\n\"version\": 2}", `line 2: version: 2 is not a version that is known: 1 is`},
		{"unknown list", "{\"version\": 1,\n\"project\": []}", `line 2: project: unknown field; there are version, organizations,`},
		{"twice", "{\"version\": 1,\n\"roles\": [],\n\"roles\": []}", `line 3: roles: this field is there twice`},
		{"no list", "{\"version\": 1, \"roles\": {}}", `line 1: roles: expected a list`},
		{"no element", "{\"version\": 1, \"roles\": [{\"name\":\"roles/x.y\"},\n1]}", `line 2: roles[1]: expected an object`},
		{"unknown field", "{\"version\": 1, \"projects\": [\n{\"projectId\": \"a\",\n \"number\": 3}]}", `line 3: projects[0].number: unknown field`},
		{"wrong type", "{\"version\": 1, \"projects\": [{\"projectId\": \"b\"},\n{\"projectId\":\n 7}]}", `line 3: projects[1].projectId: expected string, not a JSON number`},
		{"refused", "{\"version\": 1, \"projects\": [{\"projectId\": \"b\"},\n{\"projectId\": \"b\"}]}", `line 2: projects[1]: AddProject: project b is there already`},
		{"bad policy", "{\"version\": 1, \"projects\": [{\"projectId\": \"b\"}], \"policies\": [\n{\"resource\": \"projects/b\", \"bindings\": [{\"role\": \"roles/viewer\", \"members\": [\"group:a@b.c\"]}]}]}", `line 2: policies[0]: SetPolicy on projects/b: `},
		{"bad workload", "{\"version\": 1, \"projects\": [{\"projectId\": \"b\"}], \"run\": [\n{\"name\": \"projects/b/locations/us-central1/jobs/j\", \"resource\": {}}]}", `line 2: run[0]: template.template.containers: must contain at least one container.`},
		{"bad pointer", "{\"version\": 1, \"run\": [{\"name\": \"x\", \"resource\": {}, \"knative\": {\"a\": {}}}]}", `line 1: run[0]: knative: "a" is no JSON pointer`},
		{"bad recommendation", "{\"version\": 1, \"recommender\": [{}]}", `line 1: recommender[0]: AddRecommenderJSON "": the name is not of the form`},
		{"no deny policy", "{\"version\": 1, \"denyPolicies\": [{}]}", `line 1: denyPolicies[0]: policy: missing`},
		{"bad constraint", "{\"version\": 1, \"customConstraints\": [{\"constraint\": {}}]}", `line 1: customConstraints[0]: the constraint's name "" is not of the form`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := fake.NewBackend()
			defer b.Close()
			err := b.Load(strings.NewReader(tc.document))
			require.Error(t, err)
			assert.Contains(t, err.Error(), tc.says)
			var where *fake.StateError
			require.ErrorAs(t, err, &where)
			assert.Equal(t, "{\n  \"version\": 1\n}\n", dump(t, b), "nothing is loaded")
		})
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"projects":[{"projectId":"p","services":null}],"run":[{"name":"projects/p/locations/us-central1/jobs/j","resource":{"template":{"template":{"containers":[{"image":"i"}]}}},"knative":{"/a":{"value":1}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := fake.NewBackend()
		defer b.Close()
		if err := b.Load(bytes.NewReader(data)); err != nil {
			return
		}
		first := dump(t, b)
		again := fake.NewBackend()
		defer again.Close()
		require.NoError(t, again.Load(strings.NewReader(first)), "%s", first)
		require.Equal(t, first, dump(t, again))
	})
}
