package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/time/rate"
	"google.golang.org/api/cloudresourcemanager/v1"
	crmv3 "google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/run/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// A reader reads what checks need, each thing once.
type reader struct {
	c       *Checker
	options CheckOptions
	// eager reads at once whatever may be needed, for the fewest round trips;
	// otherwise only what is, for the fewest calls.
	eager bool

	compiler *access.Compiler
	limiters sync.Map // by API: *rate.Limiter

	accounts  memo[*iam.ServiceAccount]
	ancestors memo[[]string]
	numbers   memo[string]
	services  memo[*serviceusage.GoogleApiServiceusageV1Service]
	allows    memo[*policy]
	workloads memo[*policy] // the policies of workloads: apart, since they are many
	denies    memo[*access.DenyPolicies]
	roles     memo[*iam.Role]
	orgs      memo[*orgpolicy.GoogleCloudOrgpolicyV2Policy]
	tests     memo[map[string]bool]
	attached  memo[identity.Attachment]
	groups    memo[[]access.Member]
	residents memo[map[identity.ServiceAccount][]string]
	grantable memo[[]*iam.Role]
	decisions memo[decision]
}

// kept is how many entries of a kind are kept in a run over many targets.
const kept = 4096

func newReader(c *Checker, o CheckOptions) *reader {
	r := &reader{c: c, options: o, compiler: access.NewCompiler()}
	for _, limit := range []*int{
		&r.accounts.max, &r.ancestors.max, &r.numbers.max, &r.services.max, &r.allows.max, &r.denies.max, &r.roles.max,
		&r.orgs.max, &r.tests.max, &r.groups.max, &r.residents.max, &r.grantable.max, &r.decisions.max,
	} {
		*limit = kept
	}
	// These are of one target each.
	r.workloads.max, r.attached.max = 64, 64
	return r
}

// errNotAllowed is the error of calls of a service that is nil.
var errNotAllowed = errors.New("the checker may not use this API: its field is nil; preflight.NewChecker fills it in")

// ask makes a call, again as long as that may help.
func ask[V any](ctx context.Context, r *reader, api string, allowed bool, call func(context.Context) (V, error)) (V, error) {
	if !allowed {
		var zero V
		return zero, errNotAllowed
	}
	return retry.Do(ctx, func() (V, error) {
		if err := r.wait(ctx, api); err != nil {
			var zero V
			return zero, err
		}
		return call(ctx)
	})
}

// wait waits until an API may be called again.
func (r *reader) wait(ctx context.Context, api string) error {
	limit := r.options.limit()
	limiter, _ := r.limiters.LoadOrStore(api, rate.NewLimiter(limit, max(int(min(limit, 1<<20)), 1)))
	return limiter.(*rate.Limiter).Wait(ctx) //nolint:errcheck // limiters holds nothing else
}

// account reads a service account, of a project or "-".
func (r *reader) account(ctx context.Context, project string, sa identity.ServiceAccount) (*iam.ServiceAccount, error) {
	name := accountIn(project, sa).name
	return r.accounts.get(ctx, name, func(ctx context.Context) (*iam.ServiceAccount, error) {
		return ask(ctx, r, "iam", r.c.IAM != nil, func(ctx context.Context) (*iam.ServiceAccount, error) {
			return r.c.IAM.Projects.ServiceAccounts.Get(name).Context(ctx).Do()
		})
	})
}

