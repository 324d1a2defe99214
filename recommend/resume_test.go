package recommend_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// A run that was cut short while its grants settled may have waited for no time at
// all: the next one waits for the whole of it.
func TestGrantsSettleAfterAResume(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]func(testing.TB, *recommend.Client) recommend.Plan{"before an attach": ownPlan, "before a removal": replacePlan} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				p := plan(t, c)
				var o recommend.ApplyOptions
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Minute, cancel)
				_, err := c.Apply(ctx, p, owner, &o)
				require.ErrorIs(t, err, context.Canceled)
				began := time.Now()
				var after time.Duration
				o.Progress = func(r recommend.StepResult) {
					if r.Step == p.Steps[len(p.Steps)-1] {
						after = time.Since(began)
					}
				}
				_, err = c.Apply(t.Context(), p, owner, &o)
				require.NoError(t, err)
				assert.GreaterOrEqual(t, after, 2*time.Minute)
			})
		})
	}
}

// Roles that were there already are in effect: nothing is waited for.
func TestOldGrantsNeedNotSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()})
		for _, role := range []string{"roles/run.invoker", "roles/run.viewer"} {
			b.Grant("projects/web-prod", role, shopAccount.Member())
		}
		c := newClient(t, b)
		began := time.Now()
		_, err := c.Apply(t.Context(), ownPlan(t, c), "bot/1", nil)
		require.NoError(t, err)
		assert.Less(t, time.Since(began), 2*time.Minute)
		final(t, b, c, webRun+"own")
	})
}

// A run that goes on writes each policy anew, even where the role is there: what the
// run before sent, and comes late, then meets another etag.
func TestResumeWritesEachGrantAnew(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	cutAt(t, b, c, p, 2)
	require.Len(t, bindings(b, shopAccount.Member()), 2)
	b.ResetCalls()
	_, err := c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	writes := 0
	for _, call := range b.Calls() {
		if call.Method == setPolicyMethod {
			writes++
		}
	}
	assert.Equal(t, 2, writes)
	final(t, b, c, webRun+"own")
}

// Marking it failed didn't get through, after everything was undone: the next run
// goes on there, and attaches nothing.
func TestUndoGoesOn(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	b.Inject(patchMethod, fake.Fault{Status: 403, Body: refusal, Times: 1})
	b.Inject("recommender.projects.locations.recommenders.recommendations.markFailed", fake.Fault{Status: 401, Times: 1})
	_, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "still claimed by bot/1: apply the plan again")
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "an earlier run failed")
	assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
	assert.Equal(t, []recommend.Outcome{recommend.OutcomeLeft, recommend.OutcomeUndone, recommend.OutcomeUndone, recommend.OutcomeRefused}, outcomes(result))
	assert.Empty(t, bindings(b, shopAccount.Member()))
	assert.Equal(t, compute, runsAs(b))
}

// The look right before an attach is refused: that is no refusal of the attach.
func TestLookBeforeTheAttachIsRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{403, 404} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			p := ownPlan(t, c)
			var once sync.Once
			b.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					next.ServeHTTP(w, r)
					if r.URL.Query().Get("validateOnly") == "true" {
						once.Do(func() { b.Inject("run.projects.locations.services.get", fake.Fault{Status: status, Times: 1}) })
					}
				})
			})
			result, err := c.Apply(t.Context(), p, owner, order)
			goesOn(t, b, p, result, err)
		})
	}
}

// Someone takes a role away while the service is moved: it is read back at the end,
// and the recommendation isn't told to have succeeded.
func TestEveryStepIsReadBackInTheEnd(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	var once sync.Once
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if isPatch(r) {
				once.Do(func() { revoke(b, "roles/run.viewer") })
			}
		})
	})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "grant roles/run.viewer to "+shopAccount.Member()+" on projects/123456789012: it was so, and isn't any more")
	assert.Equal(t, recommend.StateClaimed, result.Recommendation.State)
	b.Grant("projects/web-prod", "roles/run.viewer", shopAccount.Member())
	_, err = c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	final(t, b, c, webRun+"own")
}

