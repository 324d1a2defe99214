package fake

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	iamv2 "google.golang.org/api/iam/v2"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/access"
)

// denyState are the deny policies that are attached to a node.
type denyState struct {
	policies   map[string]*iamv2.GoogleIamV2Policy // by id; a policy is never changed, but replaced
	operations map[string]wire.Object              // by id
	// effective are compiled forms of the policies, the newest last, with the
	// times from which they are in force.
	effective []effectiveDeny
}

type effectiveDeny struct {
	from     time.Time
	policies []*iamv2.GoogleIamV2Policy // in the order in which they are compiled
	compiled *access.DenyPolicies
}

var noDeny = sync.OnceValue(access.NoDeny)

// at returns the deny policies in force.
func (d *denyState) at(now time.Time) *access.DenyPolicies {
	if len(d.effective) == 0 {
		return noDeny()
	}
	return d.inForce(now).compiled
}

func (d *denyState) inForce(now time.Time) effectiveDeny {
	for _, e := range slices.Backward(d.effective) {
		if !e.from.After(now) {
			return e
		}
	}
	return effectiveDeny{compiled: noDeny()}
}

// setDeny replaces the deny policies that are attached to a node, in force
// from a time on, or returns the refusal of the API.
func (st *state) setDeny(n *node, policies map[string]*iamv2.GoogleIamV2Policy, now, from time.Time) error {
	next := effectiveDeny{from: from}
	var compile []access.DenyPolicy
	for _, id := range slices.Sorted(maps.Keys(policies)) {
		next.policies = append(next.policies, policies[id])
		compile = append(compile, denyPolicyOf(policies[id]))
	}
	next.compiled = st.compiler.Deny(compile...)
	if err := errors.Join(next.compiled.Err(), next.compiled.CheckLimits()); err != nil {
		return wire.Invalid("Invalid policy: %v", err)
	}
	d := &n.deny
	d.policies = policies
	for i, e := range slices.Backward(d.effective) {
		if !e.from.After(now) {
			d.effective = d.effective[i:]
			d.effective[0].from = time.Time{} // as for allow policies
			break
		}
	}
	d.effective = append(d.effective, next)
	return nil
}

// denyPolicyOf converts to the evaluator's type.
func denyPolicyOf(p *iamv2.GoogleIamV2Policy) access.DenyPolicy {
	out := access.DenyPolicy{Name: p.Name}
	for _, r := range p.Rules {
		d := r.DenyRule
		rule := access.DenyRule{
			Description: r.Description, DeniedPrincipals: d.DeniedPrincipals, ExceptionPrincipals: d.ExceptionPrincipals,
			DeniedPermissions: d.DeniedPermissions, ExceptionPermissions: d.ExceptionPermissions,
		}
		if c := d.DenialCondition; c != nil {
			rule.Condition = &access.Expr{Title: c.Title, Description: c.Description, Expression: c.Expression}
		}
		out.Rules = append(out.Rules, rule)
	}
	return out
}

var denyPolicyID = regexp.MustCompile(`^[a-z][a-z0-9.-]{2,62}$`)

// checkDenyPolicy refuses what the API documents that it refuses; the texts
// are the fake's own. Conditions are refused as well: all that deny policies
// take is about resource tags, which the fake does not have.
func (st *state) checkDenyPolicy(id string, p *iamv2.GoogleIamV2Policy) error {
	switch {
	case !denyPolicyID.MatchString(id):
		return wire.Invalid("Invalid policy ID %q: it must be 3 to 63 characters of lowercase letters, numbers, dashes and periods, "+
			"and begin with a letter.", id)
	case len([]rune(p.DisplayName)) > 63:
		return wire.Invalid("The display name of the policy has more than 63 characters.")
	}
	for key, value := range p.Annotations {
		if len([]rune(key)) > 63 || len([]rune(value)) > 255 {
			return wire.Invalid("The annotation %q of the policy is too long: keys may have 63 characters, values 255.", key)
		}
	}
	for i, r := range p.Rules {
		if r == nil || r.DenyRule == nil {
			return wire.Invalid("Rule %d of the policy is no deny rule.", i)
		}
		if len([]rune(r.Description)) > 256 {
			return wire.Invalid("The description of rule %d has more than 256 characters.", i)
		}
		if err := st.checkDenyRule(r.DenyRule); err != nil {
			return err
		}
	}
	return nil
}

