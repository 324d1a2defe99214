package preflight

import (
	"bytes"
	"context"

	"google.golang.org/api/iam/v1"
	"google.golang.org/api/serviceusage/v1"
)

func (f *Fixer) enableAPI(fix EnableAPI) change {
	name := "projects/" + fix.Project + "/services/" + fix.Service
	return change{
		blind: true,
		look: func(ctx context.Context) (bool, error) {
			s, err := read(ctx, func() (*serviceusage.GoogleApiServiceusageV1Service, error) {
				return f.usage.Services.Get(name).Context(ctx).Do()
			}, func(s *serviceusage.GoogleApiServiceusageV1Service) string {
				return differs(s.Name, name)
			})
			return err == nil && s.State == "ENABLED", err
		},
		write: func(ctx context.Context) (bool, error) {
			return f.await(ctx, func(started string) (operation, error) {
				call := f.usage.Operations.Get(started).Context(ctx).Do
				if started == "" {
					call = f.usage.Services.Enable(name, &serviceusage.EnableServiceRequest{}).Context(ctx).Do
				}
				op, err := call()
				if err != nil || op == nil {
					return operation{}, err
				}
				return usageOperation(fix.Service, op), nil
			})
		},
	}
}

// usageOperation says what Service Usage tells of an operation on a service. It is
// known to be about that service if the metadata or the response says so, as they
// are documented to.
// https://cloud.google.com/service-usage/docs/reference/rest/v1/OperationMetadata
func usageOperation(service string, op *serviceusage.Operation) operation {
	out := operation{name: op.Name, done: op.Done}
	for _, part := range [][]byte{op.Metadata, op.Response} {
		out.ours = out.ours || bytes.Contains(part, []byte("/services/"+service+`"`))
	}
	if op.Error != nil {
		out.done, out.failure = true, ended(op.Name, op.Error.Code, op.Error.Message)
	}
	return out
}

// createAgent has nothing to look at: the agents of a project can't be listed.
func (f *Fixer) createAgent(fix CreateAgent) change {
	name := "projects/" + fix.Project + "/services/" + fix.Service
	return change{
		write: func(ctx context.Context) (bool, error) {
			return f.await(ctx, func(started string) (operation, error) {
				call := f.agents.Operations.Get(started).Context(ctx).Do
				if started == "" {
					call = f.agents.Services.GenerateServiceIdentity(name).Context(ctx).Do
				}
				op, err := call()
				if err != nil || op == nil {
					return operation{}, err
				}
				v1 := &serviceusage.Operation{Name: op.Name, Done: op.Done, Metadata: op.Metadata, Response: op.Response}
				if op.Error != nil {
					v1.Error = &serviceusage.Status{Code: op.Error.Code, Message: op.Error.Message}
				}
				out := usageOperation(fix.Service, v1)
				out.ours = out.ours || out.failure == nil // of what was made, the response names an address at most
				return out, nil
			})
		},
	}
}

func (f *Fixer) enableAccount(fix EnableAccount) change {
	name := accountIn(fix.Project, fix.Account).name
	return change{
		blind: true,
		look: func(ctx context.Context) (bool, error) {
			a, err := read(ctx, func() (*iam.ServiceAccount, error) {
				return f.iam.Projects.ServiceAccounts.Get(name).Context(ctx).Do()
			}, func(a *iam.ServiceAccount) string {
				return differs(a.Name, name)
			})
			return err == nil && !a.Disabled, err
		},
		write: func(ctx context.Context) (bool, error) {
			_, err := f.iam.Projects.ServiceAccounts.Enable(name, &iam.EnableServiceAccountRequest{}).Context(ctx).Do()
			return err == nil, err
		},
	}
}
