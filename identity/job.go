package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/internal/message"
	"github.com/runidentity/runidentity/internal/refusal"
	"github.com/runidentity/runidentity/internal/retry"
)

// CreateJob creates a job that runs as a service account from the first
// execution on, and waits until it is ready. job is not changed; what it says
// of its name and identity gives way to w and sa. The errors are those of
// [Client.Attach], and [ErrAlreadyExists].
func (c *Client) CreateJob(ctx context.Context, w Workload, sa ServiceAccount, job *run.GoogleCloudRunV2Job, opts *CreateJobOptions) (Change, error) {
	change, err := c.createJob(ctx, w, sa, job, opts)
	if err != nil {
		return change, fmt.Errorf("create %s%s: %w", w, as(sa), err)
	}
	return change, nil
}

func (c *Client) createJob(ctx context.Context, w Workload, sa ServiceAccount, job *run.GoogleCloudRunV2Job, opts *CreateJobOptions) (Change, error) {
	if err := validateJob(w); err != nil {
		return Change{}, err
	}
	o := opts.options()
	body, err := newJobBody(job, sa)
	if err != nil {
		return Change{}, err
	}
	answer, err := c.insert(ctx, w, body, o)
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

func validateJob(w Workload) error {
	if err := w.Validate(); err != nil {
		return err
	}
	if w.Kind != KindJob {
		return fmt.Errorf("%s is a %s, where a job is wanted: use identity.Job", w, w.Kind)
	}
	return nil
}

// newJobBody is the body of a POST that creates the job.
func newJobBody(job *run.GoogleCloudRunV2Job, sa ServiceAccount) ([]byte, error) {
	if err := sa.validate(); err != nil {
		return nil, err
	}
	if job == nil || job.Template == nil || job.Template.Template == nil {
		return nil, errors.New("the job has no template.template: it needs a container with an image at least")
	}
	if _, err := Of(job); errors.Is(err, ErrAgentIdentity) {
		return nil, err
	}
	encoded, err := encode(job)
	if err != nil {
		return nil, err
	}
	return editJob(encoded, sa, append(jobOutputOnly(), "name", "etag"))
}

// insert sends the POST until it is answered, or the job is known to be there.
func (c *Client) insert(ctx context.Context, w Workload, body []byte, o options) (*operation, error) {
	query := url.Values{"jobId": {w.ID}}
	if o.validateOnly {
		query.Set("validateOnly", "true")
	}
	parent := strings.TrimSuffix(w.Name(), "/"+w.ID)
	pace := newPace(o)
	// Whether a POST may have been carried out, or may be yet. A job that isn't
	// found doesn't refute it, unlike a workload that is found as it was before a
	// PATCH: new resources were seen to be missing from reads for a while.
	lost := false
	for {
		if err := ctx.Err(); err != nil && lost {
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
		case !holds(there.raw, body):
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

// holds reports whether a resource says all that a message asked for.
func holds(resource, body []byte) bool {
	var have, want map[string]any
	if decodeNumbers(resource, &have) != nil || decodeNumbers(body, &want) != nil {
		return false
	}
	delete(want, "etag")
	return message.Contains(have, want)
}

func decodeNumbers(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(v)
}
