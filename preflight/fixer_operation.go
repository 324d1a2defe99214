package preflight

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runidentity/runidentity/internal/retry"
)

// An operation is a long-running operation of any API.
type operation struct {
	name    string
	done    bool
	failure error // with which it ended
	// ours says that the answer shows that it is the operation that was started.
	ours bool
}

// ended returns the failure with which an operation ended.
func ended(name string, code int64, message string) error {
	return fmt.Errorf("the server ended %s with code %d: %s", name, code, message)
}

// errUnderWay is why an operation is looked at again.
var errUnderWay = errors.New("the operation is still under way")

// await starts an operation, with a call for no name, and waits until it has
// ended, reading it by its name; for [ApplyOptions.Wait] at most. It reports whether the
// operation was started, unless it is known to have failed.
func (a *applier) await(ctx context.Context, call func(name string) (operation, error)) (started bool, err error) {
	op, err := call("")
	if err != nil {
		return false, err
	}
	last := time.Now().Add(a.wait)
	var backoff retry.Backoff
	for !op.done {
		name := op.name
		if name == "" {
			return true, fmt.Errorf("%w: it names no operation", retry.ErrGarbled)
		}
		if err := backoff.PauseUntil(ctx, last, errUnderWay); err != nil {
			return true, err
		}
		op, err = retry.Do(ctx, func() (operation, error) {
			op, err := call(name)
			if err == nil && op.name != name {
				err = fmt.Errorf("%w: it is about the operation %q, not %q", retry.ErrGarbled, op.name, name)
			}
			return op, err
		})
		if err != nil {
			return true, err
		}
	}
	switch {
	case op.failure != nil:
		return !op.ours, op.failure
	case !op.ours:
		return true, fmt.Errorf("%w: the operation %s doesn't say what it did", retry.ErrGarbled, op.name)
	}
	return true, nil
}
