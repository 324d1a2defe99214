package access

import (
	"fmt"
	"hash/maphash"
	"math/bits"
)

// RoleState reports whether a role can grant anything.
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
	state RoleState
	// permissions is a hash table with open addressing. Its length is a power of
	// two, and no more than half of it is taken. A map would hash the permission
	// in question again for each role, and a decision asks hundreds.
	permissions []string
	// filter has a bit set for each permission, by the first bits of its hash.
	// Most roles don't have the permission in question; for a role with some
	// dozens the filter tells so without a look into the table.
	filter [4]uint64
}

// seed is the seed of all tables, so that one hash serves all roles and all allow
// policies.
var seed = maphash.MakeSeed() //nolint:gochecknoglobals // never changes

func hashOf(s string) uint64 { return maphash.String(seed, s) }

// NewRole returns a role with the permissions in the form in which roles list
// them (iam.serviceAccounts.actAs).
func NewRole(state RoleState, permissions ...string) *Role {
	r := &Role{state: state, permissions: make([]string, 1<<bits.Len(uint(2*len(permissions))))}
	for _, p := range permissions {
		hash := hashOf(p)
		r.permissions[r.find(p, hash)] = p
		r.filter[hash>>62] |= 1 << (hash >> 56 & 63)
	}
	return r
}

// find returns the place of a permission: where it is, or where it would be.
func (r *Role) find(permission string, hash uint64) int {
	mask := len(r.permissions) - 1
	at := int(hash) & mask
	for r.permissions[at] != "" && r.permissions[at] != permission {
		at = (at + 1) & mask
	}
	return at
}

// lacks reports whether the permissions are known and the filter tells that the
// one in question isn't among them. It is small enough for the compiler to inline,
// unlike lists, and answers for most roles that a decision meets.
func (r *Role) lacks(hash uint64) bool {
	return r != nil && r.state != RoleUnknown && r.filter[hash>>62]&(1<<(hash>>56&63)) == 0
}

// lists reports whether the permission is among those of the role, whatever its
// state.
func (r *Role) lists(permission string, hash uint64) Answer {
	if r == nil || r.state == RoleUnknown {
		return Maybe
	}
	if r.lacks(hash) {
		return No
	}
	return answer(permission != "" && r.permissions[r.find(permission, hash)] == permission)
}

// grants reports whether a binding of the role grants the permission: a
// disabled or deleted role grants nothing.
func (r *Role) grants(permission string, hash uint64) Answer {
	if r != nil && (r.state == RoleDisabled || r.state == RoleDeleted) {
		return No
	}
	return r.lists(permission, hash)
}

// roleName is the name of a role. A compiler has one for each, so that policies
// that it compiled can be compared by it.
type roleName struct {
	name string
	id   uint32
}

// role returns the one roleName of a name.
func (c *Compiler) role(name string) *roleName {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.roles[name]; r != nil {
		return r
	}
	if len(c.roles) >= maxRoles {
		// The same name then has two: a decision asks for it once more.
		clear(c.roles)
	}
	r := &roleName{name: name, id: uint32(len(c.roles))}
	c.roles[name] = r
	return r
}

// roleMemo remembers roles during one decision. It may forget one for another.
type roleMemo [128]*roleName

func (m *roleMemo) has(r *roleName, id uint32) bool { return m[id%uint32(len(m))] == r }

func (m *roleMemo) add(r *roleName) { m[r.id%uint32(len(m))] = r }