// An account that was just made is not one that the server knows everywhere: both
// the rehearsal and the attach wait for it.
func TestNewAccountIsWaitedFor(t *testing.T) {
	t.Parallel()
	const actAs = `{"error": {"code": 403, "message": "Permission 'iam.serviceaccounts.actAs' denied on service account (or it may not exist).", "status": "PERMISSION_DENIED"}}`
	for name, rehearsal := range map[string]string{"in the rehearsal": "true", "in the attach": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				var denied atomic.Int64
				b.Use(func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.Method == http.MethodPatch && r.URL.Query().Get("validateOnly") == rehearsal && denied.Add(1) <= 3 {
							w.WriteHeader(http.StatusForbidden)
							_, _ = w.Write([]byte(actAs))
							return
						}
						next.ServeHTTP(w, r)
					})
				})
				_, err := c.Apply(t.Context(), ownPlan(t, c), owner, order)
				require.NoError(t, err)
				final(t, b, c, webRun+"own")
			})
		})
	}
}

// A run is cut short while it attaches, and someone attaches a third account. The
// next run sees that and goes back; its own write, which was late, comes right
// then, and is taken back.
func TestLateAttachIsTakenBack(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var killed, landed atomic.Bool
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case isPatch(r) && !killed.Swap(true):
				cancel()
				panic(http.ErrAbortHandler)
			case killed.Load() && strings.HasSuffix(r.URL.Path, ":markClaimed") && !landed.Swap(true):
				becomes(r.Context(), t, b, shopAccount)
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := c.Apply(ctx, p, owner, order)
	require.ErrorIs(t, err, context.Canceled)
	becomes(t.Context(), t, b, identity.MustParseServiceAccount(runner))
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorIs(t, err, recommend.ErrBlocked)
	assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
	assert.Equal(t, recommend.OutcomeUndone, result.Steps[3].Outcome)
	assert.Equal(t, compute, runsAs(b))
}

// A run is killed once its PATCH was accepted: the next one waits for what became of
// it, rather than to take the account's name in the template for the end.
func TestResumeWaitsForTheAttach(t *testing.T) {
	t.Parallel()
	for name, ready := range map[string]bool{"it becomes ready": true, "it doesn't": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.SetOperationTime(5 * time.Minute)
				c := newClient(t, b)
				p := ownPlan(t, c)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var once sync.Once
				b.Use(func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if !isPatch(r) {
							next.ServeHTTP(w, r)
							return
						}
						killed := false
						once.Do(func() { killed = true })
						if !killed {
							next.ServeHTTP(w, r)
							return
						}
						if !ready {
							fault := *notReady()
							fault.Times = 1
							b.Inject(patchMethod, fault)
						}
						next.ServeHTTP(discard{http.Header{}}, r)
						cancel()
						panic(http.ErrAbortHandler)
					})
				})
				_, err := c.Apply(ctx, p, owner, order)
				require.ErrorIs(t, err, context.Canceled)
				require.Equal(t, shopAccount.Email(), runsAs(b))
				began := time.Now()
				result, err := c.Apply(t.Context(), p, owner, order)
				assert.GreaterOrEqual(t, time.Since(began), 4*time.Minute)
				if ready {
					require.NoError(t, err)
					assert.Equal(t, recommend.OutcomeDone, result.Steps[3].Outcome)
					final(t, b, c, webRun+"own")
					return
				}
				require.ErrorContains(t, err, "HEALTH_CHECK_CONTAINER_ERROR")
				assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
				assert.Equal(t, recommend.OutcomeUndone, result.Steps[3].Outcome)
				assert.Equal(t, compute, runsAs(b))
			})
		})
	}
}

