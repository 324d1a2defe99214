package recommend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/allowpolicy"
)

// An Order says how a plan is applied.
type Order struct {
	// Owner is who applies it, such as "deploy-bot/nightly": letters, digits and
	// '_', '.', '/', '-'. It is kept with the recommendation's state, and only
	// the same owner goes on with what was cut short.
	Owner string
	// DryRun looks what there is to do, and does nothing.
	DryRun bool
	// Settle is how long to wait after a grant before anything depends on it, 2
	// minutes if zero, as grants take a minute or more; not at all if negative.
	Settle time.Duration
	// Progress, if not nil, is called after each step.
	Progress func(StepResult)
}

// An Outcome is what became of a step.
type Outcome string

// The outcomes.
const (
	Done     Outcome = "done"     // it was carried out, now or before this run was cut short
	Unneeded Outcome = "unneeded" // it was so already
	Would    Outcome = "would"    // a dry run would carry it out
	Undone   Outcome = "undone"   // it was carried out, and undone as a later one failed
	Left     Outcome = "left"     // it was carried out and could not be undone
)

// A StepResult is a step with its outcome.
type StepResult struct {
	Step    Step    `json:"step"`
	Outcome Outcome `json:"outcome"`
}

// A Result is what applying a plan came to.
type Result struct {
	// Recommendation is as it is afterwards.
	Recommendation Recommendation `json:"recommendation"`
	Steps          []StepResult   `json:"steps"`
}

// An OwnedError says that someone else applies the recommendation.
type OwnedError struct {
	Recommendation string
	Owner          string // "" if it isn't told
}

// Error says who does.
func (e *OwnedError) Error() string {
	owner := e.Owner
	if owner == "" {
		owner = "someone who left no name"
	}
	return fmt.Sprintf("%s is being applied by %s: only they go on with it, or whoever takes it over", e.Recommendation, owner)
}

// The keys of the state's metadata.
const (
	keyOwner  = "owner"
	keyDone   = "done"  // a letter for each step: c if it was carried out, n if it was so
	keyDoing  = "doing" // the index of the step that is about to be carried out
	keyPlan   = "plan"  // which plan it is, see fingerprint
	keyReason = "reason"
)

// Apply carries a plan out: it claims the recommendation, makes its tests, goes
// through the steps and marks it succeeded. Each step looks first, so that
// nothing is done twice.
//
// If a step is refused, what was done is undone as far as that is possible (an
// account stays), and the recommendation is marked failed with the reason. If it
// is cut short in any other way, the recommendation stays claimed: the same owner
// applies the same plan again, and it goes on. The error then wraps what
// happened, and is an [*OwnedError] if another owner has claimed it, or wraps
// [ErrConflict] if the recommendation changed since the plan was made.
func (c *Client) Apply(ctx context.Context, p Plan, o Order) (Result, error) {
	return c.run(ctx, p, o, false)
}

// TakeOver is [Client.Apply] where another owner has claimed the recommendation
// and won't go on. If they do all the same, they are told at their next step.
func (c *Client) TakeOver(ctx context.Context, p Plan, o Order) (Result, error) {
	return c.run(ctx, p, o, true)
}

func (c *Client) run(ctx context.Context, p Plan, o Order, takeOver bool) (Result, error) {
	a := &application{c: c, plan: p, order: o, result: Result{Steps: []StepResult{}}}
	if err := a.run(ctx, takeOver); err != nil {
		return a.result, fmt.Errorf("apply %s: %w", p.Recommendation, err)
	}
	return a.result, nil
}

// An application is a plan that is being applied.
type application struct {
	c      *Client
	plan   Plan
	order  Order
	now    Recommendation
	done   string // as in the metadata
	doing  int    // the step that a run before was about to carry out, or -1
	result Result
	fresh  bool // a grant was made that has not settled
}

