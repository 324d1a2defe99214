package allowpolicy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"

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

func TestNoEtag(t *testing.T) {
	t.Parallel()
	sets := 0
	c, err := allowpolicy.New(t.Context(), option.WithHTTPClient(&http.Client{Transport: serverFunc(func(path string) (int, string) {
		if strings.HasSuffix(path, ":setIamPolicy") {
			sets++
		}
		return 200, `{"etag": null}`
	})}))
	require.NoError(t, err)
	_, err = c.Edit(t.Context(), project, grant("roles/viewer", dev))
	require.Error(t, err)
	assert.Zero(t, sets, "written without an etag")
}
