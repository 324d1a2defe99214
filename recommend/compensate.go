package recommend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/allowpolicy"
)

// undo takes back the roles that this transaction granted, the last first, and
// ends it. What someone else may have granted stays.
func (t *transaction) undo(ctx context.Context) error {
	var errs []error
	for _, i := range slices.Backward(t.of(StepGrantRole)) {
		if t.entry.marks[i] != markDone {
			continue
		}
		if err := t.hold(ctx); err != nil {
			return err
		}
		err := t.c.takeBack(ctx, t.plan.Steps[i], t.hold)
		switch {
		case err == nil:
			t.set(i, markUndone)
		case refused(err):
			t.set(i, markLeft)
			errs = append(errs, fmt.Errorf("undo: %s: %w", t.plan.Steps[i], err))
		default:
			if isOpen(err) { // the role may be gone
				t.tell(i, OutcomeOpen)
			}
			return fmt.Errorf("undo: %s: %w", t.plan.Steps[i], err)
		}
	}
	return t.endFailed(ctx, errs)
}

// goBack attaches the old accounts to the workloads that were moved, the last
// first, and ends the transaction. The roles stay: a workload that can't be moved
// back needs them, and so does one that a late write moves.
func (t *transaction) goBack(ctx context.Context) error {
	var errs []error
	for _, i := range slices.Backward(t.of(StepAttach)) {
		if m := t.entry.marks[i]; m != markOpen && !m.ours() {
			continue
		}
		s := t.plan.Steps[i]
		if err := t.hold(ctx); err != nil {
			return err
		}
		now, err := t.c.identity.Get(ctx, s.Workload, nil)
		if err != nil {
			return fmt.Errorf("look whether %s was moved: %w", s.Workload, err)
		}
		if now.ServiceAccount != s.Account { // not moved, or not by this plan
			t.set(i, markRefused)
			continue
		}
		change, err := t.attachTo(ctx, s.Workload, s.Before)
		if err == nil {
			t.set(i, markUndone)
			continue
		}
		err = fmt.Errorf("make %s run as %s again: %w", s.Workload, s.Before, err)
		switch {
		case !refused(err):
			if isOpen(err) {
				t.tell(i, OutcomeOpen)
			}
			return err
		case change.Written: // the template names it, and its revision doesn't become ready
			t.set(i, markUndone)
		default:
			t.set(i, markLeft)
		}
		errs = append(errs, err)
	}
	return t.endFailed(ctx, errs)
}

// endFailed marks what stays, and the recommendation as failed.
func (t *transaction) endFailed(ctx context.Context, errs []error) error {
	for i, m := range t.entry.marks {
		if m.ours() {
			t.set(i, markLeft)
		}
	}
	return errors.Join(append(errs, t.journal.end(ctx, t.entry, StateFailed))...)
}

// A lookError is about reading or about the claim, not about what a step does:
// whatever the server said, the step was not refused.
type lookError struct{ err error }

func (e *lookError) Error() string { return e.err.Error() }
func (e *lookError) Unwrap() error { return e.err }

// refused reports whether the error is a no to what a step was to do, which then
// was not done and would not be if it was tried again. Everything else leaves
// the outcome open, or can be tried again: an error of a request that may have
// been carried out, one that a new token or more time mends, and one that doesn't
// come from the API.
func refused(err error) bool {
	if err == nil || isOpen(err) || isLost(err) {
		return false
	}
	if _, ok := errors.AsType[*lookError](err); ok {
		return false
	}
	if _, ok := errors.AsType[*identity.OperationError](err); ok {
		return true
	}
	// First of all the server's answer: 409 and 412 come as identity.ErrConflict
	// too, without the workload running as anything else.
	g, answered := errors.AsType[*googleapi.Error](err)
	if answered && passes(g.Code) {
		return false
	}
	for _, no := range []error{
		allowpolicy.ErrImpossible, ErrBlocked, identity.ErrConflict, identity.ErrAccountDisabled, identity.ErrAgentIdentity,
	} {
		if errors.Is(err, no) {
			return true
		}
	}
	return answered && g.Message != "" && g.Code >= 400 && g.Code < 500 // the API says why
}

// passes reports whether a new token or more time mends what an answer says.
func passes(code int) bool {
	switch code {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusConflict, http.StatusPreconditionFailed,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return false
}

// isOpen reports whether it is not known what became of a request.
func isOpen(err error) bool {
	_, unfinished := errors.AsType[*identity.UnfinishedError](err)
	return unfinished || errors.Is(err, allowpolicy.ErrOpen) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
