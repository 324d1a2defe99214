package recommend_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
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

var shopAccount = identity.MustParseServiceAccount("shop-runner@web-prod.iam.gserviceaccount.com")

// ownPlan gives the service an account of its own, with two roles.
func ownPlan(t testing.TB, c *recommend.Client) recommend.Plan {
	t.Helper()
	p, err := recommend.NewPlan(get(t, c, webRun+"own"), &recommend.PlanOptions{
		Account: shopAccount, Current: identity.MustParseServiceAccount(compute),
		Grants: []recommend.Grant{{Role: "roles/run.invoker", Resource: webProject}, {Role: "roles/run.viewer", Resource: webProject}},
	})
	require.NoError(t, err)
	return p
}

// replacePlan replaces a role of the job's account.
func replacePlan(t testing.TB, c *recommend.Client) recommend.Plan {
	t.Helper()
	p, err := recommend.NewPlan(get(t, c, webPolicy+"replace"), &recommend.PlanOptions{Remove: []string{"roles/editor"}})
	require.NoError(t, err)
	return p
}

// bindings are the roles that a member has on web-prod.
func bindings(b *fake.Backend, member string) []string {
	var roles []string
	for _, binding := range b.Policy("projects/web-prod").Bindings {
		for _, m := range binding.Members {
			if m == member {
				roles = append(roles, binding.Role)
			}
		}
	}
	return roles
}

// final checks that both plans' ends are reached.
func final(t *testing.T, b *fake.Backend, c *recommend.Client, name string) {
	t.Helper()
	r := get(t, c, name)
	assert.Equal(t, recommend.StateSucceeded, r.State)
	assert.Equal(t, "bot/1", r.Metadata["owner"])
	if name == webPolicy+"replace" {
		assert.ElementsMatch(t, []string{"roles/run.viewer", "roles/run.invoker"}, bindings(b, "serviceAccount:"+runner))
		return
	}
	assert.ElementsMatch(t, []string{"roles/run.viewer", "roles/run.invoker"}, bindings(b, shopAccount.Member()))
	assert.Contains(t, string(b.RunJSON(shopName)), `"serviceAccount":"`+shopAccount.Email()+`"`)
}

// owner applies plans, and order is how.
const owner = "bot/1"

var order = &recommend.ApplyOptions{Settle: -1}

