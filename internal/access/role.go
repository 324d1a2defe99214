package access

import "fmt"

// RoleState says whether a role can grant anything.
type RoleState uint8

// The states of a role.
const (
	// RoleUnknown means that the role's permissions aren't known.
	RoleUnknown RoleState = iota
	// RoleActive means that bindings of the role grant its permissions.
	RoleActive
	// RoleDisabled means a custom role of launch stage DISABLED: its bindings
	// have no effect.
	RoleDisabled
	// RoleDeleted means a custom role that was deleted: its bindings have no
	// effect.
	RoleDeleted
)

// String returns the state in lower case.
func (s RoleState) String() string {
	switch s {
	case RoleUnknown:
		return "unknown"
	case RoleActive:
		return "active"
	case RoleDisabled:
		return "disabled"
	case RoleDeleted:
		return "deleted"
	}
	return fmt.Sprintf("RoleState(%d)", uint8(s))
}

// MarshalText renders the state as String does.
func (s RoleState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Role is a set of permissions, ready to be asked. It is immutable. The nil
// Role is one whose permissions aren't known.
type Role struct {
	state       RoleState
	permissions map[string]struct{}
}

// NewRole returns a role with the permissions in the form in which roles list
// them (iam.serviceAccounts.actAs).
func NewRole(state RoleState, permissions ...string) *Role {
	r := &Role{state: state, permissions: make(map[string]struct{}, len(permissions))}
	for _, p := range permissions {
		r.permissions[p] = struct{}{}
	}
	return r
}

// State returns the role's state; RoleUnknown of nil.
func (r *Role) State() RoleState {
	if r == nil {
		return RoleUnknown
	}
	return r.state
}

// Lists says whether the permission is among those of the role, whatever its
// state.
func (r *Role) Lists(permission string) Answer {
	if r.State() == RoleUnknown {
		return Maybe
	}
	_, ok := r.permissions[permission]
	return answer(ok)
}

// Grants says whether a binding of the role grants the permission: a disabled
// or deleted role grants nothing.
func (r *Role) Grants(permission string) Answer {
	switch r.State() {
	case RoleDisabled, RoleDeleted:
		return No
	}
	return r.Lists(permission)
}
