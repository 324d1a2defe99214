package fake_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"
	"google.golang.org/api/serviceusage/v1"
	serviceusagebeta "google.golang.org/api/serviceusage/v1beta1"

	"github.com/runidentity/runidentity/fake"
)

const (
	usageHost   = "https://serviceusage.googleapis.com/"
	usageOfRun  = "projects/web-prod/services/run.googleapis.com"
	usageNumber = "projects/123456789012"
	usageAgent  = "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
)

// usage is a backend with the project web-prod, in which dev is Service Usage
// Admin and Cloud Run Viewer, and dev's client.
func usage(t *testing.T) (*fake.Backend, *serviceusage.Service) {
	t.Helper()
	b := fake.Start(t)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: usageNumber})
	b.Grant("projects/web-prod", "roles/serviceusage.serviceUsageAdmin", "user:dev@example.com")
	b.Grant("projects/web-prod", "roles/run.viewer", "user:dev@example.com")
	return b, usageClient(t, b, "user:dev@example.com")
}

func usageClient(t *testing.T, b *fake.Backend, caller string) *serviceusage.Service {
	t.Helper()
	svc, err := serviceusage.NewService(t.Context(), b.ClientOptions(caller)...)
	require.NoError(t, err)
	return svc
}

func usageOperation(t *testing.T, svc *serviceusage.Service, op *serviceusage.Operation, err error) map[string]any {
	t.Helper()
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(op.Name, "operations/acf.p2-123456789012-"), op.Name)
	assert.False(t, op.Done)
	op, err = svc.Operations.Get(op.Name).Do()
	require.NoError(t, err)
	require.True(t, op.Done)
	return parse(t, op.Response)
}

func TestServiceLife(t *testing.T) {
	t.Parallel()
	b, svc := usage(t)
	runs, err := run.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	jobs := func() error { return orgPolicyErr(runs.Projects.Locations.Jobs.List(location).Do()) }
	got, err := svc.Services.Get(usageOfRun).Do()
	require.NoError(t, err)
	assert.Equal(t, [3]string{usageNumber + "/services/run.googleapis.com", usageNumber, "ENABLED"}, [3]string{got.Name, got.Parent, got.State})
	assert.Equal(t, [2]string{"run.googleapis.com", "Cloud Run Admin API"}, [2]string{got.Config.Name, got.Config.Title})
	require.NoError(t, jobs())

	// What is enabled is not enabled again.
	op, err := svc.Services.Enable(usageOfRun, &serviceusage.EnableServiceRequest{}).Do()
	require.NoError(t, err)
	assert.Equal(t, "operations/noop.DONE_OPERATION", op.Name)
	assert.True(t, op.Done)
	assert.Equal(t, "type.googleapis.com/google.api.serviceusage.v1.EnableServiceResponse", parse(t, op.Response)["@type"])
	_, err = svc.Operations.Get(op.Name).Do()
	assert.Equal(t, 400, googleError(t, err).Code)

	op, err = svc.Services.Disable(usageOfRun, &serviceusage.DisableServiceRequest{}).Do()
	response := usageOperation(t, svc, op, err)
	assert.Equal(t, "type.googleapis.com/google.api.serviceusage.v1.DisableServiceResponse", response["@type"])
	assert.Equal(t, "DISABLED", field(response, "service.state"))
	g := googleError(t, jobs())
	assert.Equal(t, 403, g.Code)
	assert.Contains(t, g.Message, "Cloud Run Admin API has not been used in project ")
	assert.Contains(t, g.Body, "SERVICE_DISABLED")
	_, err = svc.Services.Disable(usageOfRun, &serviceusage.DisableServiceRequest{}).Do()
	assert.Contains(t, googleError(t, err).Body, "FAILED_PRECONDITION")

	op, err = svc.Services.Enable(strings.Replace(usageOfRun, "projects/web-prod", usageNumber, 1), &serviceusage.EnableServiceRequest{}).Do()
	response = usageOperation(t, svc, op, err)
	assert.Equal(t, "type.googleapis.com/google.api.serviceusage.v1.EnableServiceResponse", response["@type"])
	assert.Equal(t, usageNumber+"/services/run.googleapis.com", field(response, "service.name"))
	assert.Equal(t, "Cloud Run Admin API", field(response, "service.config.title"))
	require.NoError(t, jobs())
	_, err = svc.Operations.Get("operations/acf.p2-1-unknown").Do()
	assert.Equal(t, 404, googleError(t, err).Code)
}

