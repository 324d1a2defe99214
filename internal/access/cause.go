package access

import (
	"fmt"
	"strings"
)

// CauseKind says what isn't known.
type CauseKind uint8

// The kinds of causes.
const (
	// CauseSet means that the members of Cause.Set can't be read: a group, a
	// resource container's set, a set of a pool's identities.
	CauseSet CauseKind = iota + 1
	// CauseMember means that Cause.Set is an identifier that isn't understood.
	CauseMember
	// CauseRole means that the permissions of Cause.Role aren't known.
	CauseRole
	// CauseCondition means that Cause.Condition can't be evaluated;
	// Cause.Err says why.
	CauseCondition
	// CausePolicy means that the allow policy of Cause.Level can't be read.
	CausePolicy
	// CauseDenyPolicies means that the deny policies of Cause.Level can't be
	// read.
	CauseDenyPolicies
)

// String returns a word for the kind.
func (k CauseKind) String() string {
	switch k {
	case CauseSet:
		return "members"
	case CauseMember:
		return "member"
	case CauseRole:
		return "role"
	case CauseCondition:
		return "condition"
	case CausePolicy:
		return "policy"
	case CauseDenyPolicies:
		return "denyPolicies"
	}
	return fmt.Sprintf("CauseKind(%d)", uint8(k))
}

// MarshalText renders the kind as String does.
func (k CauseKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Cause is one of the things that would have to be known.
type Cause struct {
	Kind CauseKind
	// Level is the resource whose policy has it, or can't be read. If several
	// have it, the first.
	Level string
	// Deny reports whether it is about a deny rule.
	Deny bool
	// Set is the set or member in question.
	Set Member
	// Part reports whether the question is if Set has members in common with
	// the subject, itself a set, and not whether it contains it.
	Part bool
	// Role is the role in question.
	Role string
	// Condition is the condition in question. Its expression is empty if the
	// policy was read as version 1, which doesn't show conditions.
	Condition Expr
	// Attributes are the attributes and functions of the condition that aren't
	// supported.
	Attributes []string
	// Err says why the condition can't be evaluated.
	Err error `json:"-"`
}

// String returns what isn't known, as a sentence.
func (c Cause) String() string {
	where := ""
	if c.Level != "" {
		where = " on " + c.Level
	}
	rule := ""
	if c.Deny {
		rule = " of a deny rule"
	}
	switch c.Kind {
	case CauseSet:
		if c.Part {
			return fmt.Sprintf("whether %s%s%s contains a part of the principal set isn't known", c.Set, rule, where)
		}
		return fmt.Sprintf("the members of %s%s%s aren't known", c.Set, rule, where)
	case CauseMember:
		return fmt.Sprintf("%s%s%s isn't understood", c.Set, rule, where)
	case CauseRole:
		return fmt.Sprintf("the permissions of %s%s aren't known", c.Role, where)
	case CauseCondition:
		name := fmt.Sprintf("the condition %q", c.Condition.Expression)
		if c.Condition.Title != "" {
			name = fmt.Sprintf("the condition %q", c.Condition.Title)
		}
		if c.Condition.Expression == "" && c.Role != "" {
			name = "the hidden condition of " + c.Role
		}
		why := ""
		switch {
		case len(c.Attributes) > 0:
			why = ": not supported: " + strings.Join(c.Attributes, ", ")
		case c.Err != nil:
			why = ": " + c.Err.Error()
		}
		return name + rule + where + " can't be evaluated" + why
	case CausePolicy:
		return "the allow policy" + where + " can't be read"
	case CauseDenyPolicies:
		return "the deny policies" + where + " can't be read"
	}
	return c.Kind.String()
}
