package recommend

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ApplyOptions change how [Client.Apply] and [Client.TakeOver] work. Nil means the
// zero value.
type ApplyOptions struct {
	// DryRun finds out what there is to do, and does nothing.
	DryRun bool
	// Settle is how long to wait after a grant before anything depends on it: 2
	// minutes if zero, as grants take a minute or more; not at all if negative.
	Settle time.Duration
	// Progress, if not nil, is called with each step's result, and again when it
	// changes.
	Progress func(StepResult)
}

// An Outcome is what became of a step.
type Outcome string

// The outcomes. Of a plan that was applied, each step is done or was unneeded.
const (
	OutcomeNotReached Outcome = "not-reached" // the plan ended before it
	OutcomeDone       Outcome = "done"        // it was carried out, by this run or one before
	OutcomeUnneeded   Outcome = "unneeded"    // it was so already
	OutcomeWould      Outcome = "would"       // a dry run: Apply would carry it out
	OutcomeOpen       Outcome = "open"        // it may have been carried out: apply the plan again
	OutcomeRefused    Outcome = "refused"     // it was refused, and changed nothing
	OutcomeUndone     Outcome = "undone"      // it was carried out, and taken back since the plan failed
	OutcomeLeft       Outcome = "left"        // it was carried out, and stays although the plan failed
)

// A StepResult is a step with its outcome.
type StepResult struct {
	Step    Step    `json:"step"`
	Outcome Outcome `json:"outcome"`
	// Undo is the gcloud command that takes back what was left.
	Undo string `json:"undo,omitempty"`
}

// A Result is what applying a plan came to.
type Result struct {
	// Recommendation is the recommendation as it was last seen.
	Recommendation Recommendation `json:"recommendation"`
	// Steps has a result for each step of the plan. It is empty if applying the
	// plan was refused before the first one.
	Steps []StepResult `json:"steps"`
}

// An OwnedError says that someone else applies the recommendation.
type OwnedError struct {
	Recommendation string
	Owner          string // "" if it isn't told
}

// Error names the owner.
func (e *OwnedError) Error() string {
	owner := e.Owner
	if owner == "" {
		owner = "someone who left no name"
	}
	return fmt.Sprintf("%s is being applied by %s: only they go on with it, or whoever takes it over", e.Recommendation, owner)
}

// Apply carries a plan out: it claims the recommendation, makes its tests, goes
// through the steps and marks it succeeded once every step was read back. Each
// step looks first, so that nothing is done twice. What it promises whatever
// breaks when is in the package's documentation.
//
// The owner is who applies it, such as "deploy-bot/nightly": letters, digits and
// '_', '.', '/', '-'. It is kept with the recommendation's state, and only the same
// owner goes on with what was cut short.
//
// How it ended is in the state of [Result.Recommendation]:
//
//   - SUCCEEDED: every step is so. The error is nil, unless attaching an account
//     to a job overwrote what someone else wrote ([*identity.InterleavedError]).
//   - FAILED: a step was refused before anything was removed. Roles that were
//     granted are taken back if no workload can have been moved, and stay
//     otherwise; a workload that was moved runs as its old account again, or
//     the error says why not. [Result.Steps] tells each outcome.
//   - CLAIMED: it was cut short, removing a role was refused, or a workload that
//     was moved sends its traffic to older revisions, which run as before. The
//     same owner applies the same plan again, and it goes on.
//   - ACTIVE: nothing was done.
//
// The error is an [*OwnedError] if another owner or another run has claimed the
// recommendation, wraps [ErrChanged] if it changed since the plan was made, and
// [ErrBlocked] if the plan must not be applied.
func (c *Client) Apply(ctx context.Context, p Plan, owner string, opts *ApplyOptions) (Result, error) {
	return c.run(ctx, p, owner, opts, false)
}

// TakeOver is [Client.Apply] for a recommendation that another owner has claimed
// and won't go on with. If that owner resumes all the same, its next write is
// preceded by a renewal of the claim, which fails.
func (c *Client) TakeOver(ctx context.Context, p Plan, owner string, opts *ApplyOptions) (Result, error) {
	return c.run(ctx, p, owner, opts, true)
}

func (c *Client) run(ctx context.Context, p Plan, owner string, opts *ApplyOptions, takeOver bool) (Result, error) {
	result, err := c.apply(ctx, p, owner, opts, takeOver)
	if err != nil {
		return result, fmt.Errorf("apply %s: %w", p.Recommendation, err)
	}
	return result, nil
}

