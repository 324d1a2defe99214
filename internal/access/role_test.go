package access

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestLargeRoleGrantsAllThatItLists holds for roles with so many permissions that
// they share bits of the filter and collide in the table.
func TestLargeRoleGrantsAllThatItLists(t *testing.T) {
	t.Parallel()
	var listed []string
	for i := range 1000 {
		listed = append(listed, fmt.Sprintf("svc.things%d.get", i))
	}
	role := NewRole(RoleActive, listed...)
	e := Evaluator{Roles: func(string) *Role { return role }}
	p := NewCompiler().Allow(Policy{Bindings: to("roles/large", alice)})
	req := Request{Subject: NewSubject(Identity{Member: parse(t, alice)}, nil), Levels: []Level{{Allow: p, Deny: NoDeny()}}}
	for _, permission := range listed {
		req.Permission = permission
		assert.Equal(t, Granted, e.Decide(req).Outcome, permission)
		req.Permission = permission + "IamPolicy"
		assert.Equal(t, Denied, e.Decide(req).Outcome, req.Permission)
	}
}

// TestEachRoleOfUnknownGroupsIsAsked holds that a decision with more roles than
// it can remember as without the permission doesn't take one for another.
func TestEachRoleOfUnknownGroupsIsAsked(t *testing.T) {
	t.Parallel()
	const roles = 300
	name := func(i int) string { return fmt.Sprintf("roles/r%d", i) }
	var p Policy
	for i := range roles {
		p.Bindings = append(p.Bindings, Binding{Role: name(i), Members: []string{fmt.Sprintf("group:g%d@example.com", i)}})
	}
	c := NewCompiler()
	levels := []Level{{Allow: c.Allow(p), Deny: NoDeny()}, {Allow: c.Allow(p), Deny: NoDeny()}}
	with, without := NewRole(RoleActive, "run.jobs.run"), NewRole(RoleActive, "run.jobs.get")
	req := Request{Subject: NewSubject(Identity{Member: parse(t, alice)}, nil), Permission: "run.jobs.run", Levels: levels}
	for i := range roles {
		e := Evaluator{Roles: func(asked string) *Role {
			if asked == name(i) {
				return with
			}
			return without
		}}
		assert.Equal(t, Unknown, e.Decide(req).Outcome, name(i))
	}
	none := Evaluator{Roles: func(string) *Role { return without }}
	assert.Equal(t, Denied, none.Decide(req).Outcome)
}

// TestRoleOfUnknownPermissionsMayGrant holds for a role that is given as unknown,
// with whatever permissions, as for one that isn't given.
func TestRoleOfUnknownPermissionsMayGrant(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	for _, role := range []*Role{nil, NewRole(RoleUnknown), NewRole(RoleUnknown, "run.jobs.get")} {
		e := Evaluator{Roles: func(string) *Role { return role }}
		for _, member := range []string{alice, "group:secret@example.com"} {
			req := Request{
				Subject: NewSubject(Identity{Member: parse(t, alice)}, nil), Permission: "run.jobs.run",
				Levels: []Level{{Allow: c.Allow(Policy{Bindings: to("roles/dark", member)}), Deny: NoDeny()}},
			}
			assert.Equal(t, Unknown, e.Decide(req).Outcome, "%s, %+v", member, role)
		}
	}
}
