package fake

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// orgConstraint is a constraint that policies can be set for.
type orgConstraint struct {
	id                       string // "iam.disableServiceAccountCreation"
	displayName, description string
	list                     bool // it is a list constraint, not a boolean one
	deny                     bool // in the absence of a policy, it is enforced or denies all values
}

// orgConstraints are the built-in constraints that have to do with service
// accounts and Cloud Run.
// https://cloud.google.com/resource-manager/docs/organization-policy/org-policy-constraints
var orgConstraints = sync.OnceValue(func() map[string]*orgConstraint {
	all := make(map[string]*orgConstraint)
	for _, k := range []*orgConstraint{
		{
			id: crossProjectConstraint, deny: true, displayName: "Disable Cross-Project Service Account Usage",
			description: "Where enforced, service accounts of the project can be attached only to resources of the same project.",
		},
		{
			id: "iam.restrictCrossProjectServiceAccountLienRemoval", displayName: "Restrict removal of Cross Project Service Account liens",
			description: "Where enforced, a project's lien for service accounts that are used across projects can be removed only with a permission on the organization.",
		},
		{
			id: "iam.disableServiceAccountCreation", displayName: "Disable service account creation",
			description: "Where enforced, no service accounts can be created.",
		},
		{
			id: "iam.disableServiceAccountKeyCreation", displayName: "Disable service account key creation",
			description: "Where enforced, no keys of service accounts can be created.",
		},
		{
			id: "iam.automaticIamGrantsForDefaultServiceAccounts", displayName: "Disable Automatic IAM Grants for Default Service Accounts",
			description: "Where enforced, default service accounts are not given the Editor role when they are created.",
		},
		{
			id: "iam.allowedPolicyMemberDomains", list: true, displayName: "Domain restricted sharing",
			description: "The customers whose identities can be added to allow policies.",
		},
		{
			id: "run.allowedIngress", list: true, displayName: "Allowed ingress settings (Cloud Run)",
			description: "The ingress settings that Cloud Run services may have.",
		},
		{
			id: "run.allowedVPCEgress", list: true, displayName: "Allowed VPC egress settings (Cloud Run)",
			description: "The VPC egress settings that Cloud Run resources may have.",
		},
		{
			id: "run.allowedBinaryAuthorizationPolicies", list: true, displayName: "Allowed Binary Authorization Policies (Cloud Run)",
			description: "The Binary Authorization policies that Cloud Run resources may name.",
		},
	} {
		all[k.id] = k
	}
	return all
})

func (k *orgConstraint) json(resource string) wire.Object {
	out := wire.Object{
		"name": resource + "/constraints/" + k.id, "displayName": k.displayName, "description": k.description,
		"constraintDefault": "ALLOW",
	}
	if k.deny {
		out["constraintDefault"] = "DENY"
	}
	if k.list {
		out["listConstraint"] = wire.Object{}
	} else {
		out["booleanConstraint"] = wire.Object{}
	}
	return out
}

// orgConstraintFor returns the constraint of that id, built in or a custom one
// of the organization that the resource is in; nil if there is none.
func (st *state) orgConstraintFor(n *node, id string) *orgConstraint {
	if k := orgConstraints()[id]; k != nil {
		return k
	}
	top := n
	for top.parent != nil {
		top = top.parent
	}
	if st.orgPolicies.custom[top.resourceID()][id] == nil {
		return nil
	}
	return &orgConstraint{id: id}
}

// listConstraints lists the built-in constraints.
func (c *call) listConstraints(st *state) ([]byte, error) {
	_, resource, err := c.orgResource(st, "orgpolicy.constraints.list")
	if err != nil {
		return nil, err
	}
	all := orgConstraints()
	return c.orgList("constraints", slices.Sorted(maps.Keys(all)), func(id string) wire.Object { return all[id].json(resource) })
}

// checkCustomConstraint holds a custom constraint against what the reference
// asks for. Its condition is not compiled. The texts are the fake's own.
func checkCustomConstraint(in wire.Object) error {
	for _, field := range []string{"resourceTypes", "methodTypes", "condition", "actionType"} {
		if in[field] == nil {
			return wire.Invalid("A custom constraint needs %s.", field)
		}
	}
	for field, most := range map[string]int{"condition": 1000, "displayName": 200, "description": 2000} {
		if len([]rune(wire.Text(in, field))) > most {
			return wire.Invalid("The %s of a custom constraint has at most %d characters.", field, most)
		}
	}
	return nil
}

