package identity_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

const (
	patchJob     = "run.projects.locations.jobs.patch"
	getJob       = "run.projects.locations.jobs.get"
	waitMethod   = "run.projects.locations.operations.wait"
	runnerEmail  = "runner@data-prod.iam.gserviceaccount.com"
	defaultEmail = "123456789012-compute@developer.gserviceaccount.com"
)

var (
	nightly = identity.Job("web-prod", "europe-west1", "nightly")
	runner  = identity.MustParseServiceAccount(runnerEmail)
	other   = identity.MustParseServiceAccount("other@web-prod.iam.gserviceaccount.com")
)

// oddJob is a job as the API might answer it one day, with what a client that
// goes through generated types would lose or change.
const oddJob = `{
  "name": "projects/web-prod/locations/europe-west1/jobs/nightly",
  "labels": {"team": "data <&> web"},
  "fieldOfTomorrow": {"list": [1.50, 1e3, 100000000000000000000, -0, {"deep": null}]},
  "template": {
    "parallelism": 3,
    "taskCount": 1.0,
    "template": {
      "containers": [
        {
          "name": "main",
          "image": "us-docker.pkg.dev/cloudrun/container/job:latest",
          "env": [{"name": "EMPTY", "value": ""}, {"name": "HTML", "value": "<a href=\"x\">&</a>"}],
          "gpuOfTomorrow": {"count": 2.0, "enabled": false}
        },
        {"name": "sidecar", "image": "us-docker.pkg.dev/cloudrun/container/sidecar"}
      ],
      "maxRetries": 0,
      "schedulerOfTomorrow": 0.10,
      "serviceAccount": "other@web-prod.iam.gserviceaccount.com",
      "timeout": "3600s"
    }
  }
}`

// newCloud is a backend with the job nightly in project web-prod and an
// account in data-prod.
func newCloud(t testing.TB) *fake.Backend {
	t.Helper()
	b := fake.Start(t)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "data-prod"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: runnerEmail})
	b.AddServiceAccount(&iam.ServiceAccount{Email: other.Email()})
	b.AddRunJSON(nightly.Name(), []byte(oddJob))
	// The developer owns the job's project and may act as the account of the
	// other one, which the job's service agent may use too.
	b.Grant("projects/web-prod", "roles/owner", "user:dev@example.com")
	account := "projects/data-prod/serviceAccounts/" + runnerEmail
	b.Grant(account, "roles/iam.serviceAccountUser", "user:dev@example.com")
	b.Grant(account, "roles/iam.serviceAccountTokenCreator", identity.RunServiceAgent(123456789012).Member())
	b.SetOrgPolicy(crossProjectAllowed())
	return b
}

func newClient(t testing.TB, b *fake.Backend) *identity.Client {
	t.Helper()
	c, err := identity.NewClient(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	return c
}

// methods are the calls that a backend received, by the last part of their
// names.
func methods(b *fake.Backend) []string {
	var out []string
	for _, c := range b.Calls() {
		out = append(out, c.Method[strings.LastIndexByte(c.Method, '.')+1:])
	}
	return out
}

// without decodes JSON, number literals kept, and removes what the server
// itself updates.
func without(t testing.TB, raw []byte, fields ...string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var o map[string]any
	require.NoError(t, dec.Decode(&o))
	for _, f := range append(fields, "etag", "generation", "observedGeneration", "updateTime", "lastModifier") {
		delete(o, f)
	}
	return o
}

func setTaskAccount(o map[string]any, email string) {
	o["template"].(map[string]any)["template"].(map[string]any)["serviceAccount"] = email
}

func TestAttachChangesTheIdentityOfAJobAndNothingElse(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	before := without(t, b.RunJSON(nightly.Name()))

	change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)

	require.NoError(t, err)
	setTaskAccount(before, runnerEmail)
	assert.Equal(t, before, without(t, b.RunJSON(nightly.Name())))
	assert.Equal(t, []string{"get", "patch", "wait"}, methods(b))
	assert.Regexp(t, "^projects/web-prod/locations/europe-west1/operations/[0-9a-f-]{36}$", change.Operation)
	change.Operation, change.Before, change.After = "", nil, nil
	assert.Equal(t, identity.Change{
		Workload: nightly, Old: other, New: runner, Written: true, Done: true,
		OldGeneration: 1, NewGeneration: 2, ReceivesTraffic: identity.Yes,
	}, change)
}