func (c *Client) apply(ctx context.Context, p Plan, owner string, opts *ApplyOptions, takeOver bool) (Result, error) {
	result := Result{Steps: []StepResult{}}
	if opts == nil {
		opts = new(ApplyOptions)
	}
	if err := checkMetadata(map[string]string{keyOwner: owner}); err != nil || owner == "" {
		return result, errors.Join(fmt.Errorf(`owner %q: it says who applies the plan, such as "deploy-bot/nightly"`, owner), err)
	}
	if err := p.applicable(); err != nil {
		return result, err
	}
	now, err := c.Get(ctx, p.Recommendation)
	if err != nil {
		return result, err
	}
	result.Recommendation = now
	e, err := p.admit(now, owner, takeOver)
	if err != nil {
		return result, err
	}
	j := newClaim(c, owner, now)
	t := &transaction{c: c, plan: p, options: *opts, journal: j, resumed: e.phase != ""}
	t.begin(e)
	switch {
	case now.State == StateSucceeded: // by this owner, whom the answer didn't reach
		return Result{now, t.results}, nil
	case !t.resumed:
		if err := c.test(ctx, p, now); err != nil {
			return result, err
		}
	}
	if opts.DryRun {
		err = t.look(ctx)
	} else {
		err = t.run(ctx)
	}
	if err != nil && j.now.State == StateClaimed && j.now.Metadata[keyOwner] == owner && !isLost(err) {
		err = fmt.Errorf("still claimed by %s: apply the plan again: %w", owner, err)
	}
	// What was overwritten is told whatever else went wrong.
	return Result{j.last(), t.results}, errors.Join(append([]error{err}, t.overwritten...)...)
}

// applicable refuses a plan that can't be applied, whatever the state of things.
func (p Plan) applicable() error {
	if p.Recommendation == "" {
		return errors.New("the plan names no recommendation: make it with NewPlan")
	}
	if len(p.Steps) == 0 && p.Err() == nil {
		return errors.New("the plan can't be applied: it has no steps")
	}
	order := map[StepKind]int{StepCreateAccount: 1, StepGrantRole: 2, StepAttach: 3, StepRemoveRole: 4}
	for i, s := range p.Steps {
		err := s.validate()
		if err == nil && i > 0 && order[s.Kind] < order[p.Steps[i-1].Kind] {
			err = fmt.Errorf("it must not come after %q", p.Steps[i-1])
		}
		for k, earlier := range p.Steps[:i] {
			if err == nil {
				err = s.contradicts(k+1, earlier)
			}
		}
		if err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, s, err)
		}
	}
	return p.Err()
}

// admit decides whether an owner may apply the plan to a recommendation as it is
// now, and returns what an earlier run of this plan noted. The entry has no phase
// if there was none.
func (p Plan) admit(now Recommendation, owner string, takeOver bool) (entry, error) {
	fresh := entry{plan: p.fingerprint()}
	for range p.Steps {
		fresh.marks = append(fresh.marks, markNone)
	}
	mine := now.Metadata[keyOwner] == owner
	begun := now.Metadata[keyPlan]
	switch now.State {
	case StateClaimed, StateActive:
		switch {
		case now.State == StateClaimed && !mine && !takeOver:
			return entry{}, &OwnedError{p.Recommendation, now.Metadata[keyOwner]}
		case now.State == StateClaimed && begun == fresh.plan:
			return readEntry(now.Metadata, len(p.Steps))
		case now.State == StateClaimed && begun != "":
			return entry{}, fmt.Errorf("%w: another plan of it was begun: apply that one again, or take back what it did and mark it failed", ErrBlocked)
		case now.Etag != p.Etag:
			return entry{}, fmt.Errorf("%w since the plan was made: plan again", ErrChanged)
		}
		return fresh, nil
	case StateSucceeded:
		if mine && begun == fresh.plan {
			return readEntry(now.Metadata, len(p.Steps))
		}
		return entry{}, fmt.Errorf("%w: it was applied already", ErrBlocked)
	case StateFailed:
		return entry{}, fmt.Errorf("%w: applying it failed before (%s)", ErrBlocked, now.Metadata[keyReason])
	default:
	}
	return entry{}, fmt.Errorf("%w: its state is %s", ErrBlocked, now.State)
}

// isLost reports whether the recommendation is someone else's by now.
func isLost(err error) bool {
	_, owned := errors.AsType[*OwnedError](err)
	return owned || errors.Is(err, ErrChanged)
}
