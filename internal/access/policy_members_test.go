package access

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEachMemberOfALargePolicyIsFound holds for policies of the largest size that
// IAM takes: whoever is named has what is bound to exactly that name.
func TestEachMemberOfALargePolicyIsFound(t *testing.T) {
	t.Parallel()
	const members = 1500
	user := func(i int) string { return fmt.Sprintf("user:u%d@example.com", i) }
	even, all := Binding{Role: "roles/even"}, Binding{Role: "roles/all"}
	for i := range members {
		all.Members = append(all.Members, user(i))
		if i%2 == 0 {
			even.Members = append(even.Members, user(i), user(i))
		}
	}
	p := NewCompiler().Allow(Policy{Bindings: []Binding{even, all}})
	require.NoError(t, p.Err())
	roles := map[string]*Role{"roles/even": NewRole(RoleActive, "run.jobs.run"), "roles/all": NewRole(RoleActive, "run.jobs.get")}
	e := Evaluator{Roles: func(name string) *Role { return roles[name] }}
	decide := func(as, permission string) Outcome {
		return e.Decide(Request{
			Subject: NewSubject(Identity{Member: parse(t, as)}, NewRoster()), Permission: permission,
			Levels: []Level{{Allow: p, Deny: NoDeny()}},
		}).Outcome
	}
	for i := range members {
		want := Denied
		if i%2 == 0 {
			want = Granted
		}
		assert.Equal(t, want, decide(user(i), "run.jobs.run"), user(i))
		assert.Equal(t, Granted, decide(user(i), "run.jobs.get"), user(i))
		assert.Equal(t, Denied, decide(user(members+i), "run.jobs.get"), user(members+i))
	}
}

// TestPoliciesWithoutMembers holds that there is nothing to find in them.
func TestPoliciesWithoutMembers(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	for name, p := range map[string]*AllowPolicy{"zero": {}, "empty": c.Allow(Policy{}), "no members": c.Allow(Policy{Bindings: to(accountUser)})} {
		e := Evaluator{Roles: func(name string) *Role { return tableRoles()[name] }}
		req := Request{Subject: NewSubject(Identity{Member: parse(t, alice)}, nil), Permission: actAs, Levels: []Level{{Allow: p, Deny: NoDeny()}}}
		assert.Equal(t, Denied, e.Decide(req).Outcome, name)
		assert.Equal(t, Denied, e.Explain(req).Outcome, name)
	}
}