func (a *application) run(ctx context.Context, takeOver bool) error {
	if err := checkMetadata(map[string]string{keyOwner: a.order.Owner}); err != nil || a.order.Owner == "" {
		return errors.Join(errors.New(`Order.Owner says who applies it, such as "deploy-bot/nightly"`), err)
	}
	if a.plan.Recommendation == "" {
		return errors.New("the plan names no recommendation: make it with NewPlan")
	}
	if err := a.plan.Err(); err != nil {
		return err
	}
	var err error
	if a.now, err = a.c.Get(ctx, a.plan.Recommendation); err != nil {
		return err
	}
	resumed, finished, err := a.admit(takeOver)
	if err != nil || finished {
		a.result.Recommendation = a.now
		return err
	}
	if !resumed {
		if err := a.test(ctx); err != nil {
			return err
		}
	}
	if a.order.DryRun {
		return a.look(ctx)
	}
	if err := a.claim(ctx, a.doing); err != nil {
		return err
	}
	if err := a.steps(ctx); err != nil {
		return a.failed(ctx, err)
	}
	a.now, err = a.c.Succeed(ctx, a.now, map[string]string{keyOwner: a.order.Owner, keyDone: a.done})
	a.result.Recommendation = a.now
	return a.lost(ctx, err)
}

// admit says whether the recommendation, as it is now, may be applied by this
// owner; whether a run before got somewhere, or is finished.
func (a *application) admit(takeOver bool) (resumed, finished bool, err error) {
	a.doing = -1
	owner := a.now.Metadata[keyOwner]
	mine := owner == a.order.Owner
	switch a.now.State {
	case Active:
		if a.now.Etag != a.plan.Etag {
			return false, false, fmt.Errorf("%w: read it and plan again", ErrConflict)
		}
		return false, false, nil
	case Claimed:
		if !mine && !takeOver {
			return false, false, &OwnedError{a.plan.Recommendation, owner}
		}
		if begun := a.now.Metadata[keyPlan]; begun != a.plan.fingerprint() && (begun != "" || a.now.Metadata[keyDone] != "") {
			return false, false, fmt.Errorf("%w: another plan of it was begun: apply that one again, or take back what it did and mark it failed", ErrBlocked)
		}
		a.done = a.now.Metadata[keyDone]
		if len(a.done) > len(a.plan.Steps) || strings.Trim(a.done, "cn") != "" {
			return false, false, fmt.Errorf("what was done before (%q) isn't of this plan, of %d steps", a.done, len(a.plan.Steps))
		}
		if i, err := strconv.Atoi(a.now.Metadata[keyDoing]); err == nil && i == len(a.done) {
			a.doing = i
		}
		for i := range a.done {
			a.note(i, map[byte]Outcome{'c': Done, 'n': Unneeded}[a.done[i]])
			a.fresh = a.fresh || a.done[i] == 'c' && a.plan.Steps[i].Kind == GrantRole
		}
		return true, false, nil
	case Succeeded:
		if mine { // the answer got lost
			return true, true, nil
		}
		return false, false, fmt.Errorf("%w: it was applied already", ErrBlocked)
	case Failed:
		return false, false, fmt.Errorf("%w: applying it failed before (%s)", ErrBlocked, a.now.Metadata[keyReason])
	default:
	}
	return false, false, fmt.Errorf("%w: its state is %s", ErrBlocked, a.now.State)
}

