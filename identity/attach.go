package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/runidentity/runidentity/internal/names"
)

// A Change is what [Client.Attach], [Client.Detach], [Client.CreateJob] and the like did.
type Change struct { //nolint:recvcheck // record fills it in; LogValue is for values, as they are returned
	Workload Workload `json:"workload"`
	// Old is the identity before. It is zero if the workload was created, if its
	// template named no identity, which means the project's default one, and if
	// the template named what isn't the address of a service account.
	Old ServiceAccount `json:"old"`
	// New is the identity after, as Cloud Run answered: after [Client.Detach] it
	// may be the default's address. With ValidateOnly it is the one that the
	// workload would get. Beside an error it is the last one that is known, or
	// zero if none is.
	New ServiceAccount `json:"new"`
	// Written reports whether Cloud Run is known to have accepted a write. It is
	// false if the workload had the wanted identity already, and with
	// ValidateOnly. Beside an [*UnfinishedError] it is false if that is not
	// known.
	Written bool `json:"written"`
	// Done reports whether the workload is known to have settled with the wanted
	// identity.
	Done bool `json:"done"`
	// OldGeneration and NewGeneration are the workload's generations before and
	// after. OldGeneration is 0 if the workload was created. With ValidateOnly,
	// NewGeneration is the one that Cloud Run answered.
	OldGeneration int64 `json:"oldGeneration"`
	NewGeneration int64 `json:"newGeneration"`
	// Operation is the full name of the operation that made the change. It is
	// empty if no write was sent, if Cloud Run refused it, and if the answer to it
	// got lost. With ValidateOnly it may name an operation that can't be read.
	Operation string `json:"operation,omitempty"`
	// ClearedRevision is the explicit revision name that the template had. A name
	// can't be used twice: it was cleared, and Cloud Run chooses the new
	// revision's. It is empty if Written is false, so also with ValidateOnly.
	ClearedRevision string `json:"clearedRevision,omitempty"`
	// ReceivesTraffic reports whether the new revision of a service or worker
	// pool receives traffic. If not, all traffic is pinned to older revisions,
	// which go on running as the old identity. It is Unknown if the API doesn't
	// say where the traffic goes, and with NoWait unless the traffic is pinned.
	// For a job it is always Yes: later executions run as New.
	ReceivesTraffic Tristate `json:"receivesTraffic"`
	// Interleaved is not nil if someone else wrote between the read and the
	// write. If a job lost what they wrote, it is also returned as an error.
	Interleaved *InterleavedError `json:"interleaved,omitempty"`
	// Before and After are the workload as the API returned it when it was read
	// and when it was last seen. Before is nil if the workload was created. With
	// ValidateOnly, After is what the workload would be.
	Before Document `json:"-"`
	After  Document `json:"-"`
}

// LogValue returns the change for a structured log. It leaves out the workload's
// JSON, which may hold secrets.
func (ch Change) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("workload", ch.Workload.Name()), slog.String("old", ch.Old.Email()), slog.String("new", ch.New.Email()),
		slog.Bool("written", ch.Written), slog.Bool("done", ch.Done), slog.Int64("generation", ch.NewGeneration),
	}
	if ch.Operation != "" {
		attrs = append(attrs, slog.String("operation", ch.Operation))
	}
	if ch.Interleaved != nil {
		attrs = append(attrs, slog.String("interleaved", ch.Interleaved.Error()))
	}
	return slog.GroupValue(attrs...)
}

// A Document is the JSON of a workload as the API returned it. It may hold
// secrets, in environment variables, and therefore prints as its size. Convert it
// to []byte or string for the JSON.
type Document []byte

// String returns the size, not the JSON.
func (d Document) String() string { return fmt.Sprintf("(%d bytes of JSON)", len(d)) }

// MarshalText returns what String does, so that a workload's JSON doesn't get into
// other JSON, such as that of a log.
func (d Document) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// GoString returns what String does.
func (d Document) GoString() string { return d.String() }

