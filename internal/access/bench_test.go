package access

import (
	"fmt"
	"testing"
	"time"
)

// benchWorld is three levels of 100 bindings with four members each, one of
// which is a group, 20 groups a level, and the subject in three nested groups.
// Only the last binding of the top level grants the permission, if any does.
func benchWorld(b *testing.B, member string, cond *Expr) (Evaluator, Request) {
	b.Helper()
	c := NewCompiler()
	roles := map[string]*Role{}
	for i := range 60 {
		perms := []string{"run.jobs.get", "run.jobs.list"}
		for j := range 50 {
			perms = append(perms, fmt.Sprintf("svc%d.things.verb%d", i, j))
		}
		roles[fmt.Sprintf("roles/r%d", i)] = NewRole(RoleActive, perms...)
	}
	roles["roles/granting"] = NewRole(RoleActive, "iam.serviceAccounts.actAs")
	var levels []Level
	for l := range 3 {
		var p Policy
		for i := range 100 {
			p.Bindings = append(p.Bindings, Binding{
				Role: fmt.Sprintf("roles/r%d", i%60),
				Members: []string{
					fmt.Sprintf("user:u%d-%d@example.com", l, i),
					fmt.Sprintf("user:v%d-%d@example.com", l, i),
					fmt.Sprintf("serviceAccount:s%d@p.iam.gserviceaccount.com", i),
					fmt.Sprintf("group:g%d-%d@example.com", l, i%20),
				},
			})
		}
		if l == 2 && member != "" {
			p.Bindings[99] = Binding{Role: "roles/granting", Members: []string{member}, Condition: cond}
		}
		levels = append(levels, Level{Resource: fmt.Sprint("level", l), Allow: c.Allow(p), Deny: NoDeny()})
	}
	dev := User("dev@example.com")
	dir := NewRoster(
		Set{Member: Group("a@example.com"), Members: []Member{dev}},
		Set{Member: Group("b@example.com"), Members: []Member{Group("a@example.com")}},
		Set{Member: Group("g0-0@example.com"), Members: []Member{dev}},
	)
	e := Evaluator{Roles: func(name string) *Role { return roles[name] }}
	return e, Request{
		Subject:    NewSubject(Identity{Member: dev}, dir),
		Permission: "iam.serviceAccounts.actAs",
		Resource:   Resource{Name: "projects/_/buckets/b/objects/x", Type: "storage.googleapis.com/Object", Service: "storage.googleapis.com"},
		Time:       time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
		Levels:     levels,
	}
}

func benchDecide(b *testing.B, want Outcome, e Evaluator, req Request) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if d := e.Decide(req); d.Outcome != want {
			b.Fatal(d.Outcome)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	cases := []struct {
		name   string
		member string
		cond   string
		want   Outcome
	}{
		{"denied", "", "", Denied},
		{"user", "user:dev@example.com", "", Granted},
		{"nested group", "group:b@example.com", "", Granted},
		{"allUsers", "allUsers", "", Granted},
		{"condition on time", "user:dev@example.com", `request.time < timestamp("2030-01-01T00:00:00Z")`, Granted},
		{"condition on zone", "user:dev@example.com", `request.time.getHours("Europe/Berlin") >= 0`, Granted},
		{"condition on name", "user:dev@example.com", `resource.name.extract("buckets/{b}/") == "b"`, Granted},
	}
	for _, tt := range cases {
		b.Run(tt.name, func(b *testing.B) {
			var cond *Expr
			if tt.cond != "" {
				cond = &Expr{Expression: tt.cond}
			}
			e, req := benchWorld(b, tt.member, cond)
			benchDecide(b, tt.want, e, req)
		})
	}
	b.Run("deny rule", func(b *testing.B) {
		e, req := benchWorld(b, "user:dev@example.com", nil)
		req.Levels[2].Deny = NewCompiler().Deny(DenyPolicy{Rules: []DenyRule{{
			DeniedPrincipals:  []string{"principalSet://goog/public:all"},
			DeniedPermissions: []string{"iam.googleapis.com/serviceAccounts.*"},
		}}})
		benchDecide(b, Denied, e, req)
	})
	b.Run("unknown groups", func(b *testing.B) {
		e, req := benchWorld(b, "group:secret@example.com", nil)
		req.Subject = NewSubject(req.Subject.id, nil)
		benchDecide(b, Unknown, e, req)
	})
}

func BenchmarkDecideParallel(b *testing.B) {
	e, req := benchWorld(b, "group:b@example.com", nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if d := e.Decide(req); d.Outcome != Granted {
				b.Error(d.Outcome)
			}
		}
	})
}

func BenchmarkExplain(b *testing.B) {
	e, req := benchWorld(b, "group:b@example.com", nil)
	b.ReportAllocs()
	for b.Loop() {
		e.Explain(req)
	}
}

func BenchmarkCompile(b *testing.B) {
	p := Policy{}
	for i := range 100 {
		p.Bindings = append(p.Bindings, Binding{Role: "roles/r", Members: []string{fmt.Sprintf("user:u%d@example.com", i), "group:g@example.com"}})
	}
	b.Run("100 bindings", func(b *testing.B) {
		c := NewCompiler()
		b.ReportAllocs()
		for b.Loop() {
			c.Allow(p)
		}
	})
	b.Run("condition", func(b *testing.B) {
		c := NewCompiler()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c.condition(fmt.Sprintf(`request.time < timestamp("2030-01-01T00:00:00Z") && resource.name != "%d"`, i))
		}
	})
	b.Run("subject", func(b *testing.B) {
		_, req := benchWorld(b, "", nil)
		id, dir := req.Subject.id, req.Subject.dir
		b.ReportAllocs()
		for b.Loop() {
			NewSubject(id, dir)
		}
	})
}
