package preflight

import (
	"context"
	"net/http"
	"net/url"

	crmv3 "google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/rest"
)

// A policy is an allow policy, as it was read and compiled.
type policy struct {
	bindings []*iam.Binding
	compiled *access.AllowPolicy
}

// allow reads the allow policy of a resource.
func (r *reader) allow(ctx context.Context, of resource) (*policy, error) {
	policies := &r.allows
	if of.kind == workloadResource {
		policies = &r.workloads
	}
	return policies.get(ctx, of.full, func(ctx context.Context) (*policy, error) {
		p, err := r.readAllow(ctx, of)
		if rest.HasCode(err, http.StatusNotFound) && (of.kind == accountResource || of.kind == workloadResource) {
			// What isn't there has no policy; what is above it still counts.
			return &policy{compiled: r.compiler.Allow(access.Policy{})}, nil
		}
		if err != nil {
			return nil, err
		}
		compiled := access.Policy{Bindings: make([]access.Binding, 0, len(p.Bindings))}
		for _, b := range p.Bindings {
			binding := access.Binding{Role: b.Role, Members: b.Members}
			if b.Condition != nil {
				binding.Condition = &access.Expr{
					Title: b.Condition.Title, Description: b.Condition.Description, Expression: b.Condition.Expression,
				}
			}
			compiled.Bindings = append(compiled.Bindings, binding)
		}
		return &policy{p.Bindings, r.compiler.Allow(compiled)}, nil
	})
}

// readAllow reads an allow policy with its conditions.
func (r *reader) readAllow(ctx context.Context, of resource) (*iam.Policy, error) {
	const withConditions = 3
	switch of.kind {
	case accountResource:
		return ask(ctx, r, "iam", r.c.IAM != nil, func(ctx context.Context) (*iam.Policy, error) {
			return r.c.IAM.Projects.ServiceAccounts.GetIamPolicy(of.name).OptionsRequestedPolicyVersion(withConditions).Context(ctx).Do()
		})
	case workloadResource:
		return ask(ctx, r, "run", r.c.Run != nil, func(ctx context.Context) (*iam.Policy, error) {
			var p any
			var err error
			locations := r.c.Run.Projects.Locations
			switch of.workload.Kind {
			case identity.KindService:
				p, err = locations.Services.GetIamPolicy(of.name).OptionsRequestedPolicyVersion(withConditions).Context(ctx).Do()
			case identity.KindWorkerPool:
				p, err = locations.WorkerPools.GetIamPolicy(of.name).OptionsRequestedPolicyVersion(withConditions).Context(ctx).Do()
			default:
				p, err = locations.Jobs.GetIamPolicy(of.name).OptionsRequestedPolicyVersion(withConditions).Context(ctx).Do()
			}
			return policyFrom(p, err)
		})
	default:
	}
	return ask(ctx, r, "cloudresourcemanager", r.c.ResourceManager != nil, func(ctx context.Context) (*iam.Policy, error) {
		req := &crmv3.GetIamPolicyRequest{Options: &crmv3.GetPolicyOptions{RequestedPolicyVersion: withConditions}}
		var p *crmv3.Policy
		var err error
		switch of.kind {
		case folderResource:
			p, err = r.c.ResourceManager.Folders.GetIamPolicy(of.name, req).Context(ctx).Do()
		case organizationResource:
			p, err = r.c.ResourceManager.Organizations.GetIamPolicy(of.name, req).Context(ctx).Do()
		default:
			p, err = r.c.ResourceManager.Projects.GetIamPolicy(of.name, req).Context(ctx).Do()
		}
		return policyFrom(p, err)
	})
}

// policyFrom returns a policy of another API's type.
func policyFrom(p any, err error) (*iam.Policy, error) {
	if err != nil {
		return nil, err
	}
	out := new(iam.Policy)
	return out, convert(p, out)
}

// deny reads and compiles the deny policies of a project, folder or
// organization. A listing has no rules: each policy is read besides.
func (r *reader) deny(ctx context.Context, of resource) (*access.DenyPolicies, error) {
	return r.denies.get(ctx, of.name, func(ctx context.Context) (*access.DenyPolicies, error) {
		names, err := r.denyNames(ctx, of)
		if err != nil {
			return nil, err
		}
		policies := make([]access.DenyPolicy, len(names))
		errs := make([]error, len(names))
		sideBySide(len(names), func(i int) {
			p, err := ask(ctx, r, "iam", true, func(ctx context.Context) (*iamv2.GoogleIamV2Policy, error) {
				return r.c.DenyPolicies.Policies.Get(names[i]).Context(ctx).Do()
			})
			if rest.HasCode(err, http.StatusNotFound) { // deleted since it was listed
				return
			}
			if errs[i] = err; err == nil {
				policies[i] = denyPolicy(p)
			}
		})
		for _, err := range errs {
			if err != nil {
				return nil, err
			}
		}
		return r.compiler.Deny(policies...), nil
	})
}

func (r *reader) denyNames(ctx context.Context, of resource) ([]string, error) {
	parent := "policies/" + url.PathEscape(of.full[len("//"):]) + "/denypolicies"
	var names []string
	for token := ""; ; {
		page, err := ask(ctx, r, "iam", r.c.DenyPolicies != nil, func(ctx context.Context) (*iamv2.GoogleIamV2ListPoliciesResponse, error) {
			call := r.c.DenyPolicies.Policies.ListPolicies(parent).PageSize(1000).Context(ctx)
			if token != "" {
				call.PageToken(token)
			}
			return call.Do()
		})
		if err != nil {
			return nil, err
		}
		for _, p := range page.Policies {
			names = append(names, p.Name)
		}
		if token = page.NextPageToken; token == "" {
			return names, nil
		}
	}
}

func denyPolicy(p *iamv2.GoogleIamV2Policy) access.DenyPolicy {
	out := access.DenyPolicy{Name: p.Name}
	for _, rule := range p.Rules {
		d := rule.DenyRule
		if d == nil {
			d = &iamv2.GoogleIamV2DenyRule{} // keeps the indexes
		}
		compiled := access.DenyRule{
			Description: rule.Description, DeniedPrincipals: d.DeniedPrincipals, ExceptionPrincipals: d.ExceptionPrincipals,
			DeniedPermissions: d.DeniedPermissions, ExceptionPermissions: d.ExceptionPermissions,
		}
		if c := d.DenialCondition; c != nil {
			compiled.Condition = &access.Expr{Title: c.Title, Description: c.Description, Expression: c.Expression}
		}
		out.Rules = append(out.Rules, compiled)
	}
	return out
}
