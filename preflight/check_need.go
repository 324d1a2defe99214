package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/names"
)

// checkNeed checks whether the identity has what it needs at run time.
func (d *deploy) checkNeed(ctx context.Context, n Need, at resource) []Finding {
	who := d.subjectOf()
	var findings []Finding
	if n.Role != "" {
		findings = append(findings, d.checkRole(ctx, who, n.Role, at))
	}
	for _, permission := range n.Permissions {
		f := accessFinding(CheckRuntimeAccess, who, permission, at, d.r.decide(ctx, who, permission, at), nil)
		if f.Verdict == Fail && f.Fix == nil && at.kind != otherResource {
			role, why := n.Role, ""
			if role == "" {
				role, why = d.r.smallestRole(ctx, permission, at)
			}
			if role != "" {
				f.Fix = grantOf(role, who, at)
			} else {
				f.Message += "; which role to grant isn't known: " + why
			}
		}
		findings = append(findings, f)
	}
	return findings
}

// checkRole checks whether the identity has all permissions of a role, however
// they are granted.
func (d *deploy) checkRole(ctx context.Context, who principal, name string, at resource) Finding {
	f := Finding{Code: CheckRuntimeAccess, Resource: at.full, Principal: who.String(), Evidence: Evidence{Method: ByPolicies}}
	unknown := func(causes ...Cause) Finding {
		f.Causes = causes
		f.Message = "whether " + who.words() + " has the permissions of " + name + " on " + shortName(at.full) + " can't be told" + because(causes)
		return f
	}
	role, err := d.r.role(ctx, name)
	if err != nil {
		return unknown(causeOf("the role "+name, iamPrefix+name, err, "iam.roles.get"))
	}
	permissions := role.IncludedPermissions
	// Asking Policy Troubleshooter for hundreds of permissions takes its quota.
	const mostAsked = 50
	if at.kind == otherResource && (!d.r.options.Troubleshoot || len(permissions) > mostAsked) {
		return unknown(Cause{Resource: at.full, Message: "this package does not read the policies of such a resource, and asks Policy Troubleshooter" +
			fmt.Sprintf(" (CheckOptions.Troubleshoot) about roles of at most %d permissions", mostAsked)})
	}
	if len(permissions) == 0 {
		f.Causes = []Cause{{Message: "the role has no permissions", Resource: iamPrefix + name}}
		f.Message = "the role " + name + " has no permissions, so that having it can't be told"
		return f
	}
	decisions := make([]decision, len(permissions))
	sideBySide(len(decisions), func(i int) { decisions[i] = d.r.decide(ctx, who, permissions[i], at) })
	missing := indexes(decisions, func(d decision) bool { return d.outcome == access.Denied })
	open := indexes(decisions, func(d decision) bool { return d.outcome == access.Unknown })
	switch {
	case len(missing) > 0:
		f.Verdict = Fail
		f.Message = fmt.Sprintf("%s lacks %d of the %d permissions of %s on %s, such as %s",
			who.words(), len(missing), len(decisions), name, shortName(at.full), permissions[missing[0]])
		denied := slices.IndexFunc(decisions, func(d decision) bool { return d.outcome == access.Denied && d.evidence.Denial != nil })
		if denied >= 0 {
			f.Evidence = decisions[denied].evidence
			n := f.Evidence.Denial
			f.Message += fmt.Sprintf("; rule %d of the deny policy %s denies %s", n.Rule, names.Last(n.Policy), permissions[denied])
			f.Fix = exemptionOf(n, permissions[denied], who)
		} else if at.kind != otherResource {
			f.Fix = grantOf(name, who, at)
		}
	case len(open) > 0:
		last := decisions[open[len(open)-1]]
		f.Evidence = last.evidence
		return unknown(last.causes...)
	default:
		f.Verdict = Pass
		f.Evidence = decisions[0].evidence
		f.Message = fmt.Sprintf("%s has all permissions of %s on %s", who.words(), name, shortName(at.full))
	}
	return f
}

// indexes returns where decisions are such.
func indexes(decisions []decision, such func(decision) bool) []int {
	var all []int
	for i, d := range decisions {
		if such(d) {
			all = append(all, i)
		}
	}
	return all
}

// smallestRole returns the predefined role with the fewest permissions among
// those that can be granted on a resource and have a permission, or says why
// there is none.
//
// https://cloud.google.com/iam/docs/reference/rest/v1/roles/queryGrantableRoles
func (r *reader) smallestRole(ctx context.Context, permission string, at resource) (role, why string) {
	roles, err := r.grantable.get(ctx, at.full, func(ctx context.Context) ([]*iam.Role, error) {
		var all []*iam.Role
		for token := ""; ; {
			page, err := ask(ctx, r, "iam", r.c.IAM != nil, func(ctx context.Context) (*iam.QueryGrantableRolesResponse, error) {
				return r.c.IAM.Roles.QueryGrantableRoles(&iam.QueryGrantableRolesRequest{
					FullResourceName: at.full, View: "FULL", PageSize: 1000, PageToken: token,
				}).Context(ctx).Do()
			})
			if err != nil {
				return nil, err
			}
			all = append(all, page.Roles...)
			if token = page.NextPageToken; token == "" {
				return all, nil
			}
		}
	})
	if err != nil {
		return "", "the roles that can be granted on it can't be read: " + serverText(err)
	}
	best := -1
	for i, candidate := range roles {
		if candidate.Stage != "GA" || !strings.HasPrefix(candidate.Name, "roles/") || strings.HasSuffix(strings.ToLower(candidate.Name), "serviceagent") ||
			!slices.Contains(candidate.IncludedPermissions, permission) {
			continue
		}
		if best < 0 || len(candidate.IncludedPermissions) < len(roles[best].IncludedPermissions) ||
			len(candidate.IncludedPermissions) == len(roles[best].IncludedPermissions) && candidate.Name < roles[best].Name {
			best = i
		}
	}
	if best < 0 {
		return "", "no predefined role that can be granted on it has the permission"
	}
	return roles[best].Name, ""
}
