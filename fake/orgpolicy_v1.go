package fake

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// Organization policies as Resource Manager v1 has them, over the policies of
// the Org Policy API v2. It knows one rule a policy and no dry-run ones.
// https://docs.cloud.google.com/resource-manager/reference/rest/v1/projects/setOrgPolicy

func orgPolicyV1Handlers() map[string]handler {
	handlers := make(map[string]handler)
	for _, kind := range []string{"projects", "folders", "organizations"} {
		prefix := "cloudresourcemanager." + kind + "."
		handlers[prefix+"getOrgPolicy"] = reads((*call).getOrgPolicyV1)
		handlers[prefix+"getEffectiveOrgPolicy"] = reads((*call).getEffectiveOrgPolicyV1)
		handlers[prefix+"setOrgPolicy"] = writes((*call).setOrgPolicyV1)
		handlers[prefix+"clearOrgPolicy"] = writes((*call).clearOrgPolicyV1)
		handlers[prefix+"listOrgPolicies"] = reads((*call).listOrgPoliciesV1)
		handlers[prefix+"listAvailableOrgPolicyConstraints"] = reads((*call).listConstraintsV1)
	}
	return handlers
}

// orgPolicyV1Of returns the resource that the path names and the constraint
// that the body names, if the caller has the permission.
func (c *call) orgPolicyV1Of(st *state, permission, constraint string) (*node, *orgConstraint, error) {
	n, _, err := c.orgResource(st, permission)
	if err != nil {
		return nil, nil, err
	}
	id, ok := strings.CutPrefix(constraint, "constraints/")
	if !ok {
		return nil, nil, wire.Invalid("Invalid constraint %q: it must be of the form \"constraints/%s\".", constraint, crossProjectConstraint)
	}
	k := st.orgConstraintFor(n, id)
	if k == nil {
		return nil, nil, orgPolicyMissing()
	}
	return n, k, nil
}

// unsetEtag is the etag of a policy that is not set. That it has one is documented;
// its value is the fake's own.
const unsetEtag = "BwA="

// policyV1 returns a policy as version 1 writes it. Of several rules of a list
// constraint it says what all together allow and deny.
func (k *orgConstraint) policyV1(spec wire.Object) wire.Object {
	out := wire.Object{"constraint": "constraints/" + k.id}
	rules := rulesOf(spec)
	switch {
	case spec["reset"] == true:
		out["restoreDefault"] = wire.Object{}
		return out
	case !k.list:
		boolean := wire.Object{}
		if slices.ContainsFunc(rules, func(r wire.Object) bool { return r["enforce"] == true }) {
			boolean["enforced"] = true
		}
		out["booleanPolicy"] = boolean
		return out
	}
	list := wire.Object{}
	if spec["inheritFromParent"] == true {
		list["inheritFromParent"] = true
	}
	for _, rule := range mergeRules(rules) {
		switch {
		case rule["denyAll"] == true:
			list["allValues"] = "DENY"
		case rule["allowAll"] == true:
			list["allValues"] = "ALLOW"
		}
		values, _ := rule["values"].(wire.Object)
		maps.Copy(list, values)
	}
	out["listPolicy"] = list
	return out
}

