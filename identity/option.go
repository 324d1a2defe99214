package identity

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/run/v2"
)

// An Option changes how one call works. A method refuses options that do not
// apply to it.
type Option struct {
	name    string
	methods []string
	apply   func(*options)
}

// options are those of one call.
type options struct {
	validateOnly  bool
	noWait        bool
	waitExecution bool
	revisions     bool
	accountWait   time.Duration
	projectNumber int64
	overrides     *run.GoogleCloudRunV2Overrides
}

// ValidateOnly makes [Client.Attach], [Client.Detach] and [Client.CreateJob]
// send the request with validateOnly: Cloud Run checks it and changes nothing.
// Which checks that includes is not documented.
func ValidateOnly() Option {
	return Option{"ValidateOnly", changing(), func(o *options) { o.validateOnly = true }}
}

// NoWait makes [Client.Attach], [Client.Detach] and [Client.CreateJob] return
// when Cloud Run has accepted the change, not when it is in effect.
func NoWait() Option {
	return Option{"NoWait", changing(), func(o *options) { o.noWait = true }}
}

// WaitForAccount makes [Client.Attach] and [Client.CreateJob] try again for at
// most d when Cloud Run answers that the caller may not act as the service
// account. An account or a grant that was just made takes a minute or more to
// be seen everywhere, and Cloud Run gives the same answer until then as for
// one that is not there.
func WaitForAccount(d time.Duration) Option {
	return Option{"WaitForAccount", []string{"Attach", "CreateJob"}, func(o *options) { o.accountWait = d }}
}

// ProjectNumber tells [Client.Get] and [Client.Detach] the number of the
// workload's project, from which the address of its default identity follows.
func ProjectNumber(number int64) Option {
	return Option{"ProjectNumber", []string{"Get", "Detach"}, func(o *options) { o.projectNumber = number }}
}

// ReadRevisions makes [Client.Get] read the revisions of a service or worker
// pool that receive traffic: one more call for each.
func ReadRevisions() Option {
	return Option{"ReadRevisions", []string{"Get"}, func(o *options) { o.revisions = true }}
}

// WaitForCompletion makes [Client.Execute] return when the execution has
// ended, not when it has begun.
func WaitForCompletion() Option {
	return Option{"WaitForCompletion", []string{"Execute"}, func(o *options) { o.waitExecution = true }}
}

// Overrides makes [Client.Execute] run the job with other arguments,
// environment variables, task count or timeout, for this execution only. The
// identity can't be overridden.
func Overrides(overrides *run.GoogleCloudRunV2Overrides) Option {
	return Option{"Overrides", []string{"Execute"}, func(o *options) { o.overrides = overrides }}
}

func changing() []string { return []string{"Attach", "Detach", "CreateJob"} }

// collect applies the options of a call to method.
func collect(method string, opts []Option) (options, error) {
	var o options
	for _, opt := range opts {
		if !slices.Contains(opt.methods, method) {
			return options{}, fmt.Errorf("option %s does not apply to %s, only to %s", opt.name, method, strings.Join(opt.methods, ", "))
		}
		opt.apply(&o)
	}
	return o, nil
}
