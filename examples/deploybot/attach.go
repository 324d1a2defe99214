package main

import (
	"context"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/identity"
)

// A result is what was done.
type result struct {
	// Change is what the library says of it.
	Change identity.Change `json:"change"`
	// Diff is how the workload's JSON differs from before.
	Diff []difference `json:"diff"`
	// Calls are the API calls that it took. Only the cloud in memory tells.
	Calls []call `json:"calls,omitempty"`
}

// A call is one API call.
type call struct {
	Method string `json:"method"` // such as "run.projects.locations.jobs.get"
	Status int    `json:"status"` // of HTTP
}

// attachLive attaches an identity in the real cloud.
func attachLive(ctx context.Context, w identity.Workload, sa identity.ServiceAccount) (*result, error) {
	client, err := identity.NewClient(ctx)
	if err != nil {
		return nil, err
	}
	return attach(ctx, client, w, sa)
}

// attachInDemo attaches an identity in a cloud in memory.
func attachInDemo(ctx context.Context, w identity.Workload, sa identity.ServiceAccount) (*result, error) {
	backend := demo.NewBackend()
	defer backend.Close()
	client, err := identity.NewClient(ctx, backend.ClientOptions(demo.Deployer)...)
	if err != nil {
		return nil, err
	}
	r, err := attach(ctx, client, w, sa)
	if r != nil {
		for _, c := range backend.Calls() {
			r.Calls = append(r.Calls, call{c.Method, c.Status})
		}
	}
	return r, err
}

// attach attaches an identity and compares the workload with what it was. A
// change that was written is in the result, whatever the error; without one,
// and with an error, the result is nil.
func attach(ctx context.Context, client *identity.Client, w identity.Workload, sa identity.ServiceAccount) (*result, error) {
	change, err := client.Attach(ctx, w, sa)
	if err != nil && !change.Written {
		return nil, err
	}
	differences, diffErr := diff(change.Before, change.After)
	if err == nil {
		err = diffErr
	}
	return &result{Change: change, Diff: differences}, err
}
