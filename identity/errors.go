package identity

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/runidentity/runidentity/internal/refusal"
)

// What a program can tell apart with errors.Is. Where the server answered with
// an error, that *googleapi.Error stays reachable with errors.As beside it.
var (
	// ErrNotFound: there is no such workload, or execution.
	ErrNotFound = refusal.ErrNotFound

	// ErrAlreadyExists: there is a workload of that name already.
	ErrAlreadyExists = refusal.ErrAlreadyExists

	// ErrActAsDenied: the caller lacks iam.serviceAccounts.actAs on the service
	// account. Cloud Run answers the same when the account does not exist, is
	// disabled, or is too new to be seen, see [AttachOptions].WaitForAccount.
	// https://cloud.google.com/run/docs/configuring/jobs/service-identity
	ErrActAsDenied = refusal.ErrActAsDenied

	// ErrAgentTokenDenied: the Cloud Run service agent of the workload's
	// project may not mint tokens for the service account. For an account of
	// another project it needs roles/iam.serviceAccountTokenCreator on it; in
	// the same project, roles/run.serviceAgent on the project.
	ErrAgentTokenDenied = refusal.ErrAgentTokenDenied

	// ErrConflict: someone else changed the workload meanwhile, and trying
	// again would undo that.
	ErrConflict = refusal.ErrConflict

	// ErrAgentIdentity: the workload runs as an agent identity
	// (workloadIdentityConfig.identityType), not as a service account.
	ErrAgentIdentity = errors.New("the workload runs as an agent identity, not as a service account")

	// ErrAccountDisabled: the service account is disabled.
	ErrAccountDisabled = errors.New("the service account is disabled")

	// ErrMayHaveStarted: the answer to the request to execute a job got lost.
	// The execution may have started; it was not asked for again.
	ErrMayHaveStarted = errors.New("the execution may have started: look for it before you try again")
)

// WrapError adds to an error what Cloud Run or IAM means by it, as this package does
// to the errors of its own calls, so that errors.Is finds [ErrActAsDenied] and the
// others above. It is for programs that make the API calls themselves, with a
// generated client of REST or of gRPC. The error stays in the chain, and so does its
// *googleapi.Error or gRPC status. What isn't recognised is returned as it is.
func WrapError(err error) error { return refusal.Wrap(err) }

// An OperationError tells that Cloud Run accepted a change or an execution,
// and that it then failed.
type OperationError struct {
	// Operation is the operation's full name, empty if it is not known.
	Operation string
	// Reason is Cloud Run's, such as "SECRETS_ACCESS_CHECK_FAILED" or
	// "NON_ZERO_EXIT_CODE", or a canonical code such as "PERMISSION_DENIED".
	Reason string
	// Message is Cloud Run's.
	Message string
}

// Error returns the reason and the message.
func (e *OperationError) Error() string {
	return fmt.Sprintf("failed with %s: %s", e.Reason, e.Message)
}

// Is lets errors.Is find ErrActAsDenied and ErrAgentTokenDenied in an
// operation's message.
func (e *OperationError) Is(target error) bool {
	found := refusal.Recognize(http.StatusForbidden, "", e.Message)
	return found != nil && target == found
}

// An UnfinishedError tells that the outcome of a request is not known: ctx
// ended before, or the answer got lost and looking for the effect failed too or,
// after a creation, found nothing. What was asked for may have taken effect, or
// may still.
type UnfinishedError struct {
	// Operation is the full name of the operation to look at, or empty if the
	// server had not named one.
	Operation string
	// Err is why the outcome is not known. It wraps the context's error if ctx
	// ended, and the server's last one if there was one.
	Err error
}

// Error says that the change may still take effect.
func (e *UnfinishedError) Error() string {
	if e.Operation == "" {
		return fmt.Sprintf("the outcome is not known, the change may still take effect: %v", e.Err)
	}
	return fmt.Sprintf("stopped waiting, the change may still take effect (%s): %v", e.Operation, e.Err)
}

// Unwrap returns Err.
func (e *UnfinishedError) Unwrap() error { return e.Err }

// An InterleavedError tells that someone else wrote the workload between the
// read and the write of a change: its generation grew by more than one. Cloud
// Run does not refuse such a write. A job is written as a whole, so that what
// the other one wrote is lost and can't be recovered from the API; of services
// and worker pools only the identity is written, and nothing of theirs is lost
// but an identity.
type InterleavedError struct {
	Workload Workload `json:"workload"`
	// Read and Answered are the generations before and after. The workload as
	// it was read and as it is now are in [Change.Before] and [Change.After].
	Read     int64 `json:"read"`
	Answered int64 `json:"answered"`
}

// Error says what is lost.
func (e *InterleavedError) Error() string {
	lost := "only the identity was written, the rest of their change stands"
	if e.Workload.Kind == KindJob {
		lost = "a job is written as a whole: what they wrote is lost and can't be recovered"
	}
	return fmt.Sprintf("someone else wrote between the read (generation %d) and the write (generation %d); %s", e.Read, e.Answered, lost)
}
