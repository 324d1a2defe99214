package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/runidentity/runidentity/internal/retry"
)

// A Change is what [Client.Attach], [Client.Detach] or [Client.CreateJob] did.
type Change struct {
	Workload Workload `json:"workload"`
	// Old and New are the identities before and after. Old is zero for a job
	// that was created, or if the workload named none, which means the
	// project's default.
	Old ServiceAccount `json:"old"`
	New ServiceAccount `json:"new"`
	// Written says whether Cloud Run accepted a write. It is false if the
	// identity was the wanted one already, and with [ValidateOnly].
	Written bool `json:"written"`
	// Done says whether the change is in effect: it is false with
	// [ValidateOnly], and with [NoWait] if something was written.
	Done bool `json:"done"`
	// OldGeneration and NewGeneration are the workload's generations as read
	// and as answered.
	OldGeneration int64 `json:"oldGeneration"`
	NewGeneration int64 `json:"newGeneration"`
	// Operation is the full name of the operation that made the change, empty
	// if nothing was written, or if the answer to the write got lost.
	Operation string `json:"operation,omitempty"`
	// ClearedRevision is the explicit revision name that the template had: a
	// name can't be used again, so it was cleared and Cloud Run chooses the
	// new revision's.
	ClearedRevision string `json:"clearedRevision,omitempty"`
	// ReceivesTraffic says whether the new revision of a service or worker
	// pool receives traffic; if all of it is pinned to older ones, they go on
	// running as the old identity. It is Unknown with [NoWait] unless the
	// traffic is pinned. Of a job, each later execution runs as New: Yes.
	ReceivesTraffic Tristate `json:"receivesTraffic"`
	// Interleaved, where not nil, tells that someone else wrote in between. Of
	// a job that lost what they wrote, it is also returned as an error.
	Interleaved *InterleavedError `json:"interleaved,omitempty"`
	// Before and After are the workload's JSON as the API answered it: as read,
	// and as last seen. They may hold secrets, in environment variables, and are
	// left out of JSON.
	Before json.RawMessage `json:"-"`
	After  json.RawMessage `json:"-"`
}

// Attach makes a workload run as a service account and changes nothing else.
// It reads the workload and, if its identity is another one, writes it back
// with that one field changed, then waits until the change is in effect. It
// applies [ValidateOnly], [NoWait] and [WaitForAccount].
//
// Of a service or worker pool only the identity is sent, under an update mask.
// The API has no mask for jobs: the whole job is sent back as the JSON in
// which it came, but for what only the server sets and for tokens that would
// start an execution. If someone else wrote the job in between, their change
// is lost: Attach then returns an [*InterleavedError] beside the Change, which
// is in effect. Of a service or worker pool nothing is lost, and only
// [Change.Interleaved] tells. With any other error, [Change.Written] says
// whether something was written.
//
// The error wraps [ErrNotFound], [ErrActAsDenied], [ErrAgentTokenDenied],
// [ErrConflict] or [ErrAgentIdentity], or is an [*OperationError] or
// [*UnfinishedError], where it is one of these. An Attach that failed may be
// repeated: what is in effect already is not written again.
func (c *Client) Attach(ctx context.Context, w Workload, sa ServiceAccount, opts ...Option) (Change, error) {
	change, err := c.attach(ctx, w, sa, opts)
	if err != nil {
		return change, fmt.Errorf("attach %s%s: %w", w, as(sa), err)
	}
	return change, nil
}

// as says in an error which account was wanted, where there is one.
func as(sa ServiceAccount) string {
	if sa.IsZero() {
		return ""
	}
	return " as " + sa.Email()
}

func (c *Client) attach(ctx context.Context, w Workload, sa ServiceAccount, opts []Option) (Change, error) {
	if err := w.Validate(); err != nil {
		return Change{}, err
	}
	if err := sa.validate(); err != nil {
		return Change{}, err
	}
	o, err := collect("Attach", opts)
	if err != nil {
		return Change{}, err
	}
	return c.change(ctx, w, o, &target{account: sa})
}

