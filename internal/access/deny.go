package access

import (
	"errors"
	"slices"
)

// DenyPolicy is a deny policy (IAM v2).
type DenyPolicy struct {
	// Name is for explanations.
	Name  string
	Rules []DenyRule
}

// DenyRule denies permissions to principals.
type DenyRule struct {
	Description string
	// DeniedPrincipals and ExceptionPrincipals are in the v2 syntax.
	DeniedPrincipals    []string
	ExceptionPrincipals []string
	// DeniedPermissions and ExceptionPermissions are of the form
	// SERVICE_FQDN/RESOURCE.VERB; permission groups have * for the resource,
	// the verb or both.
	DeniedPermissions    []string
	ExceptionPermissions []string
	// Condition is nil for a rule without a condition.
	Condition *Expr
}

// DenyPolicies are the compiled deny policies that are attached to one
// resource. They are immutable and safe for concurrent use. The zero
// DenyPolicies is a resource without any.
type DenyPolicies struct {
	policies []denyPolicy
	errs     []error
}

type denyPolicy struct {
	name  string
	rules []denyRule
}

type denyRule struct {
	denied, excepted             principals
	deniedPatterns, exceptGroups []pattern
	expr                         *Expr
	cond                         *condition
}

// principals are the principals that a rule denies or exempts.
type principals struct {
	members []Member
	index   map[string]struct{}
	other   bool
}

// NoDeny returns the deny policies of a resource that has none, or that can't
// have any, as only organizations, folders and projects can.
func NoDeny() *DenyPolicies { return &DenyPolicies{} }

// Deny compiles the deny policies that are attached to one resource. The result
// is usable even if its Err isn't nil.
func (c *Compiler) Deny(policies ...DenyPolicy) *DenyPolicies {
	d := &DenyPolicies{}
	for _, p := range policies {
		out := denyPolicy{name: p.Name}
		for _, r := range p.Rules {
			rule := denyRule{
				denied:         d.principals(r.DeniedPrincipals),
				excepted:       d.principals(r.ExceptionPrincipals),
				deniedPatterns: d.patterns(r.DeniedPermissions),
				exceptGroups:   d.patterns(r.ExceptionPermissions),
				expr:           r.Condition,
			}
			if r.Condition != nil {
				rule.cond = c.condition(r.Condition.Expression)
				if rule.cond.err != nil {
					d.errs = append(d.errs, rule.cond.err)
				}
			}
			out.rules = append(out.rules, rule)
		}
		d.policies = append(d.policies, out)
	}
	return d
}

func (d *DenyPolicies) principals(texts []string) principals {
	p := principals{index: make(map[string]struct{}, len(texts))}
	for _, text := range texts {
		m, err := parseMember(text, v2)
		if err != nil {
			d.errs = append(d.errs, err)
		}
		p.members = append(p.members, m)
		p.index[m.id] = struct{}{}
		p.other = p.other || m.kind == KindOther
	}
	return p
}

// patterns parses the permissions of a rule. One that isn't a permission's name
// matches nothing: IAM refuses it.
func (d *DenyPolicies) patterns(texts []string) []pattern {
	var patterns []pattern
	for _, text := range texts {
		p, ok := parsePattern(text)
		if !ok {
			d.errs = append(d.errs, &permissionError{Permission: text})
		}
		p.text = text
		patterns = append(patterns, p)
	}
	return patterns
}

// Err returns what keeps parts of the policies from being evaluated: errors of
// type *[memberError], *[permissionError] and *[ConditionError], joined. IAM
// refuses such a policy, except for conditions on tags, which only this package
// doesn't support.
func (d *DenyPolicies) Err() error { return errors.Join(d.errs...) }

// denies reports whether the rule is about the permission.
func (r *denyRule) denies(p permission) bool {
	return anyMatches(r.deniedPatterns, p) && !anyMatches(r.exceptGroups, p)
}

// Denies reports whether a rule is about a permission, in either form, whoever has
// it.
func (r DenyRule) Denies(name string) bool {
	d := &DenyPolicies{}
	rule := denyRule{deniedPatterns: d.patterns(r.DeniedPermissions), exceptGroups: d.patterns(r.ExceptionPermissions)}
	p, ok := splitPermission(name)
	return ok && rule.denies(p)
}

// Names reports whether a rule denies a principal, as [Member.String] writes it, by
// name: a member of a group that it denies is not meant.
func (r DenyRule) Names(member string) bool {
	return slices.ContainsFunc(r.DeniedPrincipals, func(principal string) bool {
		m, err := parseMember(principal, v2)
		return err == nil && m.String() == member
	})
}

func anyMatches(patterns []pattern, p permission) bool {
	for i := range patterns {
		if patterns[i].matches(p) {
			return true
		}
	}
	return false
}
