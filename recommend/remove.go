package recommend

import (
	"context"
	"fmt"

	"github.com/runidentity/runidentity/identity"
)

// remove takes roles away, once what replaces them was read back. There is no way
// back: whatever goes wrong, the plan stays claimed.
func (t *transaction) remove(ctx context.Context) error {
	removals := t.of(StepRemoveRole)
	if len(removals) == 0 {
		return nil
	}
	if err := t.verify(ctx, t.of(StepGrantRole, StepAttach)); err != nil {
		return err
	}
	if err := t.serving(ctx); err != nil {
		return err
	}
	for _, i := range removals {
		s := t.plan.Steps[i]
		so, err := t.c.isSo(ctx, s)
		was := t.entry.marks[i]
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", s, err)
		case so && was == markOpen:
			t.set(i, markLikely)
			continue
		case so && was == markNone:
			t.set(i, markFound)
			continue
		case so:
			continue
		}
		t.set(i, markOpen)
		if err := t.announce(ctx, i, was); err != nil {
			return err
		}
		made, sure, err := t.c.carryOut(ctx, s, false)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", s, err)
		case made && sure:
			t.set(i, markDone)
		case made:
			t.set(i, markLikely)
		default:
			t.set(i, markFound)
		}
	}
	return nil
}

// serving refuses to go on while any share of a workload's traffic goes to a
// revision that runs as another account, which may need what is to be removed.
func (t *transaction) serving(ctx context.Context) error {
	for _, i := range t.of(StepAttach) {
		s := t.plan.Steps[i]
		a, err := t.c.identity.Get(ctx, s.Workload, &identity.GetOptions{ReadRevisions: true})
		switch {
		case err != nil:
			return &lookError{fmt.Errorf("%s: read which revisions serve: %w", s, err)}
		case a.ServingOther == identity.Yes:
			return &lookError{fmt.Errorf("a revision that receives traffic runs as another account than %s: send all the traffic of %s to the latest one", s.Account, s.Workload)}
		case a.ServingOther == identity.Unknown:
			return &lookError{fmt.Errorf("%s: Cloud Run doesn't tell which revisions serve, and as which account", s)}
		}
	}
	return nil
}
