package fake_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

const (
	denyAdmin = "user:deny@example.com"
	denyPoint = "policies/cloudresourcemanager.googleapis.com%2Fprojects%2F123456789012/denypolicies"
)

// denyCloud has a project in a folder in an organization; denyAdmin may manage
// deny policies in all of it and do nothing else.
func denyCloud(t *testing.T) (*fake.Backend, *iamv2.PoliciesService) {
	t.Helper()
	b := fake.Start(t)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/555", DisplayName: "example.com"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/66", Parent: "organizations/555"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012", Parent: "folders/66"})
	b.Grant("organizations/555", "roles/iam.denyAdmin", denyAdmin)
	b.Grant("projects/web-prod", "roles/run.admin", "user:dev@example.com")
	b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: jobTemplate("image")})
	return b, denyAs(t, b, denyAdmin)
}

func denyAs(t *testing.T, b *fake.Backend, member string) *iamv2.PoliciesService {
	t.Helper()
	svc, err := iamv2.NewService(t.Context(), b.ClientOptions(member)...)
	require.NoError(t, err)
	return svc.Policies
}

func denyRule(principal string, permissions ...string) *iamv2.GoogleIamV2Policy {
	return &iamv2.GoogleIamV2Policy{DisplayName: "No.", Rules: []*iamv2.GoogleIamV2PolicyRule{{
		DenyRule: &iamv2.GoogleIamV2DenyRule{DeniedPrincipals: []string{principal}, DeniedPermissions: permissions},
	}}}
}

const denyDev = "principal://goog/subject/dev@example.com"

func denyMayGet(t *testing.T, b *fake.Backend) bool {
	t.Helper()
	svc, err := run.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	_, err = svc.Projects.Locations.Jobs.Get(jobName).Do()
	return err == nil
}