// Detach gives a workload back its project's default identity, the Compute
// Engine default service account, by clearing the field. It applies
// [ValidateOnly], [NoWait] and [ProjectNumber], without which a workload that
// runs as the default account of an unknown project number is written for
// certainty. Everything else is as with [Client.Attach].
func (c *Client) Detach(ctx context.Context, w Workload, opts ...Option) (Change, error) {
	change, err := c.detach(ctx, w, opts)
	if err != nil {
		return change, fmt.Errorf("detach the identity of %s: %w", w, err)
	}
	return change, nil
}

func (c *Client) detach(ctx context.Context, w Workload, opts []Option) (Change, error) {
	if err := w.Validate(); err != nil {
		return Change{}, err
	}
	o, err := collect("Detach", opts)
	if err != nil {
		return Change{}, err
	}
	return c.change(ctx, w, o, &target{number: o.projectNumber})
}

// target is the wanted identity: an account, or, if that is zero, the
// project's default.
type target struct {
	account ServiceAccount
	number  int64
}

// reached says whether a workload has the wanted identity.
func (t *target) reached(w Workload, sa ServiceAccount) Tristate {
	if t.account.IsZero() {
		return isDefault(w, sa, t.number)
	}
	return tristate(sa == t.account)
}

// change makes the read, the write and the wait.
func (c *Client) change(ctx context.Context, w Workload, o options, to *target) (Change, error) {
	d, err := c.read(ctx, w)
	if err != nil {
		return Change{}, err
	}
	change := Change{
		Workload: w, OldGeneration: int64(d.Generation), NewGeneration: int64(d.Generation), Before: d.raw, After: d.raw,
	}
	if change.Old, err = d.account(w.Kind); err != nil {
		return Change{}, err
	}
	change.New = change.Old
	if to.reached(w, change.Old) == Yes && !d.agentIdentity(w.Kind) {
		change.Done = true
		change.ReceivesTraffic = receivesTraffic(w, d, true)
		return change, nil
	}
	wr := &write{client: c, workload: w, options: o, target: to, original: change.Old, read: d}
	answer, err := wr.run(ctx)
	if err != nil {
		return change, err
	}
	if err := change.record(wr.read, answer, o); err != nil {
		return change, err
	}
	if o.validateOnly {
		return change, nil
	}
	err = c.conclude(ctx, &change, answer, o, to)
	if change.Interleaved != nil && w.Kind == KindJob {
		err = errors.Join(change.Interleaved, err)
	}
	return change, err
}

// record notes what was written. read is what the write was made from.
func (ch *Change) record(read *document, answer *operation, o options) error {
	ch.Written = !o.validateOnly
	ch.Operation = answer.Name
	ch.Before, ch.OldGeneration = read.raw, int64(read.Generation)
	if ch.Workload.Kind != KindJob {
		ch.ClearedRevision = read.Template.Revision
	}
	d := answer.resource
	var err error
	if ch.New, err = d.account(ch.Workload.Kind); err != nil {
		return err
	}
	ch.After, ch.NewGeneration = d.raw, int64(d.Generation)
	ch.ReceivesTraffic = receivesTraffic(ch.Workload, d, false)
	if ch.Written && d.Generation > read.Generation+1 {
		ch.Interleaved = &InterleavedError{
			Workload: ch.Workload, Read: ch.OldGeneration, Answered: ch.NewGeneration,
		}
	}
	return nil
}

// conclude waits until the change is in effect.
func (c *Client) conclude(ctx context.Context, change *Change, answer *operation, o options, to *target) error {
	if o.noWait {
		return nil
	}
	d, err := c.await(ctx, change.Workload, answer)
	if err != nil {
		return err
	}
	change.Done, change.After = true, d.raw
	change.ReceivesTraffic = receivesTraffic(change.Workload, d, true)
	now, err := d.account(change.Workload.Kind)
	if err != nil {
		return err
	}
	change.New = now
	if to != nil && to.reached(change.Workload, now) == No {
		return fmt.Errorf("%w: it runs as %s now", ErrConflict, now)
	}
	return nil
}

