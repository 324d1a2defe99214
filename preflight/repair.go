package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runidentity/runidentity/internal/retry"
)

// ErrNotEffective is what errors of [Fixer.Repair] wrap when fixes were applied and a
// check still fails after [ApplyOptions.Wait], or when ctx ends during a pause before
// that: then they wrap the context's error as well. A failure that has no fix is no
// error.
var ErrNotEffective = errors.New("applied, but not in effect yet")

// RepairOptions are the options of [Fixer.Repair].
type RepairOptions struct {
	// Apply says how fixes are applied, and for how long Repair waits for them to take
	// effect: a grant takes a minute or more.
	Apply ApplyOptions

	// Check says how the target is checked again. Give the options with which the
	// report was made.
	Check CheckOptions
}

// Repair applies the fixes of a report and checks its target again, with pauses,
// until all fixes that were applied are in effect. What a fix makes visible is fixed
// in turn: the account was missing, and then its grants. If opts is nil, the defaults
// of [RepairOptions] hold.
//
// It returns the last report and what was done, also with an error. If there is
// nothing to apply, the last report is the one that was given.
//
// Without an error, the report may still fail, so look at [Report.Err]: what fails has
// no fix, or one that was skipped. If c is nil or the report has no findings, that is
// an error.
//
// If the deployer isn't the caller, a check sees a grant in the policy at once and
// Cloud Run may take a minute longer: attach with [identity.AttachOptions.WaitForAccount].
func (f *Fixer) Repair(ctx context.Context, c *Checker, report Report, opts *RepairOptions) (Report, []Step, error) {
	var o RepairOptions
	if opts != nil {
		o = *opts
	}
	wrap := func(err error) error { return fmt.Errorf("repair %s: %w", report.Target.Workload.Name(), err) }
	var err error
	switch {
	case f == nil || f.policies == nil:
		err = errNoFixer
	case c == nil:
		err = errNoChecker
	case len(report.Findings) == 0:
		err = report.Err()
	}
	if err != nil {
		return report, nil, wrap(err)
	}
	last := time.Now().Add(o.Apply.wait())
	var steps []Step
	var pace retry.Backoff
	for {
		fresh, open := pending(report, steps)
		if len(fresh) == 0 && !open {
			return report, steps, nil
		}
		if len(fresh) > 0 {
			made, err := f.Apply(ctx, fresh, &o.Apply)
			steps = append(steps, made...)
			if err != nil {
				return report, steps, wrap(err)
			}
			if !open && !slices.ContainsFunc(made, func(s Step) bool { return s.Outcome != OutcomeSkipped }) {
				return report, steps, nil
			}
		} else if err := pace.PauseUntil(ctx, last, ErrNotEffective); err != nil {
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				return report, steps, wrap(err)
			}
			return report, steps, wrap(fmt.Errorf("%w after %s: %w", ErrNotEffective, o.Apply.wait(), report.Err()))
		}
		next, err := c.Check(ctx, report.Target, &o.Check)
		if err != nil {
			return report, steps, wrap(err)
		}
		report = next
	}
}

// pending returns the fixes of a report that no step is about yet, and reports
// whether one that was applied has no effect yet.
func pending(report Report, steps []Step) (fresh []Fix, open bool) {
	for _, fix := range Fixes(report) {
		i := slices.IndexFunc(steps, func(s Step) bool { return s.Fix == fix })
		if i < 0 {
			fresh = append(fresh, fix)
			continue
		}
		open = open || steps[i].Outcome != OutcomeSkipped
	}
	return fresh, open
}