// usageAgentRoles are the roles of the Cloud Run service agent in the project.
func usageAgentRoles(b *fake.Backend) []string {
	var roles []string
	for _, binding := range b.Policy("projects/web-prod").Bindings {
		if slices.Contains(binding.Members, usageAgent) {
			roles = append(roles, binding.Role)
		}
	}
	return roles
}

// Enabling Cloud Run gives its service agent the role back that was taken from
// it.
func TestEnablingCloudRunGrantsTheAgentItsRole(t *testing.T) {
	t.Parallel()
	b, svc := usage(t)
	p := b.Policy("projects/web-prod")
	p.Bindings = slices.DeleteFunc(p.Bindings, func(binding *iam.Binding) bool { return binding.Role == "roles/run.serviceAgent" })
	b.SetPolicy("projects/web-prod", p)
	_, err := svc.Services.Enable(usageOfRun, &serviceusage.EnableServiceRequest{}).Do()
	require.NoError(t, err)
	assert.Empty(t, usageAgentRoles(b), "it is enabled: nothing happens")
	_, err = svc.Services.Disable(usageOfRun, &serviceusage.DisableServiceRequest{}).Do()
	require.NoError(t, err)
	_, err = svc.Services.Enable(usageOfRun, &serviceusage.EnableServiceRequest{}).Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"roles/run.serviceAgent"}, usageAgentRoles(b))
	before := b.Policy("projects/web-prod")
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: usageOfRun, State: "ENABLED"})
	assert.Equal(t, before, b.Policy("projects/web-prod"), "it has the role")
}

func TestServiceOperationsTakeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := usage(t)
		b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: usageOfRun, State: "DISABLED"})
		b.SetOperationTime(time.Minute, "serviceusage.services.enable", "serviceusage.services.disable")
		state := func() string {
			s, err := svc.Services.Get(usageOfRun).Do()
			require.NoError(t, err)
			return s.State
		}
		runs, err := run.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
		require.NoError(t, err)
		op, err := svc.Services.Enable(usageOfRun, &serviceusage.EnableServiceRequest{}).Do()
		require.NoError(t, err)
		time.Sleep(time.Minute - time.Nanosecond)
		got, err := svc.Operations.Get(op.Name).Do()
		require.NoError(t, err)
		assert.False(t, got.Done)
		assert.Equal(t, "DISABLED", state())
		_, err = runs.Projects.Locations.Jobs.List(location).Do()
		assert.Equal(t, 403, googleError(t, err).Code)
		time.Sleep(time.Nanosecond)
		got, err = svc.Operations.Get(op.Name).Do()
		require.NoError(t, err)
		assert.True(t, got.Done)
		assert.Equal(t, "ENABLED", state())
		_, err = runs.Projects.Locations.Jobs.List(location).Do()
		require.NoError(t, err)

		_, err = svc.Services.Disable(usageOfRun, &serviceusage.DisableServiceRequest{}).Do()
		require.NoError(t, err)
		assert.Equal(t, "ENABLED", state())
		time.Sleep(time.Minute)
		assert.Equal(t, "DISABLED", state())

		b.Inject("serviceusage.services.enable", fake.Fault{Times: 1, Failure: &run.GoogleRpcStatus{Code: 13, Message: "Internal error."}})
		op, err = svc.Services.Enable(usageOfRun, &serviceusage.EnableServiceRequest{}).Do()
		require.NoError(t, err)
		time.Sleep(time.Minute)
		got, err = svc.Operations.Get(op.Name).Do()
		require.NoError(t, err)
		assert.Equal(t, "Internal error.", got.Error.Message)
		assert.Nil(t, got.Response)
	})
}

