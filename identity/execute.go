package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/internal/message"
	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/refusal"
	"github.com/runidentity/runidentity/internal/retry"
)

// An Execution is one run of a job.
type Execution struct {
	Workload Workload `json:"workload"`
	// Name is the execution's full name.
	Name string `json:"name"`
	// ServiceAccount is the identity that the execution records: the one that its
	// job had when it was started. A later change of the job does not change it.
	// It is zero if the server doesn't return the address of a service account.
	ServiceAccount ServiceAccount `json:"serviceAccount"`
	// Operation is the full name of the operation that lasts as long as the
	// execution does.
	Operation string `json:"operation,omitempty"`
	// Done reports whether the execution had ended when Execute returned.
	Done bool `json:"done"`
	// Tasks is the number of tasks. Succeeded, Failed and Cancelled count them by
	// outcome once they ended.
	Tasks     int64 `json:"tasks"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	Cancelled int64 `json:"cancelled"`
	// LogURI is where the Cloud console shows the execution's logs.
	LogURI string `json:"logUri,omitempty"`
}

// Execute starts an execution of a job (jobs.run). With
// [ExecuteOptions].WaitForCompletion it waits until the execution has ended, and
// returns an [*OperationError] beside the Execution if it failed. If ctx ends
// while Execute waits, it returns an [*UnfinishedError] beside the Execution. The
// execution goes on.
//
// Execute repeats the request only if Cloud Run certainly did not accept it. If
// the answer got lost, the error wraps [ErrMayHaveStarted]. If w is no job,
// Execute returns an error and calls nothing.
func (c *Client) Execute(ctx context.Context, w Workload, opts *ExecuteOptions) (Execution, error) {
	e, err := c.execute(ctx, w, opts)
	if err != nil {
		return e, fmt.Errorf("execute %s: %w", w, err)
	}
	return e, nil
}

func (c *Client) execute(ctx context.Context, w Workload, opts *ExecuteOptions) (Execution, error) {
	if err := checkKind(w, KindJob); err != nil {
		return Execution{}, err
	}
	if opts == nil {
		opts = new(ExecuteOptions)
	}
	body, err := message.Encode(&run.GoogleCloudRunV2RunJobRequest{Overrides: opts.Overrides})
	if err != nil {
		return Execution{}, err
	}
	if err := ctx.Err(); err != nil {
		return Execution{}, err
	}
	raw, err := c.runOnce(ctx, w, body)
	if err != nil {
		return Execution{}, err
	}
	op := new(operation)
	if err := unmarshal(raw, op); err != nil {
		return Execution{}, fmt.Errorf("%w: %w", ErrMayHaveStarted, err)
	}
	if err := checkOperation(op.Name, w); err != nil {
		return Execution{}, fmt.Errorf("%w: %w", ErrMayHaveStarted, err)
	}
	e := Execution{Workload: w, Operation: op.Name}
	if err := e.record(op.Metadata); err != nil {
		return e, fmt.Errorf("%w: %w", ErrMayHaveStarted, err)
	}
	if !opts.WaitForCompletion {
		return e, nil
	}
	err = c.awaitExecution(ctx, op, &e)
	return e, unfinished(op.Name, err)
}

// runOnce starts an execution, and asks again only if none has started.
func (c *Client) runOnce(ctx context.Context, w Workload, body []byte) ([]byte, error) {
	var backoff retry.Backoff
	for {
		raw, err := c.do(ctx, http.MethodPost, w.Name()+":run", nil, body)
		switch {
		case err == nil:
			return raw, nil
		case retry.Ambiguous(err):
			return nil, fmt.Errorf("%w: %w", ErrMayHaveStarted, err)
		}
		if err := backoff.Wait(ctx, refusal.Wrap(err)); err != nil {
			return nil, err
		}
	}
}

// awaitExecution waits until the execution has ended, and records how.
func (c *Client) awaitExecution(ctx context.Context, op *operation, e *Execution) error {
	final, failed := c.awaitOperation(ctx, op, e.Name)
	if failed != nil {
		if _, ended := errors.AsType[*OperationError](failed); !ended {
			return failed
		}
		final = nil // the execution itself tells more
	}
	var err error
	var backoff retry.Backoff
	for {
		if final == nil && e.Name == "" {
			return cmp.Or(failed, errors.New("the server doesn't name the execution"))
		}
		if final == nil {
			if final, err = c.get(ctx, e.Name); err != nil {
				return cmp.Or(failed, fmt.Errorf("read %s: %w", e.Name, refusal.Wrap(err)))
			}
		}
		var x struct {
			CompletionTime string      `json:"completionTime"`
			Conditions     []condition `json:"conditions"`
		}
		if err := errors.Join(unmarshal(final, &x), e.record(final)); err != nil {
			return err
		}
		for _, condition := range x.Conditions {
			if condition.Type == "Completed" && (x.CompletionTime != "" || op.Done || failed != nil) {
				e.Done = true
				if err := condition.failure(op.Name); err != nil {
					return err
				}
				return failed
			}
		}
		if x.CompletionTime != "" || failed != nil {
			e.Done = x.CompletionTime != ""
			return failed
		}
		final = nil
		if err := backoff.Pause(ctx, errors.New("the execution is still running")); err != nil {
			return err
		}
	}
}

// record notes what an execution's JSON says.
func (e *Execution) record(raw []byte) error {
	if len(raw) == 0 {
		return nil
	}
	var x struct {
		Name           string       `json:"name"`
		Template       taskTemplate `json:"template"`
		TaskCount      integer      `json:"taskCount"`
		SucceededCount integer      `json:"succeededCount"`
		FailedCount    integer      `json:"failedCount"`
		CancelledCount integer      `json:"cancelledCount"`
		LogURI         string       `json:"logUri"`
	}
	if err := unmarshal(raw, &x); err != nil {
		return err
	}
	if id := names.Last(x.Name); id == "" || !names.Same(x.Name, e.Workload.Name()+"/executions/"+id) {
		return misdirected(x.Name, "an execution of "+e.Workload.Name())
	}
	// An execution that has started is told of, whatever it runs as.
	e.ServiceAccount, _ = ParseServiceAccount(x.Template.ServiceAccount)
	e.Name, e.LogURI = x.Name, x.LogURI
	e.Tasks, e.Succeeded = int64(x.TaskCount), int64(x.SucceededCount)
	e.Failed, e.Cancelled = int64(x.FailedCount), int64(x.CancelledCount)
	return nil
}
