package fake_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/policytroubleshooter/v3"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

const (
	troubleReviewer = "user:reviewer@example.com"
	troubleAccount  = "//iam.googleapis.com/projects/web-prod/serviceAccounts/runner@web-prod.iam.gserviceaccount.com"
)

type (
	troubleTuple    = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3AccessTuple
	troubleContext  = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ConditionContext
	troubleRequest  = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ConditionContextRequest
	troubleResource = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3ConditionContextResource
	troubleResponse = policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyResponse
)

// troubleCloud has a project in an organization; troubleReviewer sees all of
// its policies.
func troubleCloud(t *testing.T) *fake.Backend {
	t.Helper()
	b := fake.Start(t)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/555", DisplayName: "example.com"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012", Parent: "organizations/555"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com"})
	b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: jobTemplate("image")})
	b.Grant("organizations/555", "roles/iam.securityReviewer", troubleReviewer)
	b.Grant("organizations/555", "roles/iam.denyReviewer", troubleReviewer)
	return b
}

func troubleAsk(t *testing.T, b *fake.Backend, member string, tuple *troubleTuple) (*troubleResponse, error) {
	t.Helper()
	svc, err := policytroubleshooter.NewService(t.Context(), b.ClientOptions(member)...)
	require.NoError(t, err)
	req := &policytroubleshooter.GoogleCloudPolicytroubleshooterIamV3TroubleshootIamPolicyRequest{AccessTuple: tuple}
	return svc.Iam.Troubleshoot(req).Do()
}

func troubleState(t *testing.T, b *fake.Backend, member string, tuple *troubleTuple) string {
	t.Helper()
	got, err := troubleAsk(t, b, member, tuple)
	require.NoError(t, err)
	return got.OverallAccessState
}

func troubleActAs(principal string) *troubleTuple {
	return &troubleTuple{Principal: principal, FullResourceName: troubleAccount, Permission: "iam.serviceAccounts.actAs"}
}

func TestTroubleshootExplainsAGrant(t *testing.T) {
	t.Parallel()
	b := troubleCloud(t)
	b.AddGroup("devs@example.com", "user:dev@example.com")
	b.Grant("projects/web-prod", "roles/iam.serviceAccountUser", "group:devs@example.com")
	b.Grant("projects/web-prod", "roles/run.viewer", "user:dev@example.com")
	got, err := troubleAsk(t, b, troubleReviewer, troubleActAs("dev@example.com"))
	require.NoError(t, err)
	assert.Equal(t, "CAN_ACCESS", got.OverallAccessState)
	assert.Equal(t, "iam.googleapis.com/serviceAccounts.actAs", got.AccessTuple.PermissionFqdn)
	assert.Equal(t, "dev@example.com", got.AccessTuple.Principal)

	allow := got.AllowPolicyExplanation
	assert.Equal(t, "ALLOW_ACCESS_STATE_GRANTED", allow.AllowAccessState)
	require.Len(t, allow.ExplainedPolicies, 3, "account, project, organization")
	for i, want := range []struct{ name, state, relevance string }{
		{troubleAccount, "ALLOW_ACCESS_STATE_NOT_GRANTED", "HEURISTIC_RELEVANCE_NORMAL"},
		{"//cloudresourcemanager.googleapis.com/projects/123456789012", "ALLOW_ACCESS_STATE_GRANTED", "HEURISTIC_RELEVANCE_HIGH"},
		{"//cloudresourcemanager.googleapis.com/organizations/555", "ALLOW_ACCESS_STATE_NOT_GRANTED", "HEURISTIC_RELEVANCE_NORMAL"},
	} {
		p := allow.ExplainedPolicies[i]
		assert.Equal(t, want.name, p.FullResourceName)
		assert.Equal(t, want.state, p.AllowAccessState)
		assert.Equal(t, want.relevance, p.Relevance)
		require.Len(t, p.BindingExplanations, len(p.Policy.Bindings))
		for j, explained := range p.BindingExplanations {
			assert.Equal(t, p.Policy.Bindings[j].Role, explained.Role, "in the order of the policy")
		}
	}
	for _, explained := range allow.ExplainedPolicies[1].BindingExplanations {
		switch explained.Role {
		case "roles/iam.serviceAccountUser":
			assert.Equal(t, "ALLOW_ACCESS_STATE_GRANTED", explained.AllowAccessState)
			assert.Equal(t, "ROLE_PERMISSION_INCLUDED", explained.RolePermission)
			assert.Equal(t, "MEMBERSHIP_MATCHED", explained.CombinedMembership.Membership)
			assert.Equal(t, "MEMBERSHIP_MATCHED", explained.Memberships["group:devs@example.com"].Membership)
			assert.Equal(t, "HEURISTIC_RELEVANCE_HIGH", explained.Relevance)
		case "roles/run.viewer":
			assert.Equal(t, "ALLOW_ACCESS_STATE_NOT_GRANTED", explained.AllowAccessState)
			assert.Equal(t, "ROLE_PERMISSION_NOT_INCLUDED", explained.RolePermission)
		case "roles/run.serviceAgent":
			assert.Equal(t, "MEMBERSHIP_NOT_MATCHED", explained.CombinedMembership.Membership)
		}
	}
	assert.Equal(t, "DENY_ACCESS_STATE_NOT_DENIED", got.DenyPolicyExplanation.DenyAccessState)
	assert.True(t, got.DenyPolicyExplanation.PermissionDeniable)
	assert.Empty(t, got.DenyPolicyExplanation.ExplainedResources)
}

