package fake

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	iamv2 "google.golang.org/api/iam/v2"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

func denyHandlers() map[string]handler {
	return map[string]handler{
		"iam.policies.createPolicy":   writes((*call).createDenyPolicy),
		"iam.policies.get":            reads((*call).getDenyPolicy),
		"iam.policies.listPolicies":   reads((*call).listDenyPolicies),
		"iam.policies.update":         writes((*call).updateDenyPolicy),
		"iam.policies.delete":         writes((*call).deleteDenyPolicy),
		"iam.policies.operations.get": reads((*call).getDenyOperation),
	}
}

// attachmentPoint finds the resource that a deny policy is attached to, if the
// caller has the permission there. It is the first part of the path, its
// slashes escaped, by gcloud and the client libraries twice:
// "cloudresourcemanager.googleapis.com%252Fprojects%252F123". The router has
// unescaped it once.
func (c *call) attachmentPoint(st *state, verb string) (*node, error) {
	point := c.params[0]
	if unescaped, err := url.PathUnescape(point); err == nil {
		point = unescaped
	}
	api, resource, _ := strings.Cut(point, "/")
	kind, id, ok := strings.Cut(resource, "/")
	kinds := []string{"projects", "folders", "organizations"}
	if !ok || id == "" || strings.Contains(id, "/") || "//"+api+"/" != resourceManager || !slices.Contains(kinds, kind) {
		return nil, wire.Invalid("Invalid attachment point %q: an example is %q, escaped as a part of a path.",
			point, "cloudresourcemanager.googleapis.com/projects/my-project")
	}
	if of := c.params[1]; of != "denypolicies" && (of != "operations" || c.method.ID != "iam.policies.get") {
		return nil, wire.Invalid("Invalid kind of policy %q: the only one is denypolicies.", of)
	}
	n := st.find(resource)
	if n == nil || !c.may(st, "iam.denypolicies."+verb, n) {
		return nil, wire.Denied("Permission iam.googleapis.com/denypolicies.%s denied on resource %s", verb, point)
	}
	return n, nil
}

// findDenyPolicy returns the policy that the path names.
func (c *call) findDenyPolicy(st *state, verb string) (*node, *iamv2.GoogleIamV2Policy, error) {
	n, err := c.attachmentPoint(st, verb)
	if err != nil {
		return nil, nil, err
	}
	p := n.deny.policies[c.params[2]]
	if p == nil {
		return nil, nil, missingEntity()
	}
	return n, p, nil
}

// missingEntity returns a refusal that Google's APIs share. What IAM answers
// for a deny policy that is not there is not known.
func missingEntity() *wire.Error { return wire.NotFound("Requested entity was not found.") }

// denyOperation answers a change as documented: with an operation that has its
// result already but is not said to be done until it is next looked at.
func (c *call) denyOperation(st *state, n *node, p *iamv2.GoogleIamV2Policy) ([]byte, error) {
	id := fmt.Sprintf("%016x", mix(uint64(st.newSerial())))
	response := wire.MustDecode(wire.MustEncode(p))
	response["@type"] = "type.googleapis.com/google.iam.v2.Policy"
	op := wire.Object{
		"name": p.Name + "/operations/" + id,
		"metadata": wire.Object{
			"@type": "type.googleapis.com/google.iam.v2.PolicyOperationMetadata", "createTime": timestamp(c.now),
		},
		"response": response,
	}
	if n.deny.operations == nil {
		n.deny.operations = make(map[string]wire.Object)
	}
	n.deny.operations[id] = op
	return wire.MustEncode(op), nil
}

// getDenyOperation needs no permission that is documented; the fake asks for
// the one to read the policy.
func (c *call) getDenyOperation(st *state) ([]byte, error) {
	n, err := c.attachmentPoint(st, "get")
	if err != nil {
		return nil, err
	}
	op := n.deny.operations[c.params[len(c.params)-1]]
	if op == nil || len(c.params) == 4 && !strings.HasPrefix(wire.Text(op, "name"), denyPolicyName(n, c.params[2])+"/") {
		return nil, missingEntity()
	}
	done := maps.Clone(op)
	done["done"] = true
	return wire.MustEncode(done), nil
}