func TestDenyPolicyLife(t *testing.T) {
	t.Parallel()
	b, svc := denyCloud(t)
	require.True(t, denyMayGet(t, b))
	op, err := svc.CreatePolicy(strings.Replace(denyPoint, "123456789012", "web-prod", 1), denyRule(denyDev, "run.googleapis.com/jobs.get")).PolicyId("no-get").Do()
	require.NoError(t, err)
	const name = denyPoint + "/no-get"
	assert.Regexp(t, "^"+name+"/operations/[0-9a-f]{16}$", op.Name, "by the project's number")
	assert.False(t, op.Done, "but it has its result already, as documented")
	var metadata, response map[string]any
	require.NoError(t, json.Unmarshal(op.Metadata, &metadata))
	assert.Equal(t, "type.googleapis.com/google.iam.v2.PolicyOperationMetadata", metadata["@type"])
	assert.NotEmpty(t, metadata["createTime"])
	require.NoError(t, json.Unmarshal(op.Response, &response))
	assert.Equal(t, "type.googleapis.com/google.iam.v2.Policy", response["@type"])
	assert.Equal(t, name, response["name"])
	assert.False(t, denyMayGet(t, b))

	done, err := svc.Operations.Get(op.Name).Do()
	require.NoError(t, err)
	assert.True(t, done.Done)
	_, err = svc.Operations.Get(denyPoint + "/other" + strings.TrimPrefix(op.Name, name)).Do()
	assert.Equal(t, http.StatusNotFound, googleError(t, err).Code)

	p, err := svc.Get(name).Do()
	require.NoError(t, err)
	assert.Equal(t, "DenyPolicy", p.Kind)
	assert.Equal(t, response["uid"], p.Uid)
	assert.Regexp(t, "^[0-9a-f-]{36}$", p.Uid)
	assert.Equal(t, p.CreateTime, p.UpdateTime)
	assert.Equal(t, []string{denyDev}, p.Rules[0].DenyRule.DeniedPrincipals)

	_, err = svc.CreatePolicy(denyPoint, denyRule(denyDev, "run.googleapis.com/jobs.get")).PolicyId("no-get").Do()
	assert.Equal(t, http.StatusConflict, googleError(t, err).Code)

	first := p.Etag
	p.Rules[0].DenyRule.DeniedPermissions = []string{"run.googleapis.com/jobs.list"}
	p.Annotations = map[string]string{"not": "updated"}
	_, err = svc.Update(name, p).Do()
	require.NoError(t, err)
	assert.True(t, denyMayGet(t, b))
	p, err = svc.Get(name).Do()
	require.NoError(t, err)
	assert.NotEqual(t, first, p.Etag)
	assert.Equal(t, response["uid"], p.Uid)
	assert.Equal(t, response["createTime"], p.CreateTime)
	assert.Empty(t, p.Annotations)

	stale := *p
	stale.Etag = first
	_, err = svc.Update(name, &stale).Do()
	g := googleError(t, err)
	assert.Equal(t, http.StatusConflict, g.Code)
	assert.Contains(t, g.Body, "ABORTED")
	_, err = svc.Delete(name).Etag(first).Do()
	assert.Equal(t, http.StatusConflict, googleError(t, err).Code)

	_, err = svc.CreatePolicy(denyPoint, denyRule(denyDev, "run.googleapis.com/*.get")).PolicyId("another").Do()
	require.NoError(t, err)
	assert.False(t, denyMayGet(t, b))
	list, err := svc.ListPolicies(denyPoint).PageSize(1).Do()
	require.NoError(t, err)
	require.Len(t, list.Policies, 2, "the page size is ignored")
	assert.Equal(t, denyPoint+"/another", list.Policies[0].Name)
	assert.Equal(t, "No.", list.Policies[0].DisplayName)
	assert.Empty(t, list.Policies[0].Rules)

	for _, etag := range []string{"", p.Etag} {
		id := map[bool]string{true: "/another", false: "/no-get"}[etag == ""]
		op, err = svc.Delete(denyPoint + id).Etag(etag).Do()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(op.Response, &response))
		assert.NotEmpty(t, response["deleteTime"])
	}
	assert.True(t, denyMayGet(t, b))
	_, err = svc.Get(name).Do()
	assert.Equal(t, http.StatusNotFound, googleError(t, err).Code)
	done, err = svc.Operations.Get(op.Name).Do()
	require.NoError(t, err, "operations outlive their policies")
	assert.True(t, done.Done)
	list, err = svc.ListPolicies(denyPoint).Do()
	require.NoError(t, err)
	assert.Empty(t, list.Policies)
}

// The generated Go client and gcloud escape the attachment point twice, a
// request written by hand once.
func TestDenyPolicyPaths(t *testing.T) {
	t.Parallel()
	b, _ := denyCloud(t)
	b.AddDenyPolicy("projects/web-prod", &iamv2.GoogleIamV2Policy{Name: "nothing"})
	b.Grant("projects/web-prod", "roles/iam.denyReviewer", "user:dev@example.com")
	for what, test := range map[string]struct {
		path   string
		status int
	}{
		"escaped once":         {"cloudresourcemanager.googleapis.com%2Fprojects%2F123456789012/denypolicies/nothing", 200},
		"escaped twice":        {"cloudresourcemanager.googleapis.com%252Fprojects%252F123456789012/denypolicies/nothing", 200},
		"in lower case":        {"cloudresourcemanager.googleapis.com%2fprojects%2fweb-prod/denypolicies/nothing", 200},
		"not escaped":          {"cloudresourcemanager.googleapis.com/projects/web-prod/denypolicies/nothing", 404},
		"no API":               {"projects%2Fweb-prod/denypolicies/nothing", 400},
		"another API":          {"run.googleapis.com%2Fprojects%2Fweb-prod/denypolicies/nothing", 400},
		"another kind":         {"cloudresourcemanager.googleapis.com%2Fprojects%2Fweb-prod/accessboundaries/nothing", 400},
		"a service account":    {"cloudresourcemanager.googleapis.com%2Fprojects%2Fweb-prod%2FserviceAccounts%2Fx/denypolicies/nothing", 400},
		"a bad escape":         {"cloudresourcemanager.googleapis.com%25zz/denypolicies/nothing", 400},
		"no such project":      {"cloudresourcemanager.googleapis.com%2Fprojects%2Fnone/denypolicies/nothing", 403},
		"no right there":       {"cloudresourcemanager.googleapis.com%2Forganizations%2F555/denypolicies/nothing", 403},
		"no such policy":       {"cloudresourcemanager.googleapis.com%2Fprojects%2Fweb-prod/denypolicies/none", 404},
		"no such operation":    {"cloudresourcemanager.googleapis.com%2Fprojects%2Fweb-prod/denypolicies/nothing/operations/1", 404},
		"the guide's form":     {"cloudresourcemanager.googleapis.com%2Fprojects%2Fweb-prod/operations/1", 404},
		"operations, no point": {"x/operations/1", 400},
	} {
		status, body := call(t, b, http.MethodGet, "https://iam.googleapis.com/v2/policies/"+test.path, "")
		assert.Equal(t, test.status, status, "%s: %s", what, body)
	}
}

