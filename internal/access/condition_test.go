package access

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConditionErrors(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	for _, tt := range []struct {
		name, expression string
		attributes       []string // unsupported ones; none if the expression is invalid
	}{
		{"tags", `resource.matchTag("1/env", "prod")`, []string{"resource.matchTag"}},
		{"tags by ID", `resource.hasTagKeyId("tagKeys/1") || resource.matchTagId("tagKeys/1", "tagValues/2")`, []string{"resource.hasTagKeyId", "resource.matchTagId"}},
		{"path", `request.path == "/admin"`, []string{"request.path"}},
		{"host method", `request.host.endsWith(".example.com")`, []string{"request.host"}},
		{"levels", `"x" in request.auth.access_levels`, []string{"request.auth.access_levels"}},
		{"destination", `destination.ip == "10.0.0.1" && destination.port == 22 && destination.ip != "x"`, []string{"destination.ip", "destination.port"}},
		{"api", `api.getAttribute("a", []).hasOnly(["b"])`, []string{"hasOnly", "api.getAttribute"}},
		{"compute", `compute.matchLoadBalancingSchemes(["INTERNAL"])`, []string{"compute.matchLoadBalancingSchemes"}},
		{"principal", `principal.type == "x"`, []string{"principal.type"}},
		{"unknown name", `resource.name == devResource`, []string{"devResource"}},
		{"unknown field", `resource.labels.env == "x"`, []string{"resource.labels.env"}},
		{"unknown function", `resource.name.lowerAscii() == "x"`, []string{"lowerAscii"}},
		{"macro", `["a"].exists(x, x == resource.name)`, []string{"exists", "x"}},
		{"has", `has(resource.name)`, []string{"has"}},
		{"empty", ``, nil},
		{"syntax", `request.time <`, nil},
		{"missing quote", `resource.name == "x`, nil},
		{"types", `request.time == "2026"`, nil},
		{"not a bool", `resource.name`, nil},
		{"a number", `1`, nil},
		{"wrong argument", `request.time.getHours(1) == 1`, nil},
		{"foreign and invalid", `request.path == "x" && request.time == 1`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := c.CheckCondition(tt.expression)
			var ce *ConditionError
			require.ErrorAs(t, err, &ce)
			assert.Equal(t, tt.expression, ce.Expression)
			assert.Equal(t, tt.attributes, ce.Attributes)
			assert.Equal(t, tt.attributes == nil, ce.Unwrap() != nil)
			for _, a := range tt.attributes {
				assert.Contains(t, err.Error(), a)
			}
			cond := c.condition(tt.expression)
			v, err := evaluate(cond, object(), tableTime())
			assert.Equal(t, Maybe, v)
			require.ErrorAs(t, err, &ce)
			assert.Equal(t, tt.expression, cond.text)
		})
	}
}

func TestConditionFunctions(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	for _, expression := range []string{
		`resource.name.contains("acme")`,
		`resource.name.matches("^projects/_/buckets/[a-z]+/")`,
		`resource.type in ["a", "storage.googleapis.com/Object"]`,
		`size(resource.service) == 22 && resource.service.size() == 22`,
		`(resource.type == "x" ? false : true)`,
		`"a" + "b" == "ab" && 7 % 4 - 1 == 2 && 6 / 3 * -1 == -2`,
		`int("3") == 3 && string(3) == "3" && double("1.5") > 1.0 && bool("true")`,
		`request.time - timestamp("2026-11-23T10:30:00Z") < duration("16s")`,
		`timestamp(1700000000) < request.time`,
		"resource.service == 'storage.googleapis.com' // a comment\n",
	} {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, c.CheckCondition(expression))
			v, err := evaluate(c.condition(expression), object(), tableTime())
			require.NoError(t, err)
			assert.Equal(t, Yes, v)
		})
	}
}

func TestConditionWithoutTime(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	const timed, typed = `request.time < timestamp("2030-01-01T00:00:00Z")`, `resource.type == "x"`
	require.NoError(t, c.CheckCondition(timed))
	v, err := evaluate(c.condition(timed), Resource{}, time.Time{})
	assert.Equal(t, Maybe, v)
	require.ErrorContains(t, err, "time of the request")
	require.NoError(t, c.CheckCondition(typed))
	v, err = evaluate(c.condition(typed), Resource{}, time.Time{})
	assert.Equal(t, No, v)
	require.NoError(t, err)

	r := row{as: alice, project: when(`request.time < timestamp("2030-01-01T00:00:00Z")`, accountUser, alice)}
	e := Evaluator{Roles: func(string) *Role { return NewRole(RoleActive, actAs) }}
	x := e.Explain(Request{
		Subject: NewSubject(Identity{Member: User("alice@example.com")}, nil), Permission: actAs,
		Levels: []Level{{Resource: "p", Allow: c.Allow(Policy{Bindings: r.project}), Deny: NoDeny()}},
	})
	assert.Equal(t, Unknown, x.Outcome)
	require.Len(t, x.Causes, 1)
	assert.Contains(t, x.Causes[0].String(), "time of the request isn't given")
}

