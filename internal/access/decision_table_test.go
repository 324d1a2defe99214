package access

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The decision table: each row is a request with its outcome, and the sentence
// of Google's documentation that it follows. Its rows are in files by subject.

// The pages that the rows refer to, as read in November 2026.
const (
	pageIdentifiers = "https://docs.cloud.google.com/iam/docs/principal-identifiers"
	pagePrincipals  = "https://docs.cloud.google.com/iam/docs/principals-overview"
	pageAttributes  = "https://docs.cloud.google.com/iam/docs/conditions-attribute-reference"
	pageResources   = "https://docs.cloud.google.com/iam/docs/conditions-resource-attributes"
	pageConditions  = "https://docs.cloud.google.com/iam/docs/conditions-overview"
	pageAllow       = "https://docs.cloud.google.com/iam/docs/allow-policies"
	pageDeny        = "https://docs.cloud.google.com/iam/docs/deny-overview"
	pageDeniable    = "https://docs.cloud.google.com/iam/docs/deny-permissions-support"
	pageTypes       = "https://docs.cloud.google.com/iam/docs/policy-types"
	pageHierarchy   = "https://docs.cloud.google.com/iam/docs/resource-hierarchy-access-control"
	pageCustomRoles = "https://docs.cloud.google.com/iam/docs/creating-custom-roles"
	pageAccounts    = "https://docs.cloud.google.com/iam/docs/service-account-overview"
	pageBinding     = "https://docs.cloud.google.com/resource-manager/reference/rest/Shared.Types/Binding"
	pageDenyRule    = "https://docs.cloud.google.com/iam/docs/reference/rest/v2/policies#DenyRule"
	pageTroubleshot = "https://docs.cloud.google.com/policy-intelligence/docs/reference/policytroubleshooter/rest/v3/iam/troubleshoot"
	pageRunIdentity = "https://docs.cloud.google.com/run/docs/reference/iam/roles"
	pageCEL         = "https://github.com/google/cel-spec/blob/master/doc/langdef.md"
)

// row is a request about a service account in project 111 of folder 22 of
// organization 9.
type row struct {
	name string
	// doc links to the page and, where known, the section; says paraphrases the
	// sentence.
	doc, says string

	// as is the caller, anonymous if empty; id has what the member doesn't tell.
	as string
	id Identity
	// perm is the permission, by default iam.serviceAccounts.actAs.
	perm string
	res  Resource
	at   time.Time

	// The allow policies, from the account upwards.
	account, project, folder, org []Binding
	// The deny policies.
	projectDeny, folderDeny, orgDeny []DenyRule
	// blind and denyBlind are levels ("account", "project", "folder", "org")
	// whose policies can't be read.
	blind, denyBlind string
	deniable         func(string) bool
	dir              Directory

	want Outcome
	// causes are the kinds of causes, if want is Unknown.
	causes []CauseKind
}

const actAs = "iam.serviceAccounts.actAs"

func tableRoles() map[string]*Role {
	return map[string]*Role{
		"roles/iam.serviceAccountUser":         NewRole(RoleActive, actAs, "iam.serviceAccounts.get", "iam.serviceAccounts.list"),
		"roles/iam.serviceAccountTokenCreator": NewRole(RoleActive, "iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.signBlob"),
		"roles/owner":                          NewRole(RoleActive, actAs, "run.jobs.update", "resourcemanager.projects.delete"),
		"roles/viewer":                         NewRole(RoleActive, "run.jobs.get"),
		"roles/run.admin":                      NewRole(RoleActive, "run.jobs.get", "run.jobs.update", "run.jobs.setIamPolicy"),
		"roles/resourcemanager.projectDeleter": NewRole(RoleActive, "resourcemanager.projects.delete"),
		"projects/p/roles/deployer":            NewRole(RoleActive, actAs),
		"projects/p/roles/disabled":            NewRole(RoleDisabled, actAs),
		"projects/p/roles/deleted":             NewRole(RoleDeleted, actAs),
		"projects/p/roles/empty":               NewRole(RoleActive),
		"organizations/9/roles/deployer":       NewRole(RoleActive, actAs),
	}
}

