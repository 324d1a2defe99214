package recommend_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// onPatch lets a test answer the nth PATCH of a service that is no rehearsal, the
// first being 1. It says what becomes of it with the fault that it returns.
func onPatch(b *fake.Backend, at func(n int) *fake.Fault) {
	var mu sync.Mutex
	n := 0
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isPatch(r) {
				next.ServeHTTP(w, r)
				return
			}
			mu.Lock()
			n++
			fault := at(n)
			mu.Unlock()
			if fault == nil {
				next.ServeHTTP(w, r)
				return
			}
			if fault.Status != 0 {
				w.WriteHeader(fault.Status)
				_, _ = w.Write([]byte(fault.Body))
				return
			}
			fault.Times = 1
			b.Inject("run.projects.locations.services.patch", *fault)
			next.ServeHTTP(w, r)
		})
	})
}

// isPatch reports whether a request changes a service, rather than to rehearse it.
func isPatch(r *http.Request) bool {
	return r.Method == http.MethodPatch && r.URL.Query().Get("validateOnly") != "true"
}

const refusal = `{"error": {"code": 403, "message": "Not you.", "status": "PERMISSION_DENIED"}}`

// notReady is a revision that doesn't become ready.
func notReady() *fake.Fault {
	return &fake.Fault{Condition: &run.GoogleCloudRunV2Condition{Type: "Ready", State: "CONDITION_FAILED", RevisionReason: "HEALTH_CHECK_CONTAINER_ERROR", Message: "It didn't listen."}}
}

func runsAs(b *fake.Backend) string {
	var s struct {
		Template struct{ ServiceAccount string }
	}
	if err := json.Unmarshal(b.RunJSON(shopName), &s); err != nil {
		panic(err)
	}
	return s.Template.ServiceAccount
}

// mayRun checks that the service has the roles that its new account was granted,
// if it runs as that.
func mayRun(t *testing.T, b *fake.Backend) {
	t.Helper()
	if runsAs(b) == shopAccount.Email() {
		assert.ElementsMatch(t, []string{"roles/run.invoker", "roles/run.viewer"}, bindings(b, shopAccount.Member()), "the service lost its roles")
	}
}

func outcomes(r recommend.Result) []recommend.Outcome {
	var all []recommend.Outcome
	for _, s := range r.Steps {
		all = append(all, s.Outcome)
	}
	return all
}

// What was undone is not taken for done, if marking it failed didn't get through.
func TestUndoneIsNotTakenForDone(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(b *fake.Backend, cancel func()){
		"marking failed fails": func(b *fake.Backend, _ func()) {
			b.Inject("recommender.projects.locations.recommenders.recommendations.markFailed", fake.Fault{Status: 503})
		},
		"the process ends during the undo": func(b *fake.Backend, cancel func()) {
			b.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					next.ServeHTTP(w, r)
					if strings.HasSuffix(r.URL.Path, ":setIamPolicy") && len(bindings(b, shopAccount.Member())) == 1 && runsAs(b) == compute {
						cancel()
					}
				})
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				p := ownPlan(t, c)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403, Times: 1, Body: refusal})
				interrupt(b, cancel)
				_, err := c.Apply(ctx, p, owner, order)
				require.Error(t, err)
				mayRun(t, b)

				// Another process, in fair weather, twice.
				for range 2 {
					calm := b.ClientOptions(bot)
					again, err := recommend.NewClient(t.Context(), calm...)
					require.NoError(t, err)
					_, err = again.Apply(t.Context(), p, owner, order)
					mayRun(t, b)
					if err == nil {
						assert.Equal(t, shopAccount.Email(), runsAs(b), "succeeded, and the service has its old account")
					}
				}
			})
		})
	}
}

// The revision doesn't become ready, and the old account can't be attached again:
// the service keeps its new roles, and the results say that it was moved.
func TestNoWayBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		onPatch(b, func(n int) *fake.Fault {
			if n == 1 {
				return notReady()
			}
			return &fake.Fault{Status: 403, Body: refusal}
		})
		result, err := c.Apply(t.Context(), p, owner, order)
		require.Error(t, err)
		require.ErrorContains(t, err, "HEALTH_CHECK_CONTAINER_ERROR")
		require.ErrorContains(t, err, "run as "+compute+" again")
		assert.Equal(t, shopAccount.Email(), runsAs(b))
		mayRun(t, b)
		assert.Equal(t, recommend.StateFailed, get(t, c, webRun+"own").State)
		left := recommend.OutcomeLeft
		assert.Equal(t, []recommend.Outcome{left, left, left, left}, outcomes(result))
		assert.Equal(t, "gcloud run services update shop --service-account="+compute+" --region=europe-west1 --project=123456789012", result.Steps[3].Undo)
	})
}

// The revision doesn't become ready: the service goes back, and the roles stay.
func TestBackToTheOldAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		onPatch(b, func(n int) *fake.Fault {
			if n == 1 {
				return notReady()
			}
			return nil
		})
		result, err := c.Apply(t.Context(), p, owner, order)
		require.ErrorContains(t, err, "HEALTH_CHECK_CONTAINER_ERROR")
		assert.Equal(t, compute, runsAs(b))
		assert.Equal(t, recommend.StateFailed, get(t, c, webRun+"own").State)
		left := recommend.OutcomeLeft
		assert.Equal(t, []recommend.Outcome{left, left, left, recommend.OutcomeUndone}, outcomes(result))
		assert.Len(t, bindings(b, shopAccount.Member()), 2)
	})
}

