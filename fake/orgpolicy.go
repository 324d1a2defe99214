package fake

import (
	"slices"
	"strings"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// Organization policies, as the Org Policy API v2 has them. One constraint has
// an effect in the fake, crossProjectConstraint on Cloud Run; policies of
// others and custom constraints are only kept and answered, and dry-run specs
// are without effect anywhere. Conditions on tags are refused, since the fake
// has no tags.

// orgPolicyState are the organization policies and custom constraints.
type orgPolicyState struct {
	// set are the policies by resource ("projects/123") and constraint.
	set map[string]map[string]*orgPolicy
	// custom are the custom constraints by organization ("organizations/1")
	// and id ("custom.c"), as the API writes them.
	custom map[string]map[string]wire.Object
}

// orgPolicy is a policy on one resource. Its specs are as the API writes them,
// and are never changed.
type orgPolicy struct {
	etag   string
	spec   wire.Object // nil if there is but a dry-run one
	dryRun wire.Object
}

// crossProjectConstraint, where enforced on a service account's project, keeps
// the account from being attached to resources of other projects. Google's
// default is that it is enforced.
const crossProjectConstraint = "iam.disableCrossProjectServiceAccountUsage"

// enforced reports whether a boolean constraint is enforced on a resource: by the
// policy nearest to it, or by the constraint's default.
func (st *state) enforced(constraint string, n *node, byDefault bool) bool {
	for id := range n.ancestors {
		p := st.orgPolicies.set[id][constraint]
		switch {
		case p == nil || p.spec == nil:
		case p.spec["reset"] == true:
			return byDefault
		default:
			return slices.ContainsFunc(rulesOf(p.spec), func(r wire.Object) bool { return r["enforce"] == true })
		}
	}
	return byDefault
}

// rulesOf returns the rules of a spec.
func rulesOf(spec wire.Object) []wire.Object {
	list, _ := spec["rules"].([]any)
	rules := make([]wire.Object, 0, len(list))
	for _, item := range list {
		if rule, ok := item.(wire.Object); ok {
			rules = append(rules, rule)
		}
	}
	return rules
}

// effectiveRules returns the rules in force on a resource.
// https://cloud.google.com/resource-manager/docs/organization-policy/understanding-hierarchy
func (st *state) effectiveRules(k *orgConstraint, n *node) []wire.Object {
	if !k.list {
		return []wire.Object{{"enforce": st.enforced(k.id, n, k.deny)}}
	}
	// Rules are inherited from policies only: the constraint's default, which
	// is no rule, is in force where no policy is. That much is inferred from
	// the description of PolicySpec.inheritFromParent.
	var rules []wire.Object
	set := false
	for id := range n.ancestors {
		p := st.orgPolicies.set[id][k.id]
		if p == nil || p.spec == nil {
			continue
		}
		if p.spec["reset"] == true {
			break
		}
		set = true
		rules = append(rulesOf(p.spec), rules...)
		if p.spec["inheritFromParent"] != true {
			break
		}
	}
	switch {
	case set:
		return mergeRules(rules)
	case k.deny:
		return []wire.Object{{"denyAll": true}}
	default:
		return []wire.Object{{"allowAll": true}}
	}
}

// mergeRules makes one decision of the rules of a list constraint: what any
// denies is denied. How the real API writes the merged rules is not recorded.
func mergeRules(rules []wire.Object) []wire.Object {
	var allowed, denied []any
	allowAll := false
	for _, r := range rules {
		if r["denyAll"] == true {
			return []wire.Object{{"denyAll": true}}
		}
		allowAll = allowAll || r["allowAll"] == true
		values, _ := r["values"].(wire.Object)
		allowed = appendNew(allowed, values["allowedValues"])
		denied = appendNew(denied, values["deniedValues"])
	}
	allowed = slices.DeleteFunc(allowed, func(v any) bool { return slices.Contains(denied, v) })
	values := wire.Object{}
	if len(allowed) > 0 && !allowAll {
		values["allowedValues"] = allowed
	}
	if len(denied) > 0 {
		values["deniedValues"] = denied
	}
	merged := []wire.Object{{"values": values}}
	if allowAll {
		merged = []wire.Object{{"allowAll": true}}
		if len(denied) > 0 {
			merged = append(merged, wire.Object{"values": values})
		}
	}
	return merged
}

func appendNew(to []any, values any) []any {
	list, _ := values.([]any)
	for _, v := range list {
		if !slices.Contains(to, v) {
			to = append(to, v)
		}
	}
	return to
}

// orgNode finds the project, folder or organization of a name such as
// "projects/web-prod".
func (st *state) orgNode(name string) *node {
	id, ok := strings.CutPrefix(name, "projects/")
	if !ok {
		return st.parentNode(name)
	}
	if p := st.projects[id]; p != nil && !p.deleted {
		return &p.node
	}
	return nil
}

// orgResource returns the resource that the path begins with, and its name as
// the path has it, if the caller has the permission on it. Answers name the
// resource as it was asked for: the documentation has them name a project by
// its number, the recordings by its id.
func (c *call) orgResource(st *state, permission string) (*node, string, error) {
	kind := strings.Split(c.method.ID, ".")[1]
	name := kind + "/" + c.params[0]
	n := st.orgNode(name)
	if n == nil || !c.may(st, permission, n) {
		return nil, "", wire.Denied("Permission '%s' denied on resource '%s%s' (or it may not exist).", permission, resourceManager, name)
	}
	return n, name, nil
}

// orgPolicyOf does what orgResource does, and returns the constraint that
// params[1] names as well.
func (c *call) orgPolicyOf(st *state, permission string) (*node, string, *orgConstraint, error) {
	n, name, err := c.orgResource(st, permission)
	if err != nil {
		return nil, "", nil, err
	}
	k := st.orgConstraintFor(n, c.params[1])
	if k == nil {
		return nil, "", nil, orgPolicyMissing()
	}
	return n, name, k, nil
}

// resourceID returns the name by which Resource Manager knows a project, folder
// or organization.
func (n *node) resourceID() string { return strings.TrimPrefix(n.full, resourceManager) }

func orgPolicyMissing() *wire.Error { return wire.NotFound("Requested entity was not found.") }

func orgPolicyHandlers() map[string]handler {
	handlers := map[string]handler{
		"orgpolicy.organizations.customConstraints.create": writes((*call).createCustomConstraint),
		"orgpolicy.organizations.customConstraints.get":    reads((*call).getCustomConstraint),
		"orgpolicy.organizations.customConstraints.list":   reads((*call).listCustomConstraints),
		"orgpolicy.organizations.customConstraints.patch":  writes((*call).patchCustomConstraint),
		"orgpolicy.organizations.customConstraints.delete": writes((*call).deleteCustomConstraint),
	}
	for _, kind := range []string{"projects", "folders", "organizations"} {
		prefix := "orgpolicy." + kind + "."
		handlers[prefix+"constraints.list"] = reads((*call).listConstraints)
		handlers[prefix+"policies.create"] = writes((*call).createOrgPolicy)
		handlers[prefix+"policies.get"] = reads((*call).getOrgPolicy)
		handlers[prefix+"policies.getEffectivePolicy"] = reads((*call).getEffectiveOrgPolicy)
		handlers[prefix+"policies.list"] = reads((*call).listOrgPolicies)
		handlers[prefix+"policies.patch"] = writes((*call).patchOrgPolicy)
		handlers[prefix+"policies.delete"] = writes((*call).deleteOrgPolicy)
	}
	return handlers
}
