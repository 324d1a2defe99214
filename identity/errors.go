package identity

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/runidentity/runidentity/internal/refusal"
)

// Errors that a program can tell apart with errors.Is. If the server answered
// with an error, errors.As finds it as a *googleapi.Error.
var (
	// ErrNotFound means that the workload or the execution does not exist. For
	// [WrapError] it is any answer 404, such as one of IAM's about a service account.
	ErrNotFound = refusal.ErrNotFound

	// ErrAlreadyExists means that a workload of that name exists already.
	ErrAlreadyExists = refusal.ErrAlreadyExists

	// ErrActAsDenied means that the caller lacks iam.serviceAccounts.actAs on the
	// service account. Cloud Run gives the same answer if the account does not
	// exist, is disabled, or is too new to be seen: see
	// [AttachOptions].WaitForAccount.
	//
	// https://cloud.google.com/run/docs/configuring/jobs/service-identity
	ErrActAsDenied = refusal.ErrActAsDenied

	// ErrAgentTokenDenied means that the Cloud Run service agent of the
	// workload's project may not mint tokens for the service account. For an
	// account of another project, the agent needs
	// roles/iam.serviceAccountTokenCreator on the account. For one of the same
	// project, it needs roles/run.serviceAgent on the project.
	ErrAgentTokenDenied = refusal.ErrAgentTokenDenied

	// ErrConflict means that someone else got in the way: they gave the workload
	// another identity meanwhile, or Cloud Run refused the write as out of date
	// (409 or 412). Read the workload before you decide: trying again may undo
	// their change.
	ErrConflict = refusal.ErrConflict

	// ErrAgentIdentity means that the workload runs as an agent identity
	// (workloadIdentityConfig.identityType), not as a service account.
	// [Client.Get] doesn't return it: see [Attachment.WorkloadIdentity].
	ErrAgentIdentity = errors.New("the workload runs as an agent identity, not as a service account")

	// ErrAccountDisabled means that the service account is disabled.
	// [Client.EnsureServiceAccount] returns it. Cloud Run answers with
	// [ErrActAsDenied] instead.
	ErrAccountDisabled = errors.New("the service account is disabled")

	// ErrMayHaveStarted means that the answer to the request to execute a job got
	// lost. The execution may have started; the request was not repeated. No
	// [*UnfinishedError] comes with it.
	ErrMayHaveStarted = errors.New("the execution may have started: look for it before you try again")
)

// WrapError adds to an error what Cloud Run or IAM means by it, as this package does
// to the errors of its own calls: errors.Is then finds [ErrActAsDenied] and the
// others above. It is for programs that make the API calls themselves, with a
// generated client for REST or for gRPC. The error stays in the chain, with its
// *googleapi.Error or gRPC status. WrapError returns an error that it doesn't
// recognise as it is, and nil for nil.
func WrapError(err error) error { return refusal.Wrap(err) }

// An OperationError means that Cloud Run accepted a change or an execution, which
// then failed.
type OperationError struct {
	// Operation is the operation's full name, empty if it is not known.
	Operation string
	// Reason is the one that Cloud Run gives, such as
	// "SECRETS_ACCESS_CHECK_FAILED" or "NON_ZERO_EXIT_CODE", or a canonical code
	// such as "PERMISSION_DENIED".
	Reason string
	// Message is the one that Cloud Run gives.
	Message string
}

// Error returns the reason and the message.
func (e *OperationError) Error() string {
	return fmt.Sprintf("failed with %s: %s", e.Reason, e.Message)
}

// Is reports whether the operation's message says what target, [ErrActAsDenied]
// or [ErrAgentTokenDenied], means. It is for errors.Is.
func (e *OperationError) Is(target error) bool {
	found := refusal.Recognize(http.StatusForbidden, "", e.Message)
	return found != nil && target == found
}

// An UnfinishedError means that the outcome of a request is not known: ctx ended
// first, or the answer got lost and looking for the effect failed too or, after a
// creation, found nothing. The request may have taken effect, or may still take effect.
//
// If the answer to the start of an execution got lost, the error is
// [ErrMayHaveStarted] instead.
type UnfinishedError struct {
	// Operation is the full name of the operation to look at, or empty if the
	// server had not named one.
	Operation string
	// Err is why the outcome is not known. It wraps the context's error if ctx
	// ended, and the server's last one if there was one.
	Err error
}

// Error returns a text that says that the change may still take effect.
func (e *UnfinishedError) Error() string {
	if e.Operation == "" {
		return fmt.Sprintf("the outcome is not known, the change may still take effect: %v", e.Err)
	}
	return fmt.Sprintf("stopped waiting, the change may still take effect (%s): %v", e.Operation, e.Err)
}

// Unwrap returns Err.
func (e *UnfinishedError) Unwrap() error { return e.Err }

// An InterleavedError means that someone else wrote the workload between the read
// and the write of a change: its generation grew by more than one. Cloud Run does
// not refuse such a write.
//
// A job is written as a whole: what the other one wrote is lost, and the API does
// not give it back. In a service or worker pool only the identity is written: the
// rest of what the other one wrote stays.
type InterleavedError struct {
	Workload Workload `json:"workload"`
	// Read is the generation of the workload that was read, and Answered the one
	// in the answer to the write. [Change.Before] and [Change.After] hold the
	// workload as it was read and as it was last seen.
	Read     int64 `json:"read"`
	Answered int64 `json:"answered"`
}

// Error returns a text that says what is lost.
func (e *InterleavedError) Error() string {
	lost := "only the identity was written, the rest of their change stands"
	if e.Workload.Kind == KindJob {
		lost = "a job is written as a whole: what they wrote is lost and can't be recovered"
	}
	return fmt.Sprintf("someone else wrote between the read (generation %d) and the write (generation %d); %s", e.Read, e.Answered, lost)
}
