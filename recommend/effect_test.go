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

// pin sends all traffic of the service to a revision, or to the latest one.
func pin(t *testing.T, b *fake.Backend, traffic string) {
	t.Helper()
	change(t, b, "traffic", `{"traffic": [`+traffic+`]}`)
}

// change changes the service, as someone else would.
func change(t *testing.T, b *fake.Backend, mask, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "https://run.googleapis.com/v2/"+shopName+"?updateMask="+mask, strings.NewReader(body))
	require.NoError(t, err)
	answer, err := b.HTTPClient(fake.Admin).Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
}

// All traffic is pinned to an older revision, which goes on running as the old
// account: that one keeps its role, and the recommendation is not told to have
// succeeded. Once the traffic is moved, the plan goes on.
func TestTrafficIsPinned(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.Grant("projects/web-prod", "roles/editor", "serviceAccount:"+compute)
	c := newClient(t, b)
	p := wholePlan(t, c)
	var live struct{ LatestReadyRevision string }
	unmarshal(t, b.RunJSON(shopName), &live)
	revision := live.LatestReadyRevision[strings.LastIndexByte(live.LatestReadyRevision, '/')+1:]
	require.NotEmpty(t, revision)
	pin(t, b, `{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "`+revision+`", "percent": 100}`)
	_, err := c.Apply(t.Context(), p, owner, order)
	assert.Contains(t, bindings(b, "serviceAccount:"+compute), "roles/editor", "the revision that serves lost its role")
	require.ErrorContains(t, err, "receives no traffic")
	assert.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State)

	pin(t, b, `{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}`)
	_, err = c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	assert.NotContains(t, bindings(b, "serviceAccount:"+compute), "roles/editor")
	final(t, b, c, webRun+"own")
}

// revoke takes a role from a member on web-prod, as someone else would.
func revoke(b *fake.Backend, role string) {
	policy := b.Policy("projects/web-prod")
	for _, binding := range policy.Bindings {
		if binding.Role == role {
			binding.Members = []string{"user:x@example.com"}
		}
	}
	b.SetPolicy("projects/web-prod", policy)
}

// Cut short right before the attach, and someone takes a grant away meanwhile: the
// service isn't moved to an account that lacks a role.
func TestGrantIsGoneBeforeTheAttach(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]struct{ killed bool }{"between two runs": {true}, "while it settles": {false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				p := ownPlan(t, c)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				o := recommend.ApplyOptions{Owner: "bot/1"}
				if when.killed {
					b.Use(func(next http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							if isPatch(r) && ctx.Err() == nil {
								cancel()
								panic(http.ErrAbortHandler)
							}
							next.ServeHTTP(w, r)
						})
					})
					_, err := c.Apply(ctx, p, o)
					require.ErrorIs(t, err, context.Canceled)
					revoke(b, "roles/run.viewer")
				} else {
					time.AfterFunc(time.Minute, func() { revoke(b, "roles/run.viewer") })
				}
				_, err := c.Apply(t.Context(), p, o)
				require.ErrorContains(t, err, "someone else changed it")
				require.ErrorContains(t, err, "gcloud projects add-iam-policy-binding 123456789012 --member="+shopAccount.Member()+" --role=roles/run.viewer",
					"the way out")
				assert.Equal(t, compute, runsAs(b))
			})
		})
	}
}

// Someone else grants the role at the moment at which this run does: it is as new
// as one's own, and is waited for.
func TestSomeoneElsesNewGrantSettles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := replacePlan(t, c)
		var once sync.Once
		b.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				if strings.HasSuffix(r.URL.Path, ":markClaimed") {
					once.Do(func() {
						for _, role := range []string{"roles/run.viewer", "roles/run.invoker"} {
							b.Grant("projects/web-prod", role, "serviceAccount:"+runner)
						}
					})
				}
			})
		})
		began := time.Now()
		var removedAt time.Duration
		_, err := c.Apply(t.Context(), p, "bot/1", &recommend.ApplyOptions{Progress: func(r recommend.StepResult) {
			if r.Step.Kind == recommend.StepRemoveRole {
				removedAt = time.Since(began)
			}
		}})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, removedAt, time.Minute, "the old role was taken away at once")
	})
}

// A service isn't moved to an account that is disabled.
func TestDisabledAccount(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email(), Disabled: true})
	c := newClient(t, b)
	result, err := c.Apply(t.Context(), ownPlan(t, c), owner, order)
	require.ErrorIs(t, err, identity.ErrAccountDisabled)
	assert.Empty(t, bindings(b, shopAccount.Member()))
	assert.Equal(t, recommend.StateActive, result.Recommendation.State)
	assert.Equal(t, recommend.StateActive, get(t, c, webRun+"own").State)
}

// A run that waits before it writes a policy again has to hold the claim then, not
// some time before: another owner may have undone everything, and failed.
func TestNoWriteAfterALongWait(t *testing.T) {
	t.Parallel()
	missing := `{"error": {"code": 400, "message": "Service account ` + shopAccount.Email() + ` does not exist.", "status": "INVALID_ARGUMENT"}}`
	for name, status := range map[string]int{missing: 400, "": 503} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c, other := newClient(t, b), newClient(t, b)
				p := ownPlan(t, c)
				overtake := func() {
					b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403, Body: refusal})
					_, err := other.TakeOver(t.Context(), p, "bot/2", &recommend.ApplyOptions{Settle: -1})
					require.ErrorContains(t, err, "Not you.")
					assert.Equal(t, recommend.StateFailed, get(t, other, webRun+"own").State)
					assert.Empty(t, bindings(b, shopAccount.Member()))
				}
				var hit atomic.Bool
				b.Use(func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if !strings.HasSuffix(r.URL.Path, ":setIamPolicy") || hit.Swap(true) {
							next.ServeHTTP(w, r)
							return
						}
						overtake()
						body := name
						if body == "" {
							body = `{"error": {"code": 503, "message": "Later.", "status": "UNAVAILABLE"}}`
						}
						w.WriteHeader(status)
						_, _ = w.Write([]byte(body))
					})
				})
				_, err := c.Apply(t.Context(), p, owner, order)
				require.Error(t, err)
				assert.Empty(t, bindings(b, shopAccount.Member()), "granted after the plan was undone and marked failed")
			})
		})
	}
}