// decodeDenyPolicy reads a policy from the body; what only the API sets is
// dropped.
func (c *call) decodeDenyPolicy() (*iamv2.GoogleIamV2Policy, error) {
	var p iamv2.GoogleIamV2Policy
	if err := c.decode(&p); err != nil {
		return nil, err
	}
	p.Kind, p.CreateTime, p.UpdateTime, p.DeleteTime, p.Uid = "", "", "", "", ""
	return &p, nil
}

func (c *call) createDenyPolicy(st *state) ([]byte, error) {
	p, err := c.decodeDenyPolicy()
	if err != nil {
		return nil, err
	}
	n, err := c.attachmentPoint(st, "create")
	if err != nil {
		return nil, err
	}
	id := c.query.Get("policyId")
	if n.deny.policies[id] != nil {
		return nil, wire.AlreadyExists("Policy %s already exists.", denyPolicyName(n, id))
	}
	if err := st.putDenyPolicy(n, id, p, nil, c.now, c.now.Add(c.delays.grants)); err != nil {
		return nil, err
	}
	return c.denyOperation(st, n, p)
}

// getDenyPolicy also answers operations at the shorter path by which Google's
// guide names them.
// https://cloud.google.com/iam/docs/deny-access#check-operation
func (c *call) getDenyPolicy(st *state) ([]byte, error) {
	if c.params[1] == "operations" {
		return c.getDenyOperation(st)
	}
	_, p, err := c.findDenyPolicy(st, "get")
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(p), nil
}

// listDenyPolicies leaves the rules out, and reads no page size, as documented.
func (c *call) listDenyPolicies(st *state) ([]byte, error) {
	n, err := c.attachmentPoint(st, "list")
	if err != nil {
		return nil, err
	}
	c.query.Del("pageSize")
	page, next, err := c.page(slices.Sorted(maps.Keys(n.deny.policies)), 1000, 1000)
	if err != nil {
		return nil, err
	}
	resp := &iamv2.GoogleIamV2ListPoliciesResponse{NextPageToken: next}
	for _, id := range page {
		p := *n.deny.policies[id]
		p.Rules, p.Etag = nil, ""
		resp.Policies = append(resp.Policies, &p)
	}
	return wire.MustEncode(resp), nil
}

// checkDenyEtag compares etags as they are: in this API they are texts.
func checkDenyEtag(p *iamv2.GoogleIamV2Policy, etag string) error {
	if etag != "" && etag != p.Etag {
		return wire.Aborted("There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.")
	}
	return nil
}

// updateDenyPolicy changes rules and display name. That a policy without etag
// is written over whatever is there is not documented, but so it is with
// allow policies.
func (c *call) updateDenyPolicy(st *state) ([]byte, error) {
	p, err := c.decodeDenyPolicy()
	if err != nil {
		return nil, err
	}
	n, had, err := c.findDenyPolicy(st, "update")
	if err != nil {
		return nil, err
	}
	if err := checkDenyEtag(had, p.Etag); err != nil {
		return nil, err
	}
	if err := st.putDenyPolicy(n, c.params[2], p, had, c.now, c.now.Add(c.delays.grants)); err != nil {
		return nil, err
	}
	return c.denyOperation(st, n, p)
}

func (c *call) deleteDenyPolicy(st *state) ([]byte, error) {
	n, had, err := c.findDenyPolicy(st, "delete")
	if err != nil {
		return nil, err
	}
	if err := checkDenyEtag(had, c.query.Get("etag")); err != nil {
		return nil, err
	}
	policies := maps.Clone(n.deny.policies)
	delete(policies, c.params[2])
	if err := st.setDeny(n, policies, c.now, c.now.Add(c.delays.grants)); err != nil {
		return nil, err
	}
	deleted := *had
	deleted.UpdateTime = timestamp(c.now)
	deleted.DeleteTime = deleted.UpdateTime
	return c.denyOperation(st, n, &deleted)
}
