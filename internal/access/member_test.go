package access

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMember(t *testing.T) {
	t.Parallel()
	gke := "iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p.svc.id.goog"
	for _, tt := range []struct {
		in   string
		kind Kind
		want string // canonical; in, if empty
	}{
		{"user:Alice@Example.com", KindUser, "user:alice@example.com"},
		{"serviceAccount:a@p.iam.gserviceaccount.com", KindServiceAccount, ""},
		{"serviceAccount:p.svc.id.goog[ns/sa]", KindKubernetes, ""},
		{"group:G@example.com", KindGroup, "group:g@example.com"},
		{"domain:Example.com", KindDomain, "domain:example.com"},
		{"allUsers", KindAllUsers, ""},
		{"allAuthenticatedUsers", KindAllAuthenticatedUsers, ""},
		{"principal://iam.googleapis.com/locations/global/workforcePools/w/subject/Raha@altostrat.com", KindFederated, ""},
		{"principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/w/subject/a/b:c", KindFederated, ""},
		{"principal://" + gke + "/subject/ns/n/sa/s", KindFederated, ""},
		{"principal://" + gke + "/kubernetes.serviceaccount.uid/7", KindKubernetesUID, ""},
		{"principalSet://" + gke + "/namespace/n", KindNamespace, ""},
		{"principalSet://" + gke + "/kubernetes.cluster/https://container.googleapis.com/v1/projects/p/locations/l/clusters/c", KindCluster, ""},
		{"principalSet://" + gke + "/*", KindPool, ""},
		{"principalSet://" + gke + "/group/g@x.y", KindPoolGroup, ""},
		{"principalSet://" + gke + "/attribute.a/b/c", KindPoolAttribute, ""},
		{"principal://agents.global.org-1.system.id.goog/resources/aiplatform/projects/1/locations/l/reasoningEngines/a", KindAgent, ""},
		{"principalSet://agents.global.org-1.system.id.goog/*", KindAgentPool, ""},
		{"principalSet://agents.global.proj-1.system.id.goog/attribute.platformContainer/aiplatform/projects/1", KindAgentAttribute, ""},
		{"principalSet://cloudresourcemanager.googleapis.com/folders/2/type/ServiceAccount", KindServiceAccounts, ""},
		{"deleted:user:A@example.com?uid=1", KindDeleted, "deleted:user:a@example.com?uid=1"},
		{"deleted:serviceAccount:a@p.iam.gserviceaccount.com?uid=123", KindDeleted, ""},
		{"deleted:group:g@example.com?uid=123", KindDeleted, ""},
		{"deleted:principal://iam.googleapis.com/locations/global/workforcePools/w/subject/s", KindDeleted, ""},
	} {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			m, err := ParseMember(tt.in)
			require.NoError(t, err)
			assert.Equal(t, tt.kind, m.Kind())
			if tt.want == "" {
				tt.want = tt.in
			}
			assert.Equal(t, tt.want, m.String())
			again, err := ParseMember(m.String())
			require.NoError(t, err)
			assert.Equal(t, m, again)
		})
	}
}

func TestParsePrincipal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"principal://goog/subject/Alice@example.com", "user:alice@example.com"},
		{"principal://iam.googleapis.com/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com", "serviceAccount:a@p.iam.gserviceaccount.com"},
		{"principalSet://goog/group/g@example.com", "group:g@example.com"},
		{"principalSet://goog/public:all", "allUsers"},
		{"principalSet://goog/cloudIdentityCustomerId/C01", "principalSet://goog/cloudIdentityCustomerId/C01"},
		{"principalSet://cloudresourcemanager.googleapis.com/projects/1/type/ServiceAgent", "principalSet://cloudresourcemanager.googleapis.com/projects/1/type/ServiceAgent"},
		{"deleted:principal://goog/subject/a@example.com?uid=1", "deleted:user:a@example.com?uid=1"},
		{"deleted:principalSet://goog/group/g@example.com?uid=1", "deleted:group:g@example.com?uid=1"},
		{"deleted:principal://iam.googleapis.com/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com?uid=1", "deleted:serviceAccount:a@p.iam.gserviceaccount.com?uid=1"},
		{"principalSet://iam.googleapis.com/locations/global/workforcePools/w/*", "principalSet://iam.googleapis.com/locations/global/workforcePools/w/*"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			m, err := parsePrincipal(tt.in)
			require.NoError(t, err)
			assert.Equal(t, tt.want, m.String())
			_, err = ParseMember(tt.in)
			if m.Kind() != KindPool {
				assert.Error(t, err, "not of the v1 syntax")
			}
		})
	}
}

