package recommend_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// A mark whose answer is lost is made again, and refused. A read that shows the
// etag that was sent doesn't say that the first one had no effect: it is behind, or
// the refusal wasn't about the etag, and the first may take effect yet.
func TestLostMarkAndAReadOfTheSameEtag(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]fake.Fault{
		"had its effect": {DropAfter: true, Times: 1}, "may have it yet": {DropBefore: true, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				r := get(t, c, webPolicy+"replace")
				b.Inject(claimMethod, after)
				b.Inject(claimMethod, fake.Fault{Status: http.StatusConflict})
				var first *httptest.ResponseRecorder
				b.Use(func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.Method != http.MethodGet {
							next.ServeHTTP(w, r)
							return
						}
						if first == nil {
							first = httptest.NewRecorder()
							next.ServeHTTP(first, r)
						}
						_, _ = w.Write(first.Body.Bytes())
					})
				})
				require.Equal(t, r.Etag, get(t, c, webPolicy+"replace").Etag)
				_, err := c.Claim(t.Context(), r, nil)
				require.ErrorIs(t, err, recommend.ErrChanged)
				var open *identity.UnfinishedError
				assert.ErrorAs(t, err, &open)
			})
		})
	}
}
