package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// waitTimeout is how long one operations.wait may take on the server.
const waitTimeout = 30 * time.Second

// operation is a long-running operation of Cloud Run.
type operation struct {
	Name     string          `json:"name"` // empty if the answer that named it got lost
	Done     bool            `json:"done"`
	Metadata json.RawMessage `json:"metadata"`
	Response json.RawMessage `json:"response"`
	Error    *struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"error"`

	// resource is the workload as the operation's start left it, nil if the
	// answer does not say.
	resource *document
	// looked says that there was no such answer: resource was read afterwards.
	// notOurs says besides that someone else brought it into that state.
	looked, notOurs bool
}

// failure is the error with which the operation ended, if any.
func (op *operation) failure() error {
	if op.Error == nil {
		return nil
	}
	return operationError(op.Name, codeName(op.Error.Code), op.Error.Message)
}

func operationError(operation, reason, message string) error {
	return &OperationError{Operation: operation, Reason: rest.Harmless(reason), Message: rest.Harmless(message)}
}

// parseOperation reads the answer to a write of a workload, which is its
// metadata.
func parseOperation(raw []byte, w Workload) (*operation, error) {
	op := new(operation)
	if err := unmarshal(raw, op); err != nil {
		return nil, err
	}
	if err := checkOperation(op.Name, w); err != nil {
		return nil, err
	}
	state := op.Metadata
	if len(state) == 0 {
		state = op.Response
	}
	if len(state) == 0 || string(state) == "null" {
		return op, nil
	}
	if err := checkName(state, w.Name()); err != nil {
		return nil, err
	}
	var err error
	op.resource, err = parseTyped(state)
	return op, err
}

// await returns the workload when its change to a generation has settled, and
// an [*OperationError] if the change failed.
func (c *Client) await(ctx context.Context, w Workload, op *operation, generation int64) (*document, error) {
	final, err := c.awaitOperation(ctx, op, w.Name())
	if err != nil {
		return nil, unfinished(op.Name, err)
	}
	var d *document
	if final != nil {
		d, err = parseTyped(final)
	} else {
		d, err = c.poll(ctx, w, integer(generation))
	}
	if err != nil {
		return nil, unfinished(op.Name, err)
	}
	return d, d.TerminalCondition.failure(op.Name)
}

// unfinished marks an error of waiting for what was accepted, if there is one: it
// leaves the outcome open, unless it is the outcome.
func unfinished(operation string, err error) error {
	if _, ended := errors.AsType[*OperationError](err); err == nil || ended {
		return err
	}
	return &UnfinishedError{Operation: operation, Err: err}
}

// awaitOperation returns the response of an operation when it is done, which is
// the resource of that name, if the name is known. It returns nil where the
// resource itself has to be looked at: the operation may not be waited for, is
// not known, or was done without a response.
func (c *Client) awaitOperation(ctx context.Context, op *operation, resource string) (json.RawMessage, error) {
	if op.Name == "" {
		return nil, nil
	}
	timeout := waitTimeout
	if limit := c.rest.HTTP.Timeout; limit > 0 {
		timeout = max(min(timeout, limit/2), time.Second)
	}
	var early, failures retry.Backoff
	for !op.Done {
		began := time.Now()
		body := fmt.Appendf(nil, `{"timeout":"%ds"}`, int(timeout.Seconds()))
		raw, err := c.do(ctx, http.MethodPost, op.Name+":wait", nil, body)
		if cannotWait(err) {
			return nil, nil
		}
		next := new(operation)
		if err == nil {
			err = next.parseWait(raw, op.Name, resource)
		}
		if err != nil {
			if err := failures.Wait(ctx, err); err != nil {
				return nil, fmt.Errorf("wait for %s: %w", op.Name, err)
			}
			continue
		}
		failures = retry.Backoff{}
		op = next
		if !op.Done && time.Since(began) < timeout {
			if err := early.Pause(ctx, errors.New("the operation is still under way")); err != nil {
				return nil, err
			}
		}
	}
	if err := op.failure(); err != nil {
		return nil, err
	}
	if !op.hasResponse() {
		return nil, nil
	}
	return op.Response, nil
}

func (op *operation) hasResponse() bool { return len(op.Response) > 0 && string(op.Response) != "null" }

// parseWait reads the answer to operations.wait.
func (op *operation) parseWait(raw []byte, name, resource string) error {
	if err := checkName(raw, name); err != nil {
		return err
	}
	if err := unmarshal(raw, op); err != nil {
		return err
	}
	op.Name = name
	if op.Done && op.hasResponse() && resource != "" {
		return checkName(op.Response, resource)
	}
	return nil
}

// cannotWait reports whether an operation can't be waited for here: the method is
// not served, the caller may not, or there is no such operation any more.
func cannotWait(err error) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	if !ok {
		return false
	}
	return g.Code == http.StatusNotImplemented || g.Code == http.StatusForbidden || g.Code == http.StatusNotFound
}

// poll reads the workload until a generation has been settled.
func (c *Client) poll(ctx context.Context, w Workload, generation integer) (*document, error) {
	var backoff retry.Backoff
	for {
		d, err := c.read(ctx, w)
		if err != nil {
			return nil, err
		}
		if d.settled(generation) {
			return d, nil
		}
		if err := backoff.Pause(ctx, errors.New("the workload is still reconciling")); err != nil {
			return nil, err
		}
	}
}

// codeName is the name of a google.rpc.Code.
// https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
func codeName(code int) string {
	names := []string{
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
		"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
		"UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
	}
	if code < 0 || code >= len(names) {
		return fmt.Sprintf("code %d", code)
	}
	return names[code]
}
