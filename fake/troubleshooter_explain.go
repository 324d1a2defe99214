package fake

import (
	"encoding/json"
	"time"

	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/policytroubleshooter/v3"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/access"
)

// The types of the API have long names.
type (
	shownAllow        = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AllowPolicyExplanation
	shownAllowPolicy  = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ExplainedAllowPolicy
	shownBinding      = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AllowBindingExplanation
	shownCondition    = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ConditionExplanation
	shownDeny         = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3DenyPolicyExplanation
	shownDenyPolicy   = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ExplainedDenyPolicy
	shownDenyResource = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ExplainedDenyResource
	shownDenyRule     = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3DenyRuleExplanation
	shownEvaluation   = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ConditionExplanationEvaluationState
	shownMembership   = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AllowBindingExplanationAnnotatedAllowMembership
	shownPermission   = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3DenyRuleExplanationAnnotatedPermissionMatching
	shownPrincipal    = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3DenyRuleExplanationAnnotatedDenyPrincipalMatching
)

// How Policy Troubleshooter tells relevance is its own affair ("heuristic");
// here, what grants, denies or might is of high relevance, and all else of
// normal relevance.
const (
	relevant = "HEURISTIC_RELEVANCE_HIGH"
	ordinary = "HEURISTIC_RELEVANCE_NORMAL"
)

func relevance(high bool) string {
	if high {
		return relevant
	}
	return ordinary
}

// verdict is an answer with what it depends on if it is Maybe.
type verdict struct {
	access.Answer
	conditional bool // on nothing but conditions
}

// either returns the verdict on alternatives: one Yes is enough.
func either(a, b verdict) verdict {
	switch {
	case a.Answer == access.Yes || b.Answer == access.No:
		return a
	case b.Answer == access.Yes || a.Answer == access.No:
		return b
	}
	return verdict{access.Maybe, a.conditional && b.conditional}
}

// state returns the verdict in the words of one of the API's enums, which end
// alike where it is not known.
func (v verdict) state(enum, yes, no string) string {
	switch {
	case v.Answer == access.Yes:
		return enum + yes
	case v.Answer == access.No:
		return enum + no
	case v.conditional:
		return enum + "UNKNOWN_CONDITIONAL"
	}
	return enum + "UNKNOWN_INFO"
}

func (v verdict) allow() string { return v.state("ALLOW_ACCESS_STATE_", "GRANTED", "NOT_GRANTED") }

func (v verdict) deny() string { return v.state("DENY_ACCESS_STATE_", "DENIED", "NOT_DENIED") }

// open reports whether a condition, and nothing else, leaves an answer open.
func open(answer access.Answer, condition *access.ConditionExplanation, rest ...access.Answer) verdict {
	conditional := answer == access.Maybe && condition != nil && condition.Value == access.Maybe
	for _, r := range rest {
		conditional = conditional && r != access.Maybe
	}
	return verdict{answer, conditional}
}

func (q *inquiry) explainAllow(x *access.Explanation, now time.Time) *shownAllow {
	all := verdict{Answer: access.No}
	out := &shownAllow{}
	for i := range x.Levels {
		level := &x.Levels[i]
		if !level.Readable {
			all = either(all, verdict{})
			out.ExplainedPolicies = append(out.ExplainedPolicies, &shownAllowPolicy{AllowAccessState: verdict{}.allow()})
			continue
		}
		policy := &shownAllowPolicy{FullResourceName: level.Resource, Policy: shownPolicy(q.nodes[i], now)}
		of := verdict{Answer: access.No}
		for j := range level.Bindings {
			explained, v := explainBinding(&level.Bindings[j])
			policy.BindingExplanations = append(policy.BindingExplanations, explained)
			of = either(of, v)
		}
		policy.AllowAccessState, policy.Relevance = of.allow(), relevance(of.Answer != access.No)
		out.ExplainedPolicies = append(out.ExplainedPolicies, policy)
		all = either(all, of)
	}
	out.AllowAccessState = all.allow()
	out.Relevance = relevance(x.Deny != access.Yes)
	return out
}