func TestTroubleshootExplainsADenial(t *testing.T) {
	t.Parallel()
	b := troubleCloud(t)
	b.Grant("projects/web-prod", "roles/iam.serviceAccountUser", "user:dev@example.com")
	b.AddDenyPolicy("organizations/555", &iamv2.GoogleIamV2Policy{Name: "no-act-as", Rules: []*iamv2.GoogleIamV2PolicyRule{
		{DenyRule: &iamv2.GoogleIamV2DenyRule{
			DeniedPrincipals:    []string{"principalSet://goog/public:all"},
			ExceptionPrincipals: []string{"principal://goog/subject/eve@example.com"},
			DeniedPermissions:   []string{"run.googleapis.com/jobs.run", "iam.googleapis.com/serviceAccounts.*"},
		}},
	}})
	got, err := troubleAsk(t, b, troubleReviewer, troubleActAs("dev@example.com"))
	require.NoError(t, err)
	assert.Equal(t, "CANNOT_ACCESS", got.OverallAccessState)
	assert.Equal(t, "ALLOW_ACCESS_STATE_GRANTED", got.AllowPolicyExplanation.AllowAccessState)
	deny := got.DenyPolicyExplanation
	assert.Equal(t, "DENY_ACCESS_STATE_DENIED", deny.DenyAccessState)
	require.Len(t, deny.ExplainedResources, 1)
	resource := deny.ExplainedResources[0]
	assert.Equal(t, "//cloudresourcemanager.googleapis.com/organizations/555", resource.FullResourceName)
	assert.Equal(t, "DENY_ACCESS_STATE_DENIED", resource.DenyAccessState)
	require.Len(t, resource.ExplainedPolicies, 1)
	policy := resource.ExplainedPolicies[0]
	assert.Equal(t, "policies/cloudresourcemanager.googleapis.com%2Forganizations%2F555/denypolicies/no-act-as", policy.Policy.Name)
	require.Len(t, policy.RuleExplanations, 1)
	rule := policy.RuleExplanations[0]
	assert.Equal(t, "DENY_ACCESS_STATE_DENIED", rule.DenyAccessState)
	assert.Equal(t, "MEMBERSHIP_MATCHED", rule.DeniedPrincipals["principalSet://goog/public:all"].Membership)
	assert.Equal(t, "MEMBERSHIP_NOT_MATCHED", rule.ExceptionPrincipals["principal://goog/subject/eve@example.com"].Membership)
	assert.Equal(t, "MEMBERSHIP_NOT_MATCHED", rule.CombinedExceptionPrincipal.Membership)
	assert.Equal(t, "PERMISSION_PATTERN_MATCHED", rule.DeniedPermissions["iam.googleapis.com/serviceAccounts.*"].PermissionMatchingState)
	assert.Equal(t, "PERMISSION_PATTERN_NOT_MATCHED", rule.DeniedPermissions["run.googleapis.com/jobs.run"].PermissionMatchingState)
	assert.Equal(t, "PERMISSION_PATTERN_MATCHED", rule.CombinedDeniedPermission.PermissionMatchingState)

	b.Grant("projects/web-prod", "roles/iam.serviceAccountUser", "user:eve@example.com")
	assert.Equal(t, "CAN_ACCESS", troubleState(t, b, troubleReviewer, troubleActAs("eve@example.com")))

	got, err = troubleAsk(t, b, troubleReviewer, &troubleTuple{
		Principal: "dev@example.com", FullResourceName: troubleAccount, Permission: "iam.denypolicies.get",
	})
	require.NoError(t, err)
	assert.False(t, got.DenyPolicyExplanation.PermissionDeniable)
}