// validCustomConstraintID holds an id against the documented rule.
// https://cloud.google.com/resource-manager/docs/organization-policy/creating-managing-custom-constraints
func validCustomConstraintID(id string) bool {
	name, ok := strings.CutPrefix(id, "custom.")
	return ok && name != "" && len(name) <= 71 && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

func (c *call) createCustomConstraint(st *state) ([]byte, error) {
	in, err := c.object()
	if err != nil {
		return nil, err
	}
	n, org, err := c.orgResource(st, "orgpolicy.customConstraints.create")
	if err != nil {
		return nil, err
	}
	id, ok := strings.CutPrefix(wire.Text(in, "name"), org+"/customConstraints/")
	if !ok || !validCustomConstraintID(id) {
		return nil, wire.Invalid("Invalid custom constraint name %q: it must be of the form %q.", wire.Text(in, "name"), org+"/customConstraints/custom.ID")
	}
	if err := checkCustomConstraint(in); err != nil {
		return nil, err
	}
	s := &st.orgPolicies
	if s.custom[n.resourceID()][id] != nil {
		return nil, wire.AlreadyExists("Requested entity already exists")
	}
	if s.custom == nil {
		s.custom = make(map[string]map[string]wire.Object)
	}
	if s.custom[n.resourceID()] == nil {
		s.custom[n.resourceID()] = make(map[string]wire.Object)
	}
	return c.putCustomConstraint(st, n, id, in)
}

func (c *call) putCustomConstraint(st *state, n *node, id string, in wire.Object) ([]byte, error) {
	in["name"] = n.resourceID() + "/customConstraints/" + id
	in["updateTime"] = timestamp(st.tick(c.now))
	st.orgPolicies.custom[n.resourceID()][id] = in
	return wire.MustEncode(in), nil
}

// findCustomConstraint returns the custom constraint that the path names.
func (c *call) findCustomConstraint(st *state, verb string) (*node, wire.Object, error) {
	n, _, err := c.orgResource(st, "orgpolicy.customConstraints."+verb)
	if err != nil {
		return nil, nil, err
	}
	k := st.orgPolicies.custom[n.resourceID()][c.params[1]]
	if k == nil {
		return nil, nil, orgPolicyMissing()
	}
	return n, k, nil
}

func (c *call) getCustomConstraint(st *state) ([]byte, error) {
	_, k, err := c.findCustomConstraint(st, "get")
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(k), nil
}

func (c *call) listCustomConstraints(st *state) ([]byte, error) {
	n, _, err := c.orgResource(st, "orgpolicy.customConstraints.list")
	if err != nil {
		return nil, err
	}
	custom := st.orgPolicies.custom[n.resourceID()]
	return c.orgList("customConstraints", slices.Sorted(maps.Keys(custom)), func(id string) wire.Object { return custom[id] })
}

// patchCustomConstraint overwrites all fields; it has no mask.
func (c *call) patchCustomConstraint(st *state) ([]byte, error) {
	in, err := c.object()
	if err != nil {
		return nil, err
	}
	n, k, err := c.findCustomConstraint(st, "update")
	if err != nil {
		return nil, err
	}
	if name := wire.Text(in, "name"); name != "" && name != wire.Text(k, "name") {
		return nil, wire.Invalid("The custom constraint's name %q is not that of the request, %q.", name, wire.Text(k, "name"))
	}
	if err := checkCustomConstraint(in); err != nil {
		return nil, err
	}
	if !wire.Equal(in["resourceTypes"], k["resourceTypes"]) {
		return nil, wire.Invalid("The resource types of a custom constraint can't be changed.")
	}
	return c.putCustomConstraint(st, n, c.params[1], in)
}

// deleteCustomConstraint leaves policies for the constraint where they are;
// only lists still show them.
func (c *call) deleteCustomConstraint(st *state) ([]byte, error) {
	n, _, err := c.findCustomConstraint(st, "delete")
	if err != nil {
		return nil, err
	}
	delete(st.orgPolicies.custom[n.resourceID()], c.params[1])
	return []byte("{}"), nil
}