func TestDenyPolicyRefusals(t *testing.T) {
	t.Parallel()
	b, admin := denyCloud(t)
	_, err := admin.CreatePolicy(denyPoint, denyRule(denyDev, "run.googleapis.com/jobs.list")).PolicyId("there").Do()
	require.NoError(t, err)
	nobody := denyAs(t, b, "user:dev@example.com")
	p := denyRule(denyDev, "run.googleapis.com/jobs.get")
	const on = " denied on resource cloudresourcemanager.googleapis.com/projects/123456789012"
	for verb, do := range map[string]func() error{
		"create": func() error { _, err := nobody.CreatePolicy(denyPoint, p).PolicyId("abc").Do(); return err },
		"get":    func() error { _, err := nobody.Get(denyPoint + "/there").Do(); return err },
		"list":   func() error { _, err := nobody.ListPolicies(denyPoint).Do(); return err },
		"update": func() error { _, err := nobody.Update(denyPoint+"/there", p).Do(); return err },
		"delete": func() error { _, err := nobody.Delete(denyPoint + "/there").Do(); return err },
	} {
		g := googleError(t, do())
		assert.Equal(t, http.StatusForbidden, g.Code, verb)
		assert.Equal(t, "Permission iam.googleapis.com/denypolicies."+verb+on, g.Message)
	}

	long := strings.Repeat("x", 300)
	many := denyRule(denyDev, "run.googleapis.com/jobs.get")
	for range 500 {
		many.Rules = append(many.Rules, many.Rules[0])
	}
	with := func(change func(*iamv2.GoogleIamV2DenyRule)) *iamv2.GoogleIamV2Policy {
		p := denyRule(denyDev, "run.googleapis.com/jobs.get")
		change(p.Rules[0].DenyRule)
		return p
	}
	condition := func(expression string) *iamv2.GoogleIamV2Policy {
		return with(func(r *iamv2.GoogleIamV2DenyRule) { r.DenialCondition = &iamv2.GoogleTypeExpr{Expression: expression} })
	}
	for what, test := range map[string]struct {
		id     string
		policy *iamv2.GoogleIamV2Policy
		text   string
	}{
		"a short id":               {"ab", p, "Invalid policy ID"},
		"an id in capitals":        {"Abc", p, "Invalid policy ID"},
		"a long display name":      {"abc", &iamv2.GoogleIamV2Policy{DisplayName: long}, "display name"},
		"a long annotation":        {"abc", &iamv2.GoogleIamV2Policy{Annotations: map[string]string{"a": long}}, "annotation"},
		"a rule of no kind":        {"abc", &iamv2.GoogleIamV2Policy{Rules: []*iamv2.GoogleIamV2PolicyRule{{Description: "x"}}}, "no deny rule"},
		"a long description":       {"abc", &iamv2.GoogleIamV2Policy{Rules: []*iamv2.GoogleIamV2PolicyRule{{Description: long, DenyRule: p.Rules[0].DenyRule}}}, "description"},
		"too many rules":           {"abc", many, "deny rules"},
		"a v1 principal":           {"abc", denyRule("user:dev@example.com", "run.googleapis.com/jobs.get"), "user:dev@example.com"},
		"a v1 permission":          {"abc", denyRule(denyDev, "run.jobs.get"), "run.jobs.get"},
		"no such permission":       {"abc", denyRule(denyDev, "run.googleapis.com/workerPools.get"), "run.googleapis.com/workerPools.get is not supported"},
		"not supported":            {"abc", denyRule(denyDev, "iam.googleapis.com/denypolicies.create"), "iam.googleapis.com/denypolicies.create is not supported"},
		"a service not supported":  {"abc", denyRule(denyDev, "recommender.googleapis.com/*.*"), "is not supported"},
		"a group not supported":    {"abc", denyRule(denyDev, "cloudresourcemanager.googleapis.com/tagKeys.*"), "is not supported"},
		"a group of nothing":       {"abc", denyRule(denyDev, "run.googleapis.com/workerPools.*"), "is not supported"},
		"a group of no verb":       {"abc", denyRule(denyDev, "run.googleapis.com/*.fly"), "is not supported"},
		"a part of a name":         {"abc", denyRule(denyDev, "run.googleapis.com/jobs.g*"), "jobs.g*"},
		"everyone as an exception": {"abc", with(func(r *iamv2.GoogleIamV2DenyRule) { r.ExceptionPrincipals = []string{"principalSet://goog/public:all"} }), "exception principal"},
		"an odd exception": {"abc", with(func(r *iamv2.GoogleIamV2DenyRule) {
			r.ExceptionPermissions = []string{"iam.googleapis.com/denypolicies.get"}
		}), "is not supported"},
		"a condition on tags":   {"abc", condition("resource.matchTag('12345678/env', 'test')"), "The fake does not know resource tags"},
		"a condition on time":   {"abc", condition("request.time < timestamp('2030-01-01T00:00:00Z')"), "resource tags only"},
		"a malformed condition": {"abc", condition("resource.matchTag("), "Invalid policy"},
	} {
		_, err := admin.CreatePolicy(denyPoint, test.policy).PolicyId(test.id).Do()
		g := googleError(t, err)
		assert.Equal(t, http.StatusBadRequest, g.Code, what)
		assert.Contains(t, g.Message, test.text, what)
		if test.id == "abc" {
			_, err = admin.Update(denyPoint+"/there", test.policy).Do()
			assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code, what)
			test.policy.Name = test.id
			assert.Panics(t, func() { b.AddDenyPolicy("projects/web-prod", test.policy) }, what)
		}
	}
	still, err := admin.Get(denyPoint + "/there").Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"run.googleapis.com/jobs.list"}, still.Rules[0].DenyRule.DeniedPermissions)
	assert.True(t, denyMayGet(t, b), "none of them has an effect")
}