func TestEnd(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	day := func(d int) time.Time { return time.Date(2027, 1, d, 0, 0, 0, 0, time.UTC) }
	at := func(d int) End { return End{Kind: EndAt, At: day(d)} }
	ts := func(d int) string { return day(d).Format(`timestamp("2006-01-02T15:04:05Z")`) }
	never := End{Kind: EndNever}
	for _, tt := range []struct {
		expression string
		want       End
	}{
		{`request.time < ` + ts(1), at(1)},
		{`request.time <= ` + ts(1), at(1)},
		{ts(1) + ` > request.time`, at(1)},
		{ts(1) + ` >= request.time`, at(1)},
		{ts(1) + ` < request.time`, never},
		{`request.time > ` + ts(1), never},
		{`request.time >= ` + ts(1), never},
		{`!(request.time >= ` + ts(1) + `)`, at(1)},
		{`!(request.time < ` + ts(1) + `)`, never},
		{`request.time < date("2027-01-02")`, at(2)},
		{`request.time < ` + ts(1) + ` + duration("86400s")`, at(2)},
		{`request.time < ` + ts(3) + ` && request.time < ` + ts(2), at(2)},
		{`request.time > date("2020-01-01") && request.time < ` + ts(2), at(2)},
		{`resource.type == "x" && request.time < ` + ts(2) + ` && resource.name.startsWith("y")`, at(2)},
		{`resource.type == "x"`, never},
		{`true`, never},
		{`request.time.getHours() < 17`, End{}},
		{`request.time.getHours() < 17 && request.time < ` + ts(2), End{At: day(2)}},
		{`request.time < ` + ts(1) + ` || request.time < ` + ts(2), End{At: day(2)}},
		{`request.time < ` + ts(1) + ` || resource.type == "x"`, End{}},
		{`resource.type == "y" || resource.type == "x"`, never},
		{`!(request.time >= ` + ts(1) + ` || request.time >= ` + ts(2) + `)`, at(1)},
		{`!(request.time >= ` + ts(1) + ` && request.time >= ` + ts(2) + `)`, End{At: day(2)}},
		{`request.time == ` + ts(1), End{}},
		{`request.time < request.time`, End{}},
		{`request.time < timestamp(resource.name)`, End{}},
		{`request.time < timestamp("never")`, End{}},
		{`request.path == "x" || request.time < ` + ts(1), End{}},
		{`request.path == "x" && request.time < ` + ts(1), End{At: day(1)}},
	} {
		t.Run(tt.expression, func(t *testing.T) {
			t.Parallel()
			got := c.condition(tt.expression).end
			assert.Equal(t, tt.want.Kind, got.Kind)
			assert.True(t, tt.want.At.Equal(got.At), "%v, want %v", got.At, tt.want.At)
		})
	}
}

// TestDecisionEnd holds which end is told of several grants.
func TestDecisionEnd(t *testing.T) {
	t.Parallel()
	until := func(d int) string { return fmt.Sprintf(`request.time < timestamp("2027-01-%02dT00:00:00Z")`, d) }
	day := func(d int) time.Time { return time.Date(2027, 1, d, 0, 0, 0, 0, time.UTC) }
	hours := `request.time.getHours() >= 0`
	for _, tt := range []struct {
		name       string
		conditions []string // "" is none
		want       End
	}{
		{"unconditional", []string{""}, End{Kind: EndNever}},
		{"bound", []string{until(5)}, End{Kind: EndAt, At: day(5)}},
		{"the later one", []string{until(5), until(9), until(7)}, End{Kind: EndAt, At: day(9)}},
		{"unconditional after bound", []string{until(5), ""}, End{Kind: EndNever}},
		{"bound after unconditional", []string{"", until(5)}, End{Kind: EndNever}},
		{"on the resource only", []string{until(5), `resource.type == ""`}, End{Kind: EndNever}},
		{"hours", []string{hours}, End{}},
		{"hours and bound", []string{hours, until(5)}, End{}},
		{"bounded hours and a later bound", []string{hours + " && " + until(3), until(5)}, End{Kind: EndAt, At: day(5)}},
		{"bounded hours and an earlier bound", []string{hours + " && " + until(7), until(5)}, End{At: day(7)}},
		{"an expired one doesn't count", []string{`request.time < timestamp("2020-01-01T00:00:00Z")`, until(5)}, End{Kind: EndAt, At: day(5)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var p Policy
			for _, expression := range tt.conditions {
				b := Binding{Role: "r", Members: []string{alice}}
				if expression != "" {
					b.Condition = &Expr{Expression: expression}
				}
				p.Bindings = append(p.Bindings, b)
			}
			e := Evaluator{Roles: func(string) *Role { return NewRole(RoleActive, actAs) }}
			req := Request{
				Subject: NewSubject(Identity{Member: User("alice@example.com")}, nil), Permission: actAs, Time: tableTime(),
				Levels: []Level{{Allow: NewCompiler().Allow(p), Deny: NoDeny()}},
			}
			d := e.Decide(req)
			require.Equal(t, Granted, d.Outcome)
			assert.Equal(t, tt.want.Kind, d.End.Kind)
			assert.True(t, tt.want.At.Equal(d.End.At), "%v", d.End.At)
			x := e.Explain(req)
			assert.Equal(t, d, x.Decision)
			require.NotNil(t, x.Grant)
		})
	}
}

