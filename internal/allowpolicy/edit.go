package allowpolicy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/runidentity/runidentity/internal/hold"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// ErrNoSuchMember is wrapped when the server says that the member of a change
// does not exist, which may also mean: not yet.
var ErrNoSuchMember = errors.New("the member doesn't exist, or isn't visible yet")

var (
	// ErrOpen is wrapped when it is not known whether the policy was written.
	ErrOpen = errors.New("the policy may have been written all the same")
	// ErrImpossible is wrapped when a change can't be made, whatever the server
	// says.
	ErrImpossible = errors.New("the policy can't be changed so")
)

// maxConflicts is how often a change is made again because someone else wrote
// in between.
const maxConflicts = 40

// A Result is what an edit came to.
type Result struct {
	// Made are the changes that made a difference.
	Made []Change
	// Sure reports whether the server's own answer confirmed them. Where an
	// answer got lost and the policy shows the changes afterwards, someone else
	// may have made the same ones.
	Sure bool
}

// Edit makes changes to the allow policy of a resource, named in full
// ("//iam.googleapis.com/projects/p/serviceAccounts/e"). If none makes a
// difference, nothing is written. An error leaves the policy as it was, unless
// it wraps [ErrOpen].
func (c *Client) Edit(ctx context.Context, resource string, changes ...Change) (Result, error) {
	return c.edit(ctx, resource, edit{changes: changes})
}

// Rewrite is [Client.Edit] but for writing the policy even if no change makes a
// difference: whoever read it before, and writes later, then meets another etag.
func (c *Client) Rewrite(ctx context.Context, resource string, changes ...Change) (Result, error) {
	return c.edit(ctx, resource, edit{changes: changes, always: true})
}

func (c *Client) edit(ctx context.Context, resource string, e edit) (Result, error) {
	a, name, err := c.find(resource)
	if err == nil {
		err = e.validate()
	}
	if err == nil {
		err = e.run(ctx, a, name)
	}
	if err != nil {
		return Result{}, fmt.Errorf("change the allow policy of %s: %w", resource, err)
	}
	return e.result, nil
}

// An edit is the read, the change and the write of one policy, repeated until it
// is answered.
type edit struct {
	changes []Change
	always  bool // writes even if nothing changes
	wrote   bool

	first  string   // the policy's etag before
	tried  []Change // what an attempt whose outcome is open would have changed
	open   bool     // there was such an attempt
	result Result

	failures, conflicts, outdated retry.Backoff
	overtaken                     int
}

func (e *edit) validate() error {
	for _, change := range e.changes {
		if change.Role == "" || !strings.Contains(change.Member, ":") && !strings.HasPrefix(change.Member, "all") {
			return fmt.Errorf(`role %q, member %q: a change needs both, such as "roles/run.invoker" and "user:dev@example.com"`, change.Role, change.Member)
		}
	}
	return nil
}

func (e *edit) run(ctx context.Context, a api, name string) error {
	for {
		done, err := e.attempt(ctx, a, name)
		switch {
		case err != nil && e.open:
			return fmt.Errorf("%w: %w", ErrOpen, err)
		case done || err != nil:
			return err
		}
	}
}

// attempt reads the policy and writes it once, if it has to be. It returns false
// after a pause if it is to be made again.
func (e *edit) attempt(ctx context.Context, a api, name string) (done bool, err error) {
	p, err := a.get(ctx, name)
	if err != nil {
		return false, err
	}
	if e.first == "" {
		e.first = p.etag
	}
	made, err := p.apply(e.changes)
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrImpossible, err)
	}
	if len(made) == 0 && (!e.always || p.etag != e.first) {
		e.result = Result{Made: e.tried}
		return true, nil
	}
	if e.wrote {
		if err := hold.Renew(ctx); err != nil {
			return false, err
		}
	}
	e.wrote = true
	err = a.set(ctx, name, p, e.changes)
	switch {
	case err == nil:
		e.result = Result{Made: made, Sure: true}
		return true, nil
	case rest.HasCode(err, http.StatusConflict):
		e.overtaken++
		if e.overtaken >= maxConflicts {
			return false, fmt.Errorf("others wrote it %d times in between: %w", e.overtaken, err)
		}
		return false, e.conflicts.Pause(ctx, err)
	case p.isOutdated(err, made):
		// IAM renames a member that is deleted. Until it has, it refuses every
		// write of the policy.
		if err := e.outdated.WaitFor(ctx, err); err != nil {
			return false, fmt.Errorf("it names a member that doesn't exist any more, and IAM takes no write of it so: remove that member first: %w", err)
		}
		return false, nil
	case rest.HasCode(err, http.StatusBadRequest) && namesMissing(err, made):
		return false, fmt.Errorf("%w: %w", ErrNoSuchMember, err)
	}
	if retry.Ambiguous(err) {
		e.open, e.tried = true, made
	}
	return false, e.failures.Wait(ctx, err)
}
