package access

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func explainRequest(t *testing.T, account, project []Binding, deny []DenyRule) (Evaluator, Request) {
	t.Helper()
	roles := tableRoles()
	c := NewCompiler()
	e := Evaluator{Roles: func(name string) *Role { return roles[name] }}
	return e, Request{
		Subject: NewSubject(Identity{Member: User("alice@example.com")}, tableDirectory()), Permission: actAs, Time: tableTime(),
		Levels: []Level{
			{Resource: "account", Allow: c.Allow(Policy{Bindings: account}), Deny: NoDeny()},
			{Resource: "project", Allow: c.Allow(Policy{Bindings: project}), Deny: c.Deny(DenyPolicy{Name: "lockdown", Rules: deny})},
		},
	}
}

func TestExplainGrant(t *testing.T) {
	t.Parallel()
	until := `request.time < timestamp("2027-01-01T00:00:00Z")`
	account := append(when(until, accountUser, alice), to("projects/p/roles/disabled", alice)...)
	account = append(account, to("roles/viewer", alice)...)
	project := append(to(accountUser, "user:bob@example.com"), to("roles/owner", "group:nobody@example.com", "group:everyone@example.com")...)
	e, req := explainRequest(t, account, project, nil)
	x := e.Explain(req)
	assert.Equal(t, Decision{Outcome: Granted, End: End{Kind: EndNever}}, x.Decision)
	assert.Equal(t, Yes, x.Allow)
	assert.Equal(t, No, x.Deny)
	assert.True(t, x.Deniable)
	require.NotNil(t, x.Grant, "the lasting grant is preferred")
	assert.Equal(t, Grant{
		Level: "project", Binding: 1, Role: "roles/owner", Member: Group("everyone@example.com"),
		Via: []Member{Group("leads@example.com"), Group("devs@example.com")}, End: End{Kind: EndNever},
	}, *x.Grant)

	bindings := x.Levels[0].Bindings
	require.Len(t, bindings, 3)
	assert.Equal(t, []Answer{Yes, Yes, No}, []Answer{bindings[0].Permission, bindings[1].Permission, bindings[2].Permission})
	assert.Equal(t, []Answer{Yes, No, No}, []Answer{bindings[0].Access, bindings[1].Access, bindings[2].Access})
	assert.Equal(t, RoleDisabled, bindings[1].RoleState)
	require.NotNil(t, bindings[0].Condition)
	assert.Equal(t, Yes, bindings[0].Condition.Value)
	assert.Equal(t, until, bindings[0].Condition.Expression)
	require.NoError(t, bindings[0].Condition.Err)
	members := x.Levels[1].Bindings[1].Members
	assert.Equal(t, No, members[0].Matched)
	assert.Equal(t, Yes, members[1].Matched)
	assert.Equal(t, No, x.Levels[1].Bindings[0].Membership)

	// Only the conditional one is left.
	e, req = explainRequest(t, account, nil, nil)
	x = e.Explain(req)
	require.NotNil(t, x.Grant)
	assert.Equal(t, "account", x.Grant.Level)
	assert.Equal(t, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), x.Grant.End.At.UTC())
	assert.Equal(t, x.Grant.End, x.End)
	require.NotNil(t, x.Grant.Condition)
	assert.Equal(t, "c", x.Grant.Condition.Title)
}

func TestExplainDenial(t *testing.T) {
	t.Parallel()
	rules := []DenyRule{
		{DeniedPrincipals: []string{"principalSet://goog/public:all"}, DeniedPermissions: []string{"run.googleapis.com/*.*"}},
		{
			DeniedPrincipals: []string{"principal://goog/subject/bob@example.com", "principalSet://goog/group/leads@example.com"}, ExceptionPrincipals: []string{"principal://goog/subject/carol@example.com"},
			DeniedPermissions: []string{"iam.googleapis.com/roles.get", "iam.googleapis.com/serviceAccounts.*"}, ExceptionPermissions: []string{"iam.googleapis.com/serviceAccounts.get"},
			Condition: &Expr{Title: "always", Expression: "true"},
		},
	}
	e, req := explainRequest(t, to(accountUser, alice), nil, rules)
	x := e.Explain(req)
	assert.Equal(t, Denied, x.Outcome)
	require.NotNil(t, x.Grant, "what would grant it is told all the same")
	require.NotNil(t, x.Denial)
	condition := x.Denial.Condition
	require.NotNil(t, condition)
	assert.Equal(t, Yes, condition.Value)
	x.Denial.Condition = nil
	assert.Equal(t, Denial{
		Level: "project", Policy: "lockdown", Rule: 1, Permission: "iam.googleapis.com/serviceAccounts.*",
		Principal: Group("leads@example.com"), Via: []Member{Group("devs@example.com")},
	}, *x.Denial)
	policy := x.Levels[1].DenyPolicies[0]
	assert.Equal(t, Yes, policy.Denied)
	assert.False(t, policy.Rules[0].Permission)
	assert.Equal(t, Yes, policy.Rules[0].Principal)
	assert.Equal(t, No, policy.Rules[0].Denied)
	r := policy.Rules[1]
	assert.Equal(t, []PermissionMatch{{"iam.googleapis.com/roles.get", false}, {"iam.googleapis.com/serviceAccounts.*", true}}, r.DeniedPermissions)
	assert.Equal(t, []PermissionMatch{{"iam.googleapis.com/serviceAccounts.get", false}}, r.ExceptionPermissions)
	assert.Equal(t, No, r.Exception)
	_, err := json.Marshal(x)
	assert.NoError(t, err)
}

