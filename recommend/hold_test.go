package recommend_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/recommend"
)

// A write that failed is repeated only by who still holds the claim then.
func TestOvertakenBeforeTheRepetition(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]func(*http.Request) bool{
		"attach": isPatch,
		"create the account": func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/serviceAccounts")
		},
		"grant": func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, ":setIamPolicy") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				p := ownPlan(t, c)
				other := newClient(t, b)
				var mu sync.Mutex
				writes := 0
				b.Use(func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if !is(r) {
							next.ServeHTTP(w, r)
							return
						}
						mu.Lock()
						defer mu.Unlock()
						writes++
						now, err := other.Get(r.Context(), p.Recommendation)
						assert.NoError(t, err)
						_, err = other.Claim(r.Context(), now, map[string]string{"owner": "bot/2"})
						assert.NoError(t, err)
						w.Header().Set("Content-Type", "application/json")
						w.WriteHeader(http.StatusServiceUnavailable)
						_, _ = w.Write([]byte(`{"error": {"code": 503, "message": "Not now.", "status": "UNAVAILABLE"}}`))
					})
				})
				_, err := c.Apply(t.Context(), p, owner, order)
				var o *recommend.OwnedError
				require.ErrorAs(t, err, &o)
				assert.Equal(t, "bot/2", o.Owner)
				assert.Equal(t, 1, writes)
				assert.Equal(t, recommend.StateClaimed, get(t, c, p.Recommendation).State)
			})
		})
	}
}