func TestGenerateServiceIdentity(t *testing.T) {
	t.Parallel()
	b, admin := usage(t)
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: usageOfRun, State: "DISABLED"})
	assert.Empty(t, usageAgentRoles(b))
	grant := func() { b.Grant("projects/web-prod", "roles/viewer", usageAgent) }
	assert.Panics(t, grant, "there is no agent yet")

	// Nobody needs a permission for it.
	svc, err := serviceusagebeta.NewService(t.Context(), b.ClientOptions("user:anyone@example.com")...)
	require.NoError(t, err)
	for range 2 {
		op, err := svc.Services.GenerateServiceIdentity("projects/web-prod/services/run.googleapis.com").Do()
		require.NoError(t, err)
		assert.Equal(t, "operations/finished.DONE_OPERATION", op.Name)
		require.True(t, op.Done)
		response := parse(t, op.Response)
		assert.Equal(t, "type.googleapis.com/google.api.serviceusage.v1beta1.ServiceIdentity", response["@type"])
		assert.Equal(t, strings.TrimPrefix(usageAgent, "serviceAccount:"), response["email"])
		assert.Regexp(t, `^\d{21}$`, response["uniqueId"])
	}
	grant()
	assert.Equal(t, []string{"roles/viewer"}, usageAgentRoles(b), "it has no role but what is granted")
	_, err = admin.Services.Enable(usageOfRun, &serviceusage.EnableServiceRequest{}).Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"roles/run.serviceAgent", "roles/viewer"}, usageAgentRoles(b))

	b.SetOperationTime(time.Nanosecond)
	op, err := svc.Services.GenerateServiceIdentity("projects/web-prod/services/run.googleapis.com").Do()
	require.NoError(t, err)
	assert.False(t, op.Done)
	time.Sleep(time.Nanosecond)
	op, err = svc.Operations.Get(op.Name).Do()
	require.NoError(t, err)
	assert.Equal(t, strings.TrimPrefix(usageAgent, "serviceAccount:"), parse(t, op.Response)["email"])

	_, err = svc.Services.GenerateServiceIdentity("projects/web-prod/services/unknown.googleapis.com").Do()
	g := googleError(t, err)
	assert.Equal(t, 400, g.Code)
	assert.Equal(t, "Invalid service producer: unknown.googleapis.com Code: INVALID_ARGUMENT", g.Message)
	assert.Contains(t, g.Body, "SU_INTERNAL_GENERATE_SERVICE_IDENTITY")
}

func TestListServices(t *testing.T) {
	t.Parallel()
	b, svc := usage(t)
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{
		Name: "projects/web-prod/services/own.endpoints.web-prod.cloud.goog", State: "ENABLED",
		Config: &serviceusage.GoogleApiServiceusageV1ServiceConfig{Title: "Our own"},
	})
	list := func(filter string, size int64) (names []string) {
		err := svc.Services.List("projects/web-prod").Filter(filter).PageSize(size).Pages(t.Context(), func(page *serviceusage.ListServicesResponse) error {
			if size > 0 {
				assert.LessOrEqual(t, len(page.Services), int(size))
			}
			for _, s := range page.Services {
				assert.NotEmpty(t, s.Config.Title, s.Name)
				names = append(names, strings.TrimPrefix(s.Name, usageNumber+"/services/")+" "+s.State)
			}
			return nil
		})
		require.NoError(t, err)
		return names
	}
	all := list("", 0)
	assert.True(t, slices.IsSorted(all))
	assert.Contains(t, all, "own.endpoints.web-prod.cloud.goog ENABLED")
	assert.Contains(t, all, "run.googleapis.com ENABLED")
	assert.Contains(t, all, "artifactregistry.googleapis.com DISABLED")
	assert.Equal(t, all, list("", 3))
	assert.Equal(t, all, list("", 1000))
	for state, filter := range map[string]string{" ENABLED": "state:ENABLED", " DISABLED": "state:DISABLED"} {
		want := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return !strings.HasSuffix(s, state) })
		assert.NotEmpty(t, want)
		assert.Equal(t, want, list(filter, 2), state)
	}
	for query, text := range map[string]string{"filter=state:enabled": "filter", "pageSize=-1": "page_size", "pageToken=%21": "page token"} {
		status, body := call(t, b, http.MethodGet, usageHost+"v1/projects/web-prod/services?"+query, "")
		assert.Equal(t, 400, status, query)
		assert.Contains(t, body, text)
	}
}