func TestAttachOverAPlainServerSendsTheJobAsItCame(t *testing.T) {
	t.Parallel()
	var body []byte
	mux := http.NewServeMux()
	served := strings.Replace(oddJob, `"labels"`,
		`"etag": "\"abc/def\"", "generation": "7", "uid": "u", "creator": "c", "conditions": [], "startExecutionToken": "again",
		 "runExecutionToken": "again", "latestCreatedExecution": {}, "labels"`, 1)
	mux.HandleFunc("GET /v2/projects/web-prod/locations/europe-west1/jobs/nightly", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(served))
	})
	mux.HandleFunc("PATCH /v2/projects/web-prod/locations/europe-west1/jobs/nightly", func(w http.ResponseWriter, r *http.Request) {
		body = make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		answer := strings.Replace(strings.Replace(served, other.Email(), runnerEmail, 1), `"7"`, `"8"`, 1)
		_, _ = w.Write([]byte(`{"name":"projects/web-prod/locations/europe-west1/operations/op","done":true,"response":` + answer + `}`))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	client, err := identity.NewClient(t.Context(), option.WithEndpoint(server.URL), option.WithoutAuthentication())
	require.NoError(t, err)

	change, err := client.Attach(t.Context(), nightly, runner, nil)

	require.NoError(t, err)
	assert.Equal(t, runner, change.New)
	want := without(t, []byte(served), "uid", "creator", "conditions", "startExecutionToken", "runExecutionToken", "latestCreatedExecution")
	setTaskAccount(want, runnerEmail)
	want["etag"] = `"abc/def"`
	got := without(t, body)
	got["etag"] = decoded(t, body)["etag"]
	assert.Equal(t, want, got)
	assert.Contains(t, string(body), `<a href=\"x\">&</a>`, "strings go back to the letter")
}

func decoded(t testing.TB, raw []byte) map[string]any {
	t.Helper()
	var o map[string]any
	require.NoError(t, json.Unmarshal(raw, &o))
	return o
}

func TestAttachWritesNothingWhenNothingChanges(t *testing.T) {
	t.Parallel()
	b := newCloud(t)

	change, err := newClient(t, b).Attach(t.Context(), nightly, other, nil)

	require.NoError(t, err)
	assert.Equal(t, []string{"get"}, methods(b))
	assert.JSONEq(t, string(change.Before), string(change.After))
	change.Before, change.After = nil, nil
	assert.Equal(t, identity.Change{
		Workload: nightly, Old: other, New: other, Done: true, OldGeneration: 1, NewGeneration: 1, ReceivesTraffic: identity.Yes,
	}, change)
}

func TestAttachOptions(t *testing.T) {
	t.Parallel()
	t.Run("validate only", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		before := string(b.RunJSON(nightly.Name()))
		change, err := newClient(t, b).Attach(t.Context(), nightly, runner, &identity.AttachOptions{ValidateOnly: true})
		require.NoError(t, err)
		assert.Equal(t, []string{"get", "patch"}, methods(b))
		assert.Contains(t, b.Calls()[1].Query, "validateOnly=true")
		assert.Equal(t, before, string(b.RunJSON(nightly.Name())))
		assert.False(t, change.Written)
		assert.False(t, change.Done)
		assert.Equal(t, runner, change.New)
	})
	t.Run("no wait", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		change, err := newClient(t, b).Attach(t.Context(), nightly, runner, &identity.AttachOptions{NoWait: true})
		require.NoError(t, err)
		assert.Equal(t, []string{"get", "patch"}, methods(b))
		assert.True(t, change.Written)
		assert.False(t, change.Done)
		assert.Equal(t, runner, change.New)
		assert.NotEmpty(t, change.Operation)
	})
}

func TestBadInputIsRefusedBeforeAnyCall(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	ctx := t.Context()
	calls := map[string]func() error{
		"attach zero workload": func() error { _, err := c.Attach(ctx, identity.Workload{}, runner, nil); return err },
		"attach bad workload": func() error {
			_, err := c.Attach(ctx, identity.Job("Web", "europe-west1", "n"), runner, nil)
			return err
		},
		"attach zero account":     func() error { _, err := c.Attach(ctx, nightly, identity.ServiceAccount{}, nil); return err },
		"detach zero workload":    func() error { _, err := c.Detach(ctx, identity.Workload{}, nil); return err },
		"get zero workload":       func() error { _, err := c.Get(ctx, identity.Workload{}, nil); return err },
		"execute a service":       func() error { _, err := c.Execute(ctx, identity.Service("p", "l", "s"), nil); return err },
		"create without template": func() error { _, err := c.CreateJob(ctx, nightly, runner, nil, nil); return err },
		"ensure zero account":     func() error { _, err := c.EnsureServiceAccount(ctx, identity.ServiceAccount{}, nil); return err },
		"ensure an agent": func() error {
			_, err := c.EnsureServiceAccount(ctx, identity.RunServiceAgent(1), nil)
			return err
		},
		"ensure a short account id": func() error {
			_, err := c.EnsureServiceAccount(ctx, identity.MustParseServiceAccount("run@web-prod.iam.gserviceaccount.com"), nil)
			return err
		},
	}
	// Each names the value, the rule and an example of a right one.
	wants := map[string][]string{
		"attach zero workload":      {`""`, "must not be empty", "projects/web-prod/locations/europe-west1/jobs/nightly"},
		"attach bad workload":       {`"Web"`, "must be a project id", "example: "},
		"attach zero account":       {"no service account is given", "Detach gives", "runner@"},
		"detach zero workload":      {`""`, "must not be empty", "example: "},
		"get zero workload":         {`""`, "must not be empty", "example: "},
		"execute a service":         {"projects/p/locations/l/services/s", "where a job is wanted", "identity.Job"},
		"create without template":   {"the job has no template.template", "a container with an image"},
		"ensure zero account":       {`""`, "must not be empty", runnerEmail},
		"ensure an agent":           {"service-1@serverless-robot-prod", "only a user-managed one can be created", "runner@my-project"},
		"ensure a short account id": {`"run"`, "6 to 30 characters", "nightly-runner"},
	}
	for name, call := range calls {
		err := call()
		require.Error(t, err, name)
		require.NotEmpty(t, wants[name], name)
		for _, want := range wants[name] {
			require.ErrorContains(t, err, want, name)
		}
	}
	assert.Empty(t, b.Calls())
}

