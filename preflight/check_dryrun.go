package preflight

import (
	"context"
	"errors"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/rest"
)

// checkDryRun sends the change with validateOnly.
func (d *deploy) checkDryRun(ctx context.Context) Finding {
	f := Finding{Code: CheckDryRun, Resource: d.workload.full, Principal: d.who.String(), Evidence: Evidence{Method: ByDryRun}}
	switch {
	case !d.who.caller:
		f.Message = "a dry run is made as the caller, who isn't the deployer"
		f.Causes = []Cause{{Message: "the deployer isn't the caller"}}
		return f
	case d.r.c.Identity == nil:
		f.Message = "a dry run wasn't made: " + errNotAllowed.Error()
		f.Causes = []Cause{{Message: errNotAllowed.Error(), Err: errNotAllowed}}
		return f
	}
	w := d.target.Workload
	change, err := d.r.c.Identity.Attach(ctx, w, d.sa, &identity.AttachOptions{ValidateOnly: true})
	switch {
	case errors.Is(err, identity.ErrNotFound):
		f.Message = "a dry run wasn't made: the " + w.Kind.String() + " isn't there yet"
		f.Causes = []Cause{{Message: "there is nothing to change", Resource: f.Resource, Err: err}}
	case err != nil && isRefusal(err):
		f.Verdict = Fail
		f.Message = "the server refuses the change: " + serverText(err)
		f.Evidence.Detail = serverText(err)
	case err != nil:
		f.Message = "the dry run failed: " + serverText(err)
		f.Causes = []Cause{causeOf("the dry run's outcome", f.Resource, err)}
	case change.Old == change.New:
		f.Verdict = Pass
		f.Message = "the " + w.Kind.String() + " has this identity already, so that no change was sent"
	default:
		f.Verdict = Pass
		f.Message = "the server takes the change with validateOnly; what it checks then isn't documented"
	}
	return f
}

// isRefusal reports whether the server answered that the request won't do.
func isRefusal(err error) bool {
	for _, code := range []int{400, 403, 412} {
		if rest.HasCode(err, code) {
			return true
		}
	}
	return false
}
