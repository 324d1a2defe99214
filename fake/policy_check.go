package fake

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/access"
)

// What a policy has to fulfil to be taken.

// checkPolicyEtag refuses a policy that was made from another one than the
// resource has, and one that would lose conditions without saying so.
func checkPolicyEtag(p *policyState, in *iam.Policy) error {
	if in.Version != 0 && in.Version != 1 && in.Version != 3 {
		return wire.Invalid("Invalid policy version: %d.", in.Version).WithReason("badRequest")
	}
	if in.Etag != "" {
		given, err := decodeEtag(in.Etag)
		if err != nil {
			return wire.Invalid("Invalid value at 'policy.etag' (TYPE_BYTES), %q", in.Etag).WithReason("badRequest")
		}
		current := p.etag
		if current == nil {
			current = emptyEtag
		}
		if !slices.Equal(given, current) {
			return wire.Aborted("There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.").
				WithReason("aborted")
		}
		// Without an etag, the conditions are lost, as they are documented to be.
		if p.conditional() && in.Version < 3 {
			return wire.Invalid("Specified policy version (%d) cannot be less than the existing policy version (3). "+
				"For more information, please refer to https://cloud.google.com/iam/docs/policies#versions.", max(in.Version, 1)).
				WithReason("badRequest")
		}
	}
	if in.Version < 3 && slices.ContainsFunc(in.Bindings, func(b *iam.Binding) bool { return b.Condition != nil }) {
		return wire.Invalid("Conditional bindings require policy version 3, not %d.", max(in.Version, 1)).WithReason("badRequest")
	}
	return nil
}

// decodeEtag reads an etag of bytes, in either alphabet: gcloud answers what
// it read in the URL-safe one.
func decodeEtag(s string) ([]byte, error) {
	s = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "=")
	return base64.RawStdEncoding.DecodeString(s)
}

// checkBindings returns the bindings as they are stored: duplicates merged,
// members of accounts checked.
func (st *state) checkBindings(n *node, in *iam.Policy, now time.Time) ([]*iam.Binding, error) {
	var out []*iam.Binding
	for _, binding := range in.Bindings {
		if binding == nil || len(binding.Members) == 0 {
			continue
		}
		// What readers of version 1 see of a conditional binding is no role. A
		// binding whose role has been deleted since may stay.
		if !st.roleExists(binding.Role) && !n.policy.binds(binding.Role) || strings.Contains(binding.Role, conditionMark) {
			return nil, wire.Invalid("Role %s is not supported for this resource.", binding.Role).WithReason("badRequest")
		}
		if !st.bindable(n, binding.Role) {
			return nil, wire.Invalid("Role %s is not supported for this resource.", binding.Role).WithReason("badRequest")
		}
		stored := &iam.Binding{Role: binding.Role, Condition: binding.Condition}
		for _, m := range binding.Members {
			member, err := st.checkMember(n, m, now)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(stored.Members, member) {
				stored.Members = append(stored.Members, member)
			}
		}
		slices.Sort(stored.Members)
		i := slices.IndexFunc(out, func(had *iam.Binding) bool {
			return had.Role == stored.Role && sameCondition(had.Condition, stored.Condition)
		})
		if i < 0 {
			out = append(out, stored)
			continue
		}
		out[i].Members = append(out[i].Members, stored.Members...)
		slices.Sort(out[i].Members)
		out[i].Members = slices.Compact(out[i].Members)
	}
	slices.SortStableFunc(out, func(a, b *iam.Binding) int { return strings.Compare(a.Role, b.Role) })
	return out, nil
}

// bindable reports whether a role may be granted on a resource: a custom one only
// in its own project or organization.
func (st *state) bindable(n *node, role string) bool {
	parent, _, custom := strings.Cut(role, "/roles/")
	if !custom {
		return true
	}
	owner := st.find(parent)
	for at := n; at != nil; at = at.parent {
		if at == owner {
			return true
		}
	}
	return false
}

