package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/internal/hold"
	"github.com/runidentity/runidentity/internal/refusal"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// write is the PATCH of one change, with what has to be known to repeat it.
type write struct {
	client   *Client
	workload Workload
	options  options
	target   *target
	original string    // the address that the change replaces
	read     *document // what the next PATCH is made from
	body     []byte    // of the last PATCH
	// lost says that a PATCH may have been applied although its answer did not
	// arrive; underway, that it may be applied yet, whatever a read says.
	lost, underway bool
}

// run sends the PATCH until it is answered, or known to have been applied.
func (wr *write) run(ctx context.Context) (*operation, error) {
	pace := newPace(wr.options)
	for {
		if wr.read.agentIdentity(wr.workload.Kind) {
			return nil, wr.open(ErrAgentIdentity)
		}
		if err := ctx.Err(); err != nil {
			return nil, wr.open(err)
		}
		if wr.body != nil { // of an attempt before
			if err := hold.Renew(ctx); err != nil {
				return nil, wr.open(err)
			}
		}
		answer, err := wr.send(ctx)
		if err == nil {
			return answer, nil
		}
		if retry.Ambiguous(err) && !wr.options.validateOnly {
			wr.lost = true
			wr.underway = wr.underway || !answered(err)
		}
		err = refusal.Wrap(err)
		final := pace.wait(ctx, err, errors.Is(err, ErrConflict))
		if final != nil && !wr.lost {
			return nil, final
		}
		answer, readErr := wr.look(ctx, err)
		switch {
		case answer != nil:
			return answer, nil
		case readErr != nil && wr.lost:
			return nil, &UnfinishedError{Err: errors.Join(readErr, err)}
		case readErr != nil:
			return nil, readErr
		case final != nil:
			return nil, wr.open(final)
		}
	}
}

// open is an error that ends the change after a read found it not applied.
func (wr *write) open(err error) error {
	if wr.underway {
		return &UnfinishedError{Err: err}
	}
	return err
}

// pace spaces the attempts of a write.
type pace struct {
	backoff retry.Backoff
	// visible spaces those that wait for an account or a grant to be seen,
	// until seenBy; it is zero if the caller does not want that.
	visible retry.Backoff
	seenBy  time.Time
}

func newPace(o options) *pace {
	p := new(pace)
	if o.accountWait > 0 {
		p.seenBy = time.Now().Add(o.accountWait)
	}
	return p
}

// wait pauses after a failed attempt. again says that the error is worth
// another one although it is not transient. What it returns is final.
func (p *pace) wait(ctx context.Context, err error, again bool) error {
	switch {
	case errors.Is(err, ErrActAsDenied) && !p.seenBy.IsZero():
		return p.visible.PauseUntil(ctx, p.seenBy, err)
	case again:
		return p.backoff.WaitFor(ctx, err)
	}
	return p.backoff.Wait(ctx, err)
}

// answered reports whether a failed request was answered by the service itself,
// which is done with it then and says why: not by a connection that broke, nor
// by a gateway that got no answer.
func answered(err error) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	return ok && g.Message != "" && (g.Code == http.StatusServiceUnavailable || g.Code == http.StatusInternalServerError)
}

// look reads the workload after a PATCH that failed with an error: it may have
// been applied all the same, or someone else may have written. It returns an
// operation without a name if the identity is the wanted one by now.
func (wr *write) look(ctx context.Context, failed error) (*operation, error) {
	d, err := wr.client.read(ctx, wr.workload)
	if err != nil {
		return nil, err
	}
	if d.template(wr.workload.Kind).ServiceAccount == wr.original {
		wr.read = d
		return nil, nil
	}
	now, err := d.account(wr.workload.Kind)
	if err == nil && wr.target.reached(wr.workload, now) != No {
		return &operation{resource: d, looked: true, notOurs: !wr.lost}, nil
	}
	return nil, fmt.Errorf("%w: it ran as %s, and runs as %s now: %w", ErrConflict,
		cmp.Or(rest.Harmless(wr.original), defaultIdentity), d.named(wr.workload.Kind), failed)
}

// send makes one PATCH.
func (wr *write) send(ctx context.Context) (*operation, error) {
	query := url.Values{}
	if wr.options.validateOnly {
		query.Set("validateOnly", "true")
	}
	var err error
	if wr.workload.Kind == KindJob {
		wr.body, err = jobBody(wr.read.raw, wr.target.account)
	} else {
		mask := "template.serviceAccount"
		if wr.read.Template.Revision != "" {
			mask += ",template.revision"
		}
		query.Set("updateMask", mask)
		wr.body, err = maskedBody(wr.read, wr.target.account)
	}
	if err != nil {
		return nil, err
	}
	raw, err := wr.client.do(ctx, http.MethodPatch, wr.workload.Name(), query, wr.body)
	if err != nil {
		return nil, err
	}
	return parseOperation(raw, wr.workload)
}
