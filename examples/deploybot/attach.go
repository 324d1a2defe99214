package main

import (
	"context"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
	"github.com/runidentity/runidentity/recommend"
)

// A result is what was done.
type result struct {
	// Preflight is what was checked before, Fixes what was done about it.
	Preflight preflight.Report `json:"preflight"`
	Fixes     []preflight.Step `json:"fixes,omitempty"`
	// Change is what the library says of it; nil if it wasn't tried or was
	// refused.
	Change *identity.Change `json:"change,omitempty"`
	// Diff is how the workload's JSON differs from before.
	Diff []difference `json:"diff,omitzero"`
	// Calls are the API calls that the change took, Checks the number of those
	// before. Only the cloud in memory tells.
	Calls  []call `json:"calls,omitempty"`
	Checks int    `json:"checks,omitempty"`
	// Recommendations are what less would do, Unlisted why some can't be read.
	Recommendations []recommend.Recommendation `json:"recommendations,omitempty"`
	Unlisted        []string                   `json:"unlisted,omitempty"`
}

// A call is one API call.
type call struct {
	Method string `json:"method"` // such as "run.projects.locations.jobs.get"
	Status int    `json:"status"` // of HTTP
}

// attach attaches an identity and compares the workload with what it was. A
// change that was written is in the result, whatever the error.
func (r *result) attach(ctx context.Context, client *identity.Client, w identity.Workload, sa identity.ServiceAccount) error {
	var opts identity.AttachOptions
	if len(r.Fixes) > 0 { // which may take a minute to be seen everywhere
		opts.WaitForAccount = fixesTake
	}
	change, err := client.Attach(ctx, w, sa, &opts)
	if err != nil && !change.Written {
		return err
	}
	differences, diffErr := diff(change.Before, change.After)
	if err == nil {
		err = diffErr
	}
	r.Change, r.Diff = &change, differences
	return err
}
