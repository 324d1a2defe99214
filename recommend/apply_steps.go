package recommend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/allowpolicy"
	"github.com/runidentity/runidentity/internal/hold"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// change is the change of a policy that a step makes.
func (s Step) change() allowpolicy.Change {
	return allowpolicy.Change{
		Remove: s.Kind == StepRemoveRole, Role: s.Role, Member: s.Member,
		Condition: allowpolicy.Condition{Title: s.ConditionTitle, Expression: s.Condition},
	}
}

// isSo reports whether things are as a step would make them.
func (c *Client) isSo(ctx context.Context, s Step) (bool, error) {
	switch s.Kind {
	case StepCreateAccount:
		project, _ := s.Account.Project()
		a, err := retry.Do(ctx, func() (*iam.ServiceAccount, error) {
			a, err := c.iam.Projects.ServiceAccounts.Get("projects/" + project + "/serviceAccounts/" + s.Account.Email()).Context(ctx).Do()
			if err == nil && !strings.EqualFold(a.Email, s.Account.Email()) {
				err = fmt.Errorf("%w: it isn't the account %s", retry.ErrGarbled, s.Account)
			}
			return a, err
		})
		if rest.HasCode(err, http.StatusNotFound) {
			return false, nil
		}
		if err == nil && a.Disabled {
			err = fmt.Errorf("%w: %s", identity.ErrAccountDisabled, s.Account)
		}
		return err == nil, err
	case StepGrantRole, StepRemoveRole:
		pending, err := c.policies.Pending(ctx, s.Resource, s.change())
		return err == nil && len(pending) == 0, err
	case StepAttach:
		a, err := c.identity.Get(ctx, s.Workload, nil)
		if err == nil && a.ServiceAccount != s.Account && a.ServiceAccount != s.Before { // to which an undo would go back
			err = fmt.Errorf("%w: it was made for %s running as %s, which runs as %s", ErrBlocked, s.Workload, s.Before, a.ServiceAccount)
		}
		return err == nil && a.ServiceAccount == s.Account, err
	}
	return false, fmt.Errorf("a step of kind %q isn't known", s.Kind)
}

// newAccountTakes is how long an account that was just made may take to be seen.
const newAccountTakes = 3 * time.Minute

// carryOut makes things as a step says, unless it is one that attaches. It
// reports whether that made a difference, and whether the server's own answer
// said so. With again, a policy is written even if that makes none.
func (c *Client) carryOut(ctx context.Context, s Step, again bool) (made, sure bool, err error) {
	if s.Kind == StepCreateAccount {
		a, err := c.identity.EnsureServiceAccount(ctx, s.Account, &identity.EnsureServiceAccountOptions{Wait: newAccountTakes, Description: "Identity of a Cloud Run workload"})
		return a.Created, a.Created, err
	}
	edit := c.policies.Edit
	if again {
		edit = c.policies.Rewrite
	}
	last := time.Now().Add(newAccountTakes)
	var backoff retry.Backoff
	for {
		result, err := edit(ctx, s.Resource, s.change())
		if errors.Is(err, allowpolicy.ErrNoSuchMember) { // an account that was just made
			err = backoff.PauseUntil(ctx, last, err)
			if err == nil {
				err = hold.Renew(ctx)
			}
			if err == nil {
				continue
			}
		}
		return len(result.Made) > 0, result.Sure, err
	}
}

// takeBack removes a role that was granted.
func (c *Client) takeBack(ctx context.Context, s Step) error {
	change := s.change()
	change.Remove = true
	_, err := c.policies.Edit(ctx, s.Resource, change)
	return err
}

// test makes the recommendation's own tests: that things are as it was computed
// for.
func (c *Client) test(ctx context.Context, p Plan, r Recommendation) error {
	if r.Action == ActionReplaceRole {
		has, err := c.policies.Pending(ctx, r.Resource, allowpolicy.Change{
			Remove: true, Role: r.Role, Member: r.Member, Condition: allowpolicy.Condition{Expression: r.Condition},
		})
		if err != nil {
			return err
		}
		if len(has) == 0 { // other roles instead of nothing would be more access
			return fmt.Errorf("%w: %s doesn't have %s on %s any more", ErrBlocked, r.Member, r.Role, r.Resource)
		}
	}
	for _, op := range r.tests {
		if op.hasMatcher || op.value.text() == "" {
			return fmt.Errorf("the recommendation has a test of %q that this package can't make: apply it by hand", op.path)
		}
		switch op.path {
		case pathIdentity:
			w := r.Service
			attached, err := c.identity.Get(ctx, w, nil)
			if err != nil {
				return fmt.Errorf("the recommendation's test of the identity of %s: %w", w, err)
			}
			if got := attached.ServiceAccount.Email(); got != op.value.text() {
				return fmt.Errorf("%w: it was computed for the identity %s, and %s has %s", ErrBlocked, op.value.text(), w.ID, got)
			}
		case pathEtag:
			etag, err := c.policies.Etag(ctx, op.resource)
			if err != nil {
				return fmt.Errorf("the recommendation's test of a policy's etag: %w", err)
			}
			if etag != op.value.text() {
				return fmt.Errorf("%w: the allow policy of %s changed since it was computed", ErrBlocked, op.resource)
			}
		default:
			return fmt.Errorf("the recommendation has a test of %q that this package can't make: apply it by hand", op.path)
		}
	}
	for _, s := range p.Steps {
		if s.Kind != StepAttach {
			continue
		}
		if _, err := c.isSo(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
