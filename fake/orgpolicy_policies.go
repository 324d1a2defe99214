package fake

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

const orgPolicySchema = "GoogleCloudOrgpolicyV2Policy"

// SetOrgPolicy sets an organization policy: p.Name is
// "projects/P/policies/CONSTRAINT", or likewise for a folder or an organization.
// It differs from the API:
//
//   - it replaces a policy that exists, and doesn't compare etags;
//   - a rule of a boolean constraint that sets nothing means that the constraint
//     is not enforced, so that Enforce need not be in ForceSendFields.
//
// SetOrgPolicy panics on what the API would refuse. Only
// iam.disableCrossProjectServiceAccountUsage has an effect in the fake.
func (b *Backend) SetOrgPolicy(p *orgpolicy.GoogleCloudOrgpolicyV2Policy) {
	b.write(time.Now(), func(st *state) {
		if err := st.seedOrgPolicy(p); err != nil {
			panic(fmt.Sprintf("fake: SetOrgPolicy %q: %v", p.Name, err))
		}
	})
}

func (st *state) seedOrgPolicy(p *orgpolicy.GoogleCloudOrgpolicyV2Policy) error {
	parent, id, _ := strings.Cut(p.Name, "/policies/")
	n := st.orgNode(parent)
	if n == nil {
		return fmt.Errorf(`there is no %q; Name is of the form "projects/P/policies/%s"`, parent, crossProjectConstraint)
	}
	k := st.orgConstraintFor(n, id)
	if k == nil {
		return fmt.Errorf("the fake knows no constraint %q", id)
	}
	in := wire.MustDecode(wire.MustEncode(p))
	if err := (wire.Checker{Schemas: discovery.All()["orgpolicy:v2"].Schemas}).Normalize(orgPolicySchema, in, ""); err != nil {
		return err
	}
	if !k.list {
		for _, field := range orgSpecFields {
			spec, _ := in[field].(wire.Object)
			for _, rule := range rulesOf(spec) {
				if len(rule) == 0 {
					rule["enforce"] = false
				}
			}
		}
	}
	next := &orgPolicy{}
	if err := next.put(k, in, orgSpecFields, st.tick(time.Now())); err != nil {
		return err
	}
	st.orgPolicies.put(n.resourceID(), k.id, next)
	return nil
}

func (s *orgPolicyState) put(resource, constraint string, p *orgPolicy) {
	if s.set == nil {
		s.set = make(map[string]map[string]*orgPolicy)
	}
	if s.set[resource] == nil {
		s.set[resource] = make(map[string]*orgPolicy)
	}
	s.set[resource][constraint] = p
}

// orgSpecFields are the fields of a policy that a client sets.
var orgSpecFields = []string{"spec", "dryRunSpec"}

func (p *orgPolicy) field(name string) *wire.Object {
	if name == "spec" {
		return &p.spec
	}
	return &p.dryRun
}

// put takes fields over from a client's policy, as of a time.
func (p *orgPolicy) put(k *orgConstraint, in wire.Object, fields []string, at time.Time) error {
	if in["alternate"] != nil {
		return wire.Invalid("Policy.alternate is deprecated and not implemented by the fake.")
	}
	p.etag = orgPolicyEtag(at)
	for _, name := range fields {
		spec, _ := in[name].(wire.Object)
		if spec != nil {
			if err := checkOrgSpec(k, spec); err != nil {
				return err
			}
			spec = wire.Clone(spec)
			spec["etag"], spec["updateTime"] = p.etag, timestamp(at)
		}
		*p.field(name) = spec
	}
	if p.spec == nil && p.dryRun == nil {
		return wire.Invalid("A policy needs a spec or a dry_run_spec.")
	}
	return nil
}

// orgPolicyEtag returns an etag built as those of allow policies are. The one
// of an organization policy is documented to be opaque.
func orgPolicyEtag(at time.Time) string {
	etag := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro()))
	etag[0] = 7
	return base64.StdEncoding.EncodeToString(etag)
}

