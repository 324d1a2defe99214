package identity

import (
	"time"

	"google.golang.org/api/run/v2"
)

// GetOptions change how [Client.Get] works. Nil means the zero value.
type GetOptions struct {
	// ProjectNumber is the number of the workload's project, from which the
	// address of its default identity follows. If it is zero, whether a workload
	// that names this address has the default identity may be [Unknown].
	ProjectNumber int64
	// ReadRevisions also reads the revisions of a service or worker pool that
	// receive traffic. It takes one more call for each.
	ReadRevisions bool
}

// AttachOptions change how [Client.Attach] works. Nil means the zero value.
type AttachOptions struct {
	// ValidateOnly makes Cloud Run check the request and change nothing. Which
	// checks it makes is not documented. [Change.Written] is then false, and
	// [Change.After] is what the workload would be.
	ValidateOnly bool
	// NoWait makes Attach return when Cloud Run has accepted the change, not when
	// the change is in effect.
	NoWait bool
	// WaitForAccount is how long Attach tries again when Cloud Run answers that the
	// caller may not act as the service account. A new account or grant takes a
	// minute or more to be seen everywhere. Until then Cloud Run answers as if it
	// didn't exist. If WaitForAccount is zero, the first such answer is final. An
	// [ErrAgentTokenDenied] is final in any case.
	WaitForAccount time.Duration
}

// CreateOptions change how [Client.CreateJob], [Client.CreateService] and
// [Client.CreateWorkerPool] work. Nil means the zero value.
type CreateOptions struct {
	// ValidateOnly, NoWait and WaitForAccount work as in [AttachOptions].
	ValidateOnly   bool
	NoWait         bool
	WaitForAccount time.Duration
}

// DetachOptions change how [Client.Detach] works. Nil means the zero value.
type DetachOptions struct {
	// ValidateOnly and NoWait work as in [AttachOptions].
	ValidateOnly bool
	NoWait       bool
	// ProjectNumber is the number of the workload's project, from which the
	// address of its default identity follows. If it is zero and [Workload].Project
	// isn't a number either, a workload that names this address is rewritten, since
	// the address can't be recognised as that of the default.
	ProjectNumber int64
}

// ExecuteOptions change how [Client.Execute] works. Nil means the zero value.
type ExecuteOptions struct {
	// WaitForCompletion makes Execute return when the execution has ended, not when
	// it has begun.
	WaitForCompletion bool
	// Overrides, if not nil, runs the job with other arguments, environment
	// variables, task count or timeout, for this execution only. The identity
	// can't be overridden.
	Overrides *run.GoogleCloudRunV2Overrides
}

// EnsureServiceAccountOptions change how [Client.EnsureServiceAccount] works. Nil
// means the zero value.
type EnsureServiceAccountOptions struct {
	// DisplayName and Description are given to an account that is created. They
	// are not compared if the account exists. IAM allows 100 bytes of UTF-8 in
	// DisplayName and 256 in Description, which is not checked here.
	DisplayName, Description string
	// Wait is how long a new account may take to become visible. Zero or less
	// means 2 minutes.
	Wait time.Duration
}

// options are those of any call that writes.
type options struct {
	validateOnly bool
	noWait       bool
	accountWait  time.Duration
}

func (o *AttachOptions) options() options {
	if o == nil {
		return options{}
	}
	return options{o.ValidateOnly, o.NoWait, o.WaitForAccount}
}

func (o *CreateOptions) options() options {
	return (*AttachOptions)(o).options()
}
