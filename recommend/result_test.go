package recommend_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
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

func unmarshal(t *testing.T, text []byte, v any) {
	t.Helper()
	require.NoError(t, json.Unmarshal(text, v))
}

const claimMethod = "recommender.projects.locations.recommenders.recommendations.markClaimed"

// That the claim couldn't be renewed says nothing about the step that was to
// follow: it isn't told as open, and the plan doesn't fail for good.
func TestClaimRefused(t *testing.T) {
	t.Parallel()
	for skip := range 4 { // before each step of the plan
		t.Run(strconv.Itoa(skip), func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			p := ownPlan(t, c)
			b.Inject(claimMethod, fake.Fault{Status: 403, Body: refusal, Skip: skip, Times: 1})
			result, err := c.Apply(t.Context(), p, owner, order)
			require.ErrorIs(t, err, recommend.ErrDenied)
			require.ErrorContains(t, err, "markClaimed")
			want := recommend.StateClaimed
			if skip == 0 {
				want = recommend.StateActive
			}
			assert.Equal(t, want, get(t, c, webRun+"own").State)
			assert.Equal(t, recommend.OutcomeNotReached, result.Steps[skip].Outcome)
			_, err = c.Apply(t.Context(), p, owner, order)
			require.NoError(t, err)
			final(t, b, c, webRun+"own")
		})
	}
}

// Everything but the attach was so already, and the rehearsal is refused: nothing
// was written, and the recommendation stays as it was.
func TestRehearsalRefusedBeforeAnyWrite(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()})
	for _, role := range []string{"roles/run.invoker", "roles/run.viewer"} {
		b.Grant("projects/web-prod", role, shopAccount.Member())
	}
	c := newClient(t, b)
	p := ownPlan(t, c)
	b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403, Body: refusal, Times: 1})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "Not you.")
	assert.Equal(t, recommend.OutcomeRefused, result.Steps[3].Outcome)
	assert.Equal(t, recommend.StateActive, get(t, c, webRun+"own").State)
	_, err = c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	final(t, b, c, webRun+"own")
}

// A job is written as a whole. What someone else wrote in between is lost, and is
// told whatever happens to the plan afterwards.
func TestOverwrittenIsToldWhateverFollows(t *testing.T) {
	t.Parallel()
	remove := recommend.Step{Kind: recommend.StepRemoveRole, Member: "serviceAccount:" + runner, Role: "roles/editor", Resource: webProject}
	attach := recommend.Step{Kind: recommend.StepAttach, Workload: job, Account: shopAccount, Before: identity.MustParseServiceAccount(runner)}
	for name, refused := range map[string]bool{"the removal is refused": true, "it succeeds": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()})
			c := newClient(t, b)
			p := replacePlan(t, c)
			p.Steps = []recommend.Step{attach, remove}
			text := strings.NewReplacer(`"image":"i"`, `"image":"theirs"`, runner, shopAccount.Email()).Replace(string(b.RunJSON(jobName)))
			var begun atomic.Bool
			b.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if isPatch(r) && !begun.Swap(true) {
						again := r.Clone(r.Context())
						again.Body, again.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
						theirs := httptest.NewRecorder()
						next.ServeHTTP(theirs, again)
						assert.Equal(t, http.StatusOK, theirs.Code, theirs.Body)
					}
					next.ServeHTTP(w, r)
				})
			})
			if refused {
				b.Inject("cloudresourcemanager.projects.setIamPolicy", fake.Fault{Status: 403, Body: refusal, Times: 1})
			}
			result, err := c.Apply(t.Context(), p, owner, order)
			var lost *identity.InterleavedError
			require.ErrorAs(t, err, &lost)
			assert.Equal(t, job, lost.Workload)
			if refused {
				require.ErrorContains(t, err, "Not you.")
				assert.Equal(t, recommend.StateClaimed, result.Recommendation.State)
			} else {
				assert.Equal(t, recommend.StateSucceeded, result.Recommendation.State)
				assert.NotContains(t, err.Error(), "apply the plan again")
			}
		})
	}
}