// tableDirectory knows everything.
func tableDirectory() *Roster {
	alice, runner := User("alice@example.com"), ServiceAccount("runner@p.iam.gserviceaccount.com")
	customer, _ := parsePrincipal("principalSet://goog/cloudIdentityCustomerId/C01Abc35")
	domain, _ := ParseMember("domain:example.com")
	return NewRoster(
		Set{Member: Group("devs@example.com"), Members: []Member{alice, runner}},
		Set{Member: Group("leads@example.com"), Members: []Member{Group("devs@example.com")}},
		Set{Member: Group("everyone@example.com"), Members: []Member{Group("leads@example.com"), User("bob@example.com")}},
		Set{Member: Group("ring-a@example.com"), Members: []Member{Group("ring-b@example.com"), User("carol@example.com")}},
		Set{Member: Group("ring-b@example.com"), Members: []Member{Group("ring-a@example.com")}},
		Set{Member: Group("eng@example.com"), Members: []Member{User("izumi@example.com"), User("charlie@example.com")}},
		Set{Member: Group("eng-prod@example.com"), Members: []Member{User("charlie@example.com")}},
		Set{Member: ServiceAccountsOf("projects/111"), Members: []Member{runner}},
		Set{Member: ServiceAccountsOf("folders/22"), Members: []Member{ServiceAccountsOf("projects/111")}},
		Set{Member: ServiceAccountsOf("organizations/9"), Members: []Member{ServiceAccountsOf("folders/22")}},
		Set{Member: ServiceAgentsOf("projects/111"), Members: []Member{ServiceAccount("service-111@serverless-robot-prod.iam.gserviceaccount.com")}},
		Set{Member: customer, Members: []Member{alice, User("bob@example.com"), User("sec@second.example")}},
		Set{Member: domain, Members: []Member{User("sec@second.example")}},
	)
}

const (
	accountUser  = "roles/iam.serviceAccountUser"
	tableAccount = "//iam.googleapis.com/projects/p/serviceAccounts/runner@p.iam.gserviceaccount.com"
	workload     = "iam.googleapis.com/projects/111/locations/global/workloadIdentityPools/gh"
	workforce    = "iam.googleapis.com/locations/global/workforcePools/staff"
	gkePool      = "iam.googleapis.com/projects/111/locations/global/workloadIdentityPools/p.svc.id.goog"
	agents       = "agents.global.org-9.system.id.goog"
	alice        = "user:alice@example.com"
	runnerSA     = "serviceAccount:runner@p.iam.gserviceaccount.com"
)

// tableTime is a Monday, 10:30 UTC, 11:30 in Berlin.
func tableTime() time.Time { return time.Date(2026, 11, 23, 10, 30, 15, 250e6, time.UTC) }

// to binds a role to members.
func to(role string, members ...string) []Binding {
	return []Binding{{Role: role, Members: members}}
}

// when binds a role to members under a condition.
func when(expression, role string, members ...string) []Binding {
	return []Binding{{Role: role, Members: members, Condition: &Expr{Title: "c", Expression: expression}}}
}

// denied is a rule that denies actAs to principals.
func denied(principals ...string) []DenyRule {
	return []DenyRule{{DeniedPrincipals: principals, DeniedPermissions: []string{"iam.googleapis.com/serviceAccounts.actAs"}}}
}

