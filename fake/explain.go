package fake

import (
	"fmt"
	"strings"
	"time"

	"github.com/runidentity/runidentity/internal/access"
)

// Explain returns in words whether a member has a permission on a resource now, and
// which binding (role, level, member, condition) or deny rule decides: for the message
// of a test that fails. The text begins with "granted: ", "denied: " or "unknown: ".
// The resource is named as in [Backend.Grant].
//
// Programs ask Policy Troubleshooter, which answers from the same evaluation. Explain
// panics if there is no such resource, or if member is not one. Whether there is such a
// permission isn't checked.
func (b *Backend) Explain(member, permission, resource string) string {
	if member == Admin {
		return "granted: " + Admin + " may do everything"
	}
	if who, err := parseCaller(member); err == nil {
		member = who.member
	} else if _, err := access.ParseMember(member); err != nil {
		panic("fake: Explain: " + err.Error())
	}
	var text string
	b.read(time.Now(), func(st *state) { text = st.explain(member, permission, resource) })
	return text
}

func (st *state) explain(member, permission, resource string) string {
	n := st.mustFind("Explain", resource)
	evaluator := st.evaluator(permission)
	e := evaluator.Explain(st.request(st.subject(member), permission, n, time.Now()))
	about := member + " has "
	switch e.Outcome {
	case access.Denied:
		about = member + " lacks "
	case access.Unknown:
		about = "whether " + about
	default:
	}
	head := fmt.Sprintf("%s: %s%s on %s: ", e.Outcome, about, permission, strings.TrimPrefix(n.full, "//"))
	switch {
	case e.Denial != nil:
		d := e.Denial
		return head + fmt.Sprintf("rule %d of deny policy %s on %s denies %s to %s%s%s",
			d.Rule, d.Policy, d.Level, d.Permission, d.Principal, via(d.Via), condition(d.Condition))
	case e.Outcome == access.Granted && e.Grant != nil:
		g := e.Grant
		return head + fmt.Sprintf("%s grants it on %s to %s%s%s", g.Role, g.Level, g.Member, via(g.Via), condition(g.Condition))
	case e.Outcome == access.Unknown:
		causes := make([]string, len(e.Causes))
		for i, c := range e.Causes {
			causes[i] = c.String()
		}
		return head + strings.Join(causes, "; ")
	}
	return head + closest(e)
}

// closest tells of bindings that would grant the permission if one thing were
// different.
func closest(e *access.Explanation) string {
	var near []string
	for _, level := range e.Levels {
		for _, binding := range level.Bindings {
			where := binding.Role + " on " + level.Resource
			switch {
			case binding.Membership != access.Yes || binding.Permission != access.Yes:
			case binding.RoleState != access.RoleActive:
				near = append(near, fmt.Sprintf("%s would, but the role is %s", where, binding.RoleState))
			case binding.Condition != nil:
				near = append(near, fmt.Sprintf("%s would, but for its condition %s", where, binding.Condition.Expression))
			}
		}
	}
	if len(near) == 0 {
		return "nothing grants it"
	}
	return strings.Join(near, "; ")
}

func via(chain []access.Member) string {
	if len(chain) == 0 {
		return ""
	}
	names := make([]string, len(chain))
	for i, m := range chain {
		names[i] = m.String()
	}
	return " (by way of " + strings.Join(names, ", ") + ")"
}

func condition(c *access.ConditionExplanation) string {
	if c == nil {
		return ""
	}
	return ", as its condition " + c.Expression + " holds"
}