// checkOrgSpec holds a spec against what the descriptions of PolicySpec and
// PolicyRule ask for. The texts are the fake's own.
func checkOrgSpec(k *orgConstraint, spec wire.Object) error {
	rules, inherits := rulesOf(spec), spec["inheritFromParent"] == true
	switch {
	case spec["reset"] == true && (len(rules) > 0 || inherits):
		return wire.Invalid("A policy that resets a constraint must have no rules and must not inherit from the parent.")
	case spec["reset"] == true:
		return nil
	case !k.list && inherits:
		return wire.Invalid("inherit_from_parent can be set only in policies for list constraints, which constraints/%s is not.", k.id)
	case !k.list && len(rules) != 1:
		return wire.Invalid("A policy for the boolean constraint constraints/%s must have exactly one rule without a condition.", k.id)
	case len(rules) == 0 && !inherits:
		return wire.Invalid("A policy must have rules, reset the constraint or inherit from the parent.")
	}
	for _, rule := range rules {
		if err := checkOrgRule(k, rule); err != nil {
			return err
		}
	}
	return nil
}

func checkOrgRule(k *orgConstraint, rule wire.Object) error {
	var kinds []string
	for _, kind := range []string{"values", "allowAll", "denyAll", "enforce"} {
		if rule[kind] != nil {
			kinds = append(kinds, kind)
		}
	}
	switch {
	case rule["condition"] != nil:
		return wire.Invalid("Conditions of organization policies are on tags, which the fake does not evaluate: a rule with a condition is refused.")
	case rule["parameters"] != nil:
		return wire.Invalid("Only rules for managed constraints have parameters, and constraints/%s is none.", k.id)
	case len(kinds) != 1:
		return wire.Invalid("A policy rule must have exactly one of values, allow_all, deny_all and enforce.")
	case k.list && kinds[0] == "enforce":
		return wire.Invalid("enforce can be set only in policies for boolean constraints, which constraints/%s is not.", k.id)
	case !k.list && kinds[0] != "enforce":
		return wire.Invalid("A policy for the boolean constraint constraints/%s can't have %s.", k.id, kinds[0])
	}
	return nil
}

func (p *orgPolicy) json(resource, constraint string) wire.Object {
	out := wire.Object{"name": resource + "/policies/" + constraint, "etag": p.etag}
	for _, name := range orgSpecFields {
		if spec := *p.field(name); spec != nil {
			out[name] = spec
		}
	}
	return out
}

func (c *call) createOrgPolicy(st *state) ([]byte, error) {
	in, err := c.object()
	if err != nil {
		return nil, err
	}
	n, resource, err := c.orgResource(st, "orgpolicy.policies.create")
	if err != nil {
		return nil, err
	}
	parent, id, _ := strings.Cut(wire.Text(in, "name"), "/policies/")
	if st.orgNode(parent) != n {
		return nil, wire.Invalid("Invalid policy name %q: it must be of the form %q.", wire.Text(in, "name"), resource+"/policies/CONSTRAINT")
	}
	k := st.orgConstraintFor(n, id)
	if k == nil {
		return nil, orgPolicyMissing()
	}
	if st.orgPolicies.set[n.resourceID()][id] != nil {
		return nil, wire.AlreadyExists("Requested entity already exists")
	}
	p := &orgPolicy{}
	if err := p.put(k, in, orgSpecFields, st.tick(c.now)); err != nil {
		return nil, err
	}
	st.orgPolicies.put(n.resourceID(), id, p)
	return wire.MustEncode(p.json(resource, id)), nil
}

// getOrgPolicy needs orgpolicy.policy.get, the one read permission that
// predefined roles have and that refusals name; the generated reference says
// orgpolicy.policies.get, which IAM does not list.
func (c *call) getOrgPolicy(st *state) ([]byte, error) {
	n, resource, k, err := c.orgPolicyOf(st, "orgpolicy.policy.get")
	if err != nil {
		return nil, err
	}
	p := st.orgPolicies.set[n.resourceID()][k.id]
	if p == nil {
		return nil, orgPolicyMissing()
	}
	return wire.MustEncode(p.json(resource, k.id)), nil
}

// getEffectiveOrgPolicy answers whether or not a policy is set. For a
// constraint that does not exist, which is not documented, it answers as the
// other methods do.
func (c *call) getEffectiveOrgPolicy(st *state) ([]byte, error) {
	n, resource, k, err := c.orgPolicyOf(st, "orgpolicy.policy.get")
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(wire.Object{
		"name": resource + "/policies/" + k.id,
		"spec": wire.Object{"rules": st.effectiveRules(k, n)},
	}), nil
}

