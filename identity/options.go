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
	// ReadRevisions reads the revisions of a service or worker pool that receive
	// traffic as well: one more call for each.
	ReadRevisions bool
}

// AttachOptions change how [Client.Attach] works. Nil means the zero value.
type AttachOptions struct {
	// ValidateOnly sends the request with validateOnly: Cloud Run checks it and
	// changes nothing. Which checks that includes is not documented.
	ValidateOnly bool
	// NoWait returns when Cloud Run has accepted the change, not when it is in
	// effect.
	NoWait bool
	// WaitForAccount tries again for at most that long when Cloud Run answers that
	// the caller may not act as the service account. An account or a grant that
	// was just made takes a minute or more to be seen everywhere, and Cloud Run
	// gives the same answer until then as for one that is not there. If it is
	// zero, that answer is final.
	WaitForAccount time.Duration
}

// CreateOptions change how [Client.CreateJob], [Client.CreateService] and
// [Client.CreateWorkerPool] work. Nil means the zero value.
type CreateOptions struct {
	// ValidateOnly, NoWait and WaitForAccount are those of [AttachOptions].
	ValidateOnly   bool
	NoWait         bool
	WaitForAccount time.Duration
}

// DetachOptions change how [Client.Detach] works. Nil means the zero value.
type DetachOptions struct {
	// ValidateOnly and NoWait are those of [AttachOptions].
	ValidateOnly bool
	NoWait       bool
	// ProjectNumber is the number of the workload's project, from which the
	// address of its default identity follows. If it is zero, a workload that
	// names this address is written for certainty.
	ProjectNumber int64
}

// ExecuteOptions change how [Client.Execute] works. Nil means the zero value.
type ExecuteOptions struct {
	// WaitForCompletion returns when the execution has ended, not when it has
	// begun.
	WaitForCompletion bool
	// Overrides, if not nil, runs the job with other arguments, environment
	// variables, task count or timeout, for this execution only. The identity
	// can't be overridden.
	Overrides *run.GoogleCloudRunV2Overrides
}

// EnsureServiceAccountOptions change how [Client.EnsureServiceAccount] works. Nil
// means the zero value.
type EnsureServiceAccountOptions struct {
	// DisplayName (at most 100 bytes of UTF-8) and Description (at most 256) are
	// set when the account is created, and not compared if it exists.
	DisplayName, Description string
	// Wait is how long a new account may take to become visible, 2 minutes if
	// zero.
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