// above returns the relative names of what a container is in, itself first.
func (r *reader) above(ctx context.Context, container resource) ([]string, error) {
	return r.ancestors.get(ctx, container.name, func(ctx context.Context) ([]string, error) {
		switch container.kind {
		case organizationResource:
			return []string{container.name}, nil
		case folderResource:
			folder, err := ask(ctx, r, "cloudresourcemanager", r.c.ResourceManager != nil, func(ctx context.Context) (*crmv3.Folder, error) {
				return r.c.ResourceManager.Folders.Get(container.name).Context(ctx).Do()
			})
			if err != nil {
				return nil, err
			}
			parents, err := r.above(ctx, containerOf(folder.Parent))
			return append([]string{container.name}, parents...), err
		default:
		}
		answer, err := ask(ctx, r, "cloudresourcemanager", r.c.ResourceManagerV1 != nil,
			func(ctx context.Context) (*cloudresourcemanager.GetAncestryResponse, error) {
				return r.c.ResourceManagerV1.Projects.GetAncestry(container.project, &cloudresourcemanager.GetAncestryRequest{}).Context(ctx).Do()
			})
		if err != nil {
			return nil, err
		}
		var ancestors []string
		for _, a := range answer.Ancestor {
			if a.ResourceId == nil || a.ResourceId.Type == "" || a.ResourceId.Id == "" {
				return nil, fmt.Errorf("%w: an ancestor of %s without a name", retry.ErrGarbled, container.name)
			}
			ancestors = append(ancestors, a.ResourceId.Type+"s/"+a.ResourceId.Id)
		}
		if len(ancestors) == 0 {
			return nil, fmt.Errorf("%w: %s has no ancestry, not even itself", retry.ErrGarbled, container.name)
		}
		return ancestors, nil
	})
}

// service reads whether an API is enabled in a project.
func (r *reader) service(ctx context.Context, project, service string) (*serviceusage.GoogleApiServiceusageV1Service, error) {
	name := "projects/" + project + "/services/" + service
	return r.services.get(ctx, name, func(ctx context.Context) (*serviceusage.GoogleApiServiceusageV1Service, error) {
		return ask(ctx, r, "serviceusage", r.c.ServiceUsage != nil, func(ctx context.Context) (*serviceusage.GoogleApiServiceusageV1Service, error) {
			return r.c.ServiceUsage.Services.Get(name).Context(ctx).Do()
		})
	})
}

// number returns the number of a project.
func (r *reader) number(ctx context.Context, project string) (string, error) {
	if names.IsNumber(project) {
		return project, nil
	}
	return r.numbers.get(ctx, project, func(ctx context.Context) (string, error) {
		s, err := r.service(ctx, project, runAPI)
		if err == nil {
			// "projects/NUMBER/services/run.googleapis.com"
			if parts := strings.Split(s.Name, "/"); len(parts) == 4 && names.IsNumber(parts[1]) {
				return parts[1], nil
			}
		}
		p, err := ask(ctx, r, "cloudresourcemanager", r.c.ResourceManager != nil, func(ctx context.Context) (*crmv3.Project, error) {
			return r.c.ResourceManager.Projects.Get("projects/" + project).Context(ctx).Do()
		})
		if err != nil {
			return "", err
		}
		if number := strings.TrimPrefix(p.Name, "projects/"); names.IsNumber(number) {
			return number, nil
		}
		return "", fmt.Errorf("%w: project %s is named %q", retry.ErrGarbled, project, p.Name)
	})
}

// id returns the id of a project that is named by its id or number.
func (r *reader) id(ctx context.Context, project string) (string, error) {
	if !names.IsNumber(project) {
		return project, nil
	}
	ancestors, err := r.above(ctx, projectOf(project))
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(ancestors[0], "projects/"), nil
}

// effectivePolicy reads the organization policy in force on a project.
func (r *reader) effectivePolicy(ctx context.Context, project, constraint string) (*orgpolicy.GoogleCloudOrgpolicyV2Policy, error) {
	name := "projects/" + project + "/policies/" + constraint
	return r.orgs.get(ctx, name, func(ctx context.Context) (*orgpolicy.GoogleCloudOrgpolicyV2Policy, error) {
		return ask(ctx, r, "orgpolicy", r.c.OrgPolicy != nil, func(ctx context.Context) (*orgpolicy.GoogleCloudOrgpolicyV2Policy, error) {
			return r.c.OrgPolicy.Projects.Policies.GetEffectivePolicy(name).Context(ctx).Do()
		})
	})
}

