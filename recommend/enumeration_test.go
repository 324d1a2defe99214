package recommend_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/internal/outage"
	"github.com/runidentity/runidentity/recommend"
)

var cells = flag.Int("recommend.cells", 1500, "how many cells of each enumeration to try, evenly spread; 0 for all")

// A subject is a plan whose transaction is enumerated.
type subject struct {
	name, recommendation string
	plan                 func(testing.TB, *recommend.Client) recommend.Plan
}

func subjects() []subject {
	return []subject{
		{"own", webRun + "own", ownPlan},
		{"replace", webPolicy + "replace", replacePlan},
		{"whole", webRun + "own", wholePlan},
	}
}

// wholePlan has steps of all kinds: an account of its own for the service, and the
// role of the old account is taken away.
func wholePlan(t testing.TB, c *recommend.Client) recommend.Plan {
	t.Helper()
	p := ownPlan(t, c)
	p.Steps = append(p.Steps, recommend.Step{Kind: recommend.StepRemoveRole, Member: "serviceAccount:" + compute, Role: "roles/editor", Resource: webProject})
	return p
}

// A scene is a cloud in which a plan is applied, whose promises are checked after
// every write that gets through.
type scene struct {
	t       *testing.T
	subject subject
	backend *fake.Backend
	clients map[string]*recommend.Client // by caller
	plan    recommend.Plan
	stored  []byte
	begun   map[recommend.Step]bool // the steps that were so before
	created atomic.Bool             // the plan's account
	late    atomic.Bool             // an owner that was overtaken was late with a PATCH

	mu     sync.Mutex
	broken []string
}

func newScene(t *testing.T, s subject) *scene {
	t.Helper()
	b := newCloud(t)
	b.Grant("projects/web-prod", "roles/editor", "serviceAccount:"+compute)
	c := newClient(t, b)
	sc := &scene{
		t: t, subject: s, backend: b, clients: map[string]*recommend.Client{bot: c}, plan: s.plan(t, c), begun: make(map[recommend.Step]bool),
	}
	var err error
	sc.stored, err = json.Marshal(sc.plan)
	require.NoError(t, err)
	for _, step := range sc.plan.Steps {
		sc.begun[step] = sc.so(step)
	}
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			switch {
			case strings.HasSuffix(r.URL.Path, "/serviceAccounts"):
				sc.created.Store(true)
			case strings.HasSuffix(r.URL.Path, ":setIamPolicy"), isPatch(r):
				sc.check(r.Method + " " + r.URL.Path)
			}
		})
	})
	return sc
}

// so reports whether the cloud is as a step would make it.
func (sc *scene) so(s recommend.Step) bool {
	switch s.Kind {
	case recommend.StepGrantRole:
		return slices.Contains(bindings(sc.backend, s.Member), s.Role)
	case recommend.StepRemoveRole:
		return !slices.Contains(bindings(sc.backend, s.Member), s.Role)
	case recommend.StepAttach:
		return runsAs(sc.backend) == s.Account.Email()
	case recommend.StepCreateAccount:
		return sc.created.Load()
	}
	panic(s.Kind)
}

func (sc *scene) breaks(format string, args ...any) {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.broken = append(sc.broken, fmt.Sprintf(format, args...))
}

// check holds what is true at any time: no workload that was moved lacks a role,
// and nothing is removed before its replacement is there.
func (sc *scene) check(after string) {
	granted, moved, removed := true, true, false
	for _, s := range sc.plan.Steps {
		switch s.Kind {
		case recommend.StepGrantRole:
			granted = granted && sc.so(s)
		case recommend.StepAttach:
			moved = moved && sc.so(s)
			if sc.so(s) && !granted {
				sc.breaks("after %s: %s, and lacks a role", after, s)
			}
		case recommend.StepRemoveRole:
			removed = removed || sc.so(s)
		case recommend.StepCreateAccount:
		}
	}
	if removed && (!granted || !moved) {
		sc.breaks("after %s: a role was removed before its replacement was there", after)
	}
}

// apply applies the stored plan, as another process would.
func (sc *scene) apply(ctx context.Context, caller, owner string) (recommend.Result, error) {
	var p recommend.Plan
	require.NoError(sc.t, json.Unmarshal(sc.stored, &p))
	if owner == "bot/1" {
		return sc.clients[caller].Apply(ctx, p, owner, order)
	}
	return sc.clients[caller].TakeOver(ctx, p, owner, order)
}

