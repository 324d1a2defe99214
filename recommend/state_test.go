package recommend_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// Someone else claimed it with the very same metadata: that isn't one's own claim,
// unless an answer got lost.
func TestSameClaimBySomeoneElse(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c, other := newClient(t, b), newClient(t, b)
	r := get(t, c, webPolicy+"replace")
	metadata := map[string]string{"owner": "bot/1"}
	_, err := other.Claim(t.Context(), r, metadata)
	require.NoError(t, err)
	_, err = c.Claim(t.Context(), r, metadata)
	require.ErrorIs(t, err, recommend.ErrChanged)
}

// An attempt got lost, and someone else marked the recommendation meanwhile: what was
// sent can't take effect any more, so that nothing is open.
func TestLostAttemptAndAConflict(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		metadata map[string]string // the other's
		blind    bool              // and it can't be looked up
		open     bool
	}{
		"other metadata":           {map[string]string{"owner": "bot/2"}, false, false},
		"more metadata":            {map[string]string{"owner": "bot/1", "run": "2"}, false, false},
		"less metadata":            {nil, false, false},
		"as many, of another name": {map[string]string{"run": "bot/1"}, false, false},
		"nobody can look":          {map[string]string{"owner": "bot/2"}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c, other := newClient(t, b), newClient(t, b)
				r := get(t, c, webPolicy+"replace")
				var begun atomic.Bool
				b.Use(func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
						if !strings.HasSuffix(req.URL.Path, ":markClaimed") || begun.Swap(true) {
							next.ServeHTTP(w, req)
							return
						}
						_, err := other.Claim(req.Context(), r, tt.metadata)
						assert.NoError(t, err)
						if tt.blind {
							b.Inject("recommender.projects.locations.recommenders.recommendations.get", fake.Fault{Status: 403, Body: refusal})
						}
						panic(http.ErrAbortHandler)
					})
				})
				_, err := c.Claim(t.Context(), r, map[string]string{"owner": "bot/1"})
				require.ErrorIs(t, err, recommend.ErrChanged)
				_, open := errors.AsType[*identity.UnfinishedError](err)
				assert.Equal(t, tt.open, open, "%v", err)
			})
		})
	}
}

// Its state is compared as well as its metadata: what is claimed with the same
// metadata was not marked succeeded.
func TestSameMetadataIsNotTheSameState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		metadata := map[string]string{"owner": "bot/1"}
		r, err := c.Claim(t.Context(), get(t, c, webPolicy+"replace"), metadata)
		require.NoError(t, err)
		b.Inject("recommender.projects.locations.recommenders.recommendations.markSucceeded", fake.Fault{DropBefore: true})
		_, err = c.Succeed(t.Context(), r, metadata)
		_, open := errors.AsType[*identity.UnfinishedError](err)
		require.True(t, open, "%v", err)
		assert.Equal(t, recommend.StateClaimed, get(t, c, webPolicy+"replace").State)
	})
}

// A mark whose answers all get lost is looked up in the end.
func TestMarkIsLookedUpInTheEnd(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fake.Fault{"after the effect": {DropAfter: true}, "a server that is down": {Status: 503}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				b.Inject(claimMethod, fault)
				claimed, err := c.Claim(t.Context(), get(t, c, webPolicy+"replace"), map[string]string{"owner": "bot/1"})
				if fault.Status != 0 {
					_, open := errors.AsType[*identity.UnfinishedError](err)
					assert.True(t, open, "%v", err)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, recommend.StateClaimed, claimed.State)
			})
		})
	}
}

// What becomes of the metadata of what is dismissed isn't documented: it isn't
// compared.
func TestDismissLosesItsAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		r, err := c.Claim(t.Context(), get(t, c, webPolicy+"replace"), map[string]string{"owner": "bot/1"})
		require.NoError(t, err)
		answers(b, ":markDismissed", `{"name": "`+webPolicy+`replace", "etag": "\"9\"", "stateInfo": {"state": "DISMISSED", "stateMetadata": {"owner": "bot/1"}}}`)
		r, err = c.Dismiss(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, recommend.StateDismissed, r.State)
	})
}

// What the API would refuse of the metadata is refused without a call.
func TestBadMetadata(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	r := get(t, c, webPolicy+"replace")
	b.ResetCalls()
	long := strings.Repeat("x", 256)
	for key, v := range map[string]string{"BAD": "x", "": "x", "_a": "x", long[:64]: "x", "email": "a@b", "time": "10:00", "long": long} {
		_, err := c.Claim(t.Context(), r, map[string]string{key: v})
		require.ErrorContains(t, err, "metadata ", key)
	}
	assert.Empty(t, b.Calls())
	_, err := c.Claim(t.Context(), r, map[string]string{long[:63]: long[:255], "a.b-c_d0": ""})
	require.NoError(t, err)
}

// What was found out about a recommendation stays with it when it is marked.
func TestMarkKeepsWhatWasJoined(t *testing.T) {
	t.Parallel()
	c := newClient(t, newCloud(t))
	r := get(t, c, webPolicy+"replace")
	r.Insights, r.Service = []recommend.Insight{{Name: "x"}}, shop
	claimed, err := c.Claim(t.Context(), r, nil)
	require.NoError(t, err)
	assert.Equal(t, r.Insights, claimed.Insights)
	assert.Equal(t, shop, claimed.Service)
	assert.NotEqual(t, r.Etag, claimed.Etag)
}