func TestDenyPoliciesDecide(t *testing.T) {
	t.Parallel()
	except := func(p *iamv2.GoogleIamV2Policy, principals ...string) *iamv2.GoogleIamV2Policy {
		p.Rules[0].DenyRule.ExceptionPrincipals = principals
		return p
	}
	for what, test := range map[string]struct {
		on     string
		policy *iamv2.GoogleIamV2Policy
		may    bool
	}{
		"on the project":          {"projects/web-prod", denyRule(denyDev, "run.googleapis.com/jobs.get"), false},
		"by the project's number": {"projects/123456789012", denyRule(denyDev, "run.googleapis.com/jobs.*"), false},
		"on the folder":           {"folders/66", denyRule(denyDev, "run.googleapis.com/*.get"), false},
		"on the organization":     {"organizations/555", denyRule("principalSet://goog/public:all", "run.googleapis.com/*.*"), false},
		"of a group":              {"organizations/555", denyRule("principalSet://goog/group/devs@example.com", "run.googleapis.com/jobs.get"), false},
		"of someone else":         {"projects/web-prod", denyRule("principal://goog/subject/eve@example.com", "run.googleapis.com/jobs.get"), true},
		"of another permission":   {"projects/web-prod", denyRule(denyDev, "run.googleapis.com/services.get", "iam.googleapis.com/serviceAccounts.actAs"), true},
		"with an exception":       {"projects/web-prod", except(denyRule("principalSet://goog/public:all", "run.googleapis.com/jobs.get"), denyDev), true},
	} {
		b, _ := denyCloud(t)
		b.AddGroup("devs@example.com", "user:dev@example.com")
		test.policy.Name = "policy"
		b.AddDenyPolicy(test.on, test.policy)
		assert.Equal(t, test.may, denyMayGet(t, b), what)
		assert.Panics(t, func() { b.AddDenyPolicy(test.on, test.policy) }, "it is there already")
		assert.Panics(t, func() { b.AddDenyPolicy(jobName, test.policy) })
		assert.Panics(t, func() { b.AddDenyPolicy("projects/none", test.policy) })
	}
}

