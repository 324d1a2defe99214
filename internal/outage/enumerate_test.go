package outage_test

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/outage"
	"github.com/runidentity/runidentity/recommend"
)

var (
	pairs = flag.Bool("outage.pairs", false, "enumerate pairs of faults too, of one of each kind, for each operation that writes")
	only  = flag.String("outage.only", "", "enumerate the cells that match this regular expression")
	skip  = flag.String("outage.skip", "^$", "leave out the cells that match this regular expression")
	show  = flag.Int("outage.show", 10, "how many wrong cells of an operation are shown")
)

// A world is a cloud, and what an operation begins with.
type world struct {
	*fake.Backend
	plan recommend.Plan
}

// An action is one run of an operation.
type action func(context.Context, *world) outcome

// An operation is one that the library offers, in a cloud of its own.
type operation struct {
	name string
	seed func(*world)
	// run does it, and again does it a second time, run if nil.
	run, again action
	// foreign are faults besides those that any call can meet: answers about
	// something else of the right kind.
	foreign []outage.Fault
	// between, where not nil, reports whether an operation of several steps may
	// leave this state with that outcome, which is neither none nor all of it.
	between func(*world, outcome) error
	// believes names faults that it can't tell from the truth: what a server
	// really answers at times.
	believes []string
	// ended, where not nil, reports whether an error ended the operation for good
	// and left the state alone, so that a second run has nothing to do.
	ended func(error) bool
}

// An outcome is what an operation says.
type outcome struct {
	claim claim
	// value is what it returned, as far as that follows from the state.
	value string
	err   error
	steps any // for between
}

// A claim is what an operation says of the state.
type claim int

const (
	done    claim = iota // it is as was asked for
	notDone              // it is as it was
	maybe                // one of these
	partly               // between decides
)

// claimOf is what an error says, unless the result beside it says more.
func claimOf(err error) claim {
	var unfinished *identity.UnfinishedError
	switch {
	case err == nil:
		return done
	case errors.As(err, &unfinished), errors.Is(err, identity.ErrMayHaveStarted):
		return maybe
	}
	return notDone
}

// limit is how long a run may take.
const limit = 15 * time.Minute

// An observation is what was seen of an operation.
type observation struct {
	outcome outcome
	took    time.Duration
	calls   []outage.Call
	state   string // when it had returned and every late effect had landed
	between error
	second  outcome
	last    string // the state after the second run
}

// observe runs an operation under some weather, and again after it.
func (op *operation) observe(t *testing.T, strikes ...outage.Strike) (o observation) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &world{Backend: cloud()}
		defer b.Close()
		op.seed(b)
		b.SetOperationTime(time.Second)
		w := outage.New(strikes...)
		b.Use(w.Over)
		parent, stop := context.WithTimeout(t.Context(), limit)
		defer stop()
		ctx, cancel := w.Begin(parent)
		defer cancel()
		began := time.Now()
		o.outcome = attempt(ctx, op.run, b)
		o.took, o.calls = time.Since(began), w.Calls()
		w.Close()
		time.Sleep(time.Minute) // operations have ended
		o.state = stateOf(b.Backend)
		if op.between != nil {
			o.between = op.between(b, o.outcome)
		}
		w.Clear()
		later, stop := context.WithTimeout(t.Context(), limit)
		defer stop()
		again := op.again
		if again == nil {
			again = op.run
		}
		o.second = attempt(later, again, b)
		time.Sleep(time.Minute)
		o.last = stateOf(b.Backend)
	})
	return o
}

// errPanicked is the error of an operation that panics.
var errPanicked = errors.New("panics")

// attempt runs an operation, and says so if it panics.
func attempt(ctx context.Context, run action, b *world) (o outcome) {
	defer func() {
		if p := recover(); p != nil {
			o = outcome{err: fmt.Errorf("%w: %v", errPanicked, p)}
		}
	}()
	return run(ctx, b)
}

// errNone stands for the error of what returned none.
var errNone = errors.New("nothing is wrong")

func orNone(err error) error { return cmp.Or(err, errNone) }

// judge says what is wrong with what an operation did and said, given what it
// does where nothing goes wrong.
func (op *operation) judge(before string, clean, o observation) error {
	sent := slices.ContainsFunc(o.calls, outage.Call.Writes)
	switch say := o.outcome; {
	case errors.Is(say.err, errPanicked):
		return say.err
	case o.took > limit:
		return fmt.Errorf("returned after %s, its context ended after %s", o.took, limit)
	case say.claim == partly:
		if o.between != nil {
			return fmt.Errorf("%w (%s): said %w", o.between, say.value, orNone(say.err))
		}
	case o.state != before && o.state != clean.state:
		return fmt.Errorf("neither none nor all of it was done: %s: said %w", difference(clean.state, o.state), orNone(say.err))
	case say.claim == done && o.state != clean.state:
		return fmt.Errorf("says that it is done (%s), and it isn't: %s: said %w", say.value, difference(clean.state, o.state), orNone(say.err))
	case say.claim == notDone && o.state != before:
		return fmt.Errorf("says that nothing was done, and it is done: %s: said %w", difference(before, o.state), orNone(say.err))
	case say.claim == maybe && !sent && clean.state != before:
		return fmt.Errorf("says that it may be done, and has sent nothing that could have an effect: said %w", orNone(say.err))
	case say.err == nil && say.value != clean.outcome.value:
		return fmt.Errorf("says %q where %q is true", say.value, clean.outcome.value)
	}
	if op.ended != nil && op.ended(o.outcome.err) {
		return nil
	}
	switch {
	case o.second.err != nil:
		return fmt.Errorf("the second run fails: %w, the first said %w", o.second.err, orNone(o.outcome.err))
	case o.last != clean.state && o.last != clean.last:
		return fmt.Errorf("after the second run: %s, the first said %w", difference(clean.state, o.last), orNone(o.outcome.err))
	}
	return nil
}

