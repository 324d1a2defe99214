package access

import (
	"errors"
	"strings"
)

// The limits of IAM on allow and deny policies, from its page on quotas and
// limits.
const (
	maxPrincipals     = 1500
	maxGroups         = 250
	maxOperators      = 12
	maxVariants       = 20
	maxDenyRules      = 500
	maxDenyPrincipals = 2500
	maxDenyGroups     = 500
)

// CheckLimits returns errors of type *[LimitError], joined, if IAM would refuse
// the allow policy for one of its documented limits: 1,500 principals, 250
// groups and domains, 12 logical operators in a condition, 20 bindings of one
// role and principal with different conditions, and no condition on a basic
// role or for allUsers and allAuthenticatedUsers.
func (a *AllowPolicy) CheckLimits() error {
	var errs []error
	exceed := func(limit string, limitIs, got int, subject string) {
		if got > limitIs {
			errs = append(errs, &LimitError{Limit: limit, Max: limitIs, Got: got, Subject: subject})
		}
	}
	total, domains := 0, 0
	groups := map[string]bool{}
	variants := map[[2]string]map[string]bool{}
	for i := range a.bindings {
		b := &a.bindings[i]
		total += len(b.members)
		for _, m := range b.members {
			switch m.kind {
			case KindGroup:
				groups[m.id] = true // each group counts once
			case KindDomain:
				domains++ // each appearance counts
			}
		}
		if b.cond == nil {
			continue
		}
		exceed("logical operators in a condition", maxOperators, b.cond.operators, b.cond.text)
		errs = append(errs, b.checkConditional()...)
		for _, m := range b.members {
			k := [2]string{b.full, m.id}
			if variants[k] == nil {
				variants[k] = map[string]bool{}
			}
			variants[k][b.cond.text] = true
			if len(variants[k]) == maxVariants+1 {
				exceed("bindings of one role and principal with different conditions", maxVariants, len(variants[k]), b.full+" "+m.id)
			}
		}
	}
	exceed("principals in an allow policy", maxPrincipals, total, "")
	exceed("groups and domains in an allow policy", maxGroups, len(groups)+domains, "")
	return errors.Join(errs...)
}

// checkConditional refuses a condition where IAM doesn't take one.
func (b *binding) checkConditional() []error {
	var errs []error
	switch b.role.name {
	case "roles/owner", "roles/editor", "roles/viewer":
		errs = append(errs, &LimitError{Limit: "a basic role can't be granted with a condition", Subject: b.role.name})
	}
	for _, m := range b.members {
		if m.kind == KindAllUsers || m.kind == KindAllAuthenticatedUsers {
			errs = append(errs, &LimitError{Limit: "a role can't be granted to " + m.id + " with a condition", Subject: b.role.name})
		}
	}
	return errs
}

// CheckLimits returns errors of type *[LimitError], joined, if IAM would refuse
// the deny policies of a resource for one of its documented limits: 500
// policies with 500 rules, 2,500 principals, 500 groups and domains, 12 logical
// operators in a condition, and conditions on anything but resource tags.
func (d *DenyPolicies) CheckLimits() error {
	var errs []error
	exceed := func(limit string, limitIs, got int, subject string) {
		if got > limitIs {
			errs = append(errs, &LimitError{Limit: limit, Max: limitIs, Got: got, Subject: subject})
		}
	}
	rules, total, groups := 0, 0, 0
	for _, p := range d.policies {
		rules += len(p.rules)
		for _, r := range p.rules {
			for _, list := range [][]Member{r.denied.members, r.excepted.members} {
				total += len(list)
				for _, m := range list {
					if m.kind == KindGroup || m.kind == KindCustomer {
						groups++
					}
				}
			}
			if r.cond == nil {
				continue
			}
			exceed("logical operators in a condition", maxOperators, r.cond.operators, r.cond.text)
			if !r.cond.onTags() {
				errs = append(errs, &LimitError{Limit: "a denial condition takes functions of resource tags only", Subject: r.cond.text})
			}
		}
	}
	exceed("deny policies of a resource", maxDenyRules, len(d.policies), "")
	exceed("deny rules of a resource", maxDenyRules, rules, "")
	exceed("principals in the deny policies of a resource", maxDenyPrincipals, total, "")
	exceed("groups and domains in the deny policies of a resource", maxDenyGroups, groups, "")
	return errors.Join(errs...)
}

// onTags reports a condition that mentions nothing but functions of tags.
func (c *condition) onTags() bool {
	if c.err == nil || len(c.err.Attributes) == 0 || c.usesTime || c.usesResource {
		return false
	}
	for _, a := range c.err.Attributes {
		switch strings.TrimPrefix(a, "resource.") {
		case "matchTag", "matchTagId", "hasTagKey", "hasTagKeyId":
		default:
			return false
		}
	}
	return true
}