func TestApply(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	var seen []string
	o := *order
	o.Progress = func(r recommend.StepResult) { seen = append(seen, string(r.Outcome)+" "+r.Step.String()) }
	result, err := c.Apply(t.Context(), ownPlan(t, c), owner, &o)
	require.NoError(t, err)
	final(t, b, c, webRun+"own")
	assert.Equal(t, recommend.StateSucceeded, result.Recommendation.State)
	assert.Equal(t, []string{
		"done create the account shop-runner@web-prod.iam.gserviceaccount.com",
		"done grant roles/run.invoker to serviceAccount:shop-runner@web-prod.iam.gserviceaccount.com on projects/123456789012",
		"done grant roles/run.viewer to serviceAccount:shop-runner@web-prod.iam.gserviceaccount.com on projects/123456789012",
		"done make projects/123456789012/locations/europe-west1/services/shop run as shop-runner@web-prod.iam.gserviceaccount.com",
	}, seen)

	_, err = c.Apply(t.Context(), replacePlan(t, c), owner, order)
	require.NoError(t, err)
	final(t, b, c, webPolicy+"replace")

	// Once more is no mistake, and does nothing.
	b.ResetCalls()
	again := ownPlan(t, c)
	require.ErrorIs(t, again.Err(), recommend.ErrBlocked, "a new plan for it says that it was applied")
	_, err = c.Apply(t.Context(), again, owner, order)
	require.ErrorIs(t, err, recommend.ErrBlocked)
	for _, call := range b.Calls() {
		assert.Equal(t, "GET", call.Verb)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.Grant("projects/web-prod", "roles/run.viewer", "serviceAccount:"+runner)
	o := *order
	o.DryRun = true
	plan := replacePlan(t, c)
	b.ResetCalls()
	result, err := c.Apply(t.Context(), plan, owner, &o)
	require.NoError(t, err)
	var outcomes []recommend.Outcome
	for _, s := range result.Steps {
		outcomes = append(outcomes, s.Outcome)
	}
	assert.Equal(t, []recommend.Outcome{recommend.OutcomeWould, recommend.OutcomeUnneeded, recommend.OutcomeWould}, outcomes)
	for _, call := range b.Calls() {
		assert.True(t, call.Verb == "GET" || strings.HasSuffix(call.Method, ".getIamPolicy"), call.Method)
	}
	assert.Equal(t, recommend.StateActive, get(t, c, webPolicy+"replace").State)
}

// mutates reports whether a call changes something.
func mutates(c fake.Call) bool {
	return c.Verb != "GET" && !strings.HasSuffix(c.Method, ".getIamPolicy") && !strings.HasSuffix(c.Method, ".wait")
}

// Killed at each of its calls in turn, before or after it had its effect, and run
// again: the same end, marked once.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]func(testing.TB, *recommend.Client) recommend.Plan{webRun + "own": ownPlan, webPolicy + "replace": replacePlan} {
		for _, after := range []bool{false, true} {
			kill := 0
			for finished := false; !finished; kill++ {
				t.Run(fmt.Sprintf("%s after=%v call %d", name[strings.LastIndexByte(name, '/')+1:], after, kill), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						b := newCloud(t)
						c := newClient(t, b)
						p := plan(t, c)
						stored, err := json.Marshal(p)
						require.NoError(t, err)
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						seen := 0
						var mu sync.Mutex
						b.Use(func(next http.Handler) http.Handler {
							return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
								mu.Lock()
								now := seen == kill
								seen++
								mu.Unlock()
								if now && after {
									next.ServeHTTP(discard{http.Header{}}, r)
								}
								if now {
									cancel()
									panic(http.ErrAbortHandler)
								}
								next.ServeHTTP(w, r)
							})
						})
						b.ResetCalls()
						_, err = c.Apply(ctx, p, owner, order)
						if err == nil {
							finished = true // it takes fewer calls
						} else {
							require.ErrorIs(t, err, context.Canceled)
						}

						// Another process, with the plan as it was stored.
						var again recommend.Plan
						require.NoError(t, json.Unmarshal(stored, &again))
						result, err := newClient(t, b).Apply(t.Context(), again, owner, order)
						require.NoError(t, err)
						assert.Equal(t, recommend.StateSucceeded, result.Recommendation.State)
						final(t, b, c, name)
						succeeded := 0
						for _, call := range b.Calls() {
							if strings.HasSuffix(call.Method, ".markSucceeded") && call.Status == 200 {
								succeeded++
							}
						}
						assert.Equal(t, 1, succeeded)
						if name == webRun+"own" {
							assert.Contains(t, string(b.RunJSON(shopName)), `"generation":"2"`, "one revision, whatever was repeated")
						}
					})
				})
			}
			assert.Greater(t, kill, 10)
		}
	}
}

// discard is an answer that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	for round := range 30 {
		b := newCloud(t)
		c := newClient(t, b)
		p := replacePlan(t, c)
		errs := make([]error, 2)
		var both sync.WaitGroup
		for i := range errs {
			both.Go(func() {
				_, errs[i] = c.Apply(t.Context(), p, fmt.Sprintf("bot/%d", i+1), &recommend.ApplyOptions{Settle: -1})
			})
		}
		both.Wait()
		winner := 0
		if errs[0] != nil {
			winner = 1
		}
		require.NoError(t, errs[winner], "round %d", round)
		loser := errs[1-winner]
		require.Error(t, loser)
		var owned *recommend.OwnedError
		told := errors.As(loser, &owned) || errors.Is(loser, recommend.ErrChanged) || errors.Is(loser, recommend.ErrBlocked)
		assert.True(t, told, "%v", loser)
		r := get(t, c, webPolicy+"replace")
		assert.Equal(t, fmt.Sprintf("bot/%d", winner+1), r.Metadata["owner"])
		assert.Equal(t, recommend.StateSucceeded, r.State)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := replacePlan(t, c)
	_, err := c.Claim(t.Context(), get(t, c, webPolicy+"replace"), map[string]string{"owner": "bot/2"})
	require.NoError(t, err)
	_, err = c.Apply(t.Context(), p, owner, order)
	var owned *recommend.OwnedError
	require.ErrorAs(t, err, &owned)
	assert.Equal(t, "bot/2", owned.Owner)
	_, err = c.TakeOver(t.Context(), p, owner, order)
	require.ErrorIs(t, err, recommend.ErrChanged, "it was claimed without a plan, after this one was made")
	_, err = c.TakeOver(t.Context(), replacePlan(t, c), owner, order)
	require.NoError(t, err)
	final(t, b, c, webPolicy+"replace")

	for owner, want := range map[string]string{"": `owner "": it says who applies the plan`, "a@b": `metadata owner="a@b": a value may have letters`} {
		_, err = c.Apply(t.Context(), p, owner, nil)
		require.ErrorContains(t, err, want)
	}
	_, err = c.Apply(t.Context(), recommend.Plan{}, owner, order)
	require.ErrorContains(t, err, "make it with NewPlan")
}