func (r row) run(t *testing.T) {
	t.Helper()
	c := NewCompiler()
	roles := tableRoles()
	e := Evaluator{Roles: func(name string) *Role { return roles[name] }, Deniable: r.deniable}
	id := r.id
	id.Member = Anonymous()
	if r.as != "" {
		m, err := ParseMember(r.as)
		if err != nil {
			m, err = parsePrincipal(r.as)
		}
		require.NoError(t, err)
		id.Member = m
	}
	dir := r.dir
	if dir == nil {
		dir = tableDirectory()
	}
	req := Request{Subject: NewSubject(id, dir), Permission: r.perm, Resource: r.res, Time: r.at}
	if req.Permission == "" {
		req.Permission = actAs
	}
	if req.Time.IsZero() {
		req.Time = tableTime()
	}
	for _, l := range []struct {
		name, resource string
		allow          []Binding
		deny           []DenyRule
	}{
		{"account", tableAccount, r.account, nil},
		{"project", "//cloudresourcemanager.googleapis.com/projects/p", r.project, r.projectDeny},
		{"folder", "//cloudresourcemanager.googleapis.com/folders/22", r.folder, r.folderDeny},
		{"org", "//cloudresourcemanager.googleapis.com/organizations/9", r.org, r.orgDeny},
	} {
		level := Level{Resource: l.resource, Allow: c.Allow(Policy{Bindings: l.allow}), Deny: c.Deny(DenyPolicy{Name: "policy", Rules: l.deny})}
		if strings.Contains(r.blind, l.name) {
			level.Allow = nil
		}
		if strings.Contains(r.denyBlind, l.name) {
			level.Deny = nil
		}
		req.Levels = append(req.Levels, level)
	}
	got := e.Decide(req)
	x := e.Explain(req)
	assert.Equal(t, r.want, got.Outcome, "%s\n%s\ncauses: %v", r.says, r.doc, x.Causes)
	assert.Equal(t, got, x.Decision, "Explain must agree with Decide")
	checkExplanation(t, x)
	if r.want == Unknown {
		var kinds []CauseKind
		for _, cause := range x.Causes {
			kinds = append(kinds, cause.Kind)
			assert.NotEmpty(t, cause.String())
		}
		assert.Equal(t, r.causes, kinds, "%v", x.Causes)
	}
}

// checkExplanation holds what must be true of every explanation.
func checkExplanation(t *testing.T, x *Explanation) {
	t.Helper()
	allow, deny := No, No
	for _, l := range x.Levels {
		allow, deny = allow.or(l.Allow), deny.or(l.Deny)
		for _, b := range l.Bindings {
			assert.Equal(t, combined(b.Members), b.Membership)
		}
	}
	assert.Equal(t, allow, x.Allow, "the levels' allow policies and the whole")
	assert.Equal(t, deny, x.Deny, "the levels' deny policies and the whole")
	assert.Equal(t, x.Allow == Yes, x.Grant != nil, "a grant is named")
	assert.Equal(t, x.Deny == Yes, x.Denial != nil, "a denial is named")
	switch x.Outcome {
	case Granted:
		assert.Empty(t, x.Causes)
	case Denied:
		assert.Empty(t, x.Causes)
		assert.Zero(t, x.End)
	case Unknown:
		assert.NotEmpty(t, x.Causes)
		assert.Zero(t, x.End)
	}
}

func allRows() map[string][]row {
	return map[string][]row{
		"members":    memberRows(),
		"federated":  federatedRows(),
		"hierarchy":  hierarchyRows(),
		"roles":      roleRows(),
		"conditions": conditionRows(),
		"time":       timeRows(),
		"extract":    extractRows(),
		"deny":       denyRows(),
		"unknown":    unknownRows(),
		"sets":       setRows(),
	}
}

func TestDecisionTable(t *testing.T) {
	t.Parallel()
	for subject, rows := range allRows() {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			for _, r := range rows {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					r.run(t)
				})
			}
		})
	}
}

// TestDecisionTableIsDocumented holds that the table is as large as promised
// and that each row says where it comes from.
func TestDecisionTableIsDocumented(t *testing.T) {
	t.Parallel()
	n := 0
	outcomes := map[Outcome]int{}
	for subject, rows := range allRows() {
		var names []string
		for _, r := range rows {
			u, err := url.Parse(r.doc)
			require.NoError(t, err, r.name)
			assert.Contains(t, []string{"docs.cloud.google.com", "github.com"}, u.Host, r.name)
			assert.Greater(t, len(r.says), 20, r.name)
			assert.NotContains(t, names, r.name, subject)
			names = append(names, r.name)
			outcomes[r.want]++
		}
		n += len(rows)
	}
	t.Logf("%d rows: %d granted, %d denied, %d unknown", n, outcomes[Granted], outcomes[Denied], outcomes[Unknown])
	assert.GreaterOrEqual(t, n, 120)
}
