package recommend_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// The role that can't be taken back is told as left, with the command that removes
// it, and the other one as undone.
func TestUndoIsRefused(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	b.Inject(patchMethod, fake.Fault{Status: 403, Body: refusal, Times: 1}) // the rehearsal
	b.Inject(setPolicyMethod, fake.Fault{Status: 403, Body: refusal, Skip: 2, Times: 1})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "undo: grant roles/run.viewer")
	assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
	assert.Equal(t, []recommend.Outcome{recommend.OutcomeLeft, recommend.OutcomeUndone, recommend.OutcomeLeft, recommend.OutcomeRefused}, outcomes(result))
	assert.Contains(t, result.Steps[2].Undo, "remove-iam-policy-binding 123456789012 --member="+shopAccount.Member()+" --role=roles/run.viewer")
	assert.Equal(t, []string{"roles/run.viewer"}, bindings(b, shopAccount.Member()))
}

// An attach that was refused moved nothing: no old account is attached again, not
// even to a service that runs as a third one by then.
func TestNothingToGoBackFrom(t *testing.T) {
	t.Parallel()
	for name, third := range map[string]bool{"it runs as before": false, "it runs as a third account": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			p := ownPlan(t, c)
			var hit atomic.Bool
			b.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if !isPatch(r) || hit.Swap(true) {
						next.ServeHTTP(w, r)
						return
					}
					if third {
						becomes(r.Context(), t, b, identity.MustParseServiceAccount(runner))
					}
					b.ResetCalls()
					w.WriteHeader(http.StatusForbidden)
					_, _ = w.Write([]byte(refusal))
				})
			})
			result, err := c.Apply(t.Context(), p, owner, order)
			require.ErrorContains(t, err, "Not you.")
			left := recommend.OutcomeLeft
			assert.Equal(t, []recommend.Outcome{left, left, left, recommend.OutcomeRefused}, outcomes(result))
			assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
			for _, call := range b.Calls() {
				assert.NotEqual(t, patchMethod, call.Method)
			}
			want := compute
			if third {
				want = runner
			}
			assert.Equal(t, want, runsAs(b))
		})
	}
}

// The way back is cut short: the plan stays claimed, and the next run goes back.
func TestWayBackIsCutShort(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]fake.Fault{
		"the server is down": {Status: 503, Body: strings.Replace(refusal, "403", "503", 1)}, "the answers get lost": {DropBefore: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				p := ownPlan(t, c)
				onPatch(b, func(n int) *fake.Fault {
					switch {
					case n == 1:
						return notReady()
					case n <= 9:
						again := fault
						return &again
					}
					return nil
				})
				result, err := c.Apply(t.Context(), p, owner, order)
				require.ErrorContains(t, err, "still claimed by bot/1: apply the plan again")
				assert.Equal(t, recommend.StateClaimed, result.Recommendation.State)
				assert.Equal(t, recommend.OutcomeOpen, result.Steps[3].Outcome)
				mayRun(t, b)

				result, err = c.Apply(t.Context(), p, owner, order)
				require.ErrorContains(t, err, "an earlier run failed")
				assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
				assert.Equal(t, recommend.OutcomeUndone, result.Steps[3].Outcome)
				assert.Equal(t, compute, runsAs(b))
				assert.Len(t, bindings(b, shopAccount.Member()), 2)
			})
		})
	}
}

// The old account is attached again, and that revision doesn't become ready either:
// the service names the old account, and the error says what became of it.
func TestOldAccountIsNotReadyEither(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		onPatch(b, func(int) *fake.Fault { return notReady() })
		result, err := c.Apply(t.Context(), p, owner, order)
		require.ErrorContains(t, err, "make "+p.Steps[3].Workload.String()+" run as "+compute+" again")
		assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
		assert.Equal(t, recommend.OutcomeUndone, result.Steps[3].Outcome)
		assert.Empty(t, result.Steps[3].Undo)
		assert.Equal(t, compute, runsAs(b))
	})
}

// Someone else attaches a third account right after this plan's write was accepted:
// what became of the write is open. The next run finds the third account, fails, and
// leaves it.
func TestThirdAccountRightAfterTheWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.SetOperationTime(time.Minute)
		c := newClient(t, b)
		p := ownPlan(t, c)
		var hit atomic.Bool
		b.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				if isPatch(r) && !hit.Swap(true) {
					becomes(r.Context(), t, b, identity.MustParseServiceAccount(runner))
					// Who can't wait for the operation reads what there is in the end.
					b.Inject("run.projects.locations.operations.wait", fake.Fault{Status: 403, Body: refusal, Times: 1})
				}
			})
		})
		result, err := c.Apply(t.Context(), p, owner, order)
		require.ErrorIs(t, err, identity.ErrConflict)
		require.ErrorContains(t, err, "still claimed by bot/1: apply the plan again")
		assert.Equal(t, recommend.StateClaimed, result.Recommendation.State)
		assert.Equal(t, recommend.OutcomeOpen, result.Steps[3].Outcome)

		result, err = c.Apply(t.Context(), p, owner, order)
		require.ErrorIs(t, err, recommend.ErrBlocked)
		assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
		assert.Equal(t, recommend.OutcomeRefused, result.Steps[3].Outcome)
		assert.Equal(t, runner, runsAs(b))
	})
}

// A grant whose answer got lost, and that is there, may be someone else's: it stays,
// and the result says how to take it back.
func TestGrantWithALostAnswerStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		b.Inject(setPolicyMethod, fake.Fault{DropAfter: true, Times: 1})
		b.Inject(patchMethod, fake.Fault{Status: 403, Body: refusal, Times: 1})
		result, err := c.Apply(t.Context(), ownPlan(t, c), owner, order)
		require.ErrorContains(t, err, "Not you.")
		assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
		left := recommend.OutcomeLeft
		assert.Equal(t, []recommend.Outcome{left, left, recommend.OutcomeUndone, recommend.OutcomeRefused}, outcomes(result))
		assert.Contains(t, result.Steps[1].Undo, "--role=roles/run.invoker")
		assert.Equal(t, []string{"roles/run.invoker"}, bindings(b, shopAccount.Member()))
	})
}

// A grant that was written, and then refused, is left.
func TestNoGrantIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := replacePlan(t, c)
		b.Inject("cloudresourcemanager.projects.setIamPolicy", fake.Fault{DropAfter: true, Times: 1})
		b.Inject("cloudresourcemanager.projects.getIamPolicy", fake.Fault{Skip: 3, Status: 403, Times: 1})
		_, err := c.Apply(t.Context(), p, owner, order)
		require.ErrorContains(t, err, "the policy may have been written all the same")
		assert.Equal(t, recommend.StateClaimed, get(t, c, webPolicy+"replace").State)
		_, err = c.Apply(t.Context(), p, owner, order)
		require.NoError(t, err, "applied again, it goes on where it was")
	})
}
