package recommend_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/recommend"
)

// Cloud Run doesn't tell which revision a half of the traffic goes to: it may be
// one that runs as the old account, which keeps its role.
func TestShareIsUntold(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.Grant("projects/web-prod", "roles/editor", "serviceAccount:"+compute)
	c := newClient(t, b)
	p := wholePlan(t, c)
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/services/shop") {
				next.ServeHTTP(w, r)
				return
			}
			recorded := httptest.NewRecorder()
			next.ServeHTTP(recorded, r)
			var live map[string]any
			assert.NoError(t, json.Unmarshal(recorded.Body.Bytes(), &live))
			live["trafficStatuses"] = []any{
				map[string]any{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 50},
				map[string]any{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": live["latestReadyRevision"], "percent": 50},
			}
			delete(live, "latestReadyRevision")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(recorded.Code)
			assert.NoError(t, json.NewEncoder(w).Encode(live))
		})
	})
	_, err := c.Apply(t.Context(), p, owner, order)
	assert.Contains(t, bindings(b, "serviceAccount:"+compute), "roles/editor", "a revision that may serve lost its role")
	require.ErrorContains(t, err, "Cloud Run doesn't tell which revisions serve")
	assert.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State)
}
