package fake_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/fake"
)

const sharing = "iam.disableCrossProjectServiceAccountUsage"

// One policy, whichever API reads and writes it.
func TestOrgPolicyV1(t *testing.T) {
	t.Parallel()
	b := newBackend()
	t.Cleanup(b.Close)
	b.Grant("projects/web-prod", "roles/orgpolicy.policyAdmin", "user:admin@example.com")
	v1, err := cloudresourcemanager.NewService(t.Context(), b.ClientOptions("user:admin@example.com")...)
	require.NoError(t, err)
	v2, err := orgpolicy.NewService(t.Context(), b.ClientOptions("user:admin@example.com")...)
	require.NoError(t, err)
	get := func(constraint string) *cloudresourcemanager.OrgPolicy {
		t.Helper()
		p, err := v1.Projects.GetOrgPolicy("projects/web-prod", &cloudresourcemanager.GetOrgPolicyRequest{Constraint: "constraints/" + constraint}).Do()
		require.NoError(t, err)
		return p
	}
	set := func(p *cloudresourcemanager.OrgPolicy) (*cloudresourcemanager.OrgPolicy, error) {
		return v1.Projects.SetOrgPolicy("projects/web-prod", &cloudresourcemanager.SetOrgPolicyRequest{Policy: p}).Do()
	}
	unset := get(sharing)
	assert.Nil(t, unset.BooleanPolicy)
	assert.NotEmpty(t, unset.Etag)
	effective, err := v1.Projects.GetEffectiveOrgPolicy("projects/web-prod",
		&cloudresourcemanager.GetEffectiveOrgPolicyRequest{Constraint: "constraints/" + sharing}).Do()
	require.NoError(t, err)
	assert.True(t, effective.BooleanPolicy.Enforced, "by default")

	written, err := set(&cloudresourcemanager.OrgPolicy{
		Constraint: "constraints/" + sharing, Etag: unset.Etag, BooleanPolicy: &cloudresourcemanager.BooleanPolicy{},
	})
	require.NoError(t, err)
	assert.False(t, written.BooleanPolicy.Enforced)
	p, err := v2.Projects.Policies.Get("projects/web-prod/policies/" + sharing).Do()
	require.NoError(t, err)
	require.Len(t, p.Spec.Rules, 1)
	assert.False(t, p.Spec.Rules[0].Enforce)
	_, err = set(&cloudresourcemanager.OrgPolicy{Constraint: "constraints/" + sharing, Etag: unset.Etag, RestoreDefault: &cloudresourcemanager.RestoreDefault{}})
	assert.Equal(t, http.StatusConflict, googleError(t, err).Code)
	_, err = set(&cloudresourcemanager.OrgPolicy{Constraint: "constraints/" + sharing, RestoreDefault: &cloudresourcemanager.RestoreDefault{}})
	require.NoError(t, err)
	assert.NotNil(t, get(sharing).RestoreDefault)

	for _, list := range []*cloudresourcemanager.ListPolicy{
		{AllowedValues: []string{"a", "b"}}, {DeniedValues: []string{"c"}, InheritFromParent: true}, {AllValues: "DENY"}, {AllValues: "ALLOW"},
	} {
		_, err = set(&cloudresourcemanager.OrgPolicy{Constraint: "constraints/run.allowedIngress", ListPolicy: list})
		require.NoError(t, err)
		assert.Equal(t, list, get("run.allowedIngress").ListPolicy)
	}
	policies, err := v1.Projects.ListOrgPolicies("projects/web-prod", &cloudresourcemanager.ListOrgPoliciesRequest{}).Do()
	require.NoError(t, err)
	assert.Len(t, policies.Policies, 2)
	constraints, err := v1.Projects.ListAvailableOrgPolicyConstraints("projects/web-prod",
		&cloudresourcemanager.ListAvailableOrgPolicyConstraintsRequest{PageSize: 2}).Do()
	require.NoError(t, err)
	assert.Len(t, constraints.Constraints, 2)
	assert.NotEmpty(t, constraints.NextPageToken)
	_, err = v1.Projects.ClearOrgPolicy("projects/web-prod", &cloudresourcemanager.ClearOrgPolicyRequest{Constraint: "constraints/run.allowedIngress"}).Do()
	require.NoError(t, err)
	_, err = v2.Projects.Policies.Get("projects/web-prod/policies/run.allowedIngress").Do()
	assert.Equal(t, http.StatusNotFound, googleError(t, err).Code)
}

// What version 1 does not know, it leaves alone.
func TestOrgPolicyV1KeepsDryRuns(t *testing.T) {
	t.Parallel()
	b := newBackend()
	t.Cleanup(b.Close)
	b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{
		Name:       "projects/web-prod/policies/" + sharing,
		Spec:       &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{Enforce: true}}},
		DryRunSpec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{Enforce: true}}},
	})
	const url = "https://cloudresourcemanager.googleapis.com/v1/projects/web-prod:"
	for _, request := range []string{
		`setOrgPolicy {"policy":{"constraint":"constraints/` + sharing + `","booleanPolicy":{}}}`,
		`clearOrgPolicy {"constraint":"constraints/` + sharing + `"}`,
	} {
		verb, body, _ := strings.Cut(request, " ")
		status, answer := ask(t, b, fake.Admin, http.MethodPost, url+verb, body)
		require.Equal(t, http.StatusOK, status, answer)
		_, answer = ask(t, b, fake.Admin, http.MethodGet, "https://orgpolicy.googleapis.com/v2/projects/web-prod/policies/"+sharing, "")
		assert.Contains(t, answer, "dryRunSpec")
	}
}

func TestOrgPolicyV1Refusals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, caller, request string
		status                int
		says                  string
	}{
		{"no permission", "user:dev@example.com", `setOrgPolicy {"policy":{"constraint":"constraints/` + sharing + `","booleanPolicy":{}}}`, 403, "orgpolicy.policy.set"},
		{"no such constraint", fake.Admin, `getOrgPolicy {"constraint":"constraints/iam.no"}`, 404, "not found"},
		{"not of the form", fake.Admin, `getOrgPolicy {"constraint":"` + sharing + `"}`, 400, "constraints/" + sharing},
		{"of the other kind", fake.Admin, `setOrgPolicy {"policy":{"constraint":"constraints/` + sharing + `","listPolicy":{}}}`, 400, "listPolicy"},
		{"of no kind", fake.Admin, `setOrgPolicy {"policy":{"constraint":"constraints/` + sharing + `"}}`, 400, "exactly one of"},
		{"stale etag", fake.Admin, `clearOrgPolicy {"constraint":"constraints/` + sharing + `","etag":"BwX="}`, 409, "etag"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend()
			t.Cleanup(b.Close)
			verb, body, _ := strings.Cut(tc.request, " ")
			status, answer := ask(t, b, tc.caller, http.MethodPost, "https://cloudresourcemanager.googleapis.com/v1/projects/web-prod:"+verb, body)
			assert.Equal(t, tc.status, status)
			assert.Contains(t, answer, tc.says)
		})
	}
}