// A dry run of a plan that is being taken back says so, rather than that it would
// carry on; and one of a plan that was cut short looks at what it noted.
func TestDryRunOfWhatWasBegun(t *testing.T) {
	t.Parallel()
	dry := *order
	dry.DryRun = true
	fails := func(t *testing.T, b *fake.Backend, c *recommend.Client, p recommend.Plan) {
		t.Helper()
		b.Inject("recommender.projects.locations.recommenders.recommendations.markFailed", fake.Fault{Status: 401, Times: 1})
		_, err := c.Apply(t.Context(), p, owner, order)
		require.Error(t, err)
		require.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State)
		b.ResetCalls()
		result, err := c.Apply(t.Context(), p, owner, &dry)
		require.ErrorContains(t, err, "an earlier run failed")
		for _, call := range b.Calls() {
			assert.False(t, mutates(call), call.Method)
		}
		assert.NotContains(t, outcomes(result), recommend.OutcomeWould)
	}
	t.Run("undo", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403, Body: refusal, Times: 1})
		fails(t, b, c, p)
	})
	t.Run("going back", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		onPatch(b, func(int) *fake.Fault { return &fake.Fault{Status: 403, Body: refusal} })
		fails(t, b, c, p)
	})
	t.Run("cut short", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		cutAt(t, b, c, p, 2)
		revoke(b, "roles/run.invoker")
		result, err := c.Apply(t.Context(), p, owner, &dry)
		require.NoError(t, err)
		assert.Equal(t, []recommend.Outcome{recommend.OutcomeDone, recommend.OutcomeWould, recommend.OutcomeDone, recommend.OutcomeWould}, outcomes(result))
	})
}

// An account that an earlier run made, and that isn't visible to the next one yet,
// is this plan's: it is told as done, and not to have been there before.
func TestAccountIsMadeAndNotSeenYet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		b.SetPropagation(4*time.Minute, 0)
		p := ownPlan(t, c)
		_, err := c.Apply(t.Context(), p, owner, order)
		require.Error(t, err)
		result, err := c.Apply(t.Context(), p, owner, order)
		require.NoError(t, err)
		assert.Equal(t, recommend.OutcomeDone, result.Steps[0].Outcome)
	})
}

// The time isn't enough for grants to settle: the error says what it was spent on.
func TestNoTimeToSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Apply(ctx, replacePlan(t, c), "bot/1", nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "wait 2m0s until the grants are in effect")
	})
}

// Of two runs by one owner, the first is told that it was the other run, not that
// the owner itself is to go on; and the state is the one that was seen last.
func TestTwoRunsOfOneOwner(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c, other := newClient(t, b), newClient(t, b)
	p := replacePlan(t, c)
	goOn := sync.OnceFunc(func() {
		claimed := get(t, other, webPolicy+"replace")
		metadata := maps.Clone(claimed.Metadata)
		metadata["run"] = "another"
		_, err := other.Claim(t.Context(), claimed, metadata)
		assert.NoError(t, err)
	})
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if strings.HasSuffix(r.URL.Path, ":setIamPolicy") {
				goOn()
			}
		})
	})
	result, err := c.Apply(t.Context(), p, owner, order)
	var owned *recommend.OwnedError
	require.ErrorAs(t, err, &owned)
	require.ErrorContains(t, err, "it is another run of bot/1")
	assert.Equal(t, "another", result.Recommendation.Metadata["run"], "as it was last seen")
}

// 64 owners apply one recommendation at once: one succeeds, the others are told,
// and of no step that it may have been carried out.
func TestManyAppliers(t *testing.T) {
	t.Parallel()
	for name, takeOver := range map[string]bool{"apply": false, "take over": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			p := ownPlan(t, c)
			const many = 64
			results, errs := make([]recommend.Result, many), make([]error, many)
			var all sync.WaitGroup
			for i := range many {
				all.Go(func() {
					apply := c.Apply
					if takeOver {
						apply = c.TakeOver
					}
					results[i], errs[i] = apply(t.Context(), p, fmt.Sprintf("bot/%d", i), order)
				})
			}
			all.Wait()
			won := 0
			for i, err := range errs {
				if err == nil {
					won++
					assert.Equal(t, fmt.Sprintf("bot/%d", i), get(t, c, webRun+"own").Metadata["owner"])
					continue
				}
				_, owned := errors.AsType[*recommend.OwnedError](err)
				assert.True(t, owned || errors.Is(err, recommend.ErrChanged) || errors.Is(err, recommend.ErrBlocked), "%v", err)
				if !takeOver {
					assert.NotContains(t, outcomes(results[i]), recommend.OutcomeOpen, "%v", err)
				}
			}
			assert.Equal(t, 1, won)
			assert.Equal(t, recommend.StateSucceeded, get(t, c, webRun+"own").State)
			assert.Equal(t, shopAccount.Email(), runsAs(b))
			mayRun(t, b)
		})
	}
}

// A role is taken back, and no answer comes: the step isn't told as done.
func TestUndoIsOpen(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403, Body: refusal, Times: 1})
	var sets atomic.Int64
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			set := strings.HasSuffix(r.URL.Path, ":setIamPolicy")
			if sets.Load() == 3 && r.Host == "cloudresourcemanager.googleapis.com" {
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(refusal))
				return
			}
			if set && sets.Add(1) == 3 {
				next.ServeHTTP(discard{http.Header{}}, r)
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "the policy may have been written all the same")
	require.Equal(t, []string{"roles/run.invoker"}, bindings(b, shopAccount.Member()))
	assert.Equal(t, recommend.OutcomeOpen, result.Steps[2].Outcome)
}