// binds reports whether the policy has a binding of the role.
func (p *policyState) binds(role string) bool {
	return slices.ContainsFunc(p.bindings, func(b *iam.Binding) bool { return b.Role == role })
}

func sameCondition(a, b *iam.Expr) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Expression == b.Expression && a.Title == b.Title && a.Description == b.Description
}

// checkMember returns a member as it is stored, addresses in lower case, and
// refuses those that do not exist. Users and domains are taken as they come,
// since any may exist.
func (st *state) checkMember(n *node, s string, now time.Time) (string, error) {
	m, err := access.ParseMember(s)
	if err != nil {
		return "", st.malformedMember(n, s, err)
	}
	switch kind := m.Kind(); {
	case kind == access.KindServiceAccount:
		a := st.accounts[m.Email()]
		if a == nil && !st.isAgent(m.Email()) || a != nil && (a.deleted || !a.visible(now)) {
			return "", wire.Invalid("Service account %s does not exist.", m.Email()).WithReason("badRequest")
		}
	case kind == access.KindGroup:
		if st.groups[m.Email()] == nil {
			return "", wire.Invalid("Group %s does not exist.", m.Email()).WithReason("badRequest")
		}
	case n.attrs.Type == projectType && (kind == access.KindAllUsers || kind == access.KindAllAuthenticatedUsers):
		return "", st.disallowedMember(n)
	}
	return m.String(), nil
}

// malformedMember returns the refusal of a malformed member. That of an unknown
// kind is recorded, for Resource Manager and for service accounts. For other
// flaws the text is the fake's own.
func (st *state) malformedMember(n *node, s string, err error) error {
	kind, _, _ := strings.Cut(s, ":")
	switch kind {
	case "user", "group", "serviceAccount", "domain", "deleted", "principal", "principalSet":
		return wire.Invalid("Invalid member: %v", err).WithReason("badRequest")
	}
	switch {
	case n.attrs.Type == projectType:
		return st.disallowedMember(n)
	case strings.HasPrefix(n.full, resourceManager):
		return wire.Invalid("%s", memberForm).WithReason("badRequest")
	}
	return wire.Invalid("The member %s is of an unknown type. Please set a valid type prefix for the member.", s).WithReason("badRequest")
}

const memberForm = `Policy members must be of the form "<type>:<value>".`

// disallowedMember returns the refusal of a kind of member that projects do not
// take: allUsers and allAuthenticatedUsers.
func (st *state) disallowedMember(n *node) error {
	e := wire.Invalid("%s", memberForm).WithReason("badRequest")
	e.Details = []any{
		map[string]any{
			"@type": "type.googleapis.com/google.rpc.BadRequest",
			"fieldViolations": []any{map[string]string{
				"field": "policy.bindings.member",
				"description": "Policy members must be prefixed of the form '<type>:<value>', " +
					"where <type> is 'domain', 'group', 'serviceAccount', or 'user'.",
			}},
		},
		map[string]any{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "cloudresourcemanager.googleapis.com",
			"reason": "PROJECT_SET_IAM_DISALLOWED_MEMBER_TYPE",
		},
		map[string]any{
			"@type":        "type.googleapis.com/google.rpc.ResourceInfo",
			"resourceName": "projects/" + st.projects[strings.TrimPrefix(n.full, resourceManager+"projects/")].id,
		},
	}
	return e
}

// checkLimits refuses a policy that can't be evaluated or exceeds a limit. The
// text on too many members is as recorded, for other flaws it is the
// evaluator's.
func checkLimits(p *access.AllowPolicy) error {
	err := errors.Join(p.Err(), p.CheckLimits())
	var limit *access.LimitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limit) && limit.Max == maxMembers:
		return wire.Invalid("The number of members in the policy (%s) is larger than the maximum allowed size %s.",
			thousands(limit.Got), thousands(limit.Max)).WithReason("badRequest")
	}
	return wire.Invalid("Invalid policy: %v", err).WithReason("badRequest")
}

// maxMembers is how many members the bindings of a policy may have together.
const maxMembers = 1500

// thousands writes a number with commas.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