// Policy Troubleshooter and the enforcement agree, since they ask the same
// evaluator.
func TestTroubleshootForms(t *testing.T) {
	t.Parallel()
	b := troubleCloud(t)
	const federated = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/pool/subject/main"
	b.AddRole(&iam.Role{Name: "projects/web-prod/roles/off", Stage: "DISABLED", IncludedPermissions: []string{"run.jobs.run"}})
	b.Grant(jobName, "roles/run.invoker", "serviceAccount:runner@web-prod.iam.gserviceaccount.com")
	b.Grant(jobName, "roles/run.invoker", federated)
	b.Grant("projects/web-prod", "projects/web-prod/roles/off", "user:dev@example.com")
	b.Grant("organizations/555", "roles/run.developer", "domain:example.org")
	job := "//run.googleapis.com/" + jobName
	for what, test := range map[string]struct {
		tuple *troubleTuple
		state string
	}{
		"a service account":        {&troubleTuple{Principal: "runner@web-prod.iam.gserviceaccount.com", FullResourceName: job, Permission: "run.jobs.run"}, "CAN_ACCESS"},
		"a permission of v2":       {&troubleTuple{Principal: "runner@web-prod.iam.gserviceaccount.com", FullResourceName: job, Permission: "run.googleapis.com/jobs.run"}, "CAN_ACCESS"},
		"another permission":       {&troubleTuple{Principal: "runner@web-prod.iam.gserviceaccount.com", FullResourceName: job, Permission: "run.jobs.update"}, "CANNOT_ACCESS"},
		"an identity of a pool":    {&troubleTuple{Principal: federated, FullResourceName: job, Permission: "run.jobs.run"}, "CAN_ACCESS"},
		"a disabled role":          {&troubleTuple{Principal: "dev@example.com", FullResourceName: job, Permission: "run.jobs.run"}, "CANNOT_ACCESS"},
		"a domain":                 {&troubleTuple{Principal: "eve@example.org", FullResourceName: job, Permission: "run.jobs.update"}, "CAN_ACCESS"},
		"the project by id":        {&troubleTuple{Principal: "eve@example.org", FullResourceName: "//cloudresourcemanager.googleapis.com/projects/web-prod", Permission: "run.jobs.list"}, "CAN_ACCESS"},
		"Resource Manager's v2":    {&troubleTuple{Principal: "reviewer@example.com", FullResourceName: "//cloudresourcemanager.googleapis.com/organizations/555", Permission: "cloudresourcemanager.googleapis.com/organizations.getIamPolicy"}, "CAN_ACCESS"},
		"a job that is not there":  {&troubleTuple{Principal: "eve@example.org", FullResourceName: job + "x", Permission: "run.jobs.update"}, "CAN_ACCESS"},
		"a resource unknown":       {&troubleTuple{Principal: "eve@example.org", FullResourceName: "//pubsub.googleapis.com/projects/web-prod/topics/t", Permission: "run.jobs.update"}, "CAN_ACCESS"},
		"not by a grant elsewhere": {&troubleTuple{Principal: federated, FullResourceName: job + "x", Permission: "run.jobs.run"}, "CANNOT_ACCESS"},
		"a project not there":      {&troubleTuple{Principal: "eve@example.org", FullResourceName: "//cloudresourcemanager.googleapis.com/projects/none", Permission: "run.jobs.list"}, "UNKNOWN_INFO"},
	} {
		assert.Equal(t, test.state, troubleState(t, b, troubleReviewer, test.tuple), what)
		assert.Equal(t, test.state, troubleState(t, b, fake.Admin, test.tuple), what)
	}
}