func TestBatchesOfServices(t *testing.T) {
	t.Parallel()
	b, svc := usage(t)
	names := []string{"pubsub.googleapis.com", "run.googleapis.com", "storage.googleapis.com"}
	state := func() (states []string) {
		var full []string
		for i, name := range names {
			full = append(full, []string{"projects/web-prod", usageNumber}[i%2]+"/services/"+name)
		}
		got, err := svc.Services.BatchGet("projects/web-prod").Names(full...).Do()
		require.NoError(t, err)
		for _, s := range got.Services {
			states = append(states, s.State)
		}
		return states
	}
	assert.Equal(t, []string{"DISABLED", "ENABLED", "DISABLED"}, state())
	_, err := svc.Services.BatchEnable("projects/web-prod", &serviceusage.BatchEnableServicesRequest{
		ServiceIds: []string{"pubsub.googleapis.com", "unknown.googleapis.com", "unheard.googleapis.com"},
	}).Do()
	g := googleError(t, err)
	assert.Equal(t, "Not found or permission denied for service(s): unknown.googleapis.com,unheard.googleapis.com.", g.Message)
	assert.Equal(t, []string{"DISABLED", "ENABLED", "DISABLED"}, state(), "all or none")

	enable := &serviceusage.BatchEnableServicesRequest{ServiceIds: names}
	op, err := svc.Services.BatchEnable("projects/web-prod", enable).Do()
	response := usageOperation(t, svc, op, err)
	assert.Equal(t, "type.googleapis.com/google.api.serviceusage.v1.BatchEnableServicesResponse", response["@type"])
	assert.Len(t, response["services"], 3)
	assert.Equal(t, []string{"ENABLED", "ENABLED", "ENABLED"}, state())
	op, err = svc.Services.BatchEnable("projects/web-prod", enable).Do()
	require.NoError(t, err)
	assert.True(t, op.Done)

	many := strings.Repeat("&names=projects/web-prod/services/run.googleapis.com", 31)
	for query, text := range map[string]string{
		"": "SU_MISSING_NAMES", many: "At most 30", "names=projects/other/services/run.googleapis.com": "parent",
		"names=run.googleapis.com": "parent", "names=folders/123456789012/services/run.googleapis.com": "parent",
	} {
		status, body := call(t, b, http.MethodGet, usageHost+"v1/projects/web-prod/services:batchGet?"+query, "")
		assert.Equal(t, 400, status, query)
		assert.Contains(t, body, text)
	}
	for body, text := range map[string]string{
		`{"serviceIds": ["run.googleapis.com"]}`: "2 to 20",
		`{}`:                                     "2 to 20",
		`{"serviceIds": ["a"` + strings.Repeat(`, "a"`, 20) + `]}`:       "2 to 20",
		`{"serviceIds": "run.googleapis.com"}`:                           "Invalid value at 'serviceIds'",
		`{"serviceIds": ["run.googleapis.com", "pubsub.googleapis.com"]`: "Invalid JSON payload",
	} {
		status, answer := call(t, b, http.MethodPost, usageHost+"v1/projects/web-prod/services:batchEnable", body)
		assert.Equal(t, 400, status, body)
		assert.Contains(t, answer, text)
	}
}

func TestServiceUsageRefusals(t *testing.T) {
	t.Parallel()
	denied := func(message string) string {
		return `{"error": {"code": 403, "message": "` + message + `", "status": "PERMISSION_DENIED",
			"errors": [{"message": "` + message + `", "domain": "global", "reason": "forbidden"}],
			"details": [
				{"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [{"type": "googleapis.com", "subject": "110002"}]},
				{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "AUTH_PERMISSION_DENIED", "domain": "serviceusage.googleapis.com"}]}}`
	}
	details := func(message, subject, reason, metadata string) string {
		return strings.NewReplacer(`"110002"`, `"`+subject+`"`, "AUTH_PERMISSION_DENIED", reason,
			`"domain": "serviceusage.googleapis.com"`, `"domain": "serviceusage.googleapis.com", "metadata": `+metadata).Replace(denied(message))
	}
	missing := details("Project 'nowhere' not found or permission denied.", "?error_code=210002&type=Project&resource_id=nowhere",
		"RESOURCES_NOT_FOUND", `{"type": "Project", "resource_id": "nowhere"}`)
	unknown := details("Not found or permission denied for service(s): unknown.googleapis.com.", "?error_code=220002&services=unknown.googleapis.com",
		"SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED", `{"services": "unknown.googleapis.com"}`)
	tests := map[string]struct {
		role         string // of the caller
		method, path string
		want         string
	}{
		"get":                   {"", http.MethodGet, "projects/web-prod/services/run.googleapis.com", denied("Permission denied to get service [run.googleapis.com]")},
		"list":                  {"", http.MethodGet, "projects/web-prod/services", denied("Permission denied to list services for consumer container [projects/123456789012]")},
		"enable":                {"roles/serviceusage.serviceUsageConsumer", http.MethodPost, "projects/web-prod/services/run.googleapis.com:enable", denied("Permission denied to enable service [run.googleapis.com]")},
		"disable":               {"roles/serviceusage.serviceUsageViewer", http.MethodPost, "projects/web-prod/services/run.googleapis.com:disable", denied("Permission denied to disable service [run.googleapis.com]")},
		"an unknown one":        {"roles/serviceusage.serviceUsageAdmin", http.MethodPost, "projects/web-prod/services/unknown.googleapis.com:enable", unknown},
		"get an unknown one":    {"roles/serviceusage.serviceUsageViewer", http.MethodGet, "projects/web-prod/services/unknown.googleapis.com", unknown},
		"disable an unknown":    {"roles/serviceusage.serviceUsageAdmin", http.MethodPost, "projects/web-prod/services/unknown.googleapis.com:disable", unknown},
		"no such project":       {"", http.MethodGet, "projects/nowhere/services/run.googleapis.com", missing},
		"list of no project":    {"", http.MethodGet, "projects/nowhere/services", missing},
		"no project to enable":  {"", http.MethodPost, "projects/nowhere/services/run.googleapis.com:enable", missing},
		"a missing permission":  {"", http.MethodGet, "projects/web-prod/services/unknown.googleapis.com", denied("Permission denied to get service [unknown.googleapis.com]")},
		"batch get":             {"", http.MethodGet, "projects/web-prod/services:batchGet?names=projects/web-prod/services/run.googleapis.com", denied("Permission denied to get service [run.googleapis.com]")},
		"batch get of unknown":  {"roles/serviceusage.serviceUsageViewer", http.MethodGet, "projects/web-prod/services:batchGet?names=projects/web-prod/services/unknown.googleapis.com", unknown},
		"batch get, no project": {"", http.MethodGet, "projects/nowhere/services:batchGet?names=projects/nowhere/services/run.googleapis.com", missing},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := fake.Start(t)
			b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: usageNumber})
			if tt.role != "" {
				b.Grant("projects/web-prod", tt.role, "user:dev@example.com")
			}
			status, body := call(t, b, tt.method, usageHost+"v1/"+tt.path, "")
			assert.Equal(t, http.StatusForbidden, status)
			assert.JSONEq(t, tt.want, body)
		})
	}
}