func TestDetach(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)

	change, err := c.Detach(t.Context(), nightly, nil)
	require.NoError(t, err)
	assert.Equal(t, defaultEmail, change.New.Email())
	assert.True(t, change.Written)

	b.ResetCalls()
	change, err = c.Detach(t.Context(), nightly, &identity.DetachOptions{ProjectNumber: 123456789012})
	require.NoError(t, err)
	assert.False(t, change.Written, "with the number, the default identity is recognised")
	assert.Equal(t, []string{"get"}, methods(b))

	b.ResetCalls()
	change, err = c.Detach(t.Context(), nightly, nil)
	require.NoError(t, err)
	assert.True(t, change.Written, "without it, only a write is certain")
	assert.Equal(t, change.OldGeneration, change.NewGeneration, "and changes nothing")
}

func TestAttachUndone(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	before := without(t, b.RunJSON(nightly.Name()))
	change, err := c.Attach(t.Context(), nightly, runner, nil)
	require.NoError(t, err)
	_, err = c.Attach(t.Context(), change.Workload, change.Old, nil)
	require.NoError(t, err)
	assert.Equal(t, before, without(t, b.RunJSON(nightly.Name())))
}

func TestTokensAreNotSentBack(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	w := identity.Job("web-prod", "europe-west1", "tokens")
	b.AddRunJSON(w.Name(), []byte(`{"startExecutionToken":"first","template":{"template":{"containers":[{"image":"i"}]}}}`))

	_, err := newClient(t, b).Attach(t.Context(), w, runner, nil)

	require.NoError(t, err)
	assert.Equal(t, "{}", string(must(json.Marshal(decoded(t, b.RunJSON(w.Name()))["latestCreatedExecution"]))))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAgentIdentityIsRefused(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	w := identity.Job("web-prod", "europe-west1", "agent")
	b.AddRunJSON(w.Name(), []byte(`{"template":{"template":{"containers":[{"image":"i"}],
		"workloadIdentityConfig":{"identityType":"IDENTITY_TYPE_AGENT_IDENTITY"}}}}`))
	c := newClient(t, b)

	_, err := c.Attach(t.Context(), w, runner, nil)

	require.ErrorIs(t, err, identity.ErrAgentIdentity)
	assert.Equal(t, []string{"get"}, methods(b))
	a, err := c.Get(t.Context(), w, &identity.GetOptions{ProjectNumber: 123456789012})
	require.NoError(t, err)
	assert.Equal(t, identity.No, a.Default, "an agent identity is not the default account")
	require.NotNil(t, a.WorkloadIdentity)
	assert.Equal(t, "IDENTITY_TYPE_AGENT_IDENTITY", a.WorkloadIdentity.IdentityType)
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	w := identity.Job("web-prod", "europe-west1", "gone")
	_, err := newClient(t, b).Attach(t.Context(), w, runner, nil)
	require.ErrorIs(t, err, identity.ErrNotFound)
	assert.EqualError(t, err, "attach projects/web-prod/locations/europe-west1/jobs/gone as runner@data-prod.iam.gserviceaccount.com: "+
		"not found: googleapi: Error 404: Resource 'gone' of kind 'JOB' in region 'europe-west1' in project 'web-prod' does not exist.")
}

// bounded is the test's context with an end, in virtual time.
func bounded(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// crossProjectAllowed is the policy with which data-prod lets its accounts be
// attached to resources of other projects.
func crossProjectAllowed() *orgpolicy.GoogleCloudOrgpolicyV2Policy {
	return &orgpolicy.GoogleCloudOrgpolicyV2Policy{
		Name: "projects/data-prod/policies/iam.disableCrossProjectServiceAccountUsage",
		Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{
			{ForceSendFields: []string{"Enforce"}},
		}},
	}
}
