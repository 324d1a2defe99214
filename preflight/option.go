package preflight

import (
	"math"

	"golang.org/x/time/rate"
)

// An Option changes how [Checker.Check] and [Checker.CheckAll] work.
type Option func(*options)

type options struct {
	troubleshoot bool
	noAdvice     bool
	dryRun       bool
	concurrency  int
	rate         rate.Limit
	progress     func(done int)
}

func collect(opts []Option) options {
	o := options{concurrency: defaultConcurrency, rate: defaultRate}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

const (
	defaultConcurrency = 16
	// defaultRate keeps below the quotas on reads of IAM (6,000 a minute) and of
	// Resource Manager (2,400).
	defaultRate rate.Limit = 30
)

// Troubleshoot asks Policy Troubleshooter about principals other than the
// caller, before policies are read. It has to be enabled in the project that
// pays for the calls, answers for users and service accounts only, and knows
// what the caller may see.
//
// https://cloud.google.com/policy-intelligence/docs/troubleshoot-access
func Troubleshoot() Option {
	return func(o *options) { o.troubleshoot = true }
}

// NoAdvice leaves advice out, and the calls that it takes: one that lists the
// workloads of the region, and policies that no check needs.
func NoAdvice() Option {
	return func(o *options) { o.noAdvice = true }
}

// DryRun sends the change that [identity.Client.Attach] would make with
// validateOnly, for a caller that is the deployer. A refusal is a Fail with the
// server's text. That it is taken is recorded, and makes no other check pass:
// what Cloud Run checks then is not documented.
func DryRun() Option {
	return func(o *options) { o.dryRun = true }
}

// Concurrency is how many targets [Checker.CheckAll] checks side by side, 16
// unless it is given. What is below 1 counts as 1.
func Concurrency(n int) Option {
	return func(o *options) { o.concurrency = max(n, 1) }
}

// RateLimit bounds the calls to each API, in calls a second with as many at
// once: 30 unless it is given. 0 means no limit.
func RateLimit(perSecond float64) Option {
	return func(o *options) {
		o.rate = rate.Limit(perSecond)
		if perSecond <= 0 || math.IsNaN(perSecond) {
			o.rate = rate.Inf
		}
	}
}

// Progress is called after each target that [Checker.CheckAll] has checked,
// with the number of those. Calls do not overlap.
func Progress(f func(done int)) Option {
	return func(o *options) { o.progress = f }
}
