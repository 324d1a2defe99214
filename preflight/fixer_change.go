package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// A change is what a fix brings about with one write, which may be made again.
type change struct {
	// look reports whether it is so. It is nil if no readable resource shows it.
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
	if c.blind && rest.HasCode(err, http.StatusForbidden) {
		return false, false, nil
	}
	return so, true, err
}

// settle makes a change, unless it is so already, and reports whether it did. What is
// so after a write of ours is taken for that write's, whatever its answer was. An
// error that is an [*identity.UnfinishedError] leaves open whether it is made.
func settle(ctx context.Context, c change) (changed bool, err error) {
	var failures, conflicts retry.Backoff
	sent := false // whether a write may have had its effect
	open := func(err error) error {
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
			return false, open(errors.Join(final, err))
		case so:
			return sent, nil
		case final != nil:
			return false, open(final)
		}
		accepted, err := c.write(ctx)
		sent = sent || accepted || retry.Ambiguous(err)
		switch {
		case err == nil:
			so, known, err := c.seen(ctx)
			switch {
			case err != nil:
				return false, open(err)
			case so || !known:
				return true, nil
			}
			final = failures.WaitFor(ctx, errUnseen)
		case !rest.HasCode(err, http.StatusConflict):
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

// differs returns what is wrong with the name that an answer is about, if it isn't
// the one that was asked for. A project may have its number in place of its id, or
// have been asked for as "-".
func differs(name, asked string) string {
	if names.Same(plain(name), plain(asked)) {
		return ""
	}
	return fmt.Sprintf("it is about %q, not %q", name, asked)
}

// plain returns a name without escapes: an attachment point within it has some.
func plain(name string) string {
	if text, err := url.PathUnescape(name); err == nil {
		return text
	}
	return name
}
