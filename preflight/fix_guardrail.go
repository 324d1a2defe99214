package preflight

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/runidentity/runidentity/internal/render"
)

// AllowCrossProject sets iam.disableCrossProjectServiceAccountUsage to not
// enforced on one project, so that workloads of other projects may use its
// accounts.
//
// https://cloud.google.com/iam/docs/attach-service-accounts#enabling-cross-project
type AllowCrossProject struct {
	Project string `json:"project"`
}

// String implements [Fix].
func (f AllowCrossProject) String() string {
	return "stop enforcing " + crossProjectConstraint + " on project " + f.Project
}

// Gcloud implements [Fix].
func (f AllowCrossProject) Gcloud() string {
	return render.Command("gcloud", "resource-manager", "org-policies", "disable-enforce", crossProjectConstraint, "--project="+f.Project)
}

// Request implements [Fix].
func (f AllowCrossProject) Request() Request {
	name := "projects/" + f.Project + "/policies/" + crossProjectConstraint
	return Request{
		Method: "orgpolicy.projects.policies.create", Verb: "POST",
		URL: "https://orgpolicy.googleapis.com/v2/projects/" + f.Project + "/policies",
		Body: body(map[string]any{
			"name": name, "spec": map[string]any{"rules": []any{map[string]bool{"enforce": false}}},
		}),
	}
}

// SideEffect implements [Fix].
func (f AllowCrossProject) SideEffect() string {
	return "every account of the project can then be attached in other projects by whoever may act as it, and the project gets " +
		"a lien that keeps it from being deleted; takes orgpolicy.policy.set, which roles/orgpolicy.policyAdmin on the organization has, not the project's owner"
}

// Guardrail implements [Fix].
func (f AllowCrossProject) Guardrail() bool { return true }

func (f AllowCrossProject) kind() fixKind { return kindAllowCrossProject }

func (f AllowCrossProject) check() error {
	if f.Project == "" {
		return lacks(f, "the project", "data-prod")
	}
	return nil
}

// ExemptFromDeny makes a principal an exception to one rule of a deny policy.
//
// https://cloud.google.com/iam/docs/deny-access
type ExemptFromDeny struct {
	Policy string `json:"policy"` // the policy's name
	Rule   int    `json:"rule"`   // the rule's index
	// Permission is one that the rule denies, such as
	// "iam.serviceAccounts.actAs": a rule in its place that doesn't is left as it
	// is. It isn't compared if empty.
	Permission string `json:"permission,omitempty"`
	Member     string `json:"member"` // as in an allow policy; "" isn't known
}

// String implements [Fix].
func (f ExemptFromDeny) String() string {
	return fmt.Sprintf("make %s an exception to rule %d of the deny policy %s", shortMember(memberOr(f.Member)), f.Rule, lastSegment(f.Policy))
}

// attachedTo is what the policy is attached to, as gcloud names it.
func (f ExemptFromDeny) attachedTo() string {
	parts := strings.Split(f.Policy, "/")
	if len(parts) < 2 {
		return ""
	}
	if plain, err := url.PathUnescape(parts[1]); err == nil {
		return url.PathEscape(plain)
	}
	return parts[1]
}

// Gcloud implements [Fix].
func (f ExemptFromDeny) Gcloud() string {
	common := []string{lastSegment(f.Policy), "--attachment-point=" + f.attachedTo(), "--kind=denypolicies"}
	get := render.Command(append([]string{"gcloud", "iam", "policies", "get"}, append(common, "--format=json")...)...)
	update := render.Command(append([]string{"gcloud", "iam", "policies", "update"}, append(common, "--policy-file=deny.json")...)...)
	return fmt.Sprintf("%s > deny.json\n# add %s to rules[%d].denyRule.exceptionPrincipals in deny.json, then:\n%s",
		get, render.Line(denyPrincipal(f.Member)), f.Rule, update)
}

// Request implements [Fix].
func (f ExemptFromDeny) Request() Request {
	return Request{
		Method: "iam.policies.update", Verb: "PUT", URL: "https://iam.googleapis.com/v2/" + f.Policy,
		Body: body(map[string]any{"rules": []any{map[string]any{"denyRule": map[string]any{"exceptionPrincipals": []string{denyPrincipal(f.Member)}}}}}),
	}
}

// SideEffect implements [Fix].
func (f ExemptFromDeny) SideEffect() string {
	return "the principal is exempt from the whole rule, whatever else it denies; takes iam.denypolicies.update, which roles/iam.denyAdmin has"
}

// Guardrail implements [Fix].
func (f ExemptFromDeny) Guardrail() bool { return true }

func (f ExemptFromDeny) kind() fixKind { return kindExemptFromDeny }

func (f ExemptFromDeny) check() error {
	switch {
	case !strings.Contains(f.Policy, "/denypolicies/"):
		return lacks(f, "the policy's full name", "policies/cloudresourcemanager.googleapis.com%2Fprojects%2F123/denypolicies/freeze")
	case f.Member == "":
		return nobody(f)
	}
	return nil
}
