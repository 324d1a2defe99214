package fake

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/access"
)

// Allow policies are the same on every resource that has one, whichever API
// reads and writes them.

// policyState is the allow policy of a node.
type policyState struct {
	etag     []byte // nil for a policy that was never set
	bindings []*iam.Binding
	audit    []*iam.AuditConfig
	// effective are compiled forms of the policy, the newest last, with the
	// times from which they are in force.
	effective []effectivePolicy
}

type effectivePolicy struct {
	from     time.Time
	bindings []*iam.Binding // never changed
	allow    *access.AllowPolicy
}

// emptyEtag is the etag of a policy that was never set.
var emptyEtag = []byte{0x00, 0x20, 0x01}

// at returns the policy that is in force.
func (p *policyState) at(now time.Time) *access.AllowPolicy {
	for _, e := range slices.Backward(p.effective) {
		if !e.from.After(now) {
			return e.allow
		}
	}
	return noAllow()
}

var noAllow = sync.OnceValue(func() *access.AllowPolicy { return access.NewCompiler().Allow(access.Policy{}) })

func (p *policyState) conditional() bool {
	return slices.ContainsFunc(p.bindings, func(b *iam.Binding) bool { return b.Condition != nil })
}

// version returns 3 if the policy has conditions.
func (p *policyState) version() int64 {
	if p.conditional() {
		return 3
	}
	return 1
}

// json returns the policy as a reader that understands the version gets it.
func (p *policyState) json(version int64) *iam.Policy {
	if p.etag == nil && len(p.bindings) == 0 {
		return &iam.Policy{Etag: base64.StdEncoding.EncodeToString(emptyEtag)}
	}
	out := &iam.Policy{Version: p.version(), Etag: base64.StdEncoding.EncodeToString(p.etag), AuditConfigs: p.audit}
	for _, b := range p.bindings {
		binding := *b
		if b.Condition != nil && version < 3 {
			// A reader of version 1 sees that there is a condition, not which.
			binding.Role, binding.Condition = conditionalRole(b), nil
			out.Version = 1
		}
		out.Bindings = append(out.Bindings, &binding)
	}
	return out
}

// conditionalRole returns the role of a conditional binding as it is shown to
// readers that do not ask for version 3.
// https://cloud.google.com/iam/docs/allow-policies#versions
func conditionalRole(b *iam.Binding) string {
	h := fnv.New128a()
	_, _ = h.Write(wire.MustEncode(b.Condition))
	return fmt.Sprintf("%s%s%x", b.Role, conditionMark, h.Sum(nil)[:10])
}

const conditionMark = "_withcond_"

// setPolicy replaces those fields of a node's policy that the mask names, all
// of them without one, or returns the refusal of the API.
func (st *state) setPolicy(n *node, in *iam.Policy, mask [][]string, now, from time.Time) error {
	p := &n.policy
	if err := checkPolicyEtag(p, in); err != nil {
		return err
	}
	if masked(mask, "bindings") {
		bindings, err := st.checkBindings(n, in, now)
		if err != nil {
			return err
		}
		compiled := st.compiler.Allow(policyOf(bindings))
		if err := checkLimits(compiled); err != nil {
			return err
		}
		p.bindings = bindings
		p.effective = append(p.kept(now), effectivePolicy{from, bindings, compiled})
	}
	if masked(mask, "auditConfigs") {
		p.audit = in.AuditConfigs
	}
	st.stampPolicy(p, now)
	return nil
}

// masked reports whether a mask, where there is one, names a field or a part of
// it.
func masked(mask [][]string, field string) bool {
	return mask == nil || slices.ContainsFunc(mask, func(path []string) bool { return path[0] == field })
}

// inForce returns the compiled policies that still matter: the one in force and
// those that will be.
func (p *policyState) inForce(now time.Time) []effectivePolicy {
	for i, e := range slices.Backward(p.effective) {
		if !e.from.After(now) {
			return p.effective[i:]
		}
	}
	return p.effective
}

// kept returns the compiled policies that a change keeps. As the ones before
// are forgotten, the first is in force also for calls that began before it was
// and are decided later.
func (p *policyState) kept(now time.Time) []effectivePolicy {
	kept := slices.Clone(p.inForce(now))
	if len(kept) > 0 && !kept[0].from.After(now) {
		kept[0].from = time.Time{}
	}
	return kept
}

// stampPolicy gives a policy a new etag, built as the recorded ones are.
func (st *state) stampPolicy(p *policyState, now time.Time) {
	etag := binary.BigEndian.AppendUint64(nil, uint64(st.tick(now).UnixMicro()))
	etag[0] = 7
	p.etag = etag
}