func TestTroubleshootTellsWhatTheSenderMaySee(t *testing.T) {
	t.Parallel()
	b := troubleCloud(t)
	b.AddRole(&iam.Role{Name: "projects/web-prod/roles/actor", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
	b.Grant(troubleAccount, "roles/iam.serviceAccountUser", "user:dev@example.com")
	b.Grant("projects/web-prod", "projects/web-prod/roles/actor", "user:eve@example.com")
	b.Grant("projects/web-prod", "roles/iam.securityReviewer", "user:project@example.com")
	b.Grant("projects/web-prod", "roles/iam.denyReviewer", "user:project@example.com")
	b.Grant("organizations/555", "roles/iam.denyReviewer", "user:project@example.com")
	b.Grant("organizations/555", "roles/iam.securityReviewer", "user:allow@example.com")
	b.Grant("organizations/555", "roles/iam.denyReviewer", "user:noroles@example.com")
	b.AddRole(&iam.Role{Name: "organizations/555/roles/getter", IncludedPermissions: []string{
		"iam.serviceAccounts.getIamPolicy", "resourcemanager.projects.getIamPolicy", "resourcemanager.organizations.getIamPolicy",
	}})
	b.Grant("organizations/555", "organizations/555/roles/getter", "user:noroles@example.com")
	b.AddRole(&iam.Role{Name: "roles/half.denyReviewer", IncludedPermissions: []string{
		"iam.denypolicies.list", "iam.serviceAccounts.getIamPolicy", "resourcemanager.projects.getIamPolicy",
	}})
	b.AddRole(&iam.Role{Name: "roles/other.denyReviewer", IncludedPermissions: []string{
		"iam.denypolicies.get", "iam.serviceAccounts.getIamPolicy", "resourcemanager.projects.getIamPolicy",
	}})
	b.Grant("organizations/555", "roles/half.denyReviewer", "user:noget@example.com")
	b.Grant("organizations/555", "roles/other.denyReviewer", "user:nolist@example.com")
	for what, test := range map[string]struct {
		sender, principal, overall, allow, deny string
	}{
		"all, granted":               {troubleReviewer, "dev@example.com", "CAN_ACCESS", "GRANTED", "NOT_DENIED"},
		"all, not granted":           {troubleReviewer, "bob@example.com", "CANNOT_ACCESS", "NOT_GRANTED", "NOT_DENIED"},
		"nothing":                    {"user:nobody@example.com", "dev@example.com", "UNKNOWN_INFO", "UNKNOWN_INFO", "UNKNOWN_INFO"},
		"the project, granted":       {"user:project@example.com", "dev@example.com", "CAN_ACCESS", "GRANTED", "NOT_DENIED"},
		"the project, not granted":   {"user:project@example.com", "bob@example.com", "UNKNOWN_INFO", "UNKNOWN_INFO", "NOT_DENIED"},
		"no deny policies":           {"user:allow@example.com", "dev@example.com", "UNKNOWN_INFO", "GRANTED", "UNKNOWN_INFO"},
		"deny policies without get":  {"user:noget@example.com", "dev@example.com", "UNKNOWN_INFO", "GRANTED", "UNKNOWN_INFO"},
		"deny policies without list": {"user:nolist@example.com", "dev@example.com", "UNKNOWN_INFO", "GRANTED", "UNKNOWN_INFO"},
		"no deny policies needed":    {"user:allow@example.com", "bob@example.com", "CANNOT_ACCESS", "NOT_GRANTED", "UNKNOWN_INFO"},
		"a custom role":              {troubleReviewer, "eve@example.com", "CAN_ACCESS", "GRANTED", "NOT_DENIED"},
		"no custom role":             {"user:noroles@example.com", "eve@example.com", "UNKNOWN_INFO", "UNKNOWN_INFO", "NOT_DENIED"},
		"no custom role needed":      {"user:noroles@example.com", "dev@example.com", "CAN_ACCESS", "GRANTED", "NOT_DENIED"},
	} {
		got, err := troubleAsk(t, b, test.sender, troubleActAs(test.principal))
		require.NoError(t, err, what)
		assert.Equal(t, test.overall, got.OverallAccessState, what)
		assert.Equal(t, "ALLOW_ACCESS_STATE_"+test.allow, got.AllowPolicyExplanation.AllowAccessState, what)
		assert.Equal(t, "DENY_ACCESS_STATE_"+test.deny, got.DenyPolicyExplanation.DenyAccessState, what)
	}

	got, err := troubleAsk(t, b, "user:project@example.com", troubleActAs("dev@example.com"))
	require.NoError(t, err)
	hidden := got.AllowPolicyExplanation.ExplainedPolicies[2]
	assert.Equal(t, "ALLOW_ACCESS_STATE_UNKNOWN_INFO", hidden.AllowAccessState)
	assert.Empty(t, hidden.FullResourceName)
	assert.Nil(t, hidden.Policy)
	assert.Empty(t, hidden.Relevance)

	got, err = troubleAsk(t, b, "user:noroles@example.com", troubleActAs("eve@example.com"))
	require.NoError(t, err)
	for _, explained := range got.AllowPolicyExplanation.ExplainedPolicies[1].BindingExplanations {
		if explained.Role == "projects/web-prod/roles/actor" {
			assert.Equal(t, "ROLE_PERMISSION_UNKNOWN_INFO", explained.RolePermission)
			assert.Equal(t, "ALLOW_ACCESS_STATE_UNKNOWN_INFO", explained.AllowAccessState)
		}
	}
}

func TestTroubleshootConditions(t *testing.T) {
	t.Parallel()
	b := troubleCloud(t)
	const until = `request.time < timestamp("2030-01-01T00:00:00Z")`
	b.GrantIf("projects/web-prod", "roles/iam.serviceAccountUser", "user:dev@example.com", until)
	b.GrantIf("projects/web-prod", "roles/run.viewer", "user:dev@example.com", `resource.service == "run.googleapis.com"`)
	at := func(when string) *troubleContext { return &troubleContext{Request: &troubleRequest{ReceiveTime: when}} }
	for what, test := range map[string]struct {
		context        *troubleContext
		overall, allow string
		value          any
	}{
		"no time":   {nil, "UNKNOWN_CONDITIONAL", "UNKNOWN_CONDITIONAL", nil},
		"in time":   {at("2029-12-31T23:59:59.5Z"), "CAN_ACCESS", "GRANTED", true},
		"too late":  {at("2030-01-01T00:00:00Z"), "CANNOT_ACCESS", "NOT_GRANTED", false},
		"elsewhere": {&troubleContext{Request: &troubleRequest{ReceiveTime: "2029-01-01T02:00:00+02:00"}}, "CAN_ACCESS", "GRANTED", true},
	} {
		tuple := troubleActAs("dev@example.com")
		tuple.ConditionContext = test.context
		got, err := troubleAsk(t, b, troubleReviewer, tuple)
		require.NoError(t, err, what)
		assert.Equal(t, test.overall, got.OverallAccessState, what)
		assert.Equal(t, "ALLOW_ACCESS_STATE_"+test.allow, got.AllowPolicyExplanation.AllowAccessState, what)
		assert.Equal(t, test.context, got.AccessTuple.ConditionContext, what)
		found := false
		for _, explained := range got.AllowPolicyExplanation.ExplainedPolicies[1].BindingExplanations {
			if explained.Role != "roles/iam.serviceAccountUser" {
				continue
			}
			found = true
			assert.Equal(t, until, explained.Condition.Expression, what)
			assert.Equal(t, test.value, explained.ConditionExplanation.Value, what)
			assert.EqualValues(t, len(until), explained.ConditionExplanation.EvaluationStates[0].End, what)
			assert.Equal(t, "ALLOW_ACCESS_STATE_"+test.allow, explained.AllowAccessState, what)
		}
		assert.True(t, found, what)
	}
	tuple := &troubleTuple{Principal: "dev@example.com", Permission: "run.jobs.get", FullResourceName: "//run.googleapis.com/" + jobName}
	tuple.ConditionContext = &troubleContext{Resource: &troubleResource{Service: "run.googleapis.com"}}
	assert.Equal(t, "CAN_ACCESS", troubleState(t, b, troubleReviewer, tuple))
	tuple.ConditionContext.Resource.Service = "storage.googleapis.com"
	assert.Equal(t, "CANNOT_ACCESS", troubleState(t, b, troubleReviewer, tuple))
	tuple = troubleActAs("dev@example.com")
	tuple.ConditionContext = at("yesterday")
	_, err := troubleAsk(t, b, troubleReviewer, tuple)
	assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code)

	// What is not known is told as such, not left out.
	_, body := call(t, b, http.MethodPost, "https://policytroubleshooter.googleapis.com/v3/iam:troubleshoot",
		`{"accessTuple":{"principal":"dev@example.com","fullResourceName":"`+troubleAccount+`","permission":"iam.serviceAccounts.actAs"}}`)
	assert.Contains(t, body, `"UNKNOWN_INFO"`)
	b.Grant("organizations/555", "roles/iam.securityReviewer", "user:dev@example.com")
	_, body = call(t, b, http.MethodPost, "https://policytroubleshooter.googleapis.com/v3/iam:troubleshoot",
		`{"accessTuple":{"principal":"dev@example.com","fullResourceName":"`+troubleAccount+`","permission":"iam.serviceAccounts.actAs"}}`)
	assert.Contains(t, body, `"value": null`)
}

// A policy that is not in force yet does not decide, and is not shown.
func TestTroubleshootPropagation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := troubleCloud(t)
		b.SetPropagation(0, time.Minute)
		svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
		require.NoError(t, err)
		_, err = svc.Projects.ServiceAccounts.SetIamPolicy(troubleAccount[len("//iam.googleapis.com/"):], &iam.SetIamPolicyRequest{
			Policy: &iam.Policy{Bindings: []*iam.Binding{{Role: "roles/iam.serviceAccountUser", Members: []string{"user:dev@example.com"}}}},
		}).Do()
		require.NoError(t, err)
		got, err := troubleAsk(t, b, troubleReviewer, troubleActAs("dev@example.com"))
		require.NoError(t, err)
		assert.Equal(t, "CANNOT_ACCESS", got.OverallAccessState)
		assert.Empty(t, got.AllowPolicyExplanation.ExplainedPolicies[0].Policy.Bindings)
		time.Sleep(time.Minute)
		got, err = troubleAsk(t, b, troubleReviewer, troubleActAs("dev@example.com"))
		require.NoError(t, err)
		assert.Equal(t, "CAN_ACCESS", got.OverallAccessState)
		assert.Len(t, got.AllowPolicyExplanation.ExplainedPolicies[0].BindingExplanations, 1)
	})
}