// Attach makes a workload run as a service account and changes nothing else. It
// reads the workload and, if its identity is another one, writes it back with
// that one field changed. Then it waits until the change is in effect. If sa is
// zero, Attach returns an error: see [Client.Detach].
//
// For a service or worker pool, Attach sends the identity alone, under an update
// mask. The API has no mask for jobs: Attach sends the whole job back as the JSON
// in which it came, without what only the server sets and without tokens that
// would start an execution. If someone else wrote the job in between, their
// change is lost, and Attach returns an [*InterleavedError] beside the Change.
// For a service or worker pool nothing is lost, and only [Change.Interleaved]
// reports it. With any error, [Change.Written] reports whether something is known
// to have been written. If the workload could not be read, the Change is zero.
//
// If the workload has the wanted identity already, Attach writes nothing. If an
// earlier change has not settled yet, Attach waits for it. If one failed, the
// identity is not in effect, and Attach returns the [*OperationError] that it
// left.
//
// These errors can be told apart: [ErrNotFound], [ErrActAsDenied],
// [ErrAgentTokenDenied], [ErrConflict], [ErrAgentIdentity], [*OperationError] and
// [*UnfinishedError]. An Attach that failed may be repeated: it doesn't write
// again what is written already.
func (c *Client) Attach(ctx context.Context, w Workload, sa ServiceAccount, opts *AttachOptions) (Change, error) {
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

func (c *Client) attach(ctx context.Context, w Workload, sa ServiceAccount, opts *AttachOptions) (Change, error) {
	if err := w.Validate(); err != nil {
		return Change{}, err
	}
	if sa.IsZero() {
		return Change{}, errors.New("no service account is given: Attach takes one, such as \"runner@my-project.iam.gserviceaccount.com\"; Detach gives the project's default identity back")
	}
	return c.change(ctx, w, opts.options(), &target{account: sa})
}

// Detach gives a workload its project's default identity back, the Compute Engine
// default service account, by clearing the field. If the template names no
// account, Detach writes nothing. If it names the default's address, see
// [DetachOptions].ProjectNumber. Otherwise Detach works as [Client.Attach] does:
// the caller needs iam.serviceAccounts.actAs on the default account.
func (c *Client) Detach(ctx context.Context, w Workload, opts *DetachOptions) (Change, error) {
	change, err := c.detach(ctx, w, opts)
	if err != nil {
		return change, fmt.Errorf("detach the identity of %s: %w", w, err)
	}
	return change, nil
}

func (c *Client) detach(ctx context.Context, w Workload, opts *DetachOptions) (Change, error) {
	if err := w.Validate(); err != nil {
		return Change{}, err
	}
	if opts == nil {
		opts = new(DetachOptions)
	}
	o := options{validateOnly: opts.ValidateOnly, noWait: opts.NoWait}
	return c.change(ctx, w, o, &target{number: opts.ProjectNumber})
}

// target is the wanted identity: an account, or, if that is zero, the
// project's default.
type target struct {
	account ServiceAccount
	number  int64
}

// reached reports whether a workload has the wanted identity.
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
	old, flaw := d.account(w.Kind)
	change.Old, change.New = old, old
	if flaw == nil && to.reached(w, old) == Yes && !d.agentIdentity(w.Kind) {
		err := c.confirm(ctx, &change, d, o)
		return change, err
	}
	wr := &write{client: c, workload: w, options: o, target: to, original: d.template(w.Kind).ServiceAccount, read: d}
	answer, err := wr.run(ctx)
	if err != nil {
		return change, err
	}
	if err := change.record(wr, answer); err != nil {
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

// confirm looks whether the identity that a workload has already is in effect.
func (c *Client) confirm(ctx context.Context, change *Change, d *document, o options) error {
	if !d.settled(d.Generation) {
		if o.noWait || o.validateOnly {
			return nil
		}
		settled, err := c.poll(ctx, change.Workload, d.Generation)
		if err != nil {
			return unfinished("", err)
		}
		d = settled
		change.After, change.NewGeneration = d.raw, int64(d.Generation)
		now, err := d.account(change.Workload.Kind)
		if err != nil || now != change.Old {
			return fmt.Errorf("%w: it runs as %s now", ErrConflict, d.named(change.Workload.Kind))
		}
	}
	change.ReceivesTraffic = receivesTraffic(change.Workload, d, true)
	if err := d.TerminalCondition.failure(""); err != nil {
		return fmt.Errorf("it has that identity already, but its last change did not come into effect: %w", err)
	}
	change.Done = true
	return nil
}

// record notes what was written.
func (ch *Change) record(wr *write, answer *operation) error {
	if err := answer.failure(); err != nil {
		return err
	}
	read := wr.read
	ch.Written = !wr.options.validateOnly && !answer.notOurs
	ch.Operation = answer.Name
	ch.Before, ch.OldGeneration = read.raw, int64(read.Generation)
	if ch.Workload.Kind != KindJob && ch.Written {
		ch.ClearedRevision = read.Template.Revision
	}
	d := answer.resource
	if d == nil {
		ch.New = wr.target.account
		return nil
	}
	var err error
	if ch.New, err = d.account(ch.Workload.Kind); err != nil {
		return fmt.Errorf("%w: it runs as %s now", ErrConflict, d.named(ch.Workload.Kind))
	}
	ch.After, ch.NewGeneration = d.raw, int64(d.Generation)
	ch.ReceivesTraffic = receivesTraffic(ch.Workload, d, false)
	// After an answer that got lost, someone may also have written later: then
	// the workload no longer says what was sent, and nothing of theirs is lost.
	if ch.Written && d.Generation > read.Generation+1 && (!answer.looked || holds(d.raw, wr.body)) {
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
	d, err := c.await(ctx, change.Workload, answer, change.NewGeneration)
	if d != nil {
		change.After = d.raw
		change.ReceivesTraffic = receivesTraffic(change.Workload, d, true)
	}
	if err != nil {
		return err
	}
	now, err := d.account(change.Workload.Kind)
	change.New, change.NewGeneration = now, max(change.NewGeneration, int64(d.Generation))
	if err != nil || to.reached(change.Workload, now) == No {
		return fmt.Errorf("%w: it runs as %s now", ErrConflict, d.named(change.Workload.Kind))
	}
	change.Done = true
	return nil
}

// defaultIdentity is what errors call the identity of a workload that names
// none.
const defaultIdentity = "the project's default identity"

// receivesTraffic reports whether the latest revision receives traffic. Before
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
	latest := names.Last(d.LatestCreatedRevision)
	known, pinned := false, true
	for _, t := range targets {
		if t.Percent == 0 {
			continue
		}
		known = true
		own := d.Template.Revision != "" && names.Last(t.Revision) == d.Template.Revision // the one that is made
		pinned = pinned && !t.toLatest() && !own
		if !settled {
			continue
		}
		if t.toLatest() && names.Last(d.LatestReadyRevision) == latest || t.Revision != "" && names.Last(t.Revision) == latest {
			return Yes
		}
	}
	if known && (settled || pinned) {
		return No
	}
	return Unknown
}