func TestParseMemberErrors(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "alice@example.com", "user:", "user:alice", "user:@example.com", "user:a@", "user:a@b@c", "user:a b@c.d", "User:a@b.c",
		"ServiceAccount:a@b.c", "serviceAccount:p[ns/sa]", "serviceAccount:p.svc.id.goog[ns]", "serviceAccount:p.svc.id.goog[ns/sa",
		"group:x", "domain:", "domain:localhost", "domain:a@b.c", "domain:.example.com", "allusers", "projectOwner:p", "projectEditor:p",
		"principal://", "principal://example.com/subject/s", "principalSet://",
		"principal://iam.googleapis.com/locations/global/workforcePools/w/subject/",
		"principal://iam.googleapis.com/locations/global/workforcePools//subject/s",
		"principal://iam.googleapis.com/locations/eu/workforcePools/w/subject/s",
		"principal://iam.googleapis.com/locations/global/workforcePools/w/*",
		"principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/w",
		"principal://goog/subject/a@example.com", "principalSet://goog/group/g@example.com", "principalSet://goog/public:all",
		"principalSet://iam.googleapis.com/locations/global/workforcePools/w/subject/s",
		"principalSet://iam.googleapis.com/locations/global/workforcePools/w/attribute./x",
		"principalSet://iam.googleapis.com/locations/global/workforcePools/w/attribute.x/",
		"principalSet://iam.googleapis.com/locations/global/workforcePools/w",
		"principalSet://cloudresourcemanager.googleapis.com/projects/1/type/ServiceAgent",
		"principalSet://cloudresourcemanager.googleapis.com/projects/1/type/User",
		"principalSet://cloudresourcemanager.googleapis.com/buckets/1/type/ServiceAccount",
		"principalSet://cloudresourcemanager.googleapis.com/projects//type/ServiceAccount",
		"principal://agents.global.org-1.system.id.goog/x", "principalSet://agents.global.org-1.system.id.goog/x/y",
		"deleted:", "deleted:user:a@example.com", "deleted:user:a@example.com?uid=", "deleted:domain:example.com?uid=1",
		"deleted:allUsers", "deleted:deleted:user:a@example.com?uid=1?uid=1",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			m, err := ParseMember(in)
			var me *memberError
			require.ErrorAs(t, err, &me)
			assert.Equal(t, in, me.Member)
			assert.True(t, m.IsZero())
		})
	}
	for _, in := range []string{
		"user:a@example.com", "allUsers", "allAuthenticatedUsers", "domain:example.com", "principal://goog/subject/x",
		"principalSet://goog/cloudIdentityCustomerId/", "principalSet://goog/x",
		"principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p.svc.id.goog/namespace/n",
		"principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p.svc.id.goog/kubernetes.serviceaccount.uid/7",
	} {
		t.Run("v2 "+in, func(t *testing.T) {
			t.Parallel()
			_, err := parsePrincipal(in)
			assert.Error(t, err)
		})
	}
}

