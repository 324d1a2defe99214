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
	"time"

	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/internal/retry"
)

// CreateJob creates a job that runs as a service account from the first
// execution on, and waits until it is ready. job is not changed; what it says
// of its name and identity gives way to w and sa. It applies [ValidateOnly],
// [NoWait] and [WaitForAccount]. The errors are those of [Client.Attach], and
// [ErrAlreadyExists].
func (c *Client) CreateJob(ctx context.Context, w Workload, sa ServiceAccount, job *run.GoogleCloudRunV2Job, opts ...Option) (Change, error) {
	change, err := c.createJob(ctx, w, sa, job, opts)
	if err != nil {
		return change, fmt.Errorf("create %s%s: %w", w, as(sa), err)
	}
	return change, nil
}

func (c *Client) createJob(ctx context.Context, w Workload, sa ServiceAccount, job *run.GoogleCloudRunV2Job, opts []Option) (Change, error) {
	if err := validateJob(w); err != nil {
		return Change{}, err
	}
	o, err := collect("CreateJob", opts)
	if err != nil {
		return Change{}, err
	}
	body, err := newJobBody(job, sa)
	if err != nil {
		return Change{}, err
	}
	answer, err := c.insert(ctx, w, body, o)
	if err != nil {
		return Change{Workload: w}, err
	}
	change := Change{Workload: w, New: sa}
	if err := change.record(&document{}, answer, o); err != nil || o.validateOnly {
		return change, err
	}
	change.Interleaved = nil
	err = c.conclude(ctx, &change, answer, o, &target{account: sa})
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
	var backoff, visible retry.Backoff
	started, lost := time.Now(), false
	for {
		raw, err := c.do(ctx, http.MethodPost, strings.TrimSuffix(w.Name(), "/"+w.ID), query, body)
		if err == nil {
			return parseOperation(raw)
		}
		if ctx.Err() != nil && retry.Ambiguous(err) {
			return nil, &UnfinishedError{Err: err}
		}
		lost = lost || retry.Ambiguous(err)
		err = wrap(err)
		switch {
		case errors.Is(err, ErrActAsDenied) && o.accountWait > 0:
			if err := visible.PauseUntil(ctx, started.Add(o.accountWait), err); err != nil {
				return nil, err
			}
			continue
		case errors.Is(err, ErrAlreadyExists) && lost && !o.validateOnly:
			// The answer that got lost may have been of success.
		default:
			if waitErr := backoff.Wait(ctx, err); waitErr != nil {
				if retry.Ambiguous(err) {
					return nil, unfinished(ctx, "", waitErr)
				}
				return nil, waitErr
			}
			if !lost || o.validateOnly {
				continue
			}
		}
		there, readErr := c.read(ctx, w)
		switch {
		case errors.Is(readErr, ErrNotFound):
			continue
		case readErr != nil:
			return nil, readErr
		case !holds(there.raw, body):
			return nil, fmt.Errorf("%w, and is another one", ErrAlreadyExists)
		}
		return &operation{resource: there}, nil
	}
}

// holds says whether a resource says all that a message asked for.
func holds(resource, message []byte) bool {
	var have, want any
	if decodeNumbers(resource, &have) != nil || decodeNumbers(message, &want) != nil {
		return false
	}
	return contains(have, want)
}

func decodeNumbers(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return dec.Decode(v)
}

func contains(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for name, value := range want {
			if !contains(h[name], value) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(want) {
			return false
		}
		for i := range want {
			if !contains(h[i], want[i]) {
				return false
			}
		}
		return true
	default:
		return have == want
	}
}