// nameOf names a cell by the calls that are hit as a run without faults makes them.
func nameOf(op *operation, calls []outage.Call, strikes ...outage.Strike) string {
	parts := []string{op.name}
	for _, s := range strikes {
		at := fmt.Sprintf("call %d", s.Call)
		if s.Call <= len(calls) {
			c := calls[s.Call-1]
			at = fmt.Sprintf("%d %s %s", s.Call, c.Verb, c.Path[strings.LastIndexByte(c.Path, '/')+1:])
		}
		forever := ""
		if s.Forever {
			forever = " for ever"
		}
		parts = append(parts, fmt.Sprintf("%s: %s%s", madeUp.ReplaceAllString(at, "…"), s.Fault, forever))
	}
	return strings.Join(parts, " | ")
}

// madeUp is the id of an operation, or the end of a revision's name.
var madeUp = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|-0000\d-[a-z0-9]+`)

// strikesOn returns each of these faults at a call, once and for ever.
func (op *operation) strikesOn(call int, faults ...outage.Fault) (all []outage.Strike) {
	for _, f := range slices.Concat(faults, op.foreign) {
		if slices.Contains(op.believes, f.Name) {
			continue
		}
		all = append(all, outage.Strike{Call: call, Fault: f})
		if f.Lasts() {
			all = append(all, outage.Strike{Call: call, Fault: f, Forever: true})
		}
	}
	return all
}

// known are the cells that are known to be wrong, one a line: the list may only
// become shorter.
//
//go:embed testdata/wrong.txt
var known string

// totals are the numbers of an enumeration.
type totals struct {
	mu                              sync.Mutex
	operations, cells, wrong, known int
}

func (n *totals) addOperation() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.operations++
}

func (n *totals) add(cells, wrong, known int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cells, n.wrong, n.known = n.cells+cells, n.wrong+wrong, n.known+known
}

// Each operation with each fault at each of its calls, once and for ever: it
// returns in time, what it says is so, nothing is done twice, nothing else is
// touched, and it can be done again when the weather is over. A goroutine that
// outlives it stops the bubble and so the test.
func TestEnumerate(t *testing.T) {
	t.Parallel()
	wrong := make(map[string]bool)
	for line := range strings.Lines(known) {
		if line = strings.TrimSpace(line); line != "" {
			wrong[line] = true
		}
	}
	matching, skipped := regexp.MustCompile(*only), regexp.MustCompile(*skip)
	var n totals
	began := time.Now()
	t.Cleanup(func() {
		t.Logf("%d operations, %d cells, %d wrong, %d of them known, in %s", n.operations, n.cells, n.wrong, n.known, time.Since(began).Round(time.Millisecond))
	})
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			op.enumerate(t, func(name string) bool { return matching.MatchString(name) && !skipped.MatchString(name) }, wrong, &n)
		})
	}
}

// enumerate tries each call's cells beside those of the others.
func (op *operation) enumerate(t *testing.T, matching func(string) bool, wrong map[string]bool, n *totals) {
	t.Helper()
	before := op.untouched(t)
	clean := op.observe(t)
	require.NoError(t, clean.outcome.err)
	require.NoError(t, op.judge(before, clean, clean))
	n.addOperation()
	for call := range clean.calls {
		t.Run(fmt.Sprintf("call %d", call+1), func(t *testing.T) {
			t.Parallel()
			var named, cells, found, expected int
			try := func(strikes ...outage.Strike) {
				name := nameOf(op, clean.calls, strikes...)
				named++
				if !matching(name) || thinned(named) {
					return
				}
				cells++
				err := op.judge(before, clean, op.observe(t, strikes...))
				if err != nil {
					found++
				}
				switch {
				case err == nil && wrong[name]:
					t.Errorf("%s: is right now; take it off the list", name)
				case err != nil && wrong[name]:
					expected++
				case err != nil && found <= *show:
					assert.Fail(t, "WRONG "+name, "%v", err)
				case err != nil:
					t.Errorf("WRONG %s", name)
				}
			}
			for _, s := range op.strikesOn(call+1, outage.Faults()...) {
				try(s)
			}
			if *pairs && clean.state != before {
				for _, s := range op.strikesOn(call+1, outage.Representatives()...) {
					if !s.Forever && s.Fault.Lasts() {
						op.pairsOf(t, s, try)
					}
				}
			}
			n.add(cells, found, expected)
		})
	}
}

// pairsOf tries a fault with each other at one of the calls that are made after it.
func (op *operation) pairsOf(t *testing.T, first outage.Strike, try func(...outage.Strike)) {
	t.Helper()
	made := op.observe(t, first).calls
	for call := first.Call + 1; call <= len(made); call++ {
		for _, second := range op.strikesOn(call, outage.Representatives()...) {
			try(first, second)
		}
	}
}

// untouched is the state before an operation.
func (op *operation) untouched(t *testing.T) (state string) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		b := &world{Backend: cloud()}
		defer b.Close()
		op.seed(b)
		state = stateOf(b.Backend)
	})
	return state
}

// thinned reports whether a cell is left out: the race detector makes all this
// ten times slower.
func thinned(cell int) bool { return raceEnabled && cell%10 != 0 }
