package preflight

import (
	"bytes"
	"context"

	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/internal/render"
)

// enableAPI is what [FixEnableAPI] does.
type enableAPI Fix

func (f *enableAPI) fields() []field {
	return []field{{name: "project", at: &f.Project}, {name: "service", at: &f.Service}}
}

func (f *enableAPI) check() error {
	if f.Project == "" || f.Service == "" {
		return lacks(f, "the project or the service", runAPI)
	}
	return nil
}

func (f *enableAPI) text() string { return "enable " + f.Service + " in project " + f.Project }

func (f *enableAPI) gcloud() string {
	return render.Command("gcloud", "services", "enable", f.Service, "--project="+f.Project)
}

func (f *enableAPI) request() Request {
	return Request{
		Method: "serviceusage.services.enable", Verb: "POST",
		URL: "https://serviceusage.googleapis.com/v1/projects/" + f.Project + "/services/" + f.Service + ":enable",
	}
}

func (f *enableAPI) sideEffect() string {
	return "makes the API's service agent and gives it its role on the project; takes serviceusage.services.enable"
}

func (f *enableAPI) changesGuardrail() bool { return false }

func (f *enableAPI) apply(ctx context.Context, by *applier) (bool, error) {
	name := "projects/" + f.Project + "/services/" + f.Service
	return settle(ctx, change{
		blind: true,
		look: func(ctx context.Context) (bool, error) {
			s, err := read(ctx, func() (*serviceusage.GoogleApiServiceusageV1Service, error) {
				return by.usage.Services.Get(name).Context(ctx).Do()
			}, func(s *serviceusage.GoogleApiServiceusageV1Service) string {
				return differs(s.Name, name)
			})
			return err == nil && s.State == "ENABLED", err
		},
		write: func(ctx context.Context) (bool, error) {
			return by.await(ctx, func(started string) (operation, error) {
				call := by.usage.Operations.Get(started).Context(ctx).Do
				if started == "" {
					call = by.usage.Services.Enable(name, &serviceusage.EnableServiceRequest{}).Context(ctx).Do
				}
				op, err := call()
				if err != nil || op == nil {
					return operation{}, err
				}
				return usageOperation(f.Service, op), nil
			})
		},
	})
}

// usageOperation returns what Service Usage tells of an operation on a service. It
// is known to be about that service if the metadata or the response says so, as
// they are documented to.
//
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
