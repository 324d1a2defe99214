package recommend_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

const getPolicyMethod = "cloudresourcemanager.projects.getIamPolicy"

// after lets someone act once, after the nth call whose path has that suffix.
func after(b *fake.Backend, suffix string, nth int, act func()) {
	var mu sync.Mutex
	n := 0
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if strings.HasSuffix(r.URL.Path, suffix) {
				mu.Lock()
				n++
				now := n == nth
				mu.Unlock()
				if now {
					act()
				}
			}
		})
	})
}

// A grant that is refused is told so, and those before it as undone.
func TestGrantIsRefused(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.Inject(setPolicyMethod, fake.Fault{Status: 403, Body: refusal, Skip: 1, Times: 1})
	result, err := c.Apply(t.Context(), ownPlan(t, c), owner, order)
	require.ErrorContains(t, err, "Not you.")
	assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
	assert.Equal(t, []recommend.Outcome{recommend.OutcomeLeft, recommend.OutcomeUndone, recommend.OutcomeRefused, recommend.OutcomeNotReached}, outcomes(result))
	assert.Empty(t, bindings(b, shopAccount.Member()))
}

// A grant can't be read back, once: that refuses nothing.
func TestReadingBackIsRefused(t *testing.T) {
	t.Parallel()
	for skip := 4; skip < 10; skip++ { // two reads for each grant, then two after the grants, before the attach and in the end
		t.Run(strconv.Itoa(skip), func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			p := ownPlan(t, c)
			b.Inject(getPolicyMethod, fake.Fault{Status: 403, Body: refusal, Skip: skip, Times: 1})
			result, err := c.Apply(t.Context(), p, owner, order)
			require.ErrorContains(t, err, "read it back")
			goesOn(t, b, p, result, err)
		})
	}
}

// An account that an earlier run made, and that isn't seen for a moment, is this
// plan's all the same.
func TestAccountFlaps(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	cutAt(t, b, c, p, 1)
	b.Inject("iam.projects.serviceAccounts.get", fake.Fault{Status: 404, Times: 1})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	assert.Equal(t, recommend.OutcomeDone, result.Steps[0].Outcome)
}

// A role that someone else takes away, before this run looks or between its look
// and its write, is told as unneeded. One that a run took away before it was killed
// is told as done.
func TestWhoRemovedIt(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		suffix string
		nth    int
		want   recommend.Outcome
	}{
		"someone, before the look": {":setIamPolicy", 2, recommend.OutcomeUnneeded},
		"someone, after the look":  {":markClaimed", 3, recommend.OutcomeUnneeded},
		"the run before":           {"", 0, recommend.OutcomeDone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			p := replacePlan(t, c)
			if tt.nth > 0 {
				after(b, tt.suffix, tt.nth, func() { revoke(b, "roles/editor") })
			} else {
				cutAt(t, b, c, p, 3)
			}
			result, err := c.Apply(t.Context(), p, owner, order)
			require.NoError(t, err)
			assert.Equal(t, []recommend.Outcome{recommend.OutcomeDone, recommend.OutcomeDone, tt.want}, outcomes(result))
			final(t, b, c, webPolicy+"replace")
		})
	}
}

// A step is told once for each outcome: a role that is granted once more, since
// someone took it away, is not told once more.
func TestProgressIsToldOnce(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	cutAt(t, b, c, p, 2)
	after(b, ":markClaimed", 2, func() { revoke(b, "roles/run.invoker") }) // right before it is written anew
	told := make(map[recommend.StepResult]int)
	o := order
	o.Progress = func(r recommend.StepResult) { told[r]++ }
	result, err := c.Apply(t.Context(), p, o)
	require.NoError(t, err)
	for _, r := range result.Steps {
		assert.Equal(t, 1, told[r], "%s", r.Step)
	}
	final(t, b, c, webRun+"own")
}

// Cloud Run is reported to carry out a request to validate only in "global": none is
// sent there.
func TestNoRehearsalInGlobal(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	p.Steps[3].Workload = identity.Service("web-prod", "global", "shop")
	var validated atomic.Bool
	b.Use(func(next http.Handler) http.Handler { // which has no Cloud Run in "global"
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "run.googleapis.com" || !strings.Contains(r.URL.Path, "/locations/global/") {
				next.ServeHTTP(w, r)
				return
			}
			if r.URL.Query().Get("validateOnly") == "true" {
				validated.Store(true)
			}
			r.URL.Path = strings.Replace(r.URL.Path, "/global/", "/europe-west1/", 1)
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			w.WriteHeader(answer.Code)
			_, _ = w.Write([]byte(strings.ReplaceAll(answer.Body.String(), "/europe-west1/", "/global/")))
		})
	})
	_, err := c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	final(t, b, c, webRun+"own")
	assert.False(t, validated.Load())
}

// Of two workloads the second can't be moved: the first goes back, and if no answer
// tells whether it did, it isn't told as done.
func TestFirstOfTwoGoesBack(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"it went back": false, "no answer": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				p := ownPlan(t, c)
				p.Steps = append(p.Steps, recommend.Step{
					Kind: recommend.StepAttach, Workload: job, Account: shopAccount, Before: identity.MustParseServiceAccount(runner),
				})
				b.Inject("run.projects.locations.jobs.patch", fake.Fault{Status: 403, Body: refusal, Skip: 1, Times: 1}) // after the rehearsal
				onPatch(b, func(n int) *fake.Fault {
					if lost && n > 2 { // the service, the job, and the service again
						return &fake.Fault{DropBefore: true}
					}
					return nil
				})
				result, err := c.Apply(t.Context(), p, owner, order)
				require.ErrorContains(t, err, "Not you.")
				left, refused := recommend.OutcomeLeft, recommend.OutcomeRefused
				if !lost {
					assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
					assert.Equal(t, []recommend.Outcome{left, left, left, recommend.OutcomeUndone, refused}, outcomes(result))
					assert.Equal(t, compute, runsAs(b))
					return
				}
				assert.Equal(t, recommend.StateClaimed, result.Recommendation.State)
				assert.Equal(t, recommend.OutcomeOpen, result.Steps[3].Outcome)
				mayRun(t, b)
			})
		})
	}
}

// Someone else attaches the account before this run does: that is told as unneeded.
func TestSomeoneElseAttachesIt(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	after(b, ":setIamPolicy", 2, func() { becomes(t.Context(), t, b, shopAccount) })
	result, err := c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	assert.Equal(t, recommend.OutcomeUnneeded, result.Steps[3].Outcome)
	final(t, b, c, webRun+"own")
}