func clonePolicy(p *iam.Policy) *iam.Policy {
	var out iam.Policy
	if err := json.Unmarshal(wire.MustEncode(p), &out); err != nil {
		panic("fake: policy: " + err.Error())
	}
	return &out
}

// policyOf converts to the evaluator's types.
func policyOf(bindings []*iam.Binding) access.Policy {
	var out access.Policy
	for _, b := range bindings {
		converted := access.Binding{Role: b.Role, Members: b.Members}
		if c := b.Condition; c != nil {
			converted.Condition = &access.Expr{Title: c.Title, Description: c.Description, Expression: c.Expression}
		}
		out.Bindings = append(out.Bindings, converted)
	}
	return out
}

// rewriteMembers changes members in all policies, as IAM does when an account
// is deleted or restored: also in those that are in force still, or not yet.
func (st *state) rewriteMembers(from, to string, now time.Time) {
	for n := range st.nodes {
		p := &n.policy
		if bindings, changed := rewritten(p.bindings, from, to); changed {
			p.bindings = bindings
			st.stampPolicy(p, now)
		}
		for i, e := range p.effective {
			if bindings, changed := rewritten(e.bindings, from, to); changed {
				p.effective[i] = effectivePolicy{e.from, bindings, st.compiler.Allow(policyOf(bindings))}
			}
		}
	}
}

// rewritten returns the bindings with one member in place of another.
func rewritten(bindings []*iam.Binding, from, to string) (out []*iam.Binding, changed bool) {
	out = slices.Clone(bindings)
	for i, binding := range bindings {
		at := slices.Index(binding.Members, from)
		if at < 0 {
			continue
		}
		members := slices.Clone(binding.Members)
		members[at] = to
		slices.Sort(members)
		out[i], changed = &iam.Binding{Role: binding.Role, Condition: binding.Condition, Members: slices.Compact(members)}, true
	}
	return out, changed
}

// getIamPolicy answers the method of that name for any resource. version is
// options.requestedPolicyVersion.
func (c *call) getIamPolicy(n *node) ([]byte, error) {
	version, err := c.requestedVersion()
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(n.policy.json(version)), nil
}

func (c *call) requestedVersion() (int64, error) {
	s := c.query.Get("options.requestedPolicyVersion")
	if len(c.body) > 0 {
		o, err := c.object()
		if err != nil {
			return 0, err
		}
		if v := wire.Lookup(o, "options", "requestedPolicyVersion"); v != nil {
			s = fmt.Sprint(v)
		}
	}
	if s == "" {
		return 1, nil
	}
	version, err := strconv.ParseInt(s, 10, 64)
	if err != nil || version != 0 && version != 1 && version != 3 {
		return 0, wire.Invalid("Invalid requested policy version: %s.", s).WithReason("badRequest")
	}
	return version, nil
}

// setIamPolicy answers the method of that name for any resource.
func (c *call) setIamPolicy(st *state, n *node) ([]byte, error) {
	var req struct {
		Policy     *iam.Policy `json:"policy"`
		UpdateMask string      `json:"updateMask"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if req.Policy == nil {
		return nil, wire.Invalid("The policy is missing.").WithReason("badRequest")
	}
	mask := wire.ParseMask(req.UpdateMask)
	if mask == nil {
		mask = [][]string{{"bindings"}, {"etag"}}
	}
	if err := c.check().CheckMask(c.method.Response, mask); err != nil {
		return nil, err
	}
	if err := st.setPolicy(n, req.Policy, mask, c.now, c.now.Add(c.delays.grants)); err != nil {
		return nil, err
	}
	return wire.MustEncode(n.policy.json(3)), nil
}

// testIamPermissions answers the method of that name: the permissions, of
// those asked for, that the caller has on the resource, none if it is nil.
func (c *call) testIamPermissions(st *state, n *node, belongs func(permission string) bool) ([]byte, error) {
	o, err := c.object()
	if err != nil {
		return nil, err
	}
	asked, _ := o["permissions"].([]any)
	has := make([]string, 0, len(asked))
	for _, p := range asked {
		p, _ := p.(string)
		if !belongs(p) {
			return nil, wire.Invalid("Permission %s is not valid for this resource.", p).WithReason("badRequest")
		}
		if n != nil && c.may(st, p, n) {
			has = append(has, p)
		}
	}
	if len(has) == 0 {
		return []byte("{}"), nil
	}
	return wire.MustEncode(map[string]any{"permissions": has}), nil
}