// TestEndIsTrue holds for many conditions that a grant really ends when it is
// said to, or doesn't.
func TestEndIsTrue(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	for _, g := range conditionPool() {
		cond := c.condition(g.text)
		for _, res := range []Resource{{}, {Name: "projects/1/things/x", Type: "svc.googleapis.com/Thing"}} {
			now := tableTime()
			if v, _ := evaluate(cond, res, now); v != Yes {
				continue
			}
			end := cond.end
			holds := func(t time.Time) bool { v, _ := evaluate(cond, res, t); return v == Yes }
			switch end.Kind {
			case EndAt:
				require.True(t, holds(end.At.Add(-time.Second)), g.text)
				require.False(t, holds(end.At.Add(time.Second)), g.text)
				require.False(t, holds(end.At.AddDate(5, 1, 1)), g.text)
			case EndNever:
				for h := range 24 * 8 {
					require.True(t, holds(now.Add(time.Duration(h)*time.Hour)), g.text)
				}
				require.True(t, holds(now.AddDate(50, 0, 0)), g.text)
			case EndUnknown:
				if !end.At.IsZero() {
					require.False(t, holds(end.At.Add(time.Second)), g.text)
				}
			}
		}
	}
}

func TestCompilerKeepsConditions(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	a, b := c.condition(`true`), c.condition(`true`)
	assert.Same(t, a, b)
	for i := range maxConditions + 10 {
		c.conditions[strconv.Itoa(i)] = a
	}
	c.condition(`false`)
	assert.Less(t, len(c.conditions), 10, "bounded")
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	e := Evaluator{Roles: func(string) *Role { return NewRole(RoleActive, actAs) }}
	dir := tableDirectory()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 20 {
				expression := fmt.Sprintf(`request.time.getHours("Europe/Berlin") != %d && resource.name != "%d"`, j, i%4)
				p := c.Allow(Policy{Bindings: when(expression, "r", "group:devs@example.com")})
				req := Request{
					Subject: NewSubject(Identity{Member: User("alice@example.com")}, dir), Permission: actAs, Time: tableTime(), Resource: object(),
					Levels: []Level{{Allow: p, Deny: NoDeny()}},
				}
				want := Granted
				if j == 11 {
					want = Denied
				}
				assert.Equal(t, want, e.Decide(req).Outcome)
				assert.Equal(t, want, e.Explain(req).Outcome)
			}
		})
	}
	wg.Wait()
}

func TestZones(t *testing.T) {
	t.Parallel()
	var z zones
	for _, name := range []string{"Local", "+1", "x:y", "24:00", "+01:60", "-24:00", "+01:-5", "Nowhere/Land", "../etc/passwd", ":"} {
		_, err := z.location(name)
		require.Error(t, err, name)
	}
	for name, want := range map[string]int{"UTC": 0, "+01:00": 3600, "-08:30": -30600, "05:45": 20700, "-00:30": -1800, "": 0} {
		loc, err := z.location(name)
		require.NoError(t, err, name)
		_, offset := tableTime().In(loc).Zone()
		assert.Equal(t, want, offset, name)
	}
	for i := range maxZones * 2 {
		z.m.Store(strconv.Itoa(i), time.UTC)
	}
	_, err := z.location("Europe/Paris")
	assert.NoError(t, err, "a full cache still answers")
}

func TestLongConditions(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	long := strings.Repeat(`true && `, 30) + `true`
	require.NoError(t, c.CheckCondition(long))
	assert.Equal(t, 30, c.condition(long).operators)
	require.Error(t, c.CheckCondition(strings.Repeat(`(`, 5000)+`true`+strings.Repeat(`)`, 5000)), "refused, not a crash")
	_ = c.CheckCondition(strings.Repeat(`!`, 5001) + `true`) // either is fine, as long as it returns
}

// evaluate returns what a binding with the condition makes of it.
func evaluate(c *condition, r Resource, t time.Time) (Answer, error) {
	out, err := c.eval(&attributes{time: t, resource: r})
	return out.allows(), err
}