// Once a role was removed, there is no way back: whatever is refused then, the plan
// stays claimed, and doesn't attach anything.
func TestNoWayBackFromARemoval(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.Grant("projects/web-prod", "roles/editor", "serviceAccount:"+compute)
	c := newClient(t, b)
	p := wholePlan(t, c)
	cutAt(t, b, c, p, 3)
	require.Empty(t, bindings(b, "serviceAccount:"+compute))
	becomes(t.Context(), t, b, identity.MustParseServiceAccount(runner))
	b.ResetCalls()
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "still claimed by bot/1: apply the plan again")
	assert.Equal(t, recommend.StateClaimed, result.Recommendation.State)
	for _, call := range b.Calls() {
		assert.NotEqual(t, patchMethod, call.Method)
	}
	assert.Equal(t, "remove", get(t, c, webRun+"own").Metadata["phase"])
	assert.Equal(t, runner, runsAs(b))
	becomes(t.Context(), t, b, shopAccount)
	_, err = c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	final(t, b, c, webRun+"own")
}

// While a run that goes on waits for what the one before it wrote, someone attaches a
// third account: that ends the plan, and stays.
func TestThirdAccountWhileAResumeWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.SetOperationTime(5 * time.Minute)
		c := newClient(t, b)
		p := ownPlan(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var killed atomic.Bool
		b.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if isPatch(r) && !killed.Swap(true) {
					next.ServeHTTP(discard{http.Header{}}, r)
					cancel()
					panic(http.ErrAbortHandler)
				}
				next.ServeHTTP(w, r)
			})
		})
		_, err := c.Apply(ctx, p, owner, order)
		require.ErrorIs(t, err, context.Canceled)
		time.AfterFunc(time.Minute, func() { becomes(t.Context(), t, b, identity.MustParseServiceAccount(runner)) })
		result, err := c.Apply(t.Context(), p, owner, order)
		require.ErrorIs(t, err, identity.ErrConflict)
		assert.NotContains(t, err.Error(), "apply the plan again")
		assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
		assert.Equal(t, recommend.OutcomeRefused, result.Steps[3].Outcome)
		assert.Equal(t, runner, runsAs(b))
	})
}

// Another plan resumes what the first did: its grant is skipped as "done".
func TestAnotherPlanDoesNotResume(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	cutAt(t, b, c, ownPlan(t, c), 2) // invoker done, viewer written
	other, err := recommend.NewPlan(get(t, c, webRun+"own"), &recommend.PlanOptions{
		Account: shopAccount, Current: identity.MustParseServiceAccount(compute),
		Grants: []recommend.Grant{{Role: "roles/storage.objectViewer", Resource: webProject}, {Role: "roles/run.viewer", Resource: webProject}},
	})
	require.NoError(t, err)
	_, err = c.TakeOver(t.Context(), other, "bot/2", &recommend.ApplyOptions{Settle: -1})
	require.ErrorIs(t, err, recommend.ErrBlocked)
	require.ErrorContains(t, err, "another plan of it was begun")
	assert.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State)
}

// ... and undoing takes away what was there before.
func TestAnotherPlanUndoesNothing(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()})
	b.Grant("projects/web-prod", "roles/storage.objectViewer", shopAccount.Member()) // a person's
	cutAt(t, b, c, ownPlan(t, c), 2)
	other, err := recommend.NewPlan(get(t, c, webRun+"own"), &recommend.PlanOptions{
		Account: shopAccount, Current: identity.MustParseServiceAccount(compute),
		Grants: []recommend.Grant{{Role: "roles/storage.objectViewer", Resource: webProject}, {Role: "roles/run.viewer", Resource: webProject}},
	})
	require.NoError(t, err)
	b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403})
	_, err = c.Apply(t.Context(), other, owner, order)
	require.Error(t, err)
	assert.Contains(t, bindings(b, shopAccount.Member()), "roles/storage.objectViewer", "a grant that no run made was taken away")
}