// shownPolicy returns the allow policy of a resource as far as it is in force.
func shownPolicy(n *node, now time.Time) *policytroubleshooter.GoogleIamV1Policy {
	p := n.policy
	p.bindings = nil
	if e := p.inForce(now); len(e) > 0 && !e[0].from.After(now) {
		p.bindings = e[0].bindings
	}
	var out policytroubleshooter.GoogleIamV1Policy
	convert(p.json(3), &out)
	return &out
}

// convert copies between types of different APIs that are the same in JSON.
func convert(from, to any) {
	if err := json.Unmarshal(wire.MustEncode(from), to); err != nil {
		panic("fake: convert: " + err.Error())
	}
}

func explainBinding(b *access.BindingExplanation) (*shownBinding, verdict) {
	v := open(b.Access, b.Condition, b.Permission, b.Membership)
	role := map[access.Answer]string{
		access.Yes: "ROLE_PERMISSION_INCLUDED", access.No: "ROLE_PERMISSION_NOT_INCLUDED", access.Maybe: "ROLE_PERMISSION_UNKNOWN_INFO",
	}[b.Permission]
	if b.RoleState == access.RoleDisabled || b.RoleState == access.RoleDeleted {
		role = "ROLE_PERMISSION_NOT_INCLUDED" // it contributes none
	}
	high := v.Answer != access.No
	out := &shownBinding{
		AllowAccessState: v.allow(), Role: b.Role, RolePermission: role, Relevance: relevance(high),
		RolePermissionRelevance: relevance(high || role != "ROLE_PERMISSION_NOT_INCLUDED"),
		CombinedMembership: &shownMembership{
			Membership: membershipState(b.Membership, access.KindUser), Relevance: relevance(b.Membership != access.No),
		},
		Memberships: make(map[string]shownMembership),
	}
	for _, m := range b.Members {
		out.Memberships[m.Member.String()] = shownMembership{
			Membership: membershipState(m.Matched, m.Member.Kind()), Relevance: relevance(m.Matched != access.No),
		}
	}
	out.Condition, out.ConditionExplanation = explainCondition(b.Condition)
	return out, v
}

func membershipState(matched access.Answer, kind access.Kind) string {
	switch {
	case matched == access.Yes:
		return "MEMBERSHIP_MATCHED"
	case matched == access.No:
		return "MEMBERSHIP_NOT_MATCHED"
	case kind == access.KindOther:
		return "MEMBERSHIP_UNKNOWN_UNSUPPORTED"
	}
	return "MEMBERSHIP_UNKNOWN_INFO"
}

// explainCondition tells the value of a condition as a whole; the real API
// tells those of its parts as well.
func explainCondition(c *access.ConditionExplanation) (*policytroubleshooter.GoogleTypeExpr, *shownCondition) {
	if c == nil {
		return nil, nil
	}
	expr := &policytroubleshooter.GoogleTypeExpr{Title: c.Title, Description: c.Description, Expression: c.Expression}
	state := &shownEvaluation{
		Start: 1, End: int64(len([]rune(c.Expression))),
	}
	out := &shownCondition{
		EvaluationStates: []*shownEvaluation{state},
	}
	if c.Value == access.Maybe {
		out.NullFields, state.NullFields = []string{"Value"}, []string{"Value"}
	} else {
		out.Value = c.Value == access.Yes
		state.Value = out.Value
	}
	if c.Err != nil {
		const invalidArgument = 3
		out.Errors = []*policytroubleshooter.GoogleRpcStatus{{Code: invalidArgument, Message: c.Err.Error()}}
		state.Errors = out.Errors
	}
	return expr, out
}

