package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/hold"
	"github.com/runidentity/runidentity/internal/refusal"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// An Account is a service account as IAM knows it.
type Account struct {
	ServiceAccount ServiceAccount `json:"serviceAccount"`
	// Created reports whether [Client.EnsureServiceAccount] created the account.
	// If the answer to the creation got lost, it is true if the account was
	// missing before and has the display name and description that were asked
	// for.
	Created bool `json:"created"`
	// Project is the id of the project that the account is in.
	Project string `json:"project"`
	// UniqueID is the account's number. An account that is created anew under the
	// same address gets another one.
	UniqueID string `json:"uniqueId"`
}

// goodReads is how many reads in a row have to find a new account: reads right
// after a creation have been recorded to alternate between 200 and 404.
const goodReads = 3

// EnsureServiceAccount returns a user-managed service account, and creates it if
// it is missing. It returns once the account is reliably visible: several reads in
// a row find it. A grant that names a new account may still take a minute or more
// to be effective.
//
// EnsureServiceAccount takes only an account that can be created, even if it
// exists: of kind [AccountUserManaged], with 6 to 30 characters before the @. For
// any other it returns an error and calls nothing.
//
// If the account was created and then not seen in time, EnsureServiceAccount
// returns the Account beside an [*UnfinishedError]. It also returns an
// [*UnfinishedError] if the outcome of the creation is not known.
//
// An account that exists and is disabled stays so: the error, beside the Account,
// wraps [ErrAccountDisabled]. Creating an account under the address of a deleted one
// makes a new account, to which the grants to the old one do not apply.
//
// https://cloud.google.com/iam/docs/service-accounts-delete-undelete
func (c *Client) EnsureServiceAccount(ctx context.Context, sa ServiceAccount, opts *EnsureServiceAccountOptions) (Account, error) {
	if opts == nil {
		opts = new(EnsureServiceAccountOptions)
	}
	a, err := c.ensure(ctx, sa, opts)
	if err != nil {
		return a, fmt.Errorf("ensure service account %q: %w", sa, err)
	}
	return a, nil
}

func (c *Client) ensure(ctx context.Context, sa ServiceAccount, opts *EnsureServiceAccountOptions) (Account, error) {
	if err := sa.validate(); err != nil {
		return Account{}, err
	}
	project, ok := sa.Project()
	if sa.Kind() != AccountUserManaged || !ok {
		return Account{}, fmt.Errorf("%q is a %s account: only a user-managed one can be created, such as %q",
			sa, sa.Kind(), "runner@my-project.iam.gserviceaccount.com")
	}
	id, _, _ := strings.Cut(sa.Email(), "@")
	if len(id) < 6 || len(id) > 30 || id[0] < 'a' || id[0] > 'z' {
		return Account{}, fmt.Errorf("account id %q: it must begin with a letter and have 6 to 30 characters, such as %q", id, "nightly-runner")
	}
	found, err := c.account(ctx, sa, project)
	if err == nil {
		// It may have been made a moment ago, by someone else or by a run of
		// this program that was cut short.
		if err := c.awaitAccount(ctx, sa, project, opts.Wait, goodReads-1); err != nil {
			return Account{}, err
		}
		return describe(sa, found, false)
	}
	if !rest.HasCode(err, http.StatusNotFound) {
		return Account{}, err
	}
	created, lost, err := c.createAccount(ctx, project, id, sa, opts)
	if err == nil {
		a, flaw := describe(sa, created, true)
		return a, errors.Join(flaw, unfinished("", c.awaitAccount(ctx, sa, project, opts.Wait, goodReads)))
	}
	exists := errors.Is(refusal.Wrap(err), refusal.ErrAlreadyExists)
	if !lost && !exists {
		return Account{}, err
	}
	found, readErr := c.taken(ctx, sa, project, opts.Wait, exists)
	switch {
	case readErr != nil && lost:
		return Account{}, &UnfinishedError{Err: errors.Join(err, readErr)}
	case readErr != nil:
		return Account{}, readErr
	}
	return describe(sa, found, lost && found.DisplayName == opts.DisplayName && found.Description == opts.Description)
}

