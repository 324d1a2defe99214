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

	"github.com/runidentity/runidentity/internal/refusal"
	"github.com/runidentity/runidentity/internal/retry"
)

// CreateJob creates a job that runs as a service account from its first execution
// on, and waits until the job is ready. It doesn't change job; w and sa take the
// place of the name and the identity in it. The errors are those of
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
	// As in a write: a POST may have been carried out, or may be yet.
	lost, underway := false, false
	for {
		if err := ctx.Err(); err != nil && underway {
			return nil, &UnfinishedError{Err: err}
		} else if err != nil {
			return nil, err
		}
		answer, err := c.post(ctx, w, parent, query, body)
		if err == nil {
			return answer, nil
		}
		if retry.Ambiguous(err) && !o.validateOnly {
			lost, underway = true, underway || !answered(err)
		}
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
		case errors.Is(readErr, ErrNotFound) && final != nil && underway:
			return nil, &UnfinishedError{Err: final}
		case errors.Is(readErr, ErrNotFound) && final != nil:
			return nil, final
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
func holds(resource, message []byte) bool {
	var have, want map[string]any
	if decodeNumbers(resource, &have) != nil || decodeNumbers(message, &want) != nil {
		return false
	}
	delete(want, "etag")
	return contains(have, want)
}

func decodeNumbers(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(v)
}

// contains reports whether have has what want has. What proto3 takes for absent
// may be absent, and numbers are compared by value.
func contains(have, want any) bool {
	if have == nil && isEmpty(want) {
		return true
	}
	switch want := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		for name, value := range want {
			ok = ok && contains(h[name], value)
		}
		return ok
	case []any:
		h, ok := have.([]any)
		ok = ok && len(h) == len(want)
		for i := range want {
			ok = ok && contains(h[i], want[i])
		}
		return ok
	case json.Number:
		h, ok := have.(json.Number)
		a, errA := want.Float64()
		b, errB := h.Float64()
		return ok && (h == want || errA == nil && errB == nil && a == b)
	default:
		return have == want
	}
}

// isEmpty reports whether a value is one that the API may leave out.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, value := range v {
			if !isEmpty(value) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	case json.Number:
		f, err := v.Float64()
		return err == nil && f == 0
	case string:
		return v == ""
	case bool:
		return !v
	}
	return v == nil
}
