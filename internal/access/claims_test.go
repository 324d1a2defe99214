package access

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOpenRolesAskedOnce holds that the number of bindings with groups that
// nobody can look into doesn't matter to how often roles are looked up.
func TestOpenRolesAskedOnce(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	var levels []Level
	for range 3 {
		var p Policy
		for i := range 50 {
			p.Bindings = append(p.Bindings, Binding{Role: fmt.Sprintf("roles/r%d", i%5), Members: []string{fmt.Sprintf("group:g%d@example.com", i)}})
		}
		levels = append(levels, Level{Allow: c.Allow(p), Deny: NoDeny()})
	}
	asked := map[string]int{}
	e := Evaluator{Roles: func(name string) *Role {
		asked[name]++
		return NewRole(RoleActive, "run.jobs.get")
	}}
	d := e.Decide(Request{Subject: NewSubject(Identity{Member: User("dev@example.com")}, nil), Permission: "run.jobs.run", Levels: levels})
	assert.Equal(t, Denied, d.Outcome)
	assert.Equal(t, map[string]int{"roles/r0": 1, "roles/r1": 1, "roles/r2": 1, "roles/r3": 1, "roles/r4": 1}, asked)
}

// TestCausesInOrder holds that causes follow the policy, not its roles.
func TestCausesInOrder(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	p := c.Allow(Policy{Bindings: []Binding{
		{Role: "roles/a", Members: []string{"group:1@example.com"}},
		{Role: "roles/b", Members: []string{"group:2@example.com"}},
		{Role: "roles/a", Members: []string{"group:3@example.com"}},
	}})
	require.NoError(t, p.Err())
	e := Evaluator{Roles: func(string) *Role { return NewRole(RoleActive, "run.jobs.run") }}
	x := e.Explain(Request{
		Subject: NewSubject(Identity{Member: User("dev@example.com")}, nil), Permission: "run.jobs.run",
		Levels: []Level{{Allow: p, Deny: NoDeny()}},
	})
	var sets []string
	for _, cause := range x.Causes {
		sets = append(sets, cause.Set.String())
	}
	assert.Equal(t, []string{"group:1@example.com", "group:2@example.com", "group:3@example.com"}, sets)
}