// taken reads the account that a creation found there, or left there if its answer
// got lost. Unless it is known to exist it is not waited for.
func (c *Client) taken(ctx context.Context, sa ServiceAccount, project string, wait time.Duration, exists bool) (*iam.ServiceAccount, error) {
	if !exists {
		if _, err := c.account(ctx, sa, project); err != nil {
			return nil, err
		}
	}
	if err := c.awaitAccount(ctx, sa, project, wait, goodReads); err != nil {
		return nil, err
	}
	return c.account(ctx, sa, project)
}

// describe returns what is known of an account, also beside the error that it is
// disabled.
func describe(sa ServiceAccount, a *iam.ServiceAccount, created bool) (Account, error) {
	found := Account{ServiceAccount: sa, Created: created, Project: a.ProjectId, UniqueID: a.UniqueId}
	if a.Disabled {
		return found, fmt.Errorf("%w: it is not enabled here, since someone disabled it"+
			" (gcloud iam service-accounts enable %s does)", ErrAccountDisabled, sa)
	}
	return found, nil
}

func (c *Client) account(ctx context.Context, sa ServiceAccount, project string) (*iam.ServiceAccount, error) {
	return retry.Do(ctx, func() (*iam.ServiceAccount, error) {
		a, err := c.iam.Projects.ServiceAccounts.Get("projects/" + project + "/serviceAccounts/" + sa.Email()).Context(ctx).Do()
		if err == nil {
			err = checkAccount(a, sa)
		}
		return a, err
	})
}

// createAccount creates the account. A creation whose answer got lost is made
// again: if it had succeeded, the second one conflicts. lost says that one that
// is told to have failed may have succeeded.
func (c *Client) createAccount(ctx context.Context, project, id string, sa ServiceAccount, opts *EnsureServiceAccountOptions) (created *iam.ServiceAccount, lost bool, err error) {
	var backoff retry.Backoff
	for {
		a, err := c.iam.Projects.ServiceAccounts.Create("projects/"+project, &iam.CreateServiceAccountRequest{
			AccountId:      id,
			ServiceAccount: &iam.ServiceAccount{DisplayName: opts.DisplayName, Description: opts.Description},
		}).Context(ctx).Do()
		if err == nil {
			err = checkAccount(a, sa)
		}
		if err == nil {
			return a, false, nil
		}
		lost = lost || retry.Ambiguous(err)
		if final := backoff.Wait(ctx, err); final != nil {
			return nil, lost, final
		}
		if err := hold.Renew(ctx); err != nil {
			return nil, lost, err
		}
	}
}

// awaitAccount waits until that many reads in a row find the account. The
// first of them follow at once; after one that does not, they are spread out.
func (c *Client) awaitAccount(ctx context.Context, sa ServiceAccount, project string, wait time.Duration, reads int) error {
	if wait <= 0 {
		wait = 2 * time.Minute
	}
	began := time.Now()
	last := began.Add(wait)
	var backoff retry.Backoff
	missed := false
	for good := 0; good < reads; {
		_, err := c.account(ctx, sa, project)
		switch {
		case err == nil:
			good++
			if !missed || good >= reads {
				continue
			}
			err = errors.New("seen, but not often enough in a row")
		case rest.HasCode(err, http.StatusNotFound), rest.HasCode(err, http.StatusForbidden):
			// A new account that is not visible yet has been reported to
			// answer 403 as well.
			good, missed, reads = 0, true, goodReads
		default:
			return err
		}
		if err := backoff.PauseUntil(ctx, last, err); err != nil {
			return fmt.Errorf("not reliably visible after %s: %w", time.Since(began).Round(time.Second), err)
		}
	}
	return nil
}