// A step that is refused: what was done is undone, and the reason noted.
func TestRefusedAndUndone(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	before := b.RunJSON(shopName)
	b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403, Body: `{"error": {"code": 403, "message": "no: not 'you'", "status": "PERMISSION_DENIED"}}`})
	result, err := c.Apply(t.Context(), ownPlan(t, c), owner, order)
	require.ErrorContains(t, err, "make projects/123456789012/locations/europe-west1/services/shop run as")
	r := get(t, c, webRun+"own")
	assert.Equal(t, recommend.StateFailed, r.State)
	assert.Contains(t, r.Metadata["reason"], "make-projects/123456789012/locations/europe-west1/services/shop-run-as")
	assert.Empty(t, bindings(b, shopAccount.Member()))
	assert.JSONEq(t, string(before), string(b.RunJSON(shopName)))
	var outcomes []recommend.Outcome
	for _, s := range result.Steps {
		outcomes = append(outcomes, s.Outcome)
	}
	assert.Equal(t, []recommend.Outcome{recommend.OutcomeLeft, recommend.OutcomeUndone, recommend.OutcomeUndone, recommend.OutcomeRefused}, outcomes)
	assert.Equal(t, "gcloud iam service-accounts delete shop-runner@web-prod.iam.gserviceaccount.com --project=web-prod", result.Steps[0].Undo)
	_, err = c.Apply(t.Context(), ownPlan(t, c), owner, order)
	require.ErrorContains(t, err, "applying it failed before")
}

// A server that is down is no refusal: it stays claimed, and goes on later.
func TestServerDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		b.Inject("cloudresourcemanager.projects.setIamPolicy", fake.Fault{Skip: 1, Times: 8, Status: 503})
		_, err := c.Apply(t.Context(), p, owner, order)
		require.ErrorContains(t, err, "still claimed by bot/1: apply the plan again")
		assert.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State)
		_, err = c.Apply(t.Context(), p, owner, order)
		require.NoError(t, err)
		final(t, b, c, webRun+"own")
	})
}

// Each call of each method fails once, in all ways: the end is the same.
func TestBadWeather(t *testing.T) {
	t.Parallel()
	first := newCloud(t)
	c := newClient(t, first)
	p := ownPlan(t, c)
	first.ResetCalls()
	_, err := c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	methods := make(map[string]bool)
	for _, call := range first.Calls() {
		methods[call.Method] = true
	}
	for method := range methods {
		for fault, f := range map[string]fake.Fault{
			"503": {Status: 503}, "dropped before": {DropBefore: true}, "dropped after": {DropAfter: true}, "garbled": {Garble: true}, "429": {Status: 429},
		} {
			t.Run(method+" "+fault, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newCloud(t)
					c := newClient(t, b)
					p := ownPlan(t, c)
					f.Times = 1
					b.Inject(method, f)
					_, err := c.Apply(t.Context(), p, owner, order)
					if fault == "garbled" && err != nil { // not all reads are repeated for that
						_, err = c.Apply(t.Context(), p, owner, order)
					}
					require.NoError(t, err)
					final(t, b, c, webRun+"own")
				})
			})
		}
	}
}

func TestGrantsSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		b.SetPropagation(20*time.Second, time.Minute)
		began := time.Now()
		var removedAt time.Duration
		_, err := c.Apply(t.Context(), replacePlan(t, c), "bot/1", &recommend.ApplyOptions{Progress: func(r recommend.StepResult) {
			if r.Step.Kind == recommend.StepRemoveRole {
				removedAt = time.Since(began)
			}
		}})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, removedAt, time.Minute, "not before the new roles are in effect")
	})
}