// role reads a role.
func (r *reader) role(ctx context.Context, name string) (*iam.Role, error) {
	return r.roles.get(ctx, name, func(ctx context.Context) (*iam.Role, error) {
		return ask(ctx, r, "iam", r.c.IAM != nil, func(ctx context.Context) (*iam.Role, error) {
			switch {
			case strings.HasPrefix(name, "projects/"):
				return r.c.IAM.Projects.Roles.Get(name).Context(ctx).Do()
			case strings.HasPrefix(name, "organizations/"):
				return r.c.IAM.Organizations.Roles.Get(name).Context(ctx).Do()
			}
			return r.c.IAM.Roles.Get(name).Context(ctx).Do()
		})
	})
}

// test asks which permissions the caller has on a resource.
func (r *reader) test(ctx context.Context, at resource, permissions ...string) (map[string]bool, error) {
	return r.tests.get(ctx, at.full+" "+strings.Join(permissions, ","), func(ctx context.Context) (map[string]bool, error) {
		granted, err := r.testIAM(ctx, at, permissions)
		if err != nil {
			return nil, err
		}
		has := make(map[string]bool, len(granted))
		for _, p := range granted {
			has[p] = true
		}
		return has, nil
	})
}

func (r *reader) testIAM(ctx context.Context, at resource, permissions []string) ([]string, error) {
	switch at.kind {
	case accountResource:
		return ask(ctx, r, "iam", r.c.IAM != nil, func(ctx context.Context) ([]string, error) {
			answer, err := r.c.IAM.Projects.ServiceAccounts.TestIamPermissions(at.name,
				&iam.TestIamPermissionsRequest{Permissions: permissions}).Context(ctx).Do()
			if err != nil {
				return nil, err
			}
			return answer.Permissions, nil
		})
	case workloadResource:
		return ask(ctx, r, "run", r.c.Run != nil, func(ctx context.Context) ([]string, error) {
			req := &run.GoogleIamV1TestIamPermissionsRequest{Permissions: permissions}
			var answer *run.GoogleIamV1TestIamPermissionsResponse
			var err error
			switch at.workload.Kind {
			case identity.KindService:
				answer, err = r.c.Run.Projects.Locations.Services.TestIamPermissions(at.name, req).Context(ctx).Do()
			case identity.KindWorkerPool:
				answer, err = r.c.Run.Projects.Locations.WorkerPools.TestIamPermissions(at.name, req).Context(ctx).Do()
			default:
				answer, err = r.c.Run.Projects.Locations.Jobs.TestIamPermissions(at.name, req).Context(ctx).Do()
			}
			if err != nil {
				return nil, err
			}
			return answer.Permissions, nil
		})
	default:
	}
	return ask(ctx, r, "cloudresourcemanager", r.c.ResourceManager != nil, func(ctx context.Context) ([]string, error) {
		req := &crmv3.TestIamPermissionsRequest{Permissions: permissions}
		var answer *crmv3.TestIamPermissionsResponse
		var err error
		switch at.kind {
		case folderResource:
			answer, err = r.c.ResourceManager.Folders.TestIamPermissions(at.name, req).Context(ctx).Do()
		case organizationResource:
			answer, err = r.c.ResourceManager.Organizations.TestIamPermissions(at.name, req).Context(ctx).Do()
		default:
			answer, err = r.c.ResourceManager.Projects.TestIamPermissions(at.name, req).Context(ctx).Do()
		}
		if err != nil {
			return nil, err
		}
		return answer.Permissions, nil
	})
}

// attachment reads the identity that a workload has.
func (r *reader) attachment(ctx context.Context, w identity.Workload) (identity.Attachment, error) {
	return r.attached.get(ctx, w.Name(), func(ctx context.Context) (identity.Attachment, error) {
		if r.c.Identity == nil {
			return identity.Attachment{}, errNotAllowed
		}
		if err := r.wait(ctx, "run"); err != nil {
			return identity.Attachment{}, err
		}
		return r.c.Identity.Get(ctx, w, nil)
	})
}

// exists reports whether a workload is there.
func (r *reader) exists(ctx context.Context, w identity.Workload) (bool, error) {
	_, err := r.attachment(ctx, w)
	if errors.Is(err, identity.ErrNotFound) || rest.HasCode(err, http.StatusNotFound) {
		return false, nil
	}
	return err == nil, err
}

// convert makes one form of an API's type into another of the same JSON.
func convert(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}
