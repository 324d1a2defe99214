package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/internal/hold"
	"github.com/runidentity/runidentity/internal/message"
	"github.com/runidentity/runidentity/internal/refusal"
	"github.com/runidentity/runidentity/internal/retry"
)

// CreateJob creates a job that runs as a service account from the first execution
// on, and waits until it is ready. The errors are those of [Client.Attach], and
// [ErrAlreadyExists].
//
// w names the job. If w is no job, or if job has no template, CreateJob returns an
// error and calls nothing. What job says of its own name, and what only the server
// sets, is left out, and its identity gives way to sa. If sa is zero, the job names
// none, and runs as the project's default identity; that job names one is an error
// then. job itself is not changed.
func (c *Client) CreateJob(ctx context.Context, w Workload, sa ServiceAccount, job *run.GoogleCloudRunV2Job, opts *CreateOptions) (Change, error) {
	return create(ctx, c, w, sa, job, opts)
}

// CreateService creates a service whose first revision runs as a service account,
// and waits until it is ready. Everything else is as with [Client.CreateJob].
func (c *Client) CreateService(ctx context.Context, w Workload, sa ServiceAccount, service *run.GoogleCloudRunV2Service, opts *CreateOptions) (Change, error) {
	return create(ctx, c, w, sa, service, opts)
}

// CreateWorkerPool creates a worker pool whose first revision runs as a service
// account, and waits until it is ready. Everything else is as with
// [Client.CreateJob].
func (c *Client) CreateWorkerPool(ctx context.Context, w Workload, sa ServiceAccount, pool *run.GoogleCloudRunV2WorkerPool, opts *CreateOptions) (Change, error) {
	return create(ctx, c, w, sa, pool, opts)
}

func create[R Resource](ctx context.Context, c *Client, w Workload, sa ServiceAccount, resource R, opts *CreateOptions) (Change, error) {
	o := opts.options()
	body, err := creation(w, sa, resource)
	var change Change
	if err == nil {
		change, err = c.create(ctx, w, sa, body, o)
	}
	if err != nil {
		return change, fmt.Errorf("create %s%s: %w", w, as(sa), err)
	}
	return change, nil
}

func (c *Client) create(ctx context.Context, w Workload, sa ServiceAccount, body []byte, o options) (Change, error) {
	answer, err := c.insert(ctx, w, sa, body, o)
	if err != nil {
		return Change{Workload: w}, err
	}
	change := Change{Workload: w, New: sa}
	to := &target{account: sa}
	if err := change.record(&write{workload: w, options: o, target: to, read: &document{}}, answer); err != nil || o.validateOnly {
		return change, err
	}
	change.Interleaved = nil // someone who wrote after the creation did not write in between
	err = c.conclude(ctx, &change, answer, o, to)
	return change, err
}

// checkKind refuses a workload that can't be named, or is of another kind.
func checkKind(w Workload, want Kind) error {
	if err := w.Validate(); err != nil {
		return err
	}
	if w.Kind != want {
		return fmt.Errorf("%s is a %s, where a %s is wanted: use identity.%s", w, w.Kind, want,
			map[Kind]string{KindJob: "Job", KindService: "Service", KindWorkerPool: "WorkerPool"}[want])
	}
	return nil
}

// creation is the body of a POST that creates a resource.
func creation[R Resource](w Workload, sa ServiceAccount, resource R) ([]byte, error) {
	kind, templated := KindUnknown, false
	switch r := any(resource).(type) {
	case *run.GoogleCloudRunV2Job:
		kind, templated = KindJob, r != nil && r.Template != nil && r.Template.Template != nil
	case *run.GoogleCloudRunV2Service:
		kind, templated = KindService, r != nil && r.Template != nil
	case *run.GoogleCloudRunV2WorkerPool:
		kind, templated = KindWorkerPool, r != nil && r.Template != nil
	}
	if err := checkKind(w, kind); err != nil {
		return nil, err
	}
	if !templated {
		path := "template"
		if kind == KindJob {
			path = "template.template"
		}
		return nil, fmt.Errorf("the %s has no %s: it needs a container with an image at least", kind, path)
	}
	if err := checkIdentity(sa, resource); err != nil {
		return nil, err
	}
	encoded, err := message.Encode(resource)
	if err != nil {
		return nil, err
	}
	return editWorkload(kind, encoded, sa, append(outputOnly(kind), "name", "etag"))
}