func TestTroubleshootRefusals(t *testing.T) {
	t.Parallel()
	b := troubleCloud(t)
	b.AddGroup("devs@example.com", "user:dev@example.com")
	for what, tuple := range map[string]*troubleTuple{
		"no tuple":         nil,
		"no principal":     {FullResourceName: troubleAccount, Permission: "run.jobs.get"},
		"no resource":      {Principal: "dev@example.com", Permission: "run.jobs.get"},
		"no permission":    {Principal: "dev@example.com", FullResourceName: troubleAccount},
		"a member":         {Principal: "user:dev@example.com", FullResourceName: troubleAccount, Permission: "run.jobs.get"},
		"a group":          {Principal: "Devs@example.com", FullResourceName: troubleAccount, Permission: "run.jobs.get"},
		"a set":            {Principal: "principalSet://goog/public:all", FullResourceName: troubleAccount, Permission: "run.jobs.get"},
		"the fake's admin": {Principal: "admin", FullResourceName: troubleAccount, Permission: "run.jobs.get"},
		"no address":       {Principal: "dev", FullResourceName: troubleAccount, Permission: "run.jobs.get"},
		"an odd name":      {Principal: "dev@example.com", FullResourceName: "projects/web-prod", Permission: "run.jobs.get"},
		"an odd verb":      {Principal: "dev@example.com", FullResourceName: troubleAccount, Permission: "get"},
	} {
		_, err := troubleAsk(t, b, troubleReviewer, tuple)
		assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code, what)
	}
	status, _ := call(t, b, http.MethodPost, "https://policytroubleshooter.googleapis.com/v3/iam:troubleshoot", `{"accessTuple":[]}`)
	assert.Equal(t, http.StatusBadRequest, status)
}
