package allowpolicy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/internal/allowpolicy"
)

const (
	dev     = "user:dev@example.com"
	project = "//cloudresourcemanager.googleapis.com/projects/web-prod"
	account = "//iam.googleapis.com/projects/web-prod/serviceAccounts/runner@web-prod.iam.gserviceaccount.com"
	job     = "//run.googleapis.com/projects/web-prod/locations/europe-west1/jobs/nightly"
)

func newCloud(t *testing.T) (*fake.Backend, *allowpolicy.Client) {
	t.Helper()
	b := fake.NewBackend()
	t.Cleanup(b.Close)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/2", Parent: "organizations/1"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Parent: "folders/2"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com"})
	b.AddRunJSON("projects/web-prod/locations/europe-west1/jobs/nightly", []byte(`{"template": {"template": {"containers": [{"image": "i"}]}}}`))
	c, err := allowpolicy.New(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	return b, c
}

func grant(role, member string) allowpolicy.Change {
	return allowpolicy.Change{Role: role, Member: member}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{
		project, account, job, "//cloudresourcemanager.googleapis.com/folders/2", "//cloudresourcemanager.googleapis.com/organizations/1",
	} {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			b, c := newCloud(t)
			had := len(b.Policy(resource).Bindings)
			until := allowpolicy.Change{Role: "roles/run.viewer", Member: dev, Condition: allowpolicy.Condition{
				Title: "until", Expression: `request.time < timestamp("2999-01-01T00:00:00Z")`,
			}}
			changes := []allowpolicy.Change{grant("roles/run.viewer", dev), grant("roles/run.viewer", "user:two@example.com"), until}
			result, err := c.Edit(t.Context(), resource, changes...)
			require.NoError(t, err)
			assert.Equal(t, allowpolicy.Result{Made: changes, Sure: true}, result)
			assert.Len(t, b.Policy(resource).Bindings, had+2, "one binding for two members, one for the condition")

			b.ResetCalls()
			result, err = c.Edit(t.Context(), resource, append(changes, grant("roles/run.viewer", "user:DEV@example.com"))...)
			require.NoError(t, err)
			assert.Empty(t, result.Made)
			assert.Len(t, b.Calls(), 1, "nothing is written when nothing changes")

			owner, gone := grant("roles/owner", dev), until
			gone.Remove = true
			pending, err := c.Pending(t.Context(), resource, until, gone, owner, grant("roles/run.viewer", dev))
			require.NoError(t, err)
			assert.Equal(t, []allowpolicy.Change{gone, owner}, pending)

			until.Remove, until.Condition.Title = true, ""
			other := until
			other.Condition.Expression = "true"
			result, err = c.Edit(t.Context(), resource, until, other, allowpolicy.Change{Remove: true, Role: "roles/owner", Member: dev})
			require.NoError(t, err)
			assert.Equal(t, []allowpolicy.Change{until}, result.Made)
			assert.Len(t, b.Policy(resource).Bindings, had+1)
		})
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	b, c := newCloud(t)
	for _, resource := range []string{"", "projects/p", "//storage.googleapis.com/b", "//iam.googleapis.com/projects/p", project + "?x", project + "/x"} {
		_, err := c.Edit(t.Context(), resource, grant("roles/viewer", dev))
		require.ErrorContains(t, err, "it must be the full name of a project, folder", resource)
		assert.False(t, allowpolicy.Supports(resource))
	}
	_, err := c.Edit(t.Context(), project, grant("", dev))
	require.ErrorContains(t, err, "a change needs both")
	_, err = c.Edit(t.Context(), project, grant("roles/viewer", "dev"))
	require.ErrorContains(t, err, `member "dev"`)
	assert.Empty(t, b.Calls())
	assert.True(t, allowpolicy.Supports(project) && allowpolicy.Supports(account) && allowpolicy.Supports(job))
}