// What the fake leaves out of a method says so.
func TestServiceUsageThatIsNotImplemented(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ method, path, want string }{
		"v1beta1":         {http.MethodPost, "v1beta1/" + usageOfRun + ":enable", "serviceusage.services.enable of serviceusage:v1beta1."},
		"a folder":        {http.MethodGet, "v1/folders/2/services", "serviceusage.services.list for folders."},
		"another's agent": {http.MethodPost, "v1beta1/projects/web-prod/services/pubsub.googleapis.com:generateServiceIdentity", "serviceusage.services.generateServiceIdentity for pubsub.googleapis.com: of service agents it has only Cloud Run's."},
		"operations":      {http.MethodGet, "v1/operations", "serviceusage.operations.list."},
	}
	for name, tt := range tests {
		told := &failures{TB: t}
		b := fake.Start(told)
		b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: usageNumber})
		b.Grant("projects/web-prod", "roles/serviceusage.serviceUsageAdmin", "user:dev@example.com")
		status, body := call(t, b, tt.method, usageHost+tt.path, "")
		assert.Equal(t, http.StatusNotImplemented, status, name)
		assert.Equal(t, "The fake does not implement "+tt.want, field(parse(t, []byte(body)), "error.message"), name)
		assert.Len(t, told.texts, 1, name)
	}
	b, _ := usage(t)
	for path, method := range map[string]string{
		"folders/2/services/run.googleapis.com:enable": http.MethodPost, "things/2/services": http.MethodGet, "organizations/1/services:batchGet?names=x": http.MethodGet,
	} {
		status, body := call(t, b, method, usageHost+"v1/"+path, "")
		assert.Equal(t, 400, status, body)
	}
}

func TestSetService(t *testing.T) {
	t.Parallel()
	b, svc := usage(t)
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: usageOfRun, State: "DISABLED"})
	got, err := svc.Services.Get(usageOfRun).Do()
	require.NoError(t, err)
	assert.Equal(t, "DISABLED", got.State)
	for name, s := range map[string]*serviceusage.GoogleApiServiceusageV1Service{
		"no state":        {Name: usageOfRun},
		"no service":      {Name: "projects/web-prod/services/", State: "ENABLED"},
		"no project":      {Name: "folders/2/services/run.googleapis.com", State: "ENABLED"},
		"no such project": {Name: "projects/nowhere/services/run.googleapis.com", State: "ENABLED"},
	} {
		assert.Panics(t, func() { b.SetService(s) }, name)
	}
}