// checkIdentity refuses an account that is none, and a resource that says otherwise
// of its identity where no account is given: it would run as the project's default.
func checkIdentity[R Resource](sa ServiceAccount, resource R) error {
	own, err := Of(resource)
	switch {
	case errors.Is(err, ErrAgentIdentity):
		return err
	case !sa.IsZero():
		return sa.validate()
	case err != nil:
		return fmt.Errorf("no service account is given, and the template names one: %w", err)
	case !own.IsZero():
		return fmt.Errorf("no service account is given, and the template names %s: give it, or clear it there for the project's default identity", own)
	}
	return nil
}

// idParameter is the query parameter of a creation that names what is created.
func idParameter(k Kind) string {
	switch k {
	case KindService:
		return "serviceId"
	case KindWorkerPool:
		return "workerPoolId"
	default:
		return "jobId"
	}
}

// insert sends the POST until it is answered, or the workload is known to be there.
func (c *Client) insert(ctx context.Context, w Workload, sa ServiceAccount, body []byte, o options) (*operation, error) {
	query := url.Values{idParameter(w.Kind): {w.ID}}
	if o.validateOnly {
		query.Set("validateOnly", "true")
	}
	parent := strings.TrimSuffix(w.Name(), "/"+w.ID)
	pace := newPace(o)
	// Whether a POST may have been carried out, or may be yet. A workload that isn't
	// found doesn't refute it, unlike one that is found as it was before a PATCH: new
	// resources were seen to be missing from reads for a while.
	lost := false
	for attempt := 1; ; attempt++ {
		err := ctx.Err()
		if err == nil && attempt > 1 {
			err = hold.Renew(ctx)
		}
		if err != nil && lost {
			return nil, &UnfinishedError{Err: err}
		} else if err != nil {
			return nil, err
		}
		answer, err := c.post(ctx, w, parent, query, body)
		if err == nil {
			return answer, nil
		}
		lost = lost || retry.Ambiguous(err) && !o.validateOnly
		err = refusal.Wrap(err)
		// That the name is taken may tell that the lost answer was of success.
		final := pace.wait(ctx, err, lost && errors.Is(err, ErrAlreadyExists))
		switch {
		case !lost && final != nil:
			return nil, final
		case !lost:
			continue
		}
		there, readErr := c.read(ctx, w)
		switch {
		case errors.Is(readErr, ErrNotFound) && final != nil:
			return nil, &UnfinishedError{Err: final}
		case errors.Is(readErr, ErrNotFound):
			continue
		case readErr != nil:
			return nil, &UnfinishedError{Err: errors.Join(readErr, err)}
		case !holds(there.raw, body), !mayBeAsked(w, sa, there):
			return nil, &UnfinishedError{Err: fmt.Errorf("%w, perhaps as the one that was asked for, from which it differs: %w", ErrAlreadyExists, err)}
		}
		return &operation{resource: there, looked: true}, nil
	}
}

// post makes one POST.
func (c *Client) post(ctx context.Context, w Workload, parent string, query url.Values, body []byte) (*operation, error) {
	raw, err := c.do(ctx, http.MethodPost, parent, query, body)
	if err != nil {
		return nil, err
	}
	return parseOperation(raw, w)
}

// mayBeAsked reports whether what was found may have been created for an account.
// If that is zero the message names none, and says nothing of the one that is found.
func mayBeAsked(w Workload, sa ServiceAccount, found *document) bool {
	got, err := found.account(w.Kind)
	to := target{account: sa}
	return err == nil && to.reached(w, got) != No && !found.agentIdentity(w.Kind)
}

// holds reports whether a resource says all that a message asked for.
func holds(resource, body []byte) bool {
	var have, want map[string]any
	if message.Decode(resource, &have) != nil || message.Decode(body, &want) != nil {
		return false
	}
	delete(want, "etag")
	return message.Contains(have, want)
}
