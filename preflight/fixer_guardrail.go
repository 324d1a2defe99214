package preflight

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/internal/access"
)

func (f *Fixer) allowCrossProject(fix AllowCrossProject) change {
	type policy = orgpolicy.GoogleCloudOrgpolicyV2Policy
	parent := "projects/" + fix.Project
	name := parent + "/policies/" + crossProjectConstraint
	off := []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{ForceSendFields: []string{"Enforce"}}}
	var last *policy // as look read it, nil if there is none
	return change{
		look: func(ctx context.Context) (so bool, err error) {
			last, err = read(ctx, func() (*policy, error) {
				return f.org.Projects.Policies.Get(name).Context(ctx).Do()
			}, func(p *policy) string { return differs(p.Name, name) })
			if hasCode(err, http.StatusNotFound) {
				last, err = nil, nil
			}
			if err != nil || last == nil || last.Spec == nil {
				return false, err
			}
			rules := last.Spec.Rules
			return len(rules) == 1 && !rules[0].Enforce && rules[0].Condition == nil, nil
		},
		write: func(ctx context.Context) (bool, error) {
			if last == nil {
				_, err := f.org.Projects.Policies.Create(parent, &policy{
					Name: name, Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: off},
				}).Context(ctx).Do()
				return err == nil, err
			}
			if last.Spec == nil {
				last.Spec = &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Etag: last.Etag}
			}
			last.Spec.Rules, last.Spec.Reset, last.Spec.InheritFromParent = off, false, false
			_, err := f.org.Projects.Policies.Patch(name, last).UpdateMask("policy.spec").Context(ctx).Do()
			return err == nil, err
		},
	}
}

func (f *Fixer) exempt(fix ExemptFromDeny) change {
	principal := denyPrincipal(fix.Member)
	operations := "/denypolicies/" + lastSegment(fix.Policy) + "/operations/"
	var last *iamv2.GoogleIamV2Policy // as look read it
	return change{
		look: func(ctx context.Context) (so bool, err error) {
			last, err = read(ctx, func() (*iamv2.GoogleIamV2Policy, error) {
				return f.deny.Policies.Get(fix.Policy).Context(ctx).Do()
			}, func(p *iamv2.GoogleIamV2Policy) string { return differs(p.Name, fix.Policy) })
			if err != nil {
				return false, err
			}
			if fix.Rule < 0 || fix.Rule >= len(last.Rules) || last.Rules[fix.Rule].DenyRule == nil {
				return false, fmt.Errorf("the policy has no rule %d any more: check again", fix.Rule)
			}
			rule := last.Rules[fix.Rule].DenyRule
			about := access.DenyRule{DeniedPermissions: rule.DeniedPermissions, ExceptionPermissions: rule.ExceptionPermissions}
			if fix.Permission != "" && !about.Denies(fix.Permission) {
				return false, fmt.Errorf("rule %d of the policy doesn't deny %s any more: check again", fix.Rule, fix.Permission)
			}
			return slices.Contains(rule.ExceptionPrincipals, principal), nil
		},
		write: func(ctx context.Context) (bool, error) {
			rule := last.Rules[fix.Rule].DenyRule
			rule.ExceptionPrincipals = append(rule.ExceptionPrincipals, principal)
			return f.await(ctx, func(started string) (operation, error) {
				call := f.deny.Policies.Operations.Get(started).Context(ctx).Do
				if started == "" {
					call = f.deny.Policies.Update(fix.Policy, last).Context(ctx).Do
				}
				op, err := call()
				if err != nil || op == nil {
					return operation{}, err
				}
				out := operation{name: op.Name, done: op.Done, ours: strings.Contains(op.Name, operations)}
				if op.Error != nil {
					out.done, out.failure = true, ended(op.Name, op.Error.Code, op.Error.Message)
				}
				return out, nil
			})
		},
	}
}
