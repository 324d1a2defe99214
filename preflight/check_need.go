package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/access"
)

// checkNeed says whether the identity has what it needs at run time.
func (d *deploy) checkNeed(ctx context.Context, n Need, at resource) []Finding {
	who := d.subjectOf()
	var findings []Finding
	if n.Role != "" {
		findings = append(findings, d.checkRole(ctx, who, n.Role, at))
	}
	grant := GrantRole{Resource: at.full, Role: n.Role, Member: who.String()}
	for _, permission := range n.Permissions {
		made := d.r.decide(ctx, who, permission, at)
		f := accessFinding(CheckNeed, who, permission, at, made, nil)
		if f.Verdict == Fail && f.Fix == nil && at.kind != otherResource {
			if grant.Role != "" {
				f.Fix = grant
			} else if role, why := d.r.smallestRole(ctx, permission, at); role != "" {
				f.Fix = GrantRole{Resource: at.full, Role: role, Member: who.String()}
			} else {
				f.Message += "; which role to grant isn't known: " + why
			}
		}
		findings = append(findings, f)
	}
	return findings
}

// checkRole says whether the identity has all permissions of a role, however
// they are granted.
func (d *deploy) checkRole(ctx context.Context, who principal, name string, at resource) Finding {
	f := Finding{Code: CheckNeed, Resource: at.full, Principal: who.String(), Evidence: Evidence{Method: ByPolicies}}
	role, err := d.r.role(ctx, name)
	if err != nil {
		f.Causes = []Cause{causeOf("the role "+name, "//iam.googleapis.com/"+name, err, "iam.roles.get")}
		f.Message = "whether " + who.words() + " has the permissions of " + name + " on " + shortName(at.full) + " can't be told" + because(f.Causes)
		return f
	}
	// Asking Policy Troubleshooter for hundreds of permissions takes its quota.
	const mostAsked = 50
	if at.kind == otherResource && (!d.r.options.troubleshoot || len(role.IncludedPermissions) > mostAsked) {
		f.Causes = []Cause{{Message: "this package does not read the policies of such a resource, and asks Policy Troubleshooter" +
			fmt.Sprintf(" (option Troubleshoot) about roles of at most %d permissions", mostAsked), Resource: at.full}}
		f.Message = "whether " + who.words() + " has the permissions of " + name + " on " + shortName(at.full) + " can't be told" + because(f.Causes)
		return f
	}
	decisions := make([]decision, len(role.IncludedPermissions))
	sideBySide(len(decisions), func(i int) {
		decisions[i] = d.r.decide(ctx, who, role.IncludedPermissions[i], at)
	})
	var missing []string
	unknown := -1
	denied := -1
	for i, made := range decisions {
		switch made.outcome {
		case access.Denied:
			missing = append(missing, role.IncludedPermissions[i])
			if made.evidence.Denial != nil && denied < 0 {
				denied = i
			}
		case access.Unknown:
			unknown = i
		default:
		}
	}
	switch {
	case len(missing) > 0:
		f.Verdict = Fail
		f.Message = fmt.Sprintf("%s lacks %d of the %d permissions of %s on %s, such as %s",
			who.words(), len(missing), len(decisions), name, shortName(at.full), missing[0])
		if denied >= 0 {
			f.Evidence = decisions[denied].evidence
			n := f.Evidence.Denial
			f.Message += fmt.Sprintf("; rule %d of the deny policy %s denies %s", n.Rule, lastSegment(n.Policy), role.IncludedPermissions[denied])
			f.Fix = ExemptFromDeny{Policy: n.Policy, Rule: n.Rule, Permission: role.IncludedPermissions[denied], Member: who.String()}
		} else if at.kind != otherResource {
			f.Fix = GrantRole{Resource: at.full, Role: name, Member: who.String()}
		}
	case unknown >= 0:
		f.Evidence, f.Causes = decisions[unknown].evidence, decisions[unknown].causes
		f.Message = "whether " + who.words() + " has the permissions of " + name + " on " + shortName(at.full) + " can't be told" + because(f.Causes)
	case len(decisions) == 0:
		f.Causes = []Cause{{Message: "the role has no permissions", Resource: "//iam.googleapis.com/" + name}}
		f.Message = "the role " + name + " has no permissions, so that having it can't be told"
	default:
		f.Verdict = Pass
		f.Evidence = decisions[0].evidence
		f.Message = fmt.Sprintf("%s has all permissions of %s on %s", who.words(), name, shortName(at.full))
	}
	return f
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