func TestManyWriters(t *testing.T) {
	t.Parallel()
	for _, resource := range []string{project, account} {
		synctest.Test(t, func(t *testing.T) {
			b, c := newCloud(t)
			b.SetLatency(10 * time.Millisecond)
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() {
					result, err := c.Edit(t.Context(), resource, grant("roles/run.viewer", fmt.Sprintf("user:u%d@example.com", i)))
					if assert.NoError(t, err) {
						assert.Len(t, result.Made, 1)
					}
				})
			}
			wg.Wait()
			for _, binding := range b.Policy(resource).Bindings {
				if binding.Role == "roles/run.viewer" {
					assert.Len(t, binding.Members, 64)
				}
			}
		})
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	const get, set = "iam.projects.serviceAccounts.getIamPolicy", "iam.projects.serviceAccounts.setIamPolicy"
	for name, tt := range map[string]struct {
		method string
		fault  fake.Fault
		writes int
		err    bool
	}{
		"read fails twice":       {get, fake.Fault{Status: 503, Times: 2}, 1, false},
		"read is garbled":        {get, fake.Fault{Garble: true, Times: 1}, 1, false},
		"write fails":            {set, fake.Fault{Status: 503, Times: 1}, 2, false},
		"write drops":            {set, fake.Fault{DropBefore: true, Times: 1}, 2, false},
		"the answer gets lost":   {set, fake.Fault{DropAfter: true, Times: 1}, 1, false},
		"the answer is garbled":  {set, fake.Fault{Garble: true, Times: 1}, 1, false},
		"refused":                {set, fake.Fault{Status: 403}, 1, true},
		"never":                  {set, fake.Fault{Status: 503}, 8, true},
		"conflict once":          {set, fake.Fault{Status: 409, Times: 1}, 2, false},
		"conflicts without end":  {set, fake.Fault{Status: 409}, 40, true},
		"another's member gone":  {set, fake.Fault{Status: 400, Times: 1, Body: `{"error": {"code": 400, "message": "Service account old@web-prod.iam.gserviceaccount.com does not exist."}}`}, 2, false},
		"the member isn't there": {set, fake.Fault{Status: 400, Body: `{"error": {"code": 400, "message": "User dev@example.com does not exist."}}`}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, c := newCloud(t)
				b.AddServiceAccount(&iam.ServiceAccount{Email: "old@web-prod.iam.gserviceaccount.com"})
				b.Grant(account, "roles/viewer", "serviceAccount:old@web-prod.iam.gserviceaccount.com")
				b.Inject(tt.method, tt.fault)
				result, err := c.Edit(t.Context(), account, grant("roles/iam.serviceAccountUser", dev))
				writes := 0
				for _, call := range b.Calls() {
					if call.Method == set {
						writes++
					}
				}
				assert.Equal(t, tt.writes, writes)
				if tt.err {
					var g *googleapi.Error
					require.ErrorAs(t, err, &g)
					require.ErrorContains(t, err, "change the allow policy of "+account)
					assert.Empty(t, result.Made)
					assert.Equal(t, name == "the member isn't there", strings.Contains(err.Error(), allowpolicy.ErrNoSuchMember.Error()))
					return
				}
				require.NoError(t, err)
				assert.Len(t, result.Made, 1)
				assert.Equal(t, !strings.HasPrefix(name, "the answer"), result.Sure)
				assert.Len(t, b.Policy(account).Bindings, 2)
			})
		})
	}
}

// answering is a client of a server that has one policy, and keeps what is
// written.
func answering(t *testing.T, policy string) (*allowpolicy.Client, *[]byte) {
	t.Helper()
	var written []byte
	client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		body := policy
		if strings.HasSuffix(r.URL.Path, ":setIamPolicy") {
			var err error
			if written, err = io.ReadAll(r.Body); err != nil {
				return nil, err
			}
			var sent struct{ Policy json.RawMessage }
			if err := json.Unmarshal(written, &sent); err != nil {
				return nil, err
			}
			body = string(sent.Policy)
		}
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: r}, nil
	})}
	c, err := allowpolicy.New(t.Context(), option.WithHTTPClient(client))
	require.NoError(t, err)
	return c, &written
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What isn't changed goes back as it came, whatever it is.
func TestEverythingElseIsKept(t *testing.T) {
	t.Parallel()
	c, written := answering(t, `{"version": 1, "etag": "BwYW4c5j91M=", "newer": {"n": 1.0},
		"auditConfigs": [{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ"}]}],
		"bindings": [{"role": "roles/viewer", "members": ["deleted:user:x@example.com?uid=1", "user:Y@example.com"], "bindingId": "b"},
			{"role": "roles/viewer", "members": ["user:z@example.com"], "condition": {"title": "t", "expression": "true", "location": "l"}}]}`)
	_, err := c.Edit(t.Context(), project, grant("roles/viewer", dev))
	require.NoError(t, err)
	assert.JSONEq(t, `{"policy": {"version": 3, "etag": "BwYW4c5j91M=", "newer": {"n": 1.0},
		"auditConfigs": [{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ"}]}],
		"bindings": [{"role": "roles/viewer", "members": ["deleted:user:x@example.com?uid=1", "user:Y@example.com", "user:dev@example.com"], "bindingId": "b"},
			{"role": "roles/viewer", "members": ["user:z@example.com"], "condition": {"title": "t", "expression": "true", "location": "l"}}]}}`, string(*written))
	assert.Contains(t, string(*written), `"n":1.0`)

	_, err = c.Edit(t.Context(), project, allowpolicy.Change{
		Remove: true, Role: "roles/viewer", Member: "user:Z@example.com", Condition: allowpolicy.Condition{Title: "t", Expression: "true"},
	})
	require.NoError(t, err)
	assert.NotContains(t, string(*written), "condition")

}

func FuzzEdit(f *testing.F) {
	f.Add(`{"etag": "x", "bindings": [{"role": "r", "members": ["user:a"]}]}`)
	f.Add(`{"etag": "x", "bindings": [null, {"role": 1}]}`)
	f.Fuzz(func(t *testing.T, policy string) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		c, written := answering(t, policy)
		if _, err := c.Edit(ctx, project, grant("roles/viewer", dev)); err == nil && len(*written) > 0 {
			assert.True(t, json.Valid(*written))
			assert.Contains(t, string(*written), dev)
		}
	})
}