// fingerprint tells plans that do different things apart.
func (p Plan) fingerprint() string {
	h := sha256.New()
	for _, s := range p.Steps {
		_, _ = fmt.Fprintf(h, "%q\n", []string{
			string(s.Kind), s.Account.Email(), s.Workload.String(), s.Before.Email(), s.Member, s.Role, s.Resource, s.Condition, s.ConditionTitle,
		})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// claim claims the recommendation, and notes how far this got.
func (a *application) claim(ctx context.Context, doing int) error {
	metadata := map[string]string{keyOwner: a.order.Owner, keyDone: a.done, keyPlan: a.plan.fingerprint()}
	if doing >= 0 {
		metadata[keyDoing] = strconv.Itoa(doing)
	}
	now, err := a.c.Claim(ctx, a.now, metadata)
	if err != nil {
		return a.lost(ctx, err)
	}
	a.now = now
	return nil
}

// lost tells a conflict from having lost the recommendation to someone else.
func (a *application) lost(ctx context.Context, err error) error {
	if !errors.Is(err, ErrConflict) {
		return err
	}
	now, getErr := a.c.Get(ctx, a.plan.Recommendation)
	if getErr == nil && now.State == Claimed && now.Metadata[keyOwner] != a.order.Owner {
		return errors.Join(&OwnedError{a.plan.Recommendation, now.Metadata[keyOwner]}, err)
	}
	return err
}

// note records a step's outcome.
func (a *application) note(i int, outcome Outcome) {
	r := StepResult{a.plan.Steps[i], outcome}
	a.result.Steps = append(a.result.Steps, r)
	if a.order.Progress != nil {
		a.order.Progress(r)
	}
}

// steps goes through what is left to do.
func (a *application) steps(ctx context.Context) error {
	for i := len(a.done); i < len(a.plan.Steps); i++ {
		s := a.plan.Steps[i]
		so, err := a.c.isSo(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		if so && a.doing != i {
			a.done += "n"
			a.note(i, Unneeded)
			continue
		}
		if a.doing != i {
			if err := a.claim(ctx, i); err != nil {
				return err
			}
		}
		if s.Kind == Attach || s.Kind == RemoveBinding {
			if err := a.settle(ctx); err != nil {
				return err
			}
		}
		// An attach that was cut short is waited for, even if it is written.
		if !so || s.Kind == Attach {
			if err := a.c.carryOut(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		a.fresh = a.fresh || s.Kind == GrantRole
		a.done += "c"
		a.note(i, Done)
	}
	return nil
}

// settle waits until grants that were made are likely to be in effect
// everywhere.
func (a *application) settle(ctx context.Context) error {
	if !a.fresh || a.order.Settle < 0 {
		return nil
	}
	wait := a.order.Settle
	if wait == 0 {
		wait = 2 * time.Minute
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
	}
	a.fresh = false
	return nil
}

// look says what there is to do.
func (a *application) look(ctx context.Context) error {
	for i := len(a.done); i < len(a.plan.Steps); i++ {
		so, err := a.c.isSo(ctx, a.plan.Steps[i])
		if err != nil {
			return fmt.Errorf("%s: %w", a.plan.Steps[i], err)
		}
		outcome := Would
		if so {
			outcome = Unneeded
		}
		a.note(i, outcome)
	}
	a.result.Recommendation = a.now
	return nil
}

// failed undoes what was done and marks the recommendation failed, if a step was
// refused; anything else leaves it claimed, for another run.
func (a *application) failed(ctx context.Context, err error) error {
	a.result.Recommendation = a.now
	var owned *OwnedError
	if ctx.Err() != nil || errors.Is(err, ErrConflict) || errors.As(err, &owned) || !refused(err) {
		return fmt.Errorf("cut short, and still claimed by %s: apply the plan again: %w", a.order.Owner, err)
	}
	undoErr := a.undo(ctx)
	reason := disallowed.ReplaceAllString(err.Error(), "-")
	now, failErr := a.c.Fail(ctx, a.now, map[string]string{keyOwner: a.order.Owner, keyReason: reason[:min(len(reason), 200)]})
	if failErr == nil {
		a.now = now
	}
	a.result.Recommendation = a.now
	return errors.Join(err, undoErr, failErr)
}

// disallowed is what the value of metadata may not have.
var disallowed = regexp.MustCompile(`[^a-zA-Z0-9_./-]+`)

// refused says whether the answer is no, rather than none.
func refused(err error) bool {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, allowpolicy.ErrOpen):
		return false
	case errors.Is(err, allowpolicy.ErrImpossible), errors.Is(err, ErrBlocked):
		return true
	}
	if _, ok := errors.AsType[*identity.OperationError](err); ok {
		return true
	}
	g, ok := errors.AsType[*googleapi.Error](err)
	return ok && g.Code >= 400 && g.Code < 500 && g.Code != http.StatusConflict && g.Code != http.StatusTooManyRequests
}

// undo takes back what was carried out, the last first. The step that failed may
// have been written all the same.
func (a *application) undo(ctx context.Context) error {
	var errs []error
	last := len(a.done) - 1
	if next := len(a.done); next < len(a.plan.Steps) && a.plan.Steps[next].Kind == Attach {
		if so, err := a.c.isSo(ctx, a.plan.Steps[next]); err == nil && so {
			errs = append(errs, a.c.takeBack(ctx, a.plan.Steps[next]))
		}
	}
	for i := last; i >= 0; i-- {
		s := a.plan.Steps[i]
		if a.done[i] != 'c' {
			continue
		}
		outcome := Undone
		if s.Kind == CreateAccount {
			outcome = Left
		} else if err := a.c.takeBack(ctx, s); err != nil {
			outcome = Left
			errs = append(errs, fmt.Errorf("undo: %s: %w", s, err))
		}
		for j := range a.result.Steps {
			if a.result.Steps[j].Step == s {
				a.result.Steps[j].Outcome = outcome
			}
		}
	}
	return errors.Join(errs...)
}