// specV1 returns the spec that a policy of version 1 stands for.
func (k *orgConstraint) specV1(policy wire.Object) (wire.Object, error) {
	var kinds []string
	for _, kind := range []string{"booleanPolicy", "listPolicy", "restoreDefault"} {
		if policy[kind] != nil {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) != 1 {
		return nil, wire.Invalid("A policy must have exactly one of boolean_policy, list_policy and restore_default.")
	}
	if k.list && kinds[0] == "booleanPolicy" || !k.list && kinds[0] == "listPolicy" {
		return nil, wire.Invalid("constraints/%s can't have a %s.", k.id, kinds[0])
	}
	switch kinds[0] {
	case "restoreDefault":
		return wire.Object{"reset": true}, nil
	case "booleanPolicy":
		return wire.Object{"rules": []any{wire.Object{"enforce": wire.Lookup(policy, "booleanPolicy", "enforced") == true}}}, nil
	}
	list, _ := policy["listPolicy"].(wire.Object)
	spec := wire.Object{}
	if list["inheritFromParent"] == true {
		spec["inheritFromParent"] = true
	}
	values := wire.Object{}
	for _, field := range []string{"allowedValues", "deniedValues"} {
		if v := list[field]; v != nil {
			values[field] = v
		}
	}
	var rules []any
	switch list["allValues"] {
	case "ALLOW":
		rules = append(rules, wire.Object{"allowAll": true})
	case "DENY":
		rules = append(rules, wire.Object{"denyAll": true})
	}
	if len(values) > 0 {
		rules = append(rules, wire.Object{"values": values})
	}
	if rules != nil {
		spec["rules"] = rules
	}
	return spec, nil
}

func (k *orgConstraint) storedV1(p *orgPolicy) wire.Object {
	if p == nil || p.spec == nil {
		return wire.Object{"constraint": "constraints/" + k.id, "etag": unsetEtag}
	}
	out := k.policyV1(p.spec)
	out["etag"], out["updateTime"] = p.etag, p.spec["updateTime"]
	return out
}

func (c *call) getOrgPolicyV1(st *state) ([]byte, error) {
	return c.readOrgPolicyV1(st, func(n *node, k *orgConstraint) wire.Object {
		return k.storedV1(st.orgPolicies.set[n.resourceID()][k.id])
	})
}

func (c *call) getEffectiveOrgPolicyV1(st *state) ([]byte, error) {
	return c.readOrgPolicyV1(st, func(n *node, k *orgConstraint) wire.Object {
		rules := []any{}
		for _, rule := range st.effectiveRules(k, n) {
			rules = append(rules, rule)
		}
		return k.policyV1(wire.Object{"rules": rules})
	})
}

// readOrgPolicyV1 answers what is read of the constraint that the body names.
func (c *call) readOrgPolicyV1(st *state, read func(*node, *orgConstraint) wire.Object) ([]byte, error) {
	in, err := c.object()
	if err != nil {
		return nil, err
	}
	n, k, err := c.orgPolicyV1Of(st, "orgpolicy.policy.get", wire.Text(in, "constraint"))
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(read(n, k)), nil
}

func (c *call) setOrgPolicyV1(st *state) ([]byte, error) {
	in, err := c.object()
	if err != nil {
		return nil, err
	}
	policy, _ := in["policy"].(wire.Object)
	n, k, err := c.orgPolicyV1Of(st, "orgpolicy.policy.set", wire.Text(policy, "constraint"))
	if err != nil {
		return nil, err
	}
	current := st.orgPolicies.set[n.resourceID()][k.id]
	if !sameOrgEtag(wire.Text(policy, "etag"), wire.Text(k.storedV1(current), "etag")) {
		return nil, orgPolicyConflict()
	}
	spec, err := k.specV1(policy)
	if err != nil {
		return nil, err
	}
	next := &orgPolicy{}
	if current != nil {
		next.dryRun = current.dryRun // of which version 1 does not know
	}
	if err := next.put(k, wire.Object{"spec": spec}, []string{"spec"}, st.tick(c.now)); err != nil {
		return nil, err
	}
	st.orgPolicies.put(n.resourceID(), k.id, next)
	return wire.MustEncode(k.storedV1(next)), nil
}

func (c *call) clearOrgPolicyV1(st *state) ([]byte, error) {
	in, err := c.object()
	if err != nil {
		return nil, err
	}
	n, k, err := c.orgPolicyV1Of(st, "orgpolicy.policy.set", wire.Text(in, "constraint"))
	if err != nil {
		return nil, err
	}
	set := st.orgPolicies.set[n.resourceID()]
	p := set[k.id]
	if !sameOrgEtag(wire.Text(in, "etag"), wire.Text(k.storedV1(p), "etag")) {
		return nil, orgPolicyConflict()
	}
	switch {
	case p == nil:
	case p.dryRun != nil:
		next := &orgPolicy{etag: orgPolicyEtag(st.tick(c.now)), dryRun: p.dryRun}
		set[k.id] = next
	default:
		delete(set, k.id)
	}
	return []byte("{}"), nil
}

// pageInBody lets a method have the parameters of a page in its body.
func (c *call) pageInBody() error {
	in, err := c.object()
	if err != nil {
		return err
	}
	if size := in["pageSize"]; size != nil {
		c.query.Set("pageSize", fmt.Sprint(size))
	}
	c.query.Set("pageToken", wire.Text(in, "pageToken"))
	return nil
}

func (c *call) listOrgPoliciesV1(st *state) ([]byte, error) {
	if err := c.pageInBody(); err != nil {
		return nil, err
	}
	n, _, err := c.orgResource(st, "orgpolicy.policies.list")
	if err != nil {
		return nil, err
	}
	set := st.orgPolicies.set[n.resourceID()]
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(set)) {
		if set[id].spec != nil {
			ids = append(ids, id)
		}
	}
	return c.orgList("policies", ids, func(id string) wire.Object { return st.orgConstraintFor(n, id).storedV1(set[id]) })
}

func (c *call) listConstraintsV1(st *state) ([]byte, error) {
	if err := c.pageInBody(); err != nil {
		return nil, err
	}
	if _, _, err := c.orgResource(st, "orgpolicy.constraints.list"); err != nil {
		return nil, err
	}
	all := orgConstraints()
	return c.orgList("constraints", slices.Sorted(maps.Keys(all)), func(id string) wire.Object {
		out := all[id].json("")
		out["name"] = "constraints/" + id
		return out
	})
}