// judge holds what a run said against what is.
func (sc *scene) judge(run string, result recommend.Result, err error) {
	state := result.Recommendation.State
	if errors.Is(err, recommend.ErrBlocked) && len(result.Steps) == 0 {
		return // the run before came to an end
	}
	if (err == nil) != (state == recommend.StateSucceeded) {
		sc.breaks("%s: %s, and the error is %v", run, state, err)
	}
	for _, r := range result.Steps {
		so := sc.so(r.Step)
		wrong := false
		switch r.Outcome {
		case recommend.OutcomeDone, recommend.OutcomeUnneeded, recommend.OutcomeLeft:
			wrong = !so
		case recommend.OutcomeUndone, recommend.OutcomeRefused:
			wrong = so
		case recommend.OutcomeNotReached, recommend.OutcomeOpen:
			wrong = state == recommend.StateSucceeded || state == recommend.StateFailed && so && r.Outcome == recommend.OutcomeNotReached && !sc.begun[r.Step]
		case recommend.OutcomeWould:
			wrong = true
		}
		if wrong {
			sc.breaks("%s ended %s: %s is told as %s, and it is so: %v (%v)", run, state, r.Step, r.Outcome, so, err)
		}
	}
}

// end runs the plan in fair weather until it is through, and holds the end.
func (sc *scene) end(owner string) recommend.State {
	var result recommend.Result
	var err error
	for range 3 {
		if result, err = sc.apply(sc.t.Context(), bot, owner); err == nil || result.Recommendation.State == recommend.StateFailed {
			break
		}
	}
	now := get(sc.t, sc.clients[bot], sc.subject.recommendation)
	switch now.State {
	case recommend.StateSucceeded:
		for _, s := range sc.plan.Steps {
			if !sc.so(s) {
				sc.breaks("succeeded, and isn't so: %s", s)
			}
		}
	case recommend.StateFailed:
		for _, s := range sc.plan.Steps {
			if (s.Kind == recommend.StepRemoveRole || s.Kind == recommend.StepAttach && !sc.late.Load()) && sc.so(s) != sc.begun[s] {
				sc.breaks("failed, and is so: %s", s)
			}
		}
	default:
		sc.breaks("it does not end: %s, %v", now.State, err)
	}
	sc.check("the end")
	return now.State
}

// calls counts the calls that a plan takes in fair weather, and checks that every
// write comes right behind a claim.
func calls(t *testing.T, s subject) (n int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sc := newScene(t, s)
		weather := outage.New()
		sc.backend.Use(weather.Over)
		result, err := sc.apply(t.Context(), bot, "bot/1")
		require.NoError(t, err)
		sc.judge("fair weather", result, err)
		assert.Empty(t, sc.broken)
		claimed := false
		for _, c := range weather.Calls() {
			switch {
			case strings.HasSuffix(c.Path, ":markClaimed"):
				claimed = true
			case c.Verb == http.MethodPatch && runsAs(sc.backend) == compute, strings.HasSuffix(c.Path, ":setIamPolicy"), strings.HasSuffix(c.Path, "/serviceAccounts"):
				assert.True(t, claimed, "%s without a claim right before it", c)
				claimed = false
			}
		}
		n = len(weather.Calls())
	})
	return n
}

// pairFaults are those of which every two are combined.
func pairFaults() []outage.Fault {
	names := []string{
		"drop before", "drop after", "drop, applied 2s later", "drop, applied 5m0s later", "truncate", "kill before", "kill after",
		"200 {}", "504, applied 2s later", "401", "403", "404", "409", "503", "403 html", "503 says 7, after",
	}
	var all []outage.Fault
	for _, f := range outage.Faults() {
		if slices.Contains(names, f.Name) {
			all = append(all, f)
		}
	}
	return all
}

// spread returns the cells to try of a space: all, or some that are spread over
// all its dimensions.
func spread(space int) func(yield func(int) bool) {
	count := *cells
	if count <= 0 || count > space {
		count = space
	}
	const step = 2_654_435_761 // a prime
	return func(yield func(int) bool) {
		for k := range count {
			if !yield(int(uint64(k) * step % uint64(space))) {
				return
			}
		}
	}
}

// enumerate tries cells two at a time, and reports those that break a promise.
func enumerate(t *testing.T, space int, try func(t *testing.T, cell int) (what string, sc *scene, state recommend.State)) {
	t.Helper()
	began := time.Now()
	all := make(chan int)
	go func() {
		defer close(all)
		for cell := range spread(space) {
			all <- cell
		}
	}()
	var mu sync.Mutex
	tried, ended := 0, make(map[recommend.State]int)
	var broken []string
	t.Run("cells", func(t *testing.T) {
		for range 2 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for cell := range all {
					synctest.Test(t, func(t *testing.T) {
						what, sc, state := try(t, cell)
						sc.backend.Close()
						mu.Lock()
						defer mu.Unlock()
						tried++
						ended[state]++
						if len(sc.broken) > 0 {
							broken = append(broken, fmt.Sprintf("cell %d, %s:\n  %s", cell, what, strings.Join(sc.broken, "\n  ")))
						}
					})
				}
			})
		}
	})
	t.Logf("%d of %d cells, %d broken, in %s; ended %v", tried, space, len(broken), time.Since(began).Round(time.Second), ended)
	for _, b := range broken[:min(len(broken), 20)] {
		t.Error(b)
	}
}