func TestExplainConditions(t *testing.T) {
	t.Parallel()
	bindings := append(when(`resource.name == "x"`, accountUser, alice), when(`resource.matchTag("a", "b")`, accountUser, alice)...)
	bindings = append(bindings, to(accountUser+"_withcond_abc", alice)...)
	e, req := explainRequest(t, bindings, nil, nil)
	x := e.Explain(req)
	assert.Equal(t, Unknown, x.Outcome)
	got := x.Levels[0].Bindings
	assert.Equal(t, No, got[0].Condition.Value, "fails, since there is no name")
	require.ErrorContains(t, got[0].Condition.Err, "resource.name")
	assert.Equal(t, Maybe, got[1].Condition.Value)
	assert.Equal(t, []string{"resource.matchTag"}, got[1].Condition.Attributes)
	assert.Equal(t, Maybe, got[2].Condition.Value)
	require.ErrorContains(t, got[2].Condition.Err, "version 1")
	require.Len(t, x.Causes, 2)
	assert.Equal(t, []string{"resource.matchTag"}, x.Causes[0].Attributes)
	assert.Equal(t, accountUser, x.Causes[0].Role)
	assert.Contains(t, x.Causes[0].String(), `the condition "c" on account can't be evaluated: not supported: resource.matchTag`)
	assert.Contains(t, x.Causes[1].String(), "the hidden condition of "+accountUser+"_withcond_abc on account")
}

func TestCauses(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	e := Evaluator{Roles: func(name string) *Role { return tableRoles()[name] }}
	secret, _ := ParseMember("group:secret@example.com")
	req := Request{
		Subject: NewSubject(Identity{Member: Group("devs@example.com")}, nil), Permission: actAs, Time: tableTime(),
		Levels: []Level{
			{Resource: "account", Allow: c.Allow(Policy{Bindings: append(to(accountUser, "group:secret@example.com"), to("roles/dark", "group:devs@example.com")...)}), Deny: NoDeny()},
			{Resource: "project", Allow: c.Allow(Policy{Bindings: to(accountUser, "projectOwner:p")}), Deny: c.Deny(DenyPolicy{Rules: denied("principalSet://goog/group/other@example.com")})},
			{Resource: "org"},
		},
	}
	x := e.Explain(req)
	assert.Equal(t, Unknown, x.Outcome)
	assert.Equal(t, Unknown, e.Decide(req).Outcome)
	type brief struct {
		kind  CauseKind
		level string
		set   Member
		role  string
		deny  bool
		part  bool
	}
	var got []brief
	for _, cause := range x.Causes {
		got = append(got, brief{cause.Kind, cause.Level, cause.Set, cause.Role, cause.Deny, cause.Part})
		t.Log(cause)
	}
	assert.ElementsMatch(t, []brief{
		{CausePolicy, "org", Member{}, "", false, false},
		{CauseRole, "account", Member{}, "roles/dark", false, false},
		{CauseSet, "account", secret, "", false, false},
		{CauseMember, "project", other("projectOwner:p"), "", false, false},
		{CauseSet, "project", Group("other@example.com"), "", true, false},
		{CauseSet, "project", Group("other@example.com"), "", true, true},
		{CauseDenyPolicies, "org", Member{}, "", true, false},
	}, got)
	members := x.Levels[0].Bindings[0].Members
	assert.Equal(t, Maybe, members[0].Matched)
	assert.Equal(t, []Member{secret}, members[0].Unreadable)
	assert.False(t, x.Levels[2].Readable)
	assert.False(t, x.Levels[2].DenyReadable)
}

