package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/retry"
)

// A change is what a fix brings about with one write, which may be made again.
type change struct {
	// look reports whether it is so. It is nil where nothing that may be read tells.
	look func(context.Context) (bool, error)
	// write makes it so, from what look read last. It reports whether the server
	// accepted it, which it may have done also where err isn't nil.
	write func(context.Context) (accepted bool, err error)
	// blind says that write needs nothing that look reads: who may do the one and
	// not the other can make the change.
	blind bool
}

// errUnseen is why a write that the server accepted is made again.
var errUnseen = errors.New("the server says that it is done, and a read says that it is not")

// maxConflicts is how often something is read and changed again because someone
// else wrote it in between.
const maxConflicts = 20

// seen reports whether a change is so, and whether that can be known.
func (c change) seen(ctx context.Context) (so, known bool, err error) {
	if c.look == nil {
		return false, false, nil
	}
	so, err = c.look(ctx)
	if c.blind && hasCode(err, http.StatusForbidden) {
		return false, false, nil
	}
	return so, true, err
}

// settle makes a change, unless it is so already, and says whether it did. What is
// so after a write of ours is taken for that write's, whatever its answer was. An
// error that is an [*identity.UnfinishedError] leaves open whether it is made.
func (f *Fixer) settle(ctx context.Context, c change) (changed bool, err error) {
	var failures, conflicts retry.Backoff
	sent := false // whether a write may have had its effect
	told := func(err error) error {
		if sent {
			return mayBe(err)
		}
		return err
	}
	var final error
	for attempt := 1; ; attempt++ {
		so, _, err := c.seen(ctx)
		switch {
		case err != nil:
			return false, told(errors.Join(final, err))
		case so:
			return sent, nil
		case final != nil:
			return false, told(final)
		}
		accepted, err := c.write(ctx)
		sent = sent || accepted || retry.Ambiguous(err)
		switch {
		case err == nil:
			so, known, err := c.seen(ctx)
			switch {
			case err != nil:
				return false, told(err)
			case so || !known:
				return true, nil
			}
			final = failures.WaitFor(ctx, errUnseen)
		case !hasCode(err, http.StatusConflict):
			final = failures.Wait(ctx, err)
		case attempt >= maxConflicts:
			final = fmt.Errorf("others wrote it %d times in between: %w", attempt, err)
		default:
			final = conflicts.Pause(ctx, err)
		}
		if final != nil && !sent {
			return false, final
		}
	}
}

// read makes a call that only reads, again as long as that may help, and as long
// as the answer has a flaw: it isn't what was asked for.
func read[T any](ctx context.Context, call func() (*T, error), flaw func(*T) string) (*T, error) {
	return retry.Do(ctx, func() (*T, error) {
		v, err := call()
		if err != nil {
			return nil, err
		}
		if v == nil {
			return nil, fmt.Errorf("%w: it is null", retry.ErrGarbled)
		}
		if found := flaw(v); found != "" {
			return nil, fmt.Errorf("%w: %s", retry.ErrGarbled, found)
		}
		return v, nil
	})
}

// differs says what is wrong with the name that an answer is about, if it isn't
// the one that was asked for. A project may have its number in place of its id, or
// have been asked for as "-".
func differs(name, asked string) string {
	if names.Same(plain(name), plain(asked)) {
		return ""
	}
	return fmt.Sprintf("it is about %q, not %q", name, asked)
}

// plain is a name without escapes: an attachment point within it has some.
func plain(name string) string {
	if text, err := url.PathUnescape(name); err == nil {
		return text
	}
	return name
}

// operation is a long-running operation of any API.
type operation struct {
	name    string
	done    bool
	failure error // with which it ended
	// ours says that the answer shows that it is the operation that was started.
	ours bool
}

// ended is the failure with which an operation ended.
func ended(name string, code int64, message string) error {
	return fmt.Errorf("the server ended %s with code %d: %s", name, code, message)
}

// errUnderWay is why an operation is looked at again.
var errUnderWay = errors.New("the operation is still under way")

// await starts an operation, with a call for no name, and waits until it has
// ended, reading it by its name; for [Fixer.Wait] at most. It reports whether the
// operation was started, unless it is known to have failed.
func (f *Fixer) await(ctx context.Context, call func(name string) (operation, error)) (started bool, err error) {
	op, err := call("")
	if err != nil {
		return false, err
	}
	last := time.Now().Add(f.patience())
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
