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
	// DryRun makes Apply report what it would do, and do nothing. It still takes an
	// owner, and refuses what Apply refuses before the first step.
	DryRun bool
	// Settle is how long Apply waits after a grant before anything depends on it.
	// Zero means 2 minutes, as grants take a minute or more. A negative value
	// means not at all.
	Settle time.Duration
	// Progress is called when a step has a result, and again when the result
	// changes, in the goroutine that called Apply. It is not called for
	// [OutcomeNotReached] and [OutcomeOpen]: those are in [Result.Steps] only. It
	// may be nil.
	Progress func(StepResult)
}

// An Outcome is what became of a step.
type Outcome string

// The outcomes. When a plan was applied, the outcome of each step is OutcomeDone or
// OutcomeUnneeded.
const (
	OutcomeNotReached Outcome = "not-reached" // the plan ended before the step
	OutcomeDone       Outcome = "done"        // the step was carried out, by this run or an earlier one
	OutcomeUnneeded   Outcome = "unneeded"    // things were already as the step makes them
	OutcomeWould      Outcome = "would"       // with DryRun: Apply would carry the step out
	OutcomeOpen       Outcome = "open"        // the step may have been carried out, or a removal was refused: apply the plan again
	OutcomeRefused    Outcome = "refused"     // the step was refused, and changed nothing; not for removals
	OutcomeUndone     Outcome = "undone"      // the step was carried out, and taken back since the plan failed
	OutcomeLeft       Outcome = "left"        // the step was carried out, and stays although the plan failed
)

// A StepResult is a step and its outcome.
type StepResult struct {
	Step    Step    `json:"step"`
	Outcome Outcome `json:"outcome"`
	// Undo is the gcloud command that takes the step back, if the outcome is
	// [OutcomeLeft].
	Undo string `json:"undo,omitempty"`
}

// A Result is the outcome of [Client.Apply].
type Result struct {
	// Recommendation is the recommendation as it was last seen. It is zero if Apply
	// refused the plan, or the owner, before it read the recommendation.
	Recommendation Recommendation `json:"recommendation"`
	// Steps has a result for each step of the plan. It is empty if Apply refused
	// the plan before the first step.
	Steps []StepResult `json:"steps"`
}

// An OwnedError means that another owner, or another run of the same one, has
// claimed the recommendation. Only they can go on with it, and [Client.TakeOver].
type OwnedError struct {
	Recommendation string // the name
	Owner          string // "" if the claim names none
}

// Error returns a text that names the owner.
func (e *OwnedError) Error() string {
	owner := e.Owner
	if owner == "" {
		owner = "someone who left no name"
	}
	return fmt.Sprintf("%s is being applied by %s: only they go on with it, or whoever takes it over", e.Recommendation, owner)
}

// Apply carries a plan out. It claims the recommendation, makes the recommendation's
// own tests, carries out the steps, and marks the recommendation succeeded once it
// has read every step back. Before each step it looks whether there is anything to
// do, so that nothing is done twice. The package's documentation says what Apply
// promises whatever breaks when.
//
// The owner names who applies the plan, such as "deploy-bot/nightly". It consists of
// letters, digits and '_', '.', '/', '-'. It is kept with the recommendation's
// state, and only the same owner can go on with what was cut short.
//
// The state of [Result.Recommendation] says how it ended:
//
//   - SUCCEEDED: every step is done. The error is nil, unless attaching an account
//     to a job overwrote what someone else wrote ([*identity.InterleavedError]).
//   - FAILED: a step was refused before anything was removed. Roles that were
//     granted are taken back if no workload can have been moved, and stay
//     otherwise. A workload that was moved runs as its old account again, or the
//     error says why not. [Result.Steps] has the outcome of each step.
//   - CLAIMED: Apply was cut short, or removing a role was refused, or a workload
//     that was moved sends its traffic to older revisions, which run as before. If
//     the same owner applies the same plan again, it goes on.
//   - ACTIVE: nothing was done.
//
// The error is an [*OwnedError] if another owner or another run has claimed the
// recommendation. It wraps [ErrChanged] if the recommendation changed since the plan
// was made. It wraps [ErrBlocked] if the plan must not be applied: a problem of it is
// blocking, things are not as the recommendation was computed for, or the
// recommendation was applied, failed or dismissed meanwhile. If the same owner has
// applied the same plan already, Apply returns the results once more, and no error.
//
// To go on after Apply was cut short takes the plan: store its JSON, or make it anew
// from [Client.Get] with the same options.
func (c *Client) Apply(ctx context.Context, p Plan, owner string, opts *ApplyOptions) (Result, error) {
	return c.run(ctx, p, owner, opts, false)
}

// TakeOver works as [Client.Apply] does, for a recommendation that another owner
// has claimed and won't go on with. If the previous owner resumes, its next step
// fails.
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
