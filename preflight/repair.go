package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runidentity/runidentity/internal/retry"
)

// ErrNotEffective is wrapped by [Fixer.Repair] when fixes were applied and the
// check still fails, or can't tell, after [Fixer.Wait].
var ErrNotEffective = errors.New("applied, but not in effect yet")

// Repair applies the fixes of a report and checks its target again, with
// pauses, until no failure has a fix that takes time to work. What a fix makes
// visible is fixed in turn: the account was missing, and then its grants. It
// returns the last report and what was done, also with an error.
//
// What remains a failure in the report has no fix, or one that was left out.
// Where the deployer isn't the caller, a check sees a grant in the policy at once
// and Cloud Run may take a minute longer: attach with identity.AttachOptions.WaitForAccount.
func (f *Fixer) Repair(ctx context.Context, c *Checker, report Report, opts ...Option) (Report, []Step, error) {
	w := report.Target.Workload.Name()
	last := time.Now().Add(f.patience())
	var steps []Step
	var tried []Fix
	var pace retry.Backoff
	for {
		var fresh []Fix
		open := false // a fix that was applied has no effect yet
		for _, fix := range Fixes(report) {
			if !slices.Contains(tried, fix) {
				fresh = append(fresh, fix)
				continue
			}
			i := slices.IndexFunc(steps, func(s Step) bool { return s.Fix == fix })
			open = open || i >= 0 && steps[i].Outcome != Left
		}
		if len(fresh) == 0 && !open {
			return report, steps, nil
		}
		if len(fresh) > 0 {
			made, err := f.Apply(ctx, fresh...)
			steps, tried = append(steps, made...), append(tried, fresh...)
			if err != nil {
				return report, steps, fmt.Errorf("repair %s: %w", w, err)
			}
			if !slices.ContainsFunc(made, func(s Step) bool { return s.Outcome == Applied || s.Outcome == Unneeded }) && !open {
				return report, steps, nil // all were left out
			}
		} else if err := pace.PauseUntil(ctx, last, ErrNotEffective); err != nil {
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				return report, steps, fmt.Errorf("repair %s: %w", w, err)
			}
			return report, steps, fmt.Errorf("repair %s: %w after %s: %w", w, ErrNotEffective, f.patience(), report.Err())
		}
		next, err := c.Check(ctx, report.Target, opts...)
		if err != nil {
			return report, steps, fmt.Errorf("repair %s: %w", w, err)
		}
		report = next
	}
}
