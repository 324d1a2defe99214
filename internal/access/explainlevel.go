package access

import (
	"errors"
	"slices"
)

// errHidden returns why the condition of a binding isn't evaluated.
func errHidden() error {
	return errors.New("the policy was read as version 1, which doesn't show conditions")
}

func (r *run) explainLevel(level int) LevelExplanation {
	in := &r.req.Levels[level]
	x := LevelExplanation{Resource: in.Resource, Readable: in.Allow != nil, DenyReadable: in.Deny != nil}
	if in.Allow != nil {
		x.Allow = No
		for i := range in.Allow.bindings {
			b := r.explainBinding(level, i, &in.Allow.bindings[i])
			x.Allow = x.Allow.or(b.Access)
			x.Bindings = append(x.Bindings, b)
		}
	}
	if in.Deny != nil {
		x.Deny = No
		for i := range in.Deny.policies {
			p := r.explainDenyPolicy(level, &in.Deny.policies[i])
			x.Deny = x.Deny.or(p.Denied)
			x.DenyPolicies = append(x.DenyPolicies, p)
		}
	} else if !r.canDeny || !r.isDeniable() {
		x.Deny = No
	}
	return x
}

func (r *run) explainBinding(level, index int, b *binding) BindingExplanation {
	role := r.roleOf(b.role)
	x := BindingExplanation{
		Index: index, Role: b.full, Permission: role.lists(r.req.Permission, r.hash),
		Members: r.explainMembers(b.members), Condition: r.explainCondition(b.expr, b.cond, false),
	}
	if role != nil {
		x.RoleState = role.state
	}
	if b.hidden && x.Condition == nil {
		x.Condition = &ConditionExplanation{Err: errHidden()}
	}
	x.Membership = combined(x.Members)
	x.Access = x.Membership.and(r.binding(level, b))
	return x
}

func (r *run) explainMembers(members []Member) []MemberExplanation {
	out := make([]MemberExplanation, 0, len(members))
	for _, m := range members {
		out = append(out, r.req.Subject.explain(m))
	}
	return out
}

// explain reports whether m is the subject or contains it.
func (s *Subject) explain(m Member) MemberExplanation {
	x := MemberExplanation{Member: m, Matched: No}
	if k, ok := s.key(m); ok {
		x.Matched, x.Via = Yes, slices.Clone(k.via)
	} else if roots := s.roots(m); len(roots) > 0 {
		x.Matched, x.Unreadable = Maybe, slices.Clone(roots)
	}
	return x
}

func combined(members []MemberExplanation) Answer {
	v := No
	for i := range members {
		v = v.or(members[i].Matched)
	}
	return v
}

// explainCondition evaluates a condition. It returns nil without one.
func (r *run) explainCondition(expr *Expr, cond *condition, deny bool) *ConditionExplanation {
	if expr == nil {
		return nil
	}
	out, err := cond.eval(r.attributes())
	x := &ConditionExplanation{Expr: *expr, Err: err}
	if deny {
		x.Value = out.denies()
	} else {
		x.Value = out.allows()
	}
	if cond.err != nil {
		x.Attributes = slices.Clone(cond.err.Attributes)
	}
	return x
}

func (r *run) explainDenyPolicy(level int, p *denyPolicy) DenyPolicyExplanation {
	x := DenyPolicyExplanation{Name: p.name, Denied: No}
	for i := range p.rules {
		rule := &p.rules[i]
		y := DenyRuleExplanation{
			Index:                i,
			DeniedPermissions:    explainPatterns(rule.deniedPatterns, r.perm),
			ExceptionPermissions: explainPatterns(rule.exceptGroups, r.perm),
			Permission:           r.canDeny && rule.denies(r.perm),
			DeniedPrincipals:     r.explainMembers(rule.denied.members),
			ExceptionPrincipals:  r.explainMembers(rule.excepted.members),
			Condition:            r.explainCondition(rule.expr, rule.cond, true),
			Denied:               No,
		}
		if r.req.Subject.id.Member.IsSet() {
			r.explainParts(y.DeniedPrincipals)
		}
		y.Principal, y.Exception = combined(y.DeniedPrincipals), combined(y.ExceptionPrincipals)
		if r.canDeny {
			y.Denied = r.rule(level, rule)
		}
		x.Denied = x.Denied.or(y.Denied)
		x.Rules = append(x.Rules, y)
	}
	return x
}

// explainParts marks the denied principals that are a part of the subject, a
// set.
func (r *run) explainParts(members []MemberExplanation) {
	for i := range members {
		x := &members[i]
		if x.Matched == Yes {
			continue
		}
		switch r.req.Subject.overlap(x.Member) {
		case Yes:
			x.Matched, x.Part, x.Unreadable = Yes, true, nil
		case Maybe:
			x.Part = x.Matched == No
			x.Matched = Maybe
			if len(x.Unreadable) == 0 {
				x.Unreadable = []Member{x.Member}
			}
		}
	}
}

func explainPatterns(patterns []pattern, p permission) []PermissionMatch {
	out := make([]PermissionMatch, 0, len(patterns))
	for _, q := range patterns {
		out = append(out, PermissionMatch{Permission: q.text, Matched: q.matches(p)})
	}
	return out
}