// explainDeny tells of the resources that have deny policies, and of those
// whose deny policies the sender may not see.
func (q *inquiry) explainDeny(x *access.Explanation, now time.Time) *shownDeny {
	all := verdict{Answer: access.No}
	out := &shownDeny{PermissionDeniable: x.Deniable}
	for i := range x.Levels {
		level := &x.Levels[i]
		switch {
		case !level.DenyReadable:
			of := verdict{Answer: level.Deny}
			all = either(all, of)
			out.ExplainedResources = append(out.ExplainedResources, &shownDenyResource{DenyAccessState: of.deny()})
		case len(level.DenyPolicies) > 0:
			resource, of := explainDenyPolicies(level, q.nodes[i].deny.inForce(now).policies)
			all = either(all, of)
			out.ExplainedResources = append(out.ExplainedResources, resource)
		}
	}
	out.DenyAccessState, out.Relevance = all.deny(), relevance(all.Answer != access.No)
	return out
}

// explainDenyPolicies explains those of one resource.
func explainDenyPolicies(level *access.LevelExplanation, sources []*iamv2.GoogleIamV2Policy) (*shownDenyResource, verdict) {
	out := &shownDenyResource{FullResourceName: level.Resource}
	all := verdict{Answer: access.No}
	for i := range level.DenyPolicies {
		policy := &shownDenyPolicy{Policy: &policytroubleshooter.GoogleIamV2Policy{}}
		convert(sources[i], policy.Policy)
		of := verdict{Answer: access.No}
		for j := range level.DenyPolicies[i].Rules {
			explained, v := explainDenyRule(&level.DenyPolicies[i].Rules[j], sources[i].Rules[j].DenyRule)
			policy.RuleExplanations = append(policy.RuleExplanations, explained)
			of = either(of, v)
		}
		policy.DenyAccessState, policy.Relevance = of.deny(), relevance(of.Answer != access.No)
		out.ExplainedPolicies = append(out.ExplainedPolicies, policy)
		all = either(all, of)
	}
	out.DenyAccessState, out.Relevance = all.deny(), relevance(all.Answer != access.No)
	return out, all
}

// explainDenyRule explains a rule, naming principals as it does.
func explainDenyRule(r *access.DenyRuleExplanation, source *iamv2.GoogleIamV2DenyRule) (*shownDenyRule, verdict) {
	v := open(r.Denied, r.Condition, r.Principal, r.Exception)
	denied, anyDenied := explainPermissions(r.DeniedPermissions)
	excepted, anyExcepted := explainPermissions(r.ExceptionPermissions)
	out := &shownDenyRule{
		DenyAccessState: v.deny(), Relevance: relevance(v.Answer != access.No),
		DeniedPermissions: denied, CombinedDeniedPermission: anyDenied,
		ExceptionPermissions: excepted, CombinedExceptionPermission: anyExcepted,
		DeniedPrincipals:           explainPrincipals(r.DeniedPrincipals, source.DeniedPrincipals),
		CombinedDeniedPrincipal:    principalMatch(r.Principal, access.KindUser),
		ExceptionPrincipals:        explainPrincipals(r.ExceptionPrincipals, source.ExceptionPrincipals),
		CombinedExceptionPrincipal: principalMatch(r.Exception, access.KindUser),
	}
	out.Condition, out.ConditionExplanation = explainCondition(r.Condition)
	return out, v
}

func explainPermissions(matches []access.PermissionMatch) (map[string]shownPermission, *shownPermission) {
	each := make(map[string]shownPermission)
	combined := permissionMatch(false)
	for _, m := range matches {
		each[m.Permission] = permissionMatch(m.Matched)
		if m.Matched {
			combined = each[m.Permission]
		}
	}
	return each, &combined
}

func permissionMatch(matched bool) shownPermission {
	if matched {
		return shownPermission{PermissionMatchingState: "PERMISSION_PATTERN_MATCHED", Relevance: relevant}
	}
	return shownPermission{PermissionMatchingState: "PERMISSION_PATTERN_NOT_MATCHED", Relevance: ordinary}
}

func explainPrincipals(members []access.MemberExplanation, names []string) map[string]shownPrincipal {
	out := make(map[string]shownPrincipal)
	for i, m := range members {
		out[names[i]] = *principalMatch(m.Matched, m.Member.Kind())
	}
	return out
}

func principalMatch(matched access.Answer, kind access.Kind) *shownPrincipal {
	return &shownPrincipal{
		Membership: membershipState(matched, kind), Relevance: relevance(matched != access.No),
	}
}
