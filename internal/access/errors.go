package access

import (
	"fmt"
	"strings"
)

// memberError reports a member or principal identifier that IAM doesn't have.
type memberError struct {
	// Member is the identifier as it was given.
	Member string
	// Reason says what is wrong with it.
	Reason string
}

// Error implements error.
func (e *memberError) Error() string {
	return fmt.Sprintf("member %q: %s", e.Member, e.Reason)
}

// ConditionError reports a condition that this package can't evaluate.
type ConditionError struct {
	// Expression is the condition's expression.
	Expression string
	// Attributes are the attributes and functions that aren't supported here,
	// as they are written (request.path, resource.matchTag), each once. Empty
	// if the expression isn't valid at all.
	Attributes []string
	// Err is the compiler's error. Nil if only Attributes are the trouble.
	Err error
}

// Error implements error.
func (e *ConditionError) Error() string {
	if len(e.Attributes) > 0 {
		return fmt.Sprintf("condition %q: not supported: %s", e.Expression, strings.Join(e.Attributes, ", "))
	}
	return fmt.Sprintf("condition %q: %v", e.Expression, e.Err)
}

// Unwrap returns the compiler's error.
func (e *ConditionError) Unwrap() error { return e.Err }

// permissionError reports a permission name of a deny rule that isn't
// SERVICE_FQDN/RESOURCE.VERB nor a permission group.
type permissionError struct {
	// Permission is the name as it was given.
	Permission string
}

// Error implements error.
func (e *permissionError) Error() string {
	return fmt.Sprintf("permission %q: not of the form SERVICE_FQDN/RESOURCE.VERB, SERVICE_FQDN/RESOURCE.*, SERVICE_FQDN/*.VERB or SERVICE_FQDN/*.*", e.Permission)
}

// LimitError reports a policy that IAM would refuse although it could be
// evaluated.
type LimitError struct {
	// Limit says which limit, in words.
	Limit string
	// Max is the limit, zero if it is something that isn't allowed at all.
	Max int
	// Got is what the policy has.
	Got int
	// Subject names what exceeds it: a role, a member, a condition.
	Subject string
}

// Error implements error.
func (e *LimitError) Error() string {
	var b strings.Builder
	b.WriteString(e.Limit)
	if e.Subject != "" {
		fmt.Fprintf(&b, " (%s)", e.Subject)
	}
	if e.Max > 0 {
		fmt.Fprintf(&b, ": %d, at most %d", e.Got, e.Max)
	}
	return b.String()
}