// The recommendation's own tests.
func TestTests(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	client, err := identity.NewClient(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	b.Grant("projects/data-prod", "roles/iam.serviceAccountTokenCreator", "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com")
	_, err = client.Attach(t.Context(), shop, identity.MustParseServiceAccount(runner), nil)
	require.NoError(t, err)
	b.ResetCalls()
	_, err = c.Apply(t.Context(), p, owner, order)
	require.ErrorIs(t, err, recommend.ErrBlocked)
	require.ErrorContains(t, err, "it was computed for the identity "+compute+", and shop has "+runner)
	for _, call := range b.Calls() {
		assert.False(t, mutates(call), call.Method)
	}

	revoked := replacePlan(t, c)
	policy := b.Policy("projects/web-prod")
	for _, binding := range policy.Bindings {
		if binding.Role == "roles/editor" {
			binding.Members = []string{"user:x@example.com"}
		}
	}
	b.SetPolicy("projects/web-prod", policy)
	_, err = c.Apply(t.Context(), revoked, owner, order)
	require.ErrorIs(t, err, recommend.ErrBlocked)
	require.ErrorContains(t, err, "doesn't have roles/editor on "+webProject+" any more")

	b.AddRecommenderJSON(webPolicy+"odd", []byte(strings.Replace(removal(dev, webProject, "roles/viewer"), `"operations": [`,
		`"operations": [{"action": "test", "path": "/weather", "value": "fine"},`, 1)))
	p, err = recommend.NewPlan(get(t, c, webPolicy+"odd"), &recommend.PlanOptions{Remove: []string{"roles/viewer"}})
	require.NoError(t, err)
	_, err = c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, `a test of "/weather" that this package can't make`)
}

func TestChangedSinceThePlan(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := replacePlan(t, c)
	p.Etag = `"another"`
	_, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorIs(t, err, recommend.ErrChanged)
	stale := get(t, c, webPolicy+"other")
	_, err = c.Claim(t.Context(), stale, nil)
	require.NoError(t, err)
	_, err = c.Succeed(t.Context(), stale, nil)
	require.ErrorIs(t, err, recommend.ErrChanged)
	_, err = c.Fail(t.Context(), stale, map[string]string{"BAD": "x"})
	require.ErrorContains(t, err, `metadata key "BAD"`)
	_, err = c.Claim(t.Context(), recommend.Recommendation{Action: recommend.ActionUnusedAccount}, nil)
	require.ErrorContains(t, err, "it is an insight")
	_, err = c.Claim(t.Context(), recommend.Recommendation{}, nil)
	require.ErrorContains(t, err, "it has no etag: read it first")
}

// A grant whose answer didn't arrive may be someone else's: it stays, and the
// result says how to take it back. So does what was so before.
func TestFailedAfterACrash(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()})
	b.Grant("projects/web-prod", "roles/run.viewer", shopAccount.Member())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "projects/123456789012:setIamPolicy") && ctx.Err() == nil {
				next.ServeHTTP(discard{http.Header{}}, r)
				cancel()
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := c.Apply(ctx, p, owner, order)
	require.ErrorIs(t, err, context.Canceled)
	assert.ElementsMatch(t, []string{"roles/run.invoker", "roles/run.viewer"}, bindings(b, shopAccount.Member()))

	b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.Error(t, err)
	assert.Equal(t, recommend.StateFailed, get(t, c, webRun+"own").State)
	assert.ElementsMatch(t, []string{"roles/run.invoker", "roles/run.viewer"}, bindings(b, shopAccount.Member()))
	require.Len(t, result.Steps, 4)
	assert.Equal(t, recommend.StepResult{Step: p.Steps[1], Outcome: recommend.OutcomeLeft, Undo: "gcloud projects remove-iam-policy-binding 123456789012 " +
		"--member=" + shopAccount.Member() + " --role=roles/run.invoker --condition=None"}, result.Steps[1])
	assert.Equal(t, recommend.OutcomeUnneeded, result.Steps[2].Outcome)
}