// Every pair of faults at every pair of calls, kills among them. The first hits
// the run of one owner; the second that run as well, or the one that goes on with
// it, by the same owner or another one. Then the weather is over.
func TestPairsOfFaults(t *testing.T) {
	t.Parallel()
	all, faults := subjects(), pairFaults()
	require.Len(t, faults, 16)
	var counts []int
	most := 0
	for _, s := range all {
		counts = append(counts, calls(t, s))
		most = max(most, counts[len(counts)-1])
	}
	t.Logf("calls: %v", counts)
	f := len(faults)
	enumerate(t, len(all)*2*most*most*f*f*2, func(t *testing.T, cell int) (string, *scene, recommend.State) {
		take := func(n int) int {
			v := cell % n
			cell /= n
			return v
		}
		// The fastest is first, so that a spread over the cells mixes them.
		second, first := faults[take(f)], faults[take(f)]
		forever := take(2) == 1 && second.Lasts()
		gap, at, owner, s := 1+take(most), 1+take(most), fmt.Sprintf("bot/%d", 1+take(2)), all[take(len(all))]
		strikes := []outage.Strike{{Call: at, Fault: first}, {Call: at + gap, Fault: second, Forever: forever}}
		sc := newScene(t, s)
		weather := outage.New(strikes...)
		sc.backend.Use(weather.Over)
		for i, who := range []string{"bot/1", owner} {
			ctx, end := weather.Begin(t.Context())
			ctx, stop := context.WithTimeout(ctx, time.Hour)
			result, err := sc.apply(ctx, bot, who)
			stop()
			end()
			if !strings.HasPrefix(first.Name, "drop, ") && !strings.HasPrefix(second.Name, "drop, ") && !strings.HasPrefix(second.Name, "504, ") && !strings.HasPrefix(first.Name, "504, ") {
				sc.judge(fmt.Sprintf("run %d by %s", i+1, who), result, err)
			}
		}
		weather.Clear()
		weather.Close()
		state := sc.end(owner)
		return fmt.Sprintf("%s, %v, then %s", s.name, strikes, owner), sc, state
	})
}

// One owner's call is kept back, on its way there or on its way back, while another
// one takes over and meets a fault; then it goes on.
func TestTwoOwnersAndALateCall(t *testing.T) {
	t.Parallel()
	all, faults := subjects(), pairFaults()
	most := 0
	for _, s := range all {
		most = max(most, calls(t, s))
	}
	f := len(faults)
	enumerate(t, len(all)*2*most*(most+10)*f, func(t *testing.T, cell int) (string, *scene, recommend.State) {
		take := func(n int) int {
			v := cell % n
			cell /= n
			return v
		}
		fault := faults[take(f)]
		other, held, there, s := take(most+10), 1+take(most), take(2) == 0, all[take(len(all))]
		sc := newScene(t, s)
		for _, project := range []string{"projects/web-prod", "projects/data-prod"} {
			sc.backend.Grant(project, "roles/owner", second)
		}
		var err error
		sc.clients[second], err = recommend.NewClient(t.Context(), sc.backend.ClientOptions(second)...)
		require.NoError(t, err)
		strike := outage.Strike{Call: other, Fault: fault} // call 0 is none
		weather := outage.New(strike)
		release := make(chan struct{})
		reached := make(chan struct{})
		var n atomic.Int64
		var released atomic.Bool
		sc.backend.Use(func(next http.Handler) http.Handler {
			stormy := weather.Over(next)
			last := next
			next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if isPatch(r) && released.Load() {
					sc.late.Store(true)
				}
				last.ServeHTTP(w, r)
			})
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Header.Get("Authorization") == "Bearer "+second:
					stormy.ServeHTTP(w, r)
				case n.Add(1) == int64(held) && !released.Load():
					if !there {
						next.ServeHTTP(w, r)
					}
					close(reached)
					<-release
					if there {
						next.ServeHTTP(w, r)
					}
				default:
					next.ServeHTTP(w, r)
				}
			})
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			result, err := sc.apply(t.Context(), bot, "bot/1")
			if err == nil {
				sc.judge("the first owner", result, err)
			}
		}()
		select {
		case <-reached:
		case <-done: // it makes fewer calls
		}
		ctx, end := weather.Begin(t.Context())
		result, err := sc.apply(ctx, second, "bot/2")
		end()
		if err == nil {
			sc.judge("the second owner", result, err)
		}
		weather.Clear()
		released.Store(true)
		close(release)
		<-done
		weather.Close()
		state := sc.end("bot/2")
		return fmt.Sprintf("%s, call %d of the first kept back (on its way there: %v), the second meets %v", s.name, held, there, strike), sc, state
	})
}

// second is the second owner's caller, to tell its calls from the first's.
const second = "user:second@example.com"
