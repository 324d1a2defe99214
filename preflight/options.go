package preflight

import (
	"math"

	"golang.org/x/time/rate"
)

// CheckOptions are the options of [Checker.Check].
type CheckOptions struct {
	// Troubleshoot asks Policy Troubleshooter about principals other than the
	// caller. Policies are read only if it can't tell. By default it isn't asked.
	//
	// Its API has to be enabled in the project that pays for the calls. It answers
	// for users and service accounts only, from what the caller may see.
	//
	// https://cloud.google.com/policy-intelligence/docs/troubleshoot-access
	Troubleshoot bool

	// NoAdvice leaves [Report.Advice] empty. That saves the calls that advice takes: one
	// that lists the workloads of the region, and those that read policies which no
	// check needs. By default there is advice.
	NoAdvice bool

	// ValidateOnly adds the check [CheckDryRun]: it sends the change that
	// [identity.Client.Attach] would make, with validateOnly, which changes nothing.
	// By default nothing is sent but reads.
	//
	// A refusal is a Fail with the server's text. An acceptance is a Pass of this
	// check alone, since what Cloud Run checks then is not documented. If the
	// deployer isn't the caller, or there is no workload yet, nothing is sent and the
	// check is Unknown. If the workload has the identity already, nothing is sent and
	// the check is a Pass, or Unknown if the last change of the workload failed.
	ValidateOnly bool

	// CallsPerSecond bounds the calls to each API. As many calls may be made at once.
	// 0 means 30, which keeps below the quotas on reads. Less than 0 means no bound.
	CallsPerSecond float64
}

// CheckAllOptions are the options of [Checker.CheckAll].
type CheckAllOptions struct {
	// Check says how each target is checked. Its CallsPerSecond is for all targets
	// together.
	Check CheckOptions

	// Concurrency is how many targets are checked side by side. 0 or less means 16.
	Concurrency int

	// Progress is called with the number of targets so far, those with an error
	// included, just before the report on the last one is yielded. Calls do not
	// overlap. If nil, nothing is called.
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