// receivesTraffic says whether the latest revision receives traffic. Before
// the change is settled, only traffic that is all pinned tells.
func receivesTraffic(w Workload, d *document, settled bool) Tristate {
	if w.Kind == KindJob {
		return Yes
	}
	targets := d.Traffic
	if w.Kind == KindWorkerPool {
		targets = d.InstanceSplits
	}
	if settled {
		targets = d.shares()
	}
	latest := d.LatestCreatedRevision
	pinned := len(targets) > 0
	for _, t := range targets {
		if t.Percent == 0 {
			continue
		}
		pinned = pinned && !t.toLatest()
		if settled && (t.toLatest() && d.LatestReadyRevision == latest || t.Revision != "" && latest == w.Name()+"/revisions/"+t.Revision) {
			return Yes
		}
	}
	if settled || pinned {
		return No
	}
	return Unknown
}

// write is the PATCH of one change, with what has to be known to repeat it.
type write struct {
	client   *Client
	workload Workload
	options  options
	target   *target
	original ServiceAccount // what the change replaces
	read     *document      // what the next PATCH is made from
}

// run sends the PATCH until it is answered, or known to have been applied.
func (wr *write) run(ctx context.Context) (*operation, error) {
	var backoff, visible retry.Backoff
	started := time.Now()
	for {
		if wr.read.agentIdentity(wr.workload.Kind) {
			return nil, ErrAgentIdentity
		}
		answer, err := wr.send(ctx)
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil && retry.Ambiguous(err) {
			return nil, &UnfinishedError{Err: err}
		}
		err = wrap(err)
		switch {
		case errors.Is(err, ErrActAsDenied) && wr.options.accountWait > 0:
			if err := visible.PauseUntil(ctx, started.Add(wr.options.accountWait), err); err != nil {
				return nil, err
			}
		case errors.Is(err, ErrConflict):
			if err := backoff.WaitFor(ctx, err); err != nil {
				return nil, err
			}
		default:
			ambiguous := retry.Ambiguous(err)
			if err := backoff.Wait(ctx, err); err != nil {
				if ambiguous {
					return nil, unfinished(ctx, "", err)
				}
				return nil, err
			}
		}
		applied, err := wr.readAgain(ctx)
		if err != nil {
			return nil, err
		}
		if applied != nil {
			return applied, nil
		}
	}
}

// readAgain reads the workload after a PATCH that failed: it may have been
// applied all the same, or someone else may have written. It returns an
// operation without a name if the identity is the wanted one by now.
func (wr *write) readAgain(ctx context.Context) (*operation, error) {
	d, err := wr.client.read(ctx, wr.workload)
	if err != nil {
		return nil, err
	}
	now, err := d.account(wr.workload.Kind)
	if err != nil {
		return nil, err
	}
	switch {
	case now == wr.original:
		wr.read = d
		return nil, nil
	case wr.target.reached(wr.workload, now) != No:
		return &operation{resource: d}, nil
	default:
		return nil, fmt.Errorf("%w: it ran as %s, and runs as %s now", ErrConflict, wr.original, now)
	}
}

// send makes one PATCH.
func (wr *write) send(ctx context.Context) (*operation, error) {
	query := url.Values{}
	if wr.options.validateOnly {
		query.Set("validateOnly", "true")
	}
	var body []byte
	var err error
	if wr.workload.Kind == KindJob {
		body, err = jobBody(wr.read.raw, wr.target.account)
	} else {
		mask := "template.serviceAccount"
		if wr.read.Template.Revision != "" {
			mask += ",template.revision"
		}
		query.Set("updateMask", mask)
		body, err = maskedBody(wr.read, wr.target.account)
	}
	if err != nil {
		return nil, err
	}
	raw, err := wr.client.do(ctx, http.MethodPatch, wr.workload.Name(), query, body)
	if err != nil {
		return nil, err
	}
	return parseOperation(raw)
}