// A permission group denies only what deny policies support.
func TestDenyGroupsLeaveWhatIsNotSupported(t *testing.T) {
	t.Parallel()
	b, svc := denyCloud(t)
	p := denyRule("principalSet://goog/public:all", "iam.googleapis.com/*.*")
	p.Name = "all-of-iam"
	b.AddDenyPolicy("organizations/555", p)
	_, err := svc.Delete("policies/cloudresourcemanager.googleapis.com%2Forganizations%2F555/denypolicies/all-of-iam").Do()
	require.NoError(t, err, "or nobody could undo it")
}

func TestDenyPolicyPropagates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := denyCloud(t)
		b.SetPropagation(0, time.Minute)
		_, err := svc.CreatePolicy(denyPoint, denyRule(denyDev, "run.googleapis.com/jobs.get")).PolicyId("no-get").Do()
		require.NoError(t, err)
		time.Sleep(59 * time.Second)
		assert.True(t, denyMayGet(t, b))
		time.Sleep(time.Second)
		assert.False(t, denyMayGet(t, b))
		_, err = svc.Delete(denyPoint + "/no-get").Do()
		require.NoError(t, err)
		assert.False(t, denyMayGet(t, b))
		time.Sleep(30 * time.Second)
		_, err = svc.CreatePolicy(denyPoint, denyRule(denyDev, "run.googleapis.com/jobs.list")).PolicyId("no-list").Do()
		require.NoError(t, err)
		assert.False(t, denyMayGet(t, b))
		time.Sleep(30 * time.Second)
		assert.True(t, denyMayGet(t, b))
	})
}

func TestDenyPoliciesOfAResourceAreLimited(t *testing.T) {
	t.Parallel()
	b, svc := denyCloud(t)
	for i := range 500 {
		p := denyRule(denyDev, "run.googleapis.com/services.get")
		p.Name = fmt.Sprintf("policy-%d", i)
		b.AddDenyPolicy("folders/66", p)
	}
	const folder = "policies/cloudresourcemanager.googleapis.com%2Ffolders%2F66/denypolicies"
	_, err := svc.CreatePolicy(folder, denyRule(denyDev, "run.googleapis.com/services.get")).PolicyId("one-more").Do()
	assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code)
	_, err = svc.Delete(folder + "/policy-7").Do()
	require.NoError(t, err)
	_, err = svc.CreatePolicy(folder, denyRule(denyDev, "run.googleapis.com/services.get")).PolicyId("one-more").Do()
	require.NoError(t, err)
}
