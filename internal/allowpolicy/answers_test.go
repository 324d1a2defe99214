package allowpolicy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/internal/allowpolicy"
)

type serverFunc func(path string) (int, string)

func (f serverFunc) RoundTrip(r *http.Request) (*http.Response, error) {
	code, body := f(r.URL.Path)
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func TestNamesAreWholeWords(t *testing.T) {
	t.Parallel()
	for member, complaint := range map[string]string{
		"allUsers":             "Role roles/nothing does not exist in the resource's hierarchy.",
		"user:ann@example.com": "User joann@example.com does not exist.",
	} {
		sets := 0
		c, err := allowpolicy.New(t.Context(), option.WithHTTPClient(&http.Client{Transport: serverFunc(func(path string) (int, string) {
			if strings.HasSuffix(path, ":getIamPolicy") {
				return 200, `{"etag": "BwX", "bindings": [{"role": "roles/viewer", "members": ["user:joe@example.com"]}]}`
			}
			sets++
			return 400, `{"error": {"code": 400, "message": "` + complaint + `", "status": "INVALID_ARGUMENT"}}`
		})}))
		require.NoError(t, err)
		_, err = c.Edit(t.Context(), project, grant("roles/nothing", member))
		require.Error(t, err)
		assert.NotErrorIs(t, err, allowpolicy.ErrNoSuchMember, member)
	}
}

// What isn't a policy is believed neither as the answer to a read nor to a write.
func TestAnswersThatAreNoPolicy(t *testing.T) {
	t.Parallel()
	const policy = `{"etag": "BwX", "bindings": [{"role": "roles/viewer", "members": ["user:joe@example.com"]}]}`
	for name, tt := range map[string]struct{ get, set string }{
		"get: nothing":              {`{}`, policy},
		"get: no etag":              {`{"etag": null}`, policy},
		"get: null":                 {`null`, policy},
		"get: a list":               {`[]`, policy},
		"get: another thing":        {`{"error": {"code": 503}}`, policy},
		"set: nothing":              {policy, `{}`},
		"set: null":                 {policy, `null`},
		"set: the policy as it was": {policy, policy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sets := 0
				c, err := allowpolicy.New(t.Context(), option.WithHTTPClient(&http.Client{Transport: serverFunc(func(path string) (int, string) {
					if strings.HasSuffix(path, ":setIamPolicy") {
						sets++
						return 200, tt.set
					}
					return 200, tt.get
				})}))
				require.NoError(t, err)
				_, err = c.Edit(t.Context(), project, grant("roles/viewer", dev))
				require.Error(t, err)
				_, pendingErr := c.Pending(t.Context(), project, grant("roles/viewer", dev))
				if strings.HasPrefix(name, "get") {
					assert.Zero(t, sets, "written without an etag")
					assert.NotErrorIs(t, err, allowpolicy.ErrOpen)
					require.Error(t, pendingErr)
					return
				}
				require.ErrorIs(t, err, allowpolicy.ErrOpen)
				require.NoError(t, pendingErr)
			})
		})
	}
}

// IAM renames a deleted member, and until then refuses every write of the policy.
func TestMemberThatVanished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, sets := time.Now(), 0
		c, err := allowpolicy.New(t.Context(), option.WithHTTPClient(&http.Client{Transport: serverFunc(func(path string) (int, string) {
			if strings.HasSuffix(path, ":getIamPolicy") {
				return 200, `{"etag": "BwX", "bindings": [{"role": "roles/viewer", "members": ["user:joe@example.com"]}]}`
			}
			sets++
			return 400, `{"error": {"code": 400, "message": "User joe@example.com does not exist.", "status": "INVALID_ARGUMENT"}}`
		})}))
		require.NoError(t, err)
		_, err = c.Edit(t.Context(), project, grant("roles/viewer", dev))
		require.ErrorContains(t, err, "it names a member that doesn't exist any more")
		assert.NotContains(t, err.Error(), "others wrote it")
		require.NotErrorIs(t, err, allowpolicy.ErrOpen)
		assert.LessOrEqual(t, sets, 8)
		assert.Less(t, time.Since(began), 3*time.Minute)
	})
}

// With always, the etag changes, whether or not anything else does.
func TestEditAlways(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault  fake.Fault
		writes int // until the etag is another
	}{
		"fair":      {fake.Fault{Delay: time.Second}, 1},
		"conflict":  {fake.Fault{Status: 409, Times: 1}, 2},
		"lost":      {fake.Fault{DropAfter: true, Times: 1}, 1},
		"not there": {fake.Fault{DropBefore: true, Times: 1}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, c := newCloud(t)
				b.Grant(project, "roles/run.viewer", dev)
				etag, err := c.Etag(t.Context(), project)
				require.NoError(t, err)
				b.Inject("cloudresourcemanager.projects.setIamPolicy", tt.fault)
				result, err := c.Rewrite(t.Context(), project, grant("roles/run.viewer", dev))
				require.NoError(t, err)
				assert.Empty(t, result.Made)
				now, err := c.Etag(t.Context(), project)
				require.NoError(t, err)
				assert.NotEqual(t, etag, now)
				writes := 0
				for _, call := range b.Calls() {
					if strings.HasSuffix(call.Method, ".setIamPolicy") {
						writes++
					}
				}
				assert.Equal(t, tt.writes, writes)
				result, err = c.Rewrite(t.Context(), project, grant("roles/run.invoker", dev))
				require.NoError(t, err)
				assert.Len(t, result.Made, 1)
			})
		})
	}
}
