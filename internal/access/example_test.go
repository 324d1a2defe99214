package access_test

import (
	"fmt"
	"time"

	"github.com/runidentity/runidentity/internal/access"
)

// A grant through a nested group that is bound in time.
func ExampleEvaluator_Decide() {
	c := access.NewCompiler()
	project := c.Allow(access.Policy{Bindings: []access.Binding{{
		Role:      "roles/iam.serviceAccountUser",
		Members:   []string{"group:deployers@example.com"},
		Condition: &access.Expr{Title: "until 2027", Expression: `request.time < timestamp("2027-01-01T00:00:00Z")`},
	}}})
	roster := access.NewRoster(
		access.Set{Member: access.Group("deployers@example.com"), Members: []access.Member{access.Group("devs@example.com")}},
		access.Set{Member: access.Group("devs@example.com"), Members: []access.Member{access.User("dev@example.com")}},
	)
	e := access.Evaluator{Roles: func(string) *access.Role {
		return access.NewRole(access.RoleActive, "iam.serviceAccounts.actAs")
	}}
	d := e.Decide(access.Request{
		Subject:    access.NewSubject(access.Identity{Member: access.User("dev@example.com")}, roster),
		Permission: "iam.serviceAccounts.actAs",
		Time:       time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
		Levels:     []access.Level{{Resource: "//cloudresourcemanager.googleapis.com/projects/p", Allow: project, Deny: access.NoDeny()}},
	})
	fmt.Println(d.Outcome, d.End.Kind, d.End.At.Format(time.DateOnly))
	// Output: granted at 2027-01-01
}

// What isn't known makes the outcome unknown only if it matters, and is named.
func ExampleEvaluator_Explain() {
	c := access.NewCompiler()
	project := c.Allow(access.Policy{Bindings: []access.Binding{
		{Role: "roles/iam.serviceAccountUser", Members: []string{"group:deployers@example.com"}},
		{Role: "roles/viewer", Members: []string{"group:auditors@example.com"}},
	}})
	roles := map[string]*access.Role{
		"roles/iam.serviceAccountUser": access.NewRole(access.RoleActive, "iam.serviceAccounts.actAs"),
		"roles/viewer":                 access.NewRole(access.RoleActive, "run.jobs.get"),
	}
	e := access.Evaluator{Roles: func(name string) *access.Role { return roles[name] }}
	x := e.Explain(access.Request{
		Subject:    access.NewSubject(access.Identity{Member: access.User("dev@example.com")}, nil),
		Permission: "iam.serviceAccounts.actAs",
		Levels:     []access.Level{{Resource: "//cloudresourcemanager.googleapis.com/projects/p", Allow: project, Deny: access.NoDeny()}},
	})
	fmt.Println(x.Outcome)
	for _, cause := range x.Causes {
		fmt.Println(cause)
	}
	// Output:
	// unknown
	// the members of group:deployers@example.com on //cloudresourcemanager.googleapis.com/projects/p aren't known
}
