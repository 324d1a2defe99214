package access

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMatches holds who matches whom, for pairs that the decision table doesn't
// have.
func TestMatches(t *testing.T) {
	t.Parallel()
	const (
		pod   = "principal://" + gkePool + "/subject/ns/prod/sa/x"
		podV1 = "serviceAccount:p.svc.id.goog[prod/x]"
		podID = "principal://" + gkePool + "/kubernetes.serviceaccount.uid/7"
		agent = "principal://" + agents + "/resources/aiplatform/projects/1/x"
		odd   = "principal://" + agents + "/resources/other/thing"
		wl    = "principal://" + workload + "/subject/s"
		set   = "principalSet://"
		crm   = set + "cloudresourcemanager.googleapis.com/"
	)
	for _, tt := range []struct {
		subject, member string
		want            Answer
	}{
		{podV1, podV1, Yes},
		{podV1, pod, Maybe},
		{podV1, "principal://" + gkePool + "/subject/ns/dev/sa/x", No},
		{podV1, set + gkePool + "/namespace/prod", Maybe},
		{podV1, set + gkePool + "/namespace/dev", No},
		{podV1, set + gkePool + "/*", Maybe},
		{podV1, set + gkePool + "/kubernetes.cluster/c", Maybe},
		{podV1, podID, Maybe},
		{podV1, set + workload + "/*", No},
		{podV1, "allAuthenticatedUsers", No},
		{podV1, "allUsers", Yes},
		{podV1, "group:g@example.com", No},
		{podID, podID, Yes},
		{podID, "principal://" + gkePool + "/kubernetes.serviceaccount.uid/8", No},
		{podID, pod, Maybe},
		{podID, podV1, Maybe},
		{podID, "serviceAccount:q.svc.id.goog[prod/x]", No},
		{podID, set + gkePool + "/namespace/prod", Maybe},
		{podID, set + gkePool + "/kubernetes.cluster/c", Maybe},
		{podID, set + gkePool + "/*", Yes},
		{podID, "principal://" + gkePool + "/subject/other", No},
		{pod, podID, Maybe},
		{pod, set + gkePool + "/*", Yes},
		{wl, set + workload + "/namespace/n", No},
		{agent, set + agents + "/attribute.platformContainer/aiplatform/projects/1", Yes},
		{agent, set + agents + "/attribute.platformContainer/aiplatform/projects/2", No},
		{agent, set + agents + "/attribute.platform/aiplatform", Maybe},
		{agent, set + "agents.global.org-8.system.id.goog/*", No},
		{agent, "group:g@example.com", No},
		{odd, set + agents + "/attribute.platformContainer/other/projects/1", Maybe},
		{set + agents + "/*", "allAuthenticatedUsers", Maybe},
		{set + agents + "/*", set + agents + "/attribute.a/1", Maybe},
		{set + agents + "/attribute.a/1", set + agents + "/*", Yes},
		{set + agents + "/attribute.a/1", set + agents + "/attribute.a/2", No},
		{set + agents + "/attribute.a/1", set + agents + "/attribute.b/1", Maybe},
		{set + gkePool + "/namespace/n", podID, No},
		{set + gkePool + "/*", podID, No},
		{"user:a@example.com", "domain:example.com", Yes},
		{"user:a@example.com", "domain:other.example", No},
		{"user:a@example.com", crm + "projects/1/type/ServiceAccount", No},
		{"serviceAccount:a@p.iam.gserviceaccount.com", crm + "projects/1/type/ServiceAccount", Maybe},
		{"serviceAccount:a@p.iam.gserviceaccount.com", crm + "projects/1/type/ServiceAgent", Maybe},
		{"serviceAccount:a@p.iam.gserviceaccount.com", "domain:p.iam.gserviceaccount.com", No},
		{"serviceAccount:a@p.iam.gserviceaccount.com", set + "goog/cloudIdentityCustomerId/C1", Maybe},
		{"user:a@gmail.com", set + "goog/cloudIdentityCustomerId/C1", No},
		{"user:a@googlemail.com", set + "goog/cloudIdentityCustomerId/C1", No},
		{"user:a@googlemail.com", "group:g@example.com", Maybe},
		{"domain:example.com", "domain:other.example", No},
		{"domain:example.com", crm + "projects/1/type/ServiceAccount", No},
		{"domain:example.com", set + "goog/cloudIdentityCustomerId/C1", Maybe},
		{crm + "projects/1/type/ServiceAccount", "domain:example.com", No},
		{crm + "projects/1/type/ServiceAccount", "allAuthenticatedUsers", Yes},
		{crm + "projects/1/type/ServiceAccount", crm + "folders/1/type/ServiceAccount", Maybe},
		{"allAuthenticatedUsers", "allAuthenticatedUsers", Yes},
		{"allAuthenticatedUsers", "allUsers", Yes},
		{"allUsers", "allAuthenticatedUsers", No},
		{"deleted:user:a@example.com?uid=1", "deleted:user:a@example.com?uid=1", No},
		{"deleted:user:a@example.com?uid=1", "allUsers", No},
		{"deleted:user:a@example.com?uid=1", "user:a@example.com", No},
	} {
		t.Run(tt.subject+" "+tt.member, func(t *testing.T) {
			t.Parallel()
			s := NewSubject(Identity{Member: parse(t, tt.subject)}, nil)
			assert.Equal(t, tt.want, s.explain(parse(t, tt.member)).Matched)
			assert.Equal(t, parse(t, tt.subject), s.id.Member)
		})
	}
}

