package preflight

import (
	"context"

	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/internal/render"
)

// createAgent is what [FixCreateAgent] does.
type createAgent Fix

func (f *createAgent) fields() []field {
	return []field{{name: "project", at: &f.Project}, {name: "service", at: &f.Service}}
}

func (f *createAgent) check() error {
	if f.Project == "" || f.Service == "" {
		return lacks(f, "the project or the service", runAPI)
	}
	return nil
}

func (f *createAgent) text() string {
	return "create the service agent of " + f.Service + " in project " + f.Project
}

func (f *createAgent) gcloud() string {
	return render.Command("gcloud", "beta", "services", "identity", "create", "--service="+f.Service, "--project="+f.Project)
}

func (f *createAgent) request() Request {
	return Request{
		Method: "serviceusage.services.generateServiceIdentity", Verb: "POST",
		URL: "https://serviceusage.googleapis.com/v1beta1/projects/" + f.Project + "/services/" + f.Service + ":generateServiceIdentity",
	}
}

func (f *createAgent) sideEffect() string {
	return "none if the agent is there; takes serviceusage.services.enable"
}

func (f *createAgent) changesGuardrail() bool { return false }

// apply has nothing to look at: the agents of a project can't be listed.
func (f *createAgent) apply(ctx context.Context, by *applier) (bool, error) {
	name := "projects/" + f.Project + "/services/" + f.Service
	return settle(ctx, change{
		write: func(ctx context.Context) (bool, error) {
			return by.await(ctx, func(started string) (operation, error) {
				call := by.agents.Operations.Get(started).Context(ctx).Do
				if started == "" {
					call = by.agents.Services.GenerateServiceIdentity(name).Context(ctx).Do
				}
				op, err := call()
				if err != nil || op == nil {
					return operation{}, err
				}
				v1 := &serviceusage.Operation{Name: op.Name, Done: op.Done, Metadata: op.Metadata, Response: op.Response}
				if op.Error != nil {
					v1.Error = &serviceusage.Status{Code: op.Error.Code, Message: op.Error.Message}
				}
				out := usageOperation(f.Service, v1)
				out.ours = out.ours || out.failure == nil // of what was made, the response names an address at most
				return out, nil
			})
		},
	})
}