// The write was accepted, and everything after it is refused: the outcome is open,
// and nothing is taken back.
func TestRefusedAfterTheWrite(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404} {
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			c := newClient(t, b)
			p := ownPlan(t, c)
			var written, calm atomic.Bool
			b.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if written.Load() && !calm.Load() && r.Host == "run.googleapis.com" {
						w.WriteHeader(status)
						_, _ = w.Write([]byte(strings.Replace(refusal, "403", strconv.Itoa(status), 1)))
						return
					}
					next.ServeHTTP(w, r)
					if runsAs(b) == shopAccount.Email() {
						written.Store(true)
					}
				})
			})
			result, err := c.Apply(t.Context(), p, owner, order)
			require.Error(t, err)
			mayRun(t, b)
			calm.Store(true)
			goesOn(t, b, p, result, err)
		})
	}
}

// An owner that was overtaken is refused its write: it takes nothing back, since
// the other owner has gone on.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	other := newClient(t, b)
	onPatch(b, func(n int) *fake.Fault {
		if n != 1 {
			return nil
		}
		return &fake.Fault{Status: 403, Body: refusal}
	})
	var begun atomic.Bool
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isPatch(r) || begun.Swap(true) {
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r) // refused
			_, err := other.TakeOver(r.Context(), p, "bot/2", &recommend.ApplyOptions{Settle: -1})
			assert.NoError(t, err)
		})
	})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorIs(t, err, recommend.ErrChanged)
	assert.NotContains(t, err.Error(), "apply the plan again", "it is the other owner's by now")
	_, owned := errors.AsType[*recommend.OwnedError](err)
	assert.False(t, owned, "nobody applies it any more: %v", err)
	assert.Equal(t, recommend.StateSucceeded, result.Recommendation.State)
	assert.Equal(t, recommend.StateSucceeded, get(t, c, webRun+"own").State)
	assert.Equal(t, "bot/2", get(t, c, webRun+"own").Metadata["owner"])
	assert.Equal(t, shopAccount.Email(), runsAs(b))
	mayRun(t, b)
}

// A token that expires while the change settles ends nothing.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		b.SetOperationTime(20e9)
		b.Inject("run.projects.locations.operations.wait", fake.Fault{Status: 401, Times: 1})
		_, err := c.Apply(t.Context(), p, owner, order)
		if err != nil {
			assert.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State)
			_, err = c.Apply(t.Context(), p, owner, order)
		}
		require.NoError(t, err)
		final(t, b, c, webRun+"own")
	})
}

// What was claimed without this plan is tested as if it was not claimed.
func TestClaimedWithoutThePlan(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		metadata map[string]string
		takeOver bool
	}{
		"by hand":         {map[string]string{"owner": "bot/1"}, false},
		"by nobody":       {nil, true},
		"by another tool": {map[string]string{"applied_by": "terraform"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			claimed, err := c.Claim(t.Context(), get(t, c, webRun+"own"), tt.metadata)
			require.NoError(t, err)
			p := ownPlan(t, c) // of the recommendation as it was claimed
			require.Equal(t, claimed.Etag, p.Etag)
			client, err := identity.NewClient(t.Context(), b.ClientOptions(fake.Admin)...)
			require.NoError(t, err)
			b.Grant("projects/data-prod", "roles/iam.serviceAccountTokenCreator", "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com")
			_, err = client.Attach(t.Context(), shop, identity.MustParseServiceAccount(runner), nil)
			require.NoError(t, err)
			apply := c.Apply
			if tt.takeOver {
				apply = c.TakeOver
			}
			b.ResetCalls()
			_, err = apply(t.Context(), p, order)
			require.ErrorContains(t, err, "it was computed for the identity "+compute)
			assert.False(t, slices.ContainsFunc(b.Calls(), mutates))

			p.Etag = `"another"`
			_, err = apply(t.Context(), p, order)
			require.ErrorIs(t, err, recommend.ErrChanged)
		})
	}
}

// Cut short while a role is taken away, or refused to: it stays claimed, and goes
// on.
func TestRemovalRefused(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := replacePlan(t, c)
	b.Inject("cloudresourcemanager.projects.setIamPolicy", fake.Fault{Skip: 2, Times: 1, Status: 403, Body: refusal})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "still claimed by bot/1: apply the plan again")
	assert.Equal(t, recommend.StateClaimed, result.Recommendation.State)
	assert.Equal(t, []recommend.Outcome{recommend.OutcomeDone, recommend.OutcomeDone, recommend.OutcomeOpen}, outcomes(result))
	assert.Len(t, bindings(b, "serviceAccount:"+runner), 3)
	_, err = c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	final(t, b, c, webPolicy+"replace")
}

// Nothing is removed before its replacement was read back.
func TestReplacementIsGone(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := replacePlan(t, c)
	b.Inject("cloudresourcemanager.projects.setIamPolicy", fake.Fault{Skip: 2, Times: 1, Status: 403, Body: refusal})
	_, err := c.Apply(t.Context(), p, owner, order)
	require.Error(t, err)
	policy := b.Policy("projects/web-prod")
	for _, binding := range policy.Bindings {
		if binding.Role == "roles/run.viewer" {
			binding.Members = []string{"user:x@example.com"}
		}
	}
	b.SetPolicy("projects/web-prod", policy)
	_, err = c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "grant roles/run.viewer to serviceAccount:"+runner+" on projects/123456789012: it was so, and isn't any more")
	assert.Contains(t, bindings(b, "serviceAccount:"+runner), "roles/editor")
	assert.Equal(t, recommend.StateClaimed, get(t, c, webPolicy+"replace").State)
}