// TestOverlap holds what is known of two sets, or a set and a principal.
func TestOverlap(t *testing.T) {
	t.Parallel()
	const (
		set = "principalSet://"
		crm = set + "cloudresourcemanager.googleapis.com/"
	)
	dir := tableDirectory()
	for _, tt := range []struct {
		subject, other string
		want           Answer
	}{
		{"group:devs@example.com", alice, Yes},
		{"group:devs@example.com", "user:bob@example.com", No},
		{"group:leads@example.com", "group:devs@example.com", Yes},
		{"group:devs@example.com", "group:eng@example.com", Maybe},
		{"group:devs@example.com", set + workload + "/*", No},
		{"group:devs@example.com", crm + "projects/111/type/ServiceAccount", Maybe},
		{"domain:example.com", alice, Yes},
		{"domain:example.com", "group:devs@example.com", Maybe},
		{"domain:example.com", crm + "projects/111/type/ServiceAccount", No},
		{"domain:example.com", crm + "projects/111/type/ServiceAgent", No},
		{crm + "projects/111/type/ServiceAccount", "domain:example.com", No},
		{crm + "organizations/9/type/ServiceAccount", crm + "projects/111/type/ServiceAccount", Yes},
		{crm + "projects/111/type/ServiceAccount", runnerSA, Yes},
		{crm + "projects/111/type/ServiceAccount", alice, No},
		{set + workload + "/*", "principal://" + workload + "/subject/s", Yes},
		{set + workload + "/*", "principal://" + workforce + "/subject/s", No},
		{set + workload + "/group/g", set + workload + "/group/h", Maybe},
		{set + workload + "/attribute.a/1", set + workload + "/attribute.a/2", No},
		{set + workload + "/attribute.a/1", set + workload + "/attribute.b/2", Maybe},
		{"allUsers", alice, Yes},
		{"allUsers", set + workload + "/*", Yes},
		{"allAuthenticatedUsers", "group:devs@example.com", Yes},
		{"allAuthenticatedUsers", set + workload + "/*", No},
		{"allAuthenticatedUsers", set + agents + "/*", Maybe},
		{"group:devs@example.com", "deleted:" + alice + "?uid=1", No},
	} {
		t.Run(tt.subject+" "+tt.other, func(t *testing.T) {
			t.Parallel()
			s := NewSubject(Identity{Member: parse(t, tt.subject)}, dir)
			assert.Equal(t, tt.want, s.overlap(parse(t, tt.other)))
		})
	}
	s := NewSubject(Identity{Member: Group("devs@example.com")}, dir)
	assert.Equal(t, Maybe, s.overlap(other("x:y")))
	assert.Equal(t, No, s.overlap(Member{}))
	assert.Equal(t, Maybe, NewSubject(Identity{Member: other("x:y")}, dir).overlap(User("a@b.c")))
	m, err := ParseMember("deleted:user:a@b.c?uid=1")
	require.NoError(t, err)
	assert.Empty(t, NewSubject(Identity{Member: Group("g@b.c")}, nil).roots(m))
}

// TestDisjoint holds which pairs of sets certainly have no member in common.
func TestDisjoint(t *testing.T) {
	t.Parallel()
	const set = "principalSet://"
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"allUsers", set + workload + "/*", false},
		{"allUsers", "group:g@example.com", false},
		{"group:g@example.com", set + workload + "/*", true},
		{set + gkePool + "/*", set + workload + "/*", true},
		{set + workload + "/attribute.a/1", set + workload + "/attribute.a/2", true},
		{set + workload + "/attribute.a/1", set + workload + "/attribute.b/2", false},
		{set + workload + "/group/1", set + workload + "/group/2", false},
		{set + gkePool + "/namespace/a", set + gkePool + "/namespace/b", true},
		{"group:g@example.com", "group:h@example.com", false},
		{"domain:example.com", set + "cloudresourcemanager.googleapis.com/projects/1/type/ServiceAccount", true},
		{"domain:example.com", "group:g@example.com", false},
	} {
		a, b := parse(t, tt.a), parse(t, tt.b)
		assert.Equal(t, tt.want, disjoint(a, b), "%s and %s", tt.a, tt.b)
		assert.Equal(t, tt.want, disjoint(b, a), "%s and %s", tt.b, tt.a)
	}
}