func (st *state) checkDenyRule(r *iamv2.GoogleIamV2DenyRule) error {
	for _, list := range [][]string{r.DeniedPermissions, r.ExceptionPermissions} {
		for _, p := range list {
			if strings.Contains(p, "/") && !st.canBeDenied(p) {
				return wire.Invalid("Permission %s is not supported in deny policies.", p)
			}
		}
	}
	if slices.Contains(r.ExceptionPrincipals, "principalSet://goog/public:all") {
		return wire.Invalid("principalSet://goog/public:all can't be an exception principal.")
	}
	if c := r.DenialCondition; c != nil {
		var refused *access.ConditionError
		if err := st.compiler.CheckCondition(c.Expression); errors.As(err, &refused) && refused.Err == nil {
			return wire.Invalid("The fake does not know resource tags: the denial condition %q can't be evaluated.", c.Expression)
		}
	}
	return nil
}

// canBeDenied reports whether deny policies take a permission, or a permission
// group: one with any permission that they support.
func (st *state) canBeDenied(name string) bool {
	v1 := permissionV1(name)
	service, _, _ := strings.Cut(v1, ".")
	resource, verb := v1[:max(strings.LastIndexByte(v1, '.'), 0)], v1[strings.LastIndexByte(v1, '.')+1:]
	switch {
	case !access.Deniable(name):
		return false
	case !strings.Contains(v1, "*"):
		return st.permissionExists(v1)
	case resource != service+".*":
		return listedResources()[resource] || service != "run" && service != "orgpolicy"
	}
	known := false
	for _, p := range st.permissions() {
		if !strings.HasPrefix(p, service+".") {
			continue
		}
		known = true
		if (verb == "*" || strings.HasSuffix(p, "."+verb)) && access.Deniable(access.PermissionFQDN(p)) {
			return true
		}
	}
	return !known
}

// AddDenyPolicy attaches a deny policy to a project, folder or organization
// ("projects/web-prod", "folders/2", "organizations/1"), effective at once. The
// policy's name is its id, or a full name that ends in the id. AddDenyPolicy
// panics if the resource does not exist, if it has a policy with that id, and on
// what the API would refuse.
func (b *Backend) AddDenyPolicy(attachedTo string, p *iamv2.GoogleIamV2Policy) {
	b.write(time.Now(), func(st *state) {
		n := st.mustFind("AddDenyPolicy", attachedTo)
		if !strings.HasPrefix(n.full, resourceManager) {
			panic(fmt.Sprintf("fake: AddDenyPolicy: %s is no project, folder or organization", attachedTo))
		}
		id := p.Name[strings.LastIndexByte(p.Name, '/')+1:]
		now := time.Now()
		if n.deny.policies[id] != nil {
			panic(fmt.Sprintf("fake: AddDenyPolicy: %s has a deny policy %q already", attachedTo, id))
		}
		if err := st.putDenyPolicy(n, id, cloneDenyPolicy(p), nil, now, now); err != nil {
			panic(fmt.Sprintf("fake: AddDenyPolicy %q to %s: %v", id, attachedTo, err))
		}
	})
}

// putDenyPolicy adds a policy, or puts it in the place of another.
func (st *state) putDenyPolicy(n *node, id string, p, had *iamv2.GoogleIamV2Policy, now, from time.Time) error {
	if err := st.checkDenyPolicy(id, p); err != nil {
		return err
	}
	p.Name, p.Kind = denyPolicyName(n, id), "DenyPolicy"
	if had == nil {
		p.Uid = st.newUUID()
	} else {
		p.Uid, p.Annotations = had.Uid, had.Annotations
	}
	st.stampDenyPolicy(p, now)
	p.CreateTime = p.UpdateTime
	if had != nil {
		p.CreateTime = had.CreateTime
	}
	policies := maps.Clone(n.deny.policies)
	if policies == nil {
		policies = make(map[string]*iamv2.GoogleIamV2Policy)
	}
	policies[id] = p
	return st.setDeny(n, policies, now, from)
}

// stampDenyPolicy gives a policy its time and an etag, which is a number in
// decimal digits, as in Google's documentation.
func (st *state) stampDenyPolicy(p *iamv2.GoogleIamV2Policy, now time.Time) {
	at := st.tick(now)
	p.UpdateTime = timestamp(at)
	p.Etag = base64.StdEncoding.EncodeToString(strconv.AppendInt(nil, at.UnixMicro(), 10))
}

// denyPolicyName returns the name of a policy as the API answers it. It names
// the resource that the policy is attached to by its number.
func denyPolicyName(n *node, id string) string {
	return "policies/" + strings.ReplaceAll(strings.TrimPrefix(n.full, "//"), "/", "%2F") + "/denypolicies/" + id
}

func cloneDenyPolicy(p *iamv2.GoogleIamV2Policy) *iamv2.GoogleIamV2Policy {
	var out iamv2.GoogleIamV2Policy
	if err := json.Unmarshal(wire.MustEncode(p), &out); err != nil {
		panic("fake: deny policy: " + err.Error())
	}
	return &out
}
