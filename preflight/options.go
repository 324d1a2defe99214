package preflight

import (
	"math"

	"golang.org/x/time/rate"
)

// CheckOptions are the options of [Checker.Check].
type CheckOptions struct {
	// Troubleshoot asks Policy Troubleshooter about principals other than the
	// caller, before policies are read. It has to be enabled in the project that
	// pays for the calls, answers for users and service accounts only, and knows
	// what the caller may see. By default it isn't asked.
	//
	// https://cloud.google.com/policy-intelligence/docs/troubleshoot-access
	Troubleshoot bool

	// NoAdvice leaves [Report.Advice] empty. That saves the calls that advice takes: one
	// that lists the workloads of the region, and those that read policies which no
	// check needs. By default there is advice.
	NoAdvice bool

	// ValidateOnly adds the check [CheckDryRun]: it sends the change that
	// [identity.Client.Attach] would make, with validateOnly, if the caller is the
	// deployer. A refusal is a Fail with the server's text. An acceptance makes no
	// other check pass, since what Cloud Run checks then is not documented. By
	// default nothing is sent but reads.
	ValidateOnly bool

	// CallsPerSecond bounds the calls to each API, in calls a second with as many at
	// once. 0 means 30, which keeps below the quotas on reads; below 0 there is no
	// bound.
	CallsPerSecond float64
}

// CheckAllOptions are the options of [Checker.CheckAll].
type CheckAllOptions struct {
	// Check says how each target is checked. Its CallsPerSecond is for all targets
	// together.
	Check CheckOptions

	// Concurrency is how many targets are checked side by side. 0 means 16, and so
	// does what is below.
	Concurrency int

	// Progress is called after each target with the number of targets that have been
	// checked. Calls do not overlap. If nil, nothing is called.
	Progress func(done int)
}

// limit returns the bound on calls to each API.
func (o CheckOptions) limit() rate.Limit {
	// The quotas on reads are 6,000 a minute for IAM, 2,400 for Resource Manager.
	const usual rate.Limit = 30
	switch {
	case o.CallsPerSecond == 0 || math.IsNaN(o.CallsPerSecond):
		return usual
	case o.CallsPerSecond < 0:
		return rate.Inf
	}
	return min(rate.Limit(o.CallsPerSecond), rate.Inf)
}

func (o CheckAllOptions) concurrency() int {
	if o.Concurrency > 0 {
		return o.Concurrency
	}
	return 16
}
