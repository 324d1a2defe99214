package recommend_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/recommend"
)

// What the metadata of a claim says is data of others': where it isn't what Apply
// notes, nothing is done.
func TestMetadataThatIsNoJournal(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ key, value, want string }{
		"a phase that isn't known": {"phase", "later", `the phase "later", which isn't known`},
		"no phase":                 {"phase", "", `the phase "", which isn't known`},
		"fewer steps":              {"steps", "dd", `says "dd" of the steps, of which the plan has 3`},
		"more steps":               {"steps", "dddd", "of which the plan has 3"},
		"a mark that isn't known":  {"steps", "dzd", `says "dzd" of the steps`},
		"a mark at the end":        {"steps", "ddz", `says "ddz" of the steps`},
		"no steps":                 {"steps", "", "of which the plan has 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			p := replacePlan(t, c)
			cutAt(t, b, c, p, 1)
			claimed := get(t, c, webPolicy+"replace")
			metadata := maps.Clone(claimed.Metadata)
			require.Contains(t, metadata, tt.key)
			metadata[tt.key] = tt.value
			claimed, err := c.Claim(t.Context(), claimed, metadata)
			require.NoError(t, err)
			b.ResetCalls()
			_, err = c.Apply(t.Context(), p, owner, order)
			require.ErrorContains(t, err, tt.want)
			_, err = c.TakeOver(t.Context(), p, "bot/2", &recommend.ApplyOptions{Settle: -1})
			require.ErrorContains(t, err, tt.want)
			assert.False(t, slices.ContainsFunc(b.Calls(), mutates))
			assert.Equal(t, claimed.Etag, get(t, c, webPolicy+"replace").Etag)
		})
	}
}

// Two runs of one owner are told apart: the one that was overtaken doesn't take the
// other's claim for its own.
func TestRunsOfOneOwnerAreToldApart(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c, other := newClient(t, b), newClient(t, b)
	p := replacePlan(t, c)
	var inBetween error
	after(b, ":setIamPolicy", 1, func() {
		b.Inject(setPolicyMethod, fake.Fault{Status: 401, Times: 1})
		_, inBetween = other.Apply(t.Context(), p, owner, order)
	})
	_, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, inBetween, "still claimed by bot/1: apply the plan again")
	var owned *recommend.OwnedError
	require.ErrorAs(t, err, &owned)
	require.ErrorContains(t, err, "it is another run of bot/1 that goes on with it")
	assert.NotContains(t, err.Error(), "apply the plan again")
	_, err = c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	final(t, b, c, webPolicy+"replace")
}

// A claim of this run's took effect, and is answered with a conflict: it isn't told as
// someone else's.
func TestOnesOwnClaimIsNotAnothers(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := replacePlan(t, c)
	var claims atomic.Int64
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ":markClaimed") && claims.Add(1) == 2 {
				next.ServeHTTP(discard{http.Header{}}, r)
				w.WriteHeader(http.StatusConflict)
				_, _ = w.Write([]byte(`{"error": {"code": 409, "message": "Another etag.", "status": "ABORTED"}}`))
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorIs(t, err, recommend.ErrChanged)
	_, owned := errors.AsType[*recommend.OwnedError](err)
	assert.False(t, owned, "%v", err)
	_, err = c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	final(t, b, c, webPolicy+"replace")
}
