package allowpolicy_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/internal/allowpolicy"
)

// Only a member that is added, and that the server says doesn't exist, may be one
// that isn't visible yet.
func TestWhoMayNotBeVisibleYet(t *testing.T) {
	t.Parallel()
	removal := grant("roles/viewer", "user:joe@example.com")
	removal.Remove = true
	for name, tt := range map[string]struct {
		change    allowpolicy.Change
		complaint string
		missing   bool
	}{
		"added":           {grant("roles/viewer", dev), "User dev@example.com does not exist.", true},
		"in another case": {grant("roles/viewer", dev), "User DEV@example.com does not exist.", true},
		"removed":         {removal, "User joe@example.com does not exist.", false},
		"another fault":   {grant("roles/viewer", dev), "User dev@example.com is of a domain that isn't allowed.", false},
		"another one":     {grant("roles/viewer", dev), "User eve@example.com does not exist.", false},
		"a part of one":   {grant("roles/viewer", dev), "User my-dev@example.com does not exist.", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sets := 0
			c, err := allowpolicy.New(t.Context(), option.WithHTTPClient(&http.Client{Transport: serverFunc(func(path string) (int, string) {
				if strings.HasSuffix(path, ":getIamPolicy") {
					return 200, `{"etag": "BwX", "bindings": [{"role": "roles/viewer", "members": ["user:joe@example.com"]}]}`
				}
				sets++
				return 400, `{"error": {"code": 400, "message": "` + tt.complaint + `", "status": "INVALID_ARGUMENT"}}`
			})}))
			require.NoError(t, err)
			_, err = c.Edit(t.Context(), project, tt.change)
			require.ErrorContains(t, err, tt.complaint)
			if tt.missing {
				require.ErrorIs(t, err, allowpolicy.ErrNoSuchMember)
			} else {
				require.NotErrorIs(t, err, allowpolicy.ErrNoSuchMember)
			}
			require.NotErrorIs(t, err, allowpolicy.ErrOpen)
			assert.Equal(t, 1, sets)
		})
	}
}

// An answer that is no policy is asked for once more.
func TestPolicyIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gets := 0
		c, err := allowpolicy.New(t.Context(), option.WithHTTPClient(&http.Client{Transport: serverFunc(func(string) (int, string) {
			gets++
			if gets == 1 {
				return 200, `{}`
			}
			return 200, `{"etag": "BwX", "bindings": []}`
		})}))
		require.NoError(t, err)
		etag, err := c.Etag(t.Context(), project)
		require.NoError(t, err)
		assert.Equal(t, "BwX", etag)
		assert.Equal(t, 2, gets)
	})
}

// Everyone is a member without a kind.
func TestEveryone(t *testing.T) {
	t.Parallel()
	for _, everyone := range []string{"allUsers", "allAuthenticatedUsers"} {
		b, c := newCloud(t)
		_, err := c.Edit(t.Context(), job, grant("roles/run.invoker", everyone))
		require.NoError(t, err)
		assert.Equal(t, []string{everyone}, b.Policy(job).Bindings[0].Members)
	}
}