func TestMemberAccessors(t *testing.T) {
	t.Parallel()
	gone := ServiceAccount("A@p.iam.gserviceaccount.com").deleted("12")
	assert.Equal(t, "deleted:serviceAccount:a@p.iam.gserviceaccount.com?uid=12", gone.String())
	assert.Equal(t, "a@p.iam.gserviceaccount.com", gone.Email())
	assert.Equal(t, "12", gone.name)
	assert.Equal(t, KindDeleted, gone.Kind())
	parsed, err := ParseMember(gone.String())
	require.NoError(t, err)
	assert.Equal(t, gone, parsed)
	assert.Equal(t, "a@b.c", User("A@b.c").Email())
	assert.Empty(t, allUsers().Email())
	assert.True(t, Group("g@b.c").IsSet())
	assert.False(t, User("a@b.c").IsSet())
	assert.False(t, gone.IsSet())
	for _, m := range []Member{ServiceAccountsOf("projects/1"), allUsers(), allAuthenticatedUsers()} {
		p, err := ParseMember(m.String())
		require.NoError(t, err)
		assert.Equal(t, m, p)
		assert.True(t, m.IsSet())
	}
	agents, err := parsePrincipal(ServiceAgentsOf("folders/1").String())
	require.NoError(t, err)
	assert.Equal(t, ServiceAgentsOf("folders/1"), agents)
	out, err := json.Marshal(map[string]any{"m": User("a@b.c"), "o": Granted, "a": Maybe, "e": EndAt, "r": RoleDisabled, "c": CauseRole})
	require.NoError(t, err)
	assert.JSONEq(t, `{"m":"user:a@b.c","o":"granted","a":"unknown","e":"at","r":"disabled","c":"role"}`, string(out))
	assert.Contains(t, (&memberError{Member: "x", Reason: "why"}).Error(), `"x": why`)
}

// TestZeroValuesAreCautious holds that what is forgotten is unknown.
func TestZeroValuesAreCautious(t *testing.T) {
	t.Parallel()
	assert.Equal(t, Unknown, Decision{}.Outcome)
	var a Answer
	assert.Equal(t, Maybe, a)
	var r *Role
	assert.Equal(t, Maybe, r.grants(actAs, hashOf(actAs)))
	assert.Equal(t, Maybe, new(Role).grants(actAs, hashOf(actAs)))
	var e Evaluator
	nobody := NewSubject(Identity{}, nil)
	assert.Equal(t, Unknown, e.Decide(Request{Subject: nobody, Permission: actAs, Levels: []Level{{}}}).Outcome)
	assert.Equal(t, Unknown, e.Decide(Request{Permission: actAs, Levels: []Level{{}}}).Outcome, "nobody is given")
	assert.Equal(t, Unknown, e.Explain(Request{Permission: actAs, Levels: []Level{{}}}).Outcome)
	assert.Equal(t, Denied, e.Decide(Request{}).Outcome, "without levels nothing is granted")
	user := NewSubject(Identity{Member: User("a@b.c")}, nil)
	p := NewCompiler().Allow(Policy{Bindings: to("roles/x", "user:a@b.c")})
	assert.Equal(t, Unknown, e.Decide(Request{Subject: user, Permission: actAs, Levels: []Level{{Allow: p, Deny: NoDeny()}}}).Outcome, "no roles are known")
	e.Roles = func(string) *Role { return NewRole(RoleActive, actAs) }
	assert.Equal(t, Unknown, e.Decide(Request{Subject: user, Permission: actAs, Levels: []Level{{Allow: p}}}).Outcome, "deny policies aren't known")
	assert.Equal(t, Unknown, e.Decide(Request{Subject: nobody, Permission: actAs, Levels: []Level{{Allow: p, Deny: NoDeny()}}}).Outcome, "the principal isn't known")
	assert.Equal(t, Granted, e.Decide(Request{Subject: user, Permission: actAs, Levels: []Level{{Allow: p, Deny: NoDeny()}}}).Outcome)
	assert.Equal(t, Denied, e.Decide(Request{Subject: user, Permission: actAs, Levels: []Level{{Allow: &AllowPolicy{}, Deny: &DenyPolicies{}}}}).Outcome)
}

// parsePrincipal parses a principal of a deny rule.
func parsePrincipal(s string) (Member, error) {
	m, err := parseMember(s, v2)
	if err != nil {
		return Member{}, err
	}
	return m, nil
}
