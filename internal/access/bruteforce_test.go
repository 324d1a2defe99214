package access

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How many situations the two evaluators are compared over, and from which seed.
// The environment variable ACCESS_POLICIES is for where flags can't be passed.
var (
	flagPolicies = flag.Int("access.policies", 0, "situations to compare the evaluators over (default 50000, or $ACCESS_POLICIES)")
	flagSeed     = flag.Uint64("access.seed", 1, "seed of the situations")
)

func policies(t *testing.T) int {
	t.Helper()
	if *flagPolicies > 0 {
		return *flagPolicies
	}
	if v := os.Getenv("ACCESS_POLICIES"); v != "" {
		n, err := strconv.Atoi(v)
		require.NoError(t, err)
		return n
	}
	if testing.Short() {
		return 5_000
	}
	return 50_000
}

// request hands the situation to the real evaluator.
func (s *situation) request(t testing.TB, c *Compiler) (Evaluator, Request) {
	t.Helper()
	roles := map[string]*Role{}
	for name, r := range s.roles {
		if r.state != RoleUnknown {
			roles[name] = NewRole(r.state, r.perms...)
		}
	}
	e := Evaluator{Roles: func(name string) *Role { return roles[name] }, Deniable: func(string) bool { return s.deniable }}
	req := Request{Subject: s.subject(t), Permission: s.perm, Resource: s.res, Time: s.now}
	for i, l := range s.levels {
		level := Level{Resource: fmt.Sprint("level", i)}
		if !l.allowDark {
			level.Allow = c.Allow(Policy{Bindings: l.allow})
		}
		if !l.denyDark {
			level.Deny = c.Deny(l.deny...)
		}
		req.Levels = append(req.Levels, level)
	}
	return e, req
}

func parse(t testing.TB, text string) Member {
	t.Helper()
	switch {
	case strings.HasPrefix(text, "crm:"):
		text = crmPrefix + text[len("crm:"):] + "/type/ServiceAccount"
	case strings.HasPrefix(text, "customer:"):
		text = "principalSet://goog/cloudIdentityCustomerId/" + text[len("customer:"):]
	}
	m, err := ParseMember(text)
	if err != nil {
		m, err = parsePrincipal(text)
	}
	require.NoError(t, err)
	return m
}

func (s *situation) subject(t testing.TB) *Subject {
	t.Helper()
	p := s.caller
	id := Identity{Member: Anonymous(), UID: p.uid, Attributes: p.attrs, Groups: p.groups, Complete: p.full}
	switch p.kind {
	case "user":
		id.Member = User(p.email)
	case "sa":
		id.Member = ServiceAccount(p.email)
	case "fed", "pod":
		id.Member = parse(t, "principal://"+p.pool+"/subject/"+p.sub)
	case "set":
		id.Member = parse(t, p.set)
	}
	var sets []Set
	for name, m := range s.sets {
		set := Set{Member: parse(t, name), Unreadable: m.dark}
		for _, text := range m.members {
			set.Members = append(set.Members, parse(t, text))
		}
		sets = append(sets, set)
	}
	switch s.knows {
	case "all":
		return NewSubject(id, NewRoster(sets...))
	case "some":
		return NewSubject(id, NewOpenRoster(sets...))
	}
	return NewSubject(id, nil)
}

// TestBruteForce compares the two evaluators.
func TestBruteForce(t *testing.T) {
	t.Parallel()
	n := policies(t)
	c := NewCompiler()
	var next, capped, failed atomic.Int64
	var counts [3]atomic.Int64
	start := time.Now()
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := next.Add(1) - 1
				if int(i) >= n || failed.Load() > 5 {
					return
				}
				s := newSituation(*flagSeed, uint64(i))
				want := s.outcome()
				e, req := s.request(t, c)
				got := e.Decide(req).Outcome
				counts[got].Add(1)
				if got == want {
					continue
				}
				if got == Unknown && tooMany(e, req) {
					capped.Add(1)
					continue
				}
				failed.Add(1)
				t.Errorf("situation %d (seed %d): %v, want %v\n%s\ncauses: %v", i, *flagSeed, got, want, s.describe(), e.Explain(req).Causes)
			}
		})
	}
	wg.Wait()
	t.Logf("%d situations in %v: %d granted, %d denied, %d unknown; %d of these only because there are more than %d open questions",
		n, time.Since(start).Round(time.Millisecond), counts[Granted].Load(), counts[Denied].Load(), counts[Unknown].Load(), capped.Load(), maxAtoms)
	require.Less(t, capped.Load(), int64(n/100+1))
}

// tooMany reports that the real evaluator gave up on enumerating.
func tooMany(e Evaluator, req Request) bool {
	r := run{e: &e, req: &req}
	return len(r.refine(r.allow(), r.deny(), true).atoms) > maxAtoms
}

// TestBruteForceExplanations holds that explanations agree with decisions and
// with themselves.
func TestBruteForceExplanations(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	for i := range policies(t) / 25 {
		s := newSituation(*flagSeed+1, uint64(i))
		e, req := s.request(t, c)
		x := e.Explain(req)
		require.Equal(t, e.Decide(req), x.Decision, "situation %d", i)
		checkExplanation(t, x)
		if t.Failed() {
			t.Fatalf("situation %d: %s", i, s.describe())
		}
	}
}

func (s *situation) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "caller %+v perm %s deniable %v res %+v knows %s\n", s.caller, s.perm, s.deniable, s.res, s.knows)
	for name, m := range s.sets {
		fmt.Fprintf(&b, "  set %s %v dark %v\n", name, m.members, m.dark)
	}
	cond := func(e *Expr) string {
		if e == nil {
			return ""
		}
		return " if " + e.Expression
	}
	for i, l := range s.levels {
		fmt.Fprintf(&b, "  level %d allowDark %v denyDark %v\n", i, l.allowDark, l.denyDark)
		for _, x := range l.allow {
			fmt.Fprintf(&b, "    %s %v%s\n", x.Role, x.Members, cond(x.Condition))
		}
		for _, p := range l.deny {
			for _, r := range p.Rules {
				fmt.Fprintf(&b, "    deny %v to %v except %v to %v%s\n", r.DeniedPermissions, r.DeniedPrincipals, r.ExceptionPermissions, r.ExceptionPrincipals, cond(r.Condition))
			}
		}
	}
	return b.String()
}
