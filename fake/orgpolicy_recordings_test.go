package fake_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"

	"github.com/runidentity/runidentity/fake"
)

// The policy and the custom constraint of org-policy-project. The recorder
// replaced all times and etags.
const (
	recordedOrgPolicies      = orgPolicyHost + "projects/" + recordedProject + "/policies"
	recordedOrgPolicyURL     = recordedOrgPolicies + "/custom.orgpolicypolicy1" + recordedOrgNumeric
	recordedConstraints      = orgPolicyHost + "organizations/123450001/customConstraints"
	recordedConstraintURL    = recordedConstraints + "/custom.orgpolicypolicy1" + recordedOrgNumeric
	recordedOrgNumeric       = "?%24alt=json%3Benum-encoding%3Dint"
	recordedOrgPolicyMissing = `{"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}}`

	recordedConstraintBody = `{
		"actionType": 1, "condition": "resource.management.autoUpgrade == false", "displayName": "KCC CuOP depen` + `cencies",
		"methodTypes": [1, 2], "name": "organizations/123450001/customConstraints/custom.orgpolicypolicy1",
		"resourceTypes": ["container.googleapis.com/NodePool"]}`
	recordedOrgPolicyName = `"name": "projects/` + recordedProject + `/policies/custom.orgpolicypolicy1"`
)

func recordedOrgPolicyBody(enforce string) string {
	return `{` + recordedOrgPolicyName + `, "spec": {"rules": [{"enforce": ` + enforce + `}]}}`
}

func recordedOrgPolicy(enforce string) string {
	return `{"etag": "abcdef0123A=", ` + recordedOrgPolicyName + `,
		"spec": {"etag": "abcdef0123A=", "rules": [{"enforce": ` + enforce + `}], "updateTime": "2024-04-01T12:34:56.123456Z"}}`
}

func TestRecordedOrgPolicy(t *testing.T) {
	t.Parallel()
	constraint := merged(recordedConstraintBody, `{"updateTime": "2024-04-01T12:34:56.123456Z"}`)
	exchanges := []exchange{
		{name: "constraint before creation", method: http.MethodGet, url: recordedConstraintURL, status: 404, want: recordedOrgPolicyMissing},
		{
			name: "create the constraint", method: http.MethodPost, url: recordedConstraints + recordedOrgNumeric,
			body: recordedConstraintBody, status: 200, want: constraint,
		},
		{name: "policy before creation", method: http.MethodGet, url: recordedOrgPolicyURL, status: 404, want: recordedOrgPolicyMissing},
		{
			name: "create the policy", method: http.MethodPost, url: recordedOrgPolicies + recordedOrgNumeric,
			body: recordedOrgPolicyBody("false"), status: 200, want: recordedOrgPolicy("false"),
		},
		{name: "read when created", method: http.MethodGet, url: recordedOrgPolicyURL, status: 200, want: recordedOrgPolicy("false")},
		{
			name: "patch", method: http.MethodPatch, url: recordedOrgPolicyURL + "&updateMask=policy.spec",
			body: recordedOrgPolicyBody("true"), status: 200, want: recordedOrgPolicy("true"),
		},
		{name: "read when patched", method: http.MethodGet, url: recordedOrgPolicyURL, status: 200, want: recordedOrgPolicy("true")},
		{name: "delete the policy", method: http.MethodDelete, url: recordedOrgPolicyURL, status: 200, want: `{}`},
		{name: "constraint at the end", method: http.MethodGet, url: recordedConstraintURL, status: 200, want: constraint},
		{name: "delete the constraint", method: http.MethodDelete, url: recordedConstraintURL, status: 200, want: `{}`},
	}
	const caller = "user:deployer@example.com"
	b := fake.Start(t)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/123450001"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: recordedProject, Parent: "organizations/123450001"})
	b.Grant("organizations/123450001", "roles/orgpolicy.policyAdmin", caller)
	etags := map[string]bool{}
	for _, x := range exchanges {
		m := &matcher{bound: map[string]string{}}
		got := x.send(t, b, caller, m)
		if etag := replaceRecordedOrgPolicy(t, got); etag != "" {
			etags[etag] = true
		}
		m.match("", decodeJSON(t, x.want), got)
		assert.Empty(t, m.errs, x.name)
	}
	assert.Len(t, etags, 2, "one of each state of the policy")
}

// replaceRecordedOrgPolicy does with an answer what the recorder did, and
// returns the etag that was there. Of a policy whose spec was written last, it
// has to be that of the spec.
func replaceRecordedOrgPolicy(t *testing.T, v any) (etag string) {
	t.Helper()
	o, ok := v.(map[string]any)
	if !ok {
		return ""
	}
	if at, ok := o["updateTime"].(string); ok {
		parseTime(t, at)
		o["updateTime"] = "2024-04-01T12:34:56.123456Z"
	}
	etag, _ = o["etag"].(string)
	if etag != "" {
		o["etag"] = "abcdef0123A="
	}
	if inner := replaceRecordedOrgPolicy(t, o["spec"]); inner != "" {
		require.Equal(t, etag, inner)
	}
	return etag
}