func (c *call) listOrgPolicies(st *state) ([]byte, error) {
	n, resource, err := c.orgResource(st, "orgpolicy.policies.list")
	if err != nil {
		return nil, err
	}
	set := st.orgPolicies.set[n.resourceID()]
	return c.orgList("policies", slices.Sorted(maps.Keys(set)), func(id string) wire.Object { return set[id].json(resource, id) })
}

// orgList answers a listing. The real API does not page yet, and says that it
// may: the fake does where it is asked to.
func (c *call) orgList(field string, ids []string, item func(id string) wire.Object) ([]byte, error) {
	page, next, err := c.page(ids, 1000, 1000)
	if err != nil {
		return nil, err
	}
	out := wire.Object{}
	var items []wire.Object
	for _, id := range page {
		items = append(items, item(id))
	}
	if len(items) > 0 {
		out[field] = items
	}
	if next != "" {
		out["nextPageToken"] = next
	}
	return wire.MustEncode(out), nil
}

// patchOrgPolicy replaces a policy as a whole: a spec that the body lacks is gone,
// whether the mask names it or not. It was recorded so, and the method's reference
// says "full overwrite"
// (https://cloud.google.com/resource-manager/docs/reference/orgpolicy/rest/v2/projects.policies/patch).
// That a spec which the mask doesn't name is taken from the body is inferred.
func (c *call) patchOrgPolicy(st *state) ([]byte, error) {
	in, err := c.object()
	if err != nil {
		return nil, err
	}
	if err := checkOrgPolicyMask(c.query.Get("updateMask")); err != nil {
		return nil, err
	}
	n, resource, k, err := c.orgPolicyOf(st, "orgpolicy.policies.update")
	if err != nil {
		return nil, err
	}
	p := st.orgPolicies.set[n.resourceID()][k.id]
	if p == nil {
		return nil, orgPolicyMissing()
	}
	if name := wire.Text(in, "name"); name != "" {
		parent, id, _ := strings.Cut(name, "/policies/")
		if st.orgNode(parent) != n || id != k.id {
			return nil, wire.Invalid("The policy's name %q is not that of the request, %q.", name, resource+"/policies/"+k.id)
		}
	}
	stale := !sameOrgEtag(wire.Text(in, "etag"), p.etag)
	for _, name := range orgSpecFields {
		// The etag of a spec that wasn't there is no conflict.
		if spec := *p.field(name); spec != nil {
			stale = stale || !sameOrgEtag(wire.Text(in, name, "etag"), wire.Text(spec, "etag"))
		}
	}
	if stale {
		return nil, orgPolicyConflict()
	}
	next := *p
	if err := next.put(k, in, orgSpecFields, st.tick(c.now)); err != nil {
		return nil, err
	}
	st.orgPolicies.put(n.resourceID(), k.id, &next)
	return wire.MustEncode(next.json(resource, k.id)), nil
}

// checkOrgPolicyMask refuses a mask of anything but specs. Its paths may begin with
// "policy".
func checkOrgPolicyMask(mask string) error {
	for _, path := range wire.ParseMask(mask) {
		name := strings.TrimPrefix(strings.Join(path, "."), "policy.")
		if name != "*" && !slices.Contains(orgSpecFields, name) {
			return wire.Invalid("Invalid update mask path: %q; it must be one of policy.spec, policy.dry_run_spec and *.", strings.Join(path, "."))
		}
	}
	return nil
}

// sameOrgEtag compares an etag that a client sent, if it did.
func sameOrgEtag(given, current string) bool {
	if given == "" {
		return true
	}
	g, err := decodeEtag(given)
	if err != nil {
		return false
	}
	want, err := decodeEtag(current)
	return err == nil && slices.Equal(g, want)
}

// orgPolicyConflict returns the refusal of a stale etag. It is documented to be
// ABORTED; its text is the fake's own.
func orgPolicyConflict() *wire.Error {
	return wire.Aborted("The etag does not match that of the policy, which has been changed since. Please retry the whole read-modify-write.")
}

func (c *call) deleteOrgPolicy(st *state) ([]byte, error) {
	n, _, k, err := c.orgPolicyOf(st, "orgpolicy.policies.delete")
	if err != nil {
		return nil, err
	}
	set := st.orgPolicies.set[n.resourceID()]
	p := set[k.id]
	if p == nil {
		return nil, orgPolicyMissing()
	}
	if !sameOrgEtag(c.query.Get("etag"), p.etag) {
		return nil, orgPolicyConflict()
	}
	delete(set, k.id)
	return []byte("{}"), nil
}