// TestManyUnknowns holds that there is an answer when there is more to try than
// is worth it.
func TestManyUnknowns(t *testing.T) {
	t.Parallel()
	var p Policy
	for i := range 40 {
		p.Bindings = append(p.Bindings, Binding{Role: "roles/dark" + string(rune('a'+i)), Members: []string{alice}})
	}
	e := Evaluator{}
	req := Request{Subject: NewSubject(Identity{Member: User("alice@example.com")}, nil), Permission: actAs, Levels: []Level{{Allow: NewCompiler().Allow(p), Deny: NoDeny()}}}
	assert.Equal(t, Unknown, e.Decide(req).Outcome)
	x := e.Explain(req)
	assert.Equal(t, Unknown, x.Outcome)
	assert.Len(t, x.Causes, 40)
}

// TestEightUnknownsAreTried holds how many open questions a decision tries the
// answers to: granted as a member of groups and denied as a member of the same
// groups is denied, whoever is in them.
func TestEightUnknownsAreTried(t *testing.T) {
	t.Parallel()
	for groups, want := range map[int]Outcome{1: Denied, 3: Denied, 8: Denied, 9: Unknown} {
		var allow, deny []string
		for i := range groups {
			name := "g" + string(rune('a'+i)) + "@example.com"
			allow, deny = append(allow, "group:"+name), append(deny, "principalSet://goog/group/"+name)
		}
		c := NewCompiler()
		e := Evaluator{Roles: func(name string) *Role { return tableRoles()[name] }}
		req := Request{
			Subject: NewSubject(Identity{Member: parse(t, alice)}, nil), Permission: actAs,
			Levels: []Level{{Allow: c.Allow(Policy{Bindings: to(accountUser, allow...)}), Deny: c.Deny(DenyPolicy{Rules: denied(deny...)})}},
		}
		assert.Equal(t, want, e.Decide(req).Outcome, "%d groups", groups)
		assert.Equal(t, want, e.Explain(req).Outcome, "%d groups", groups)
	}
}

// TestCertainMembershipIsNoCause holds that nobody has to find out whether a
// group contains itself, however much else is open.
func TestCertainMembershipIsNoCause(t *testing.T) {
	t.Parallel()
	var bindings []Binding
	for i := range 12 {
		bindings = append(bindings, to("roles/dark"+string(rune('a'+i)), "group:devs@example.com")...)
	}
	e := Evaluator{}
	x := e.Explain(Request{
		Subject: NewSubject(Identity{Member: Group("devs@example.com")}, nil), Permission: actAs,
		Levels: []Level{{Allow: NewCompiler().Allow(Policy{Bindings: bindings}), Deny: NoDeny()}},
	})
	assert.Equal(t, Unknown, x.Outcome)
	assert.Len(t, x.Causes, 12)
	for _, cause := range x.Causes {
		assert.Equal(t, CauseRole, cause.Kind, cause)
	}
}

// TestConditionOfGrantAndDenial holds that a condition which can't be evaluated
// is a cause for each: where it fails it doesn't allow, but denies.
func TestConditionOfGrantAndDenial(t *testing.T) {
	t.Parallel()
	const tagged = `resource.matchTag("1/env", "prod")`
	rule := rule("principalSet://goog/public:all", "iam.googleapis.com/serviceAccounts.actAs")
	rule.Condition = &Expr{Expression: tagged}
	e, req := explainRequest(t, append(to(accountUser, "group:devs@example.com"), when(tagged, accountUser, alice)...), nil, []DenyRule{rule})
	req.Subject = NewSubject(Identity{Member: parse(t, alice)}, nil)
	x := e.Explain(req)
	assert.Equal(t, Unknown, x.Outcome)
	conditions := map[bool]int{}
	for _, cause := range x.Causes {
		if cause.Kind == CauseCondition {
			conditions[cause.Deny]++
		}
	}
	assert.Equal(t, map[bool]int{false: 1, true: 1}, conditions, x.Causes)
}

func TestStrings(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"unknown", "denied", "granted", "Outcome(9)"}, []string{Unknown.String(), Denied.String(), Granted.String(), Outcome(9).String()})
	assert.Equal(t, []string{"unknown", "no", "yes", "Answer(9)"}, []string{Maybe.String(), No.String(), Yes.String(), Answer(9).String()})
	assert.Equal(t, []string{"unknown", "never", "at", "EndKind(9)"}, []string{EndUnknown.String(), EndNever.String(), EndAt.String(), EndKind(9).String()})
	assert.Equal(t, []string{"unknown", "active", "disabled", "deleted", "RoleState(9)"}, []string{RoleUnknown.String(), RoleActive.String(), RoleDisabled.String(), RoleDeleted.String(), RoleState(9).String()})
	for k := CauseSet; k <= CauseDenyPolicies; k++ {
		assert.NotContains(t, k.String(), "(")
		assert.NotEmpty(t, Cause{Kind: k, Level: "l"}.String())
	}
	assert.Equal(t, "CauseKind(0)", Cause{}.String())
}
