package fake_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

const (
	orgPolicyUsage  = "iam.disableCrossProjectServiceAccountUsage"
	orgPolicyHost   = "https://orgpolicy.googleapis.com/v2/"
	orgPolicyOfData = "projects/data-prod/policies/" + orgPolicyUsage
)

// orgPolicies is an organization with a folder with the project data-prod, in
// which dev administers organization policies, and dev's client.
func orgPolicies(t *testing.T) (*fake.Backend, *orgpolicy.Service) {
	t.Helper()
	b := fake.Start(t)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/2", Parent: "organizations/1"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "data-prod", Name: "projects/345678901234", Parent: "folders/2"})
	b.Grant("organizations/1", "roles/orgpolicy.policyAdmin", "user:dev@example.com")
	return b, orgPolicyClient(t, b, "user:dev@example.com")
}

func orgPolicyClient(t *testing.T, b *fake.Backend, caller string) *orgpolicy.Service {
	t.Helper()
	svc, err := orgpolicy.NewService(t.Context(), b.ClientOptions(caller)...)
	require.NoError(t, err)
	return svc
}

func orgPolicyEnforcing(name string, enforce bool) *orgpolicy.GoogleCloudOrgpolicyV2Policy {
	return &orgpolicy.GoogleCloudOrgpolicyV2Policy{Name: name, Spec: orgSpecEnforcing(enforce)}
}

func orgSpecEnforcing(enforce bool) *orgpolicy.GoogleCloudOrgpolicyV2PolicySpec {
	return &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{
		{Enforce: enforce, ForceSendFields: []string{"Enforce"}},
	}}
}

func TestOrgPolicyLife(t *testing.T) {
	t.Parallel()
	b, svc := orgPolicies(t)
	policies := svc.Projects.Policies
	_, err := policies.Get(orgPolicyOfData).Do()
	assert.Equal(t, "Requested entity was not found.", googleError(t, err).Message)
	list, err := policies.List("projects/data-prod").Do()
	require.NoError(t, err)
	assert.Empty(t, list.Policies)

	made, err := policies.Create("projects/data-prod", orgPolicyEnforcing(orgPolicyOfData, false)).Do()
	require.NoError(t, err)
	assert.NotEmpty(t, made.Etag)
	assert.NotEmpty(t, made.Spec.Etag)
	assert.NotEmpty(t, made.Spec.UpdateTime)
	status, body := call(t, b, http.MethodGet, orgPolicyHost+orgPolicyOfData, "")
	require.Equal(t, http.StatusOK, status, body)
	assert.Equal(t, []any{map[string]any{"enforce": false}}, field(parse(t, []byte(body)), "spec.rules"))

	_, err = policies.Create("projects/data-prod", orgPolicyEnforcing(orgPolicyOfData, true)).Do()
	assert.Equal(t, [2]any{409, "Requested entity already exists"}, [2]any{googleError(t, err).Code, googleError(t, err).Message})

	got, err := policies.Get(strings.Replace(orgPolicyOfData, "data-prod", "345678901234", 1)).Do()
	require.NoError(t, err)
	assert.Equal(t, "projects/345678901234/policies/"+orgPolicyUsage, got.Name, "as it was asked for")
	assert.Equal(t, made.Etag, got.Etag)

	// The name in the body may have the number where the path has the id.
	patched, err := policies.Patch(orgPolicyOfData, orgPolicyEnforcing(got.Name, true)).Do()
	require.NoError(t, err)
	assert.True(t, patched.Spec.Rules[0].Enforce)
	assert.NotEqual(t, made.Etag, patched.Etag)
	list, err = policies.List("projects/data-prod").Do()
	require.NoError(t, err)
	require.Len(t, list.Policies, 1)
	assert.Equal(t, patched.Etag, list.Policies[0].Etag)

	_, err = policies.Delete(orgPolicyOfData).Do()
	require.NoError(t, err)
	for name, err := range map[string]error{
		"get":    orgPolicyErr(policies.Get(orgPolicyOfData).Do()),
		"patch":  orgPolicyErr(policies.Patch(orgPolicyOfData, orgPolicyEnforcing(orgPolicyOfData, true)).Do()),
		"delete": orgPolicyErr(policies.Delete(orgPolicyOfData).Do()),
	} {
		assert.Equal(t, 404, googleError(t, err).Code, name)
	}
}

// orgPolicyErr is the error of a call.
func orgPolicyErr[T any](_ T, err error) error { return err }

// A patch replaces the whole policy, whatever its mask says: recorded for
// policy.spec, in org-policy-dry-run.
func TestOrgPolicyMask(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		mask         string
		body         string
		spec, dryRun any // enforced, or nil where there is none
	}{
		"the spec, and no dry run": {"policy.spec", `{"spec": {"rules": [{"enforce": true}]}}`, true, nil},
		"the spec":                 {"policy.spec", `{"spec": {"rules": [{"enforce": true}]}, "dryRunSpec": {"rules": [{"enforce": true}]}}`, true, true},
		"the dry run":              {"policy.dryRunSpec", `{"spec": {"rules": [{"enforce": true}]}, "dryRunSpec": {"rules": [{"enforce": true}]}}`, true, true},
		"as in protos":             {"policy.dry_run_spec", `{"dryRunSpec": {"rules": [{"enforce": true}]}}`, nil, true},
		"relative to the policy":   {"dry_run_spec,spec", `{"spec": {"rules": [{"enforce": true}]}}`, true, nil},
		"everything":               {"*", `{"spec": {"rules": [{"enforce": true}]}}`, true, nil},
		"none":                     {"", `{"dryRunSpec": {"rules": [{"enforce": true}]}}`, nil, true},
		"a mask of what is there":  {"policy.spec,policy.spec", `{"spec": {"rules": [{"enforce": true}]}}`, true, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := orgPolicies(t)
			p := orgPolicyEnforcing(orgPolicyOfData, false)
			p.DryRunSpec = orgSpecEnforcing(false)
			b.SetOrgPolicy(p)
			status, body := call(t, b, http.MethodPatch, orgPolicyHost+orgPolicyOfData+"?updateMask="+tt.mask, tt.body)
			require.Equal(t, http.StatusOK, status, body)
			_, after := call(t, b, http.MethodGet, orgPolicyHost+orgPolicyOfData, "")
			assert.Equal(t, body, after)
			o := parse(t, []byte(after))
			for field, want := range map[string]any{"spec": tt.spec, "dryRunSpec": tt.dryRun} {
				spec, ok := o[field].(map[string]any)
				if want == nil {
					assert.False(t, ok, field)
					continue
				}
				assert.Equal(t, []any{map[string]any{"enforce": want}}, spec["rules"], field)
			}
		})
	}
}

func TestOrgPolicyEtag(t *testing.T) {
	t.Parallel()
	urlSafe := strings.NewReplacer("+", "-", "/", "_")
	tests := map[string]struct {
		set func(p, current, stale *orgpolicy.GoogleCloudOrgpolicyV2Policy)
		ok  bool
	}{
		"none":                  {func(*orgPolicyV2, *orgPolicyV2, *orgPolicyV2) {}, true},
		"that of the policy":    {func(p, current, _ *orgPolicyV2) { p.Etag = current.Etag }, true},
		"that of the spec":      {func(p, current, _ *orgPolicyV2) { p.Spec.Etag = current.Spec.Etag }, true},
		"in the other alphabet": {func(p, current, _ *orgPolicyV2) { p.Etag = urlSafe.Replace(current.Etag) }, true},
		"stale":                 {func(p, _, stale *orgPolicyV2) { p.Etag = stale.Etag }, false},
		"of a stale spec":       {func(p, _, stale *orgPolicyV2) { p.Spec.Etag = stale.Spec.Etag }, false},
		"of a spec that was not": {func(p, current, _ *orgPolicyV2) {
			p.DryRunSpec = orgSpecEnforcing(true)
			p.DryRunSpec.Etag = current.Etag
		}, true},
		"no etag at all": {func(p, _, _ *orgPolicyV2) { p.Etag = "ä!" }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, svc := orgPolicies(t)
			stale, err := svc.Projects.Policies.Create("projects/data-prod", orgPolicyEnforcing(orgPolicyOfData, false)).Do()
			require.NoError(t, err)
			current, err := svc.Projects.Policies.Patch(orgPolicyOfData, orgPolicyEnforcing(orgPolicyOfData, true)).Do()
			require.NoError(t, err)
			p := orgPolicyEnforcing(orgPolicyOfData, false)
			tt.set(p, current, stale)
			got, err := svc.Projects.Policies.Patch(orgPolicyOfData, p).Do()
			if tt.ok {
				require.NoError(t, err)
				assert.False(t, got.Spec.Rules[0].Enforce)
				return
			}
			g := googleError(t, err)
			assert.Equal(t, 409, g.Code)
			assert.Contains(t, g.Body, `"ABORTED"`)
			_, err = svc.Projects.Policies.Delete(orgPolicyOfData).Etag(stale.Etag).Do()
			assert.Equal(t, 409, googleError(t, err).Code)
			_, err = svc.Projects.Policies.Delete(orgPolicyOfData).Etag(current.Etag).Do()
			require.NoError(t, err)
		})
	}
}

type orgPolicyV2 = orgpolicy.GoogleCloudOrgpolicyV2Policy

// The effective policy says what Cloud Run does with an account of another
// project.
func TestEffectiveBooleanOrgPolicy(t *testing.T) {
	t.Parallel()
	on := `{"rules": [{"enforce": true}]}`
	off := `{"rules": [{"enforce": false}]}`
	reset := `{"reset": true}`
	tests := map[string]struct {
		organization, folder, project string // specs
		enforced                      bool
	}{
		"nothing set":                     {"", "", "", true},
		"off at the organization":         {off, "", "", false},
		"off at the folder":               {"", off, "", false},
		"off at the project":              {"", "", off, false},
		"on at the project only":          {off, off, on, true},
		"on at the folder below off":      {off, on, "", true},
		"off at the project below on":     {on, on, off, false},
		"reset at the project below off":  {off, off, reset, true},
		"reset at the folder below off":   {off, reset, "", true},
		"reset at the folder, project of": {on, reset, off, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, svc := orgPolicies(t)
			for parent, spec := range map[string]string{"organizations/1": tt.organization, "folders/2": tt.folder, "projects/data-prod": tt.project} {
				if spec != "" {
					status, body := call(t, b, http.MethodPost, orgPolicyHost+parent+"/policies",
						`{"name": "`+parent+`/policies/`+orgPolicyUsage+`", "spec": `+spec+`}`)
					require.Equal(t, http.StatusOK, status, body)
				}
			}
			got, err := svc.Projects.Policies.GetEffectivePolicy(orgPolicyOfData).Do()
			require.NoError(t, err)
			assert.Equal(t, orgPolicyOfData, got.Name)
			assert.Empty(t, got.Etag+got.Spec.Etag+got.Spec.UpdateTime)
			require.Len(t, got.Spec.Rules, 1)
			assert.Equal(t, tt.enforced, got.Spec.Rules[0].Enforce)
			_, body := call(t, b, http.MethodGet, orgPolicyHost+orgPolicyOfData+":getEffectivePolicy", "")
			assert.Equal(t, tt.enforced, field(parse(t, []byte(body)), "spec.rules").([]any)[0].(map[string]any)["enforce"], "false is there")

			assert.Equal(t, tt.enforced, orgPolicyAttach(t, b) != nil)
		})
	}
}

// orgPolicyAttach makes a job in the project web-prod run as an account of
// data-prod, as a caller and with an agent that may do so.
func orgPolicyAttach(t *testing.T, b *fake.Backend) error {
	t.Helper()
	const account = "runner@data-prod.iam.gserviceaccount.com"
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: account})
	b.Grant("projects/data-prod/serviceAccounts/"+account, "roles/iam.serviceAccountTokenCreator",
		"serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com")
	b.Grant("projects/data-prod/serviceAccounts/"+account, "roles/iam.serviceAccountUser", "user:dev@example.com")
	b.Grant("projects/web-prod", "roles/run.developer", "user:dev@example.com")
	svc, err := run.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	job := &run.GoogleCloudRunV2Job{Template: jobTemplate("image")}
	job.Template.Template.ServiceAccount = account
	_, err = svc.Projects.Locations.Jobs.Create(location, job).JobId("nightly").Do()
	if err != nil {
		assert.Contains(t, googleError(t, err).Body, "constraints/"+orgPolicyUsage)
	}
	return err
}

func TestEffectiveOrgPolicyOfDryRun(t *testing.T) {
	t.Parallel()
	b, svc := orgPolicies(t)
	b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{Name: "folders/2/policies/" + orgPolicyUsage, DryRunSpec: orgSpecEnforcing(false)})
	got, err := svc.Projects.Policies.GetEffectivePolicy(orgPolicyOfData).Do()
	require.NoError(t, err)
	assert.True(t, got.Spec.Rules[0].Enforce, "a dry run has no effect")
	require.Error(t, orgPolicyAttach(t, b))
}

func TestEffectiveListOrgPolicy(t *testing.T) {
	t.Parallel()
	const constraint = "run.allowedIngress"
	tests := map[string]struct {
		organization, folder, project string // specs
		want                          string // rules
	}{
		"nothing set":        {"", "", "", `[{"allowAll": true}]`},
		"from above":         {`{"rules": [{"values": {"allowedValues": ["a", "b"]}}]}`, "", "", `[{"values": {"allowedValues": ["a", "b"]}}]`},
		"replaced":           {`{"rules": [{"values": {"allowedValues": ["a"]}}]}`, "", `{"rules": [{"values": {"allowedValues": ["c"]}}]}`, `[{"values": {"allowedValues": ["c"]}}]`},
		"merged":             {`{"rules": [{"values": {"allowedValues": ["a", "b"]}}]}`, "", `{"inheritFromParent": true, "rules": [{"values": {"allowedValues": ["b", "c"]}}]}`, `[{"values": {"allowedValues": ["a", "b", "c"]}}]`},
		"denied wins":        {`{"rules": [{"values": {"allowedValues": ["a", "b"]}}]}`, "", `{"inheritFromParent": true, "rules": [{"values": {"deniedValues": ["a"]}}]}`, `[{"values": {"allowedValues": ["b"], "deniedValues": ["a"]}}]`},
		"denied above wins":  {`{"rules": [{"values": {"deniedValues": ["a"]}}]}`, "", `{"inheritFromParent": true, "rules": [{"values": {"allowedValues": ["a", "b"]}}]}`, `[{"values": {"allowedValues": ["b"], "deniedValues": ["a"]}}]`},
		"all allowed but":    {`{"rules": [{"allowAll": true}]}`, "", `{"inheritFromParent": true, "rules": [{"values": {"deniedValues": ["a"]}}]}`, `[{"allowAll": true}, {"values": {"deniedValues": ["a"]}}]`},
		"all denied":         {`{"rules": [{"denyAll": true}]}`, "", `{"inheritFromParent": true, "rules": [{"allowAll": true}]}`, `[{"denyAll": true}]`},
		"not denied here":    {`{"rules": [{"denyAll": true}]}`, "", `{"rules": [{"allowAll": true}]}`, `[{"allowAll": true}]`},
		"reset":              {`{"rules": [{"denyAll": true}]}`, "", `{"reset": true}`, `[{"allowAll": true}]`},
		"three levels":       {`{"rules": [{"values": {"allowedValues": ["a"]}}]}`, `{"inheritFromParent": true, "rules": [{"values": {"allowedValues": ["b"]}}]}`, `{"inheritFromParent": true, "rules": [{"values": {"allowedValues": ["c"]}}]}`, `[{"values": {"allowedValues": ["a", "b", "c"]}}]`},
		"cut off in between": {`{"rules": [{"values": {"allowedValues": ["a"]}}]}`, `{"rules": [{"values": {"allowedValues": ["b"]}}]}`, `{"inheritFromParent": true, "rules": [{"values": {"allowedValues": ["c"]}}]}`, `[{"values": {"allowedValues": ["b", "c"]}}]`},
		"reset in between":   {`{"rules": [{"denyAll": true}]}`, `{"reset": true}`, `{"inheritFromParent": true, "rules": [{"values": {"allowedValues": ["c"]}}]}`, `[{"values": {"allowedValues": ["c"]}}]`},
		"inherits only":      {`{"rules": [{"values": {"allowedValues": ["a"]}}]}`, "", `{"inheritFromParent": true}`, `[{"values": {"allowedValues": ["a"]}}]`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := orgPolicies(t)
			for parent, spec := range map[string]string{"organizations/1": tt.organization, "folders/2": tt.folder, "projects/data-prod": tt.project} {
				if spec != "" {
					status, body := call(t, b, http.MethodPost, orgPolicyHost+parent+"/policies",
						`{"name": "`+parent+`/policies/`+constraint+`", "spec": `+spec+`}`)
					require.Equal(t, http.StatusOK, status, body)
				}
			}
			status, body := call(t, b, http.MethodGet, orgPolicyHost+"projects/data-prod/policies/"+constraint+":getEffectivePolicy", "")
			require.Equal(t, http.StatusOK, status, body)
			want := `{"name": "projects/data-prod/policies/` + constraint + `", "spec": {"rules": ` + tt.want + `}}`
			assert.JSONEq(t, want, body)
		})
	}
}

func TestOrgPolicyPermissions(t *testing.T) {
	t.Parallel()
	const custom = "organizations/1/customConstraints"
	constraint := `{"name": "` + custom + `/custom.c", "resourceTypes": ["run.googleapis.com/Job"], "methodTypes": ["CREATE"],
		"actionType": "DENY", "condition": "true"}`
	policy := `{"name": "` + orgPolicyOfData + `", "spec": {"reset": true}}`
	tests := map[string]struct {
		method, path, body string
		permission         string
		on                 string
	}{
		"list constraints":   {http.MethodGet, "projects/data-prod/constraints", "", "orgpolicy.constraints.list", "projects/data-prod"},
		"list policies":      {http.MethodGet, "folders/2/policies", "", "orgpolicy.policies.list", "folders/2"},
		"get":                {http.MethodGet, orgPolicyOfData, "", "orgpolicy.policy.get", "projects/data-prod"},
		"effective":          {http.MethodGet, orgPolicyOfData + ":getEffectivePolicy", "", "orgpolicy.policy.get", "projects/data-prod"},
		"create":             {http.MethodPost, "projects/data-prod/policies", policy, "orgpolicy.policies.create", "projects/data-prod"},
		"patch":              {http.MethodPatch, orgPolicyOfData, policy, "orgpolicy.policies.update", "projects/data-prod"},
		"delete":             {http.MethodDelete, orgPolicyOfData, "", "orgpolicy.policies.delete", "projects/data-prod"},
		"list custom":        {http.MethodGet, custom, "", "orgpolicy.customConstraints.list", "organizations/1"},
		"get custom":         {http.MethodGet, custom + "/custom.c", "", "orgpolicy.customConstraints.get", "organizations/1"},
		"create custom":      {http.MethodPost, custom, constraint, "orgpolicy.customConstraints.create", "organizations/1"},
		"patch custom":       {http.MethodPatch, custom + "/custom.c", constraint, "orgpolicy.customConstraints.update", "organizations/1"},
		"delete custom":      {http.MethodDelete, custom + "/custom.c", "", "orgpolicy.customConstraints.delete", "organizations/1"},
		"no such project":    {http.MethodGet, "projects/nowhere/policies", "", "orgpolicy.policies.list", "projects/nowhere"},
		"no such folder":     {http.MethodGet, "folders/99/policies", "", "orgpolicy.policies.list", "folders/99"},
		"an account for one": {http.MethodGet, "projects/data-prod%2FserviceAccounts%2Fx/policies", "", "orgpolicy.policies.list", "projects/data-prod/serviceAccounts/x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := fake.Start(t)
			b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1"})
			b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/2", Parent: "organizations/1"})
			b.AddProject(&cloudresourcemanager.Project{ProjectId: "data-prod", Name: "projects/345678901234", Parent: "folders/2"})
			status, body := call(t, b, tt.method, orgPolicyHost+tt.path, tt.body)
			assert.Equal(t, http.StatusForbidden, status)
			assert.JSONEq(t, `{"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "Permission '`+tt.permission+
				`' denied on resource '//cloudresourcemanager.googleapis.com/`+tt.on+`' (or it may not exist)."}}`, body)

			b.AddRole(&iam.Role{Name: "organizations/1/roles/one", IncludedPermissions: []string{tt.permission}})
			b.Grant("organizations/1", "organizations/1/roles/one", "user:dev@example.com")
			status, body = call(t, b, tt.method, orgPolicyHost+tt.path, tt.body)
			if strings.HasPrefix(name, "no such") || strings.HasPrefix(name, "an account") {
				assert.Equal(t, http.StatusForbidden, status, body)
				return
			}
			assert.Contains(t, []int{http.StatusOK, http.StatusNotFound}, status, body)
		})
	}
	b, _ := orgPolicies(t)
	b.Grant("folders/2", "roles/orgpolicy.policyViewer", "user:viewer@example.com")
	viewer := orgPolicyClient(t, b, "user:viewer@example.com")
	_, err := viewer.Projects.Policies.GetEffectivePolicy(orgPolicyOfData).Do()
	require.NoError(t, err)
	_, err = viewer.Projects.Policies.Create("projects/data-prod", orgPolicyEnforcing(orgPolicyOfData, false)).Do()
	assert.Equal(t, 403, googleError(t, err).Code)
	_, err = viewer.Organizations.Policies.List("organizations/1").Do()
	assert.Equal(t, 403, googleError(t, err).Code, "it is granted below")
}

func TestOrgPoliciesThatAreRefused(t *testing.T) {
	t.Parallel()
	boolean, list := orgPolicyOfData, "projects/data-prod/policies/run.allowedIngress"
	tests := map[string]struct {
		name, rest string // rest is what the policy has beside its name
		status     int
		text       string
	}{
		"no spec":                  {boolean, ``, 400, "needs a spec"},
		"an unknown constraint":    {"projects/data-prod/policies/iam.unknown", `"spec": {"reset": true}`, 404, "Requested entity was not found."},
		"no custom constraint":     {"projects/data-prod/policies/custom.c", `"spec": {"reset": true}`, 404, "Requested entity was not found."},
		"with the prefix":          {"projects/data-prod/policies/constraints/" + orgPolicyUsage, `"spec": {"reset": true}`, 404, "Requested entity was not found."},
		"another parent":           {"folders/2/policies/" + orgPolicyUsage, `"spec": {"reset": true}`, 400, "Invalid policy name"},
		"no name":                  {"", `"spec": {"reset": true}`, 400, "Invalid policy name"},
		"a condition":              {boolean, `"spec": {"rules": [{"enforce": true}, {"enforce": false, "condition": {"expression": "resource.matchTag('1/env', 'dev')"}}]}`, 400, "exactly one rule"},
		"only a condition":         {boolean, `"spec": {"rules": [{"enforce": false, "condition": {"expression": "resource.matchTag('1/env', 'dev')"}}]}`, 400, "tags, which the fake does not evaluate"},
		"a condition in a list":    {list, `"spec": {"rules": [{"allowAll": true, "condition": {"expression": "resource.matchTag('1/env', 'dev')"}}]}`, 400, "tags, which the fake does not evaluate"},
		"a condition in a dry run": {list, `"dryRunSpec": {"rules": [{"allowAll": true, "condition": {"expression": "resource.matchTag('1/env', 'dev')"}}]}`, 400, "tags, which the fake does not evaluate"},
		"no rules":                 {list, `"spec": {}`, 400, "must have rules"},
		"no rules for a boolean":   {boolean, `"spec": {}`, 400, "exactly one rule"},
		"two rules":                {boolean, `"spec": {"rules": [{"enforce": true}, {"enforce": true}]}`, 400, "exactly one rule"},
		"values for a boolean":     {boolean, `"spec": {"rules": [{"values": {"allowedValues": ["a"]}}]}`, 400, "can't have values"},
		"allowAll for a boolean":   {boolean, `"spec": {"rules": [{"allowAll": false}]}`, 400, "can't have allowAll"},
		"enforce for a list":       {list, `"spec": {"rules": [{"enforce": false}]}`, 400, "enforce can be set only"},
		"an empty rule":            {boolean, `"spec": {"rules": [{}]}`, 400, "exactly one of"},
		"two kinds":                {list, `"spec": {"rules": [{"allowAll": true, "denyAll": true}]}`, 400, "exactly one of"},
		"parameters":               {boolean, `"spec": {"rules": [{"enforce": true, "parameters": {"a": 1}}]}`, 400, "managed constraints"},
		"an inheriting boolean":    {boolean, `"spec": {"inheritFromParent": true, "rules": [{"enforce": true}]}`, 400, "inherit_from_parent"},
		"reset with rules":         {boolean, `"spec": {"reset": true, "rules": [{"enforce": true}]}`, 400, "no rules"},
		"reset that inherits":      {list, `"spec": {"reset": true, "inheritFromParent": true}`, 400, "must not inherit"},
		"alternate":                {boolean, `"alternate": {"launch": "x"}, "spec": {"reset": true}`, 400, "alternate"},
		"a wrong type":             {boolean, `"spec": {"rules": [{"enforce": "yes"}]}`, 400, "Invalid value at 'spec.rules[0].enforce' (TYPE_BOOL)"},
		"a list for a message":     {boolean, `"spec": [1]`, 400, "Invalid value at 'spec'"},
		"null for a rule":          {boolean, `"spec": {"rules": [null]}`, 400, "Invalid value at 'spec.rules[0]'"},
	}
	b, svc := orgPolicies(t)
	for name, tt := range tests {
		body := `{"name": "` + tt.name + `"`
		if tt.rest != "" {
			body += ", " + tt.rest
		}
		status, got := call(t, b, http.MethodPost, orgPolicyHost+"projects/data-prod/policies", body+"}")
		assert.Equal(t, tt.status, status, name)
		assert.Contains(t, field(parse(t, []byte(got)), "error.message"), tt.text, name)
	}
	all, err := svc.Projects.Policies.List("projects/data-prod").Do()
	require.NoError(t, err)
	assert.Empty(t, all.Policies)

	b.SetOrgPolicy(orgPolicyEnforcing(boolean, false))
	for url, body := range map[string]string{
		boolean + "?updateMask=policy.name":       `{"spec": {"reset": true}}`,
		boolean + "?updateMask=policy.spec.reset": `{"spec": {"reset": true}}`,
		boolean + "?updateMask=policy.spec":       `{}`,
		boolean:                                   `{"name": "` + list + `", "spec": {"reset": true}}`,
		boolean + "?updateMask=*":                 `{"spec": `,
	} {
		status, got := call(t, b, http.MethodPatch, orgPolicyHost+url, body)
		assert.Equal(t, 400, status, "%s %s: %s", url, body, got)
	}
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		status, _ := call(t, b, method, orgPolicyHost+"projects/data-prod/policies/iam.unknown", "")
		assert.Equal(t, 404, status, method)
	}
	status, _ := call(t, b, http.MethodGet, orgPolicyHost+"projects/data-prod/policies/iam.unknown:getEffectivePolicy", "")
	assert.Equal(t, 404, status)
}

func TestOrgConstraints(t *testing.T) {
	t.Parallel()
	b, svc := orgPolicies(t)
	list, err := svc.Projects.Constraints.List("projects/data-prod").Do()
	require.NoError(t, err)
	byName := map[string]*orgpolicy.GoogleCloudOrgpolicyV2Constraint{}
	for _, k := range list.Constraints {
		assert.NotEmpty(t, k.DisplayName, k.Name)
		assert.NotEmpty(t, k.Description, k.Name)
		assert.NotEqual(t, k.BooleanConstraint == nil, k.ListConstraint == nil, k.Name)
		byName[strings.TrimPrefix(k.Name, "projects/data-prod/constraints/")] = k
	}
	for _, id := range []string{
		"iam.disableCrossProjectServiceAccountUsage", "iam.restrictCrossProjectServiceAccountLienRemoval",
		"iam.disableServiceAccountCreation", "iam.disableServiceAccountKeyCreation",
		"iam.automaticIamGrantsForDefaultServiceAccounts", "iam.allowedPolicyMemberDomains",
		"run.allowedIngress", "run.allowedVPCEgress", "run.allowedBinaryAuthorizationPolicies",
	} {
		require.Contains(t, byName, id)
		want := "ALLOW"
		if id == orgPolicyUsage {
			want = "DENY"
		}
		assert.Equal(t, want, byName[id].ConstraintDefault, id)
	}
	assert.NotNil(t, byName[orgPolicyUsage].BooleanConstraint)
	assert.NotNil(t, byName["run.allowedIngress"].ListConstraint)

	var paged []string
	err = svc.Organizations.Constraints.List("organizations/1").PageSize(4).Pages(t.Context(),
		func(page *orgpolicy.GoogleCloudOrgpolicyV2ListConstraintsResponse) error {
			assert.LessOrEqual(t, len(page.Constraints), 4)
			for _, k := range page.Constraints {
				paged = append(paged, strings.TrimPrefix(k.Name, "organizations/1/constraints/"))
			}
			return nil
		})
	require.NoError(t, err)
	assert.Len(t, paged, len(list.Constraints))
	status, _ := call(t, b, http.MethodGet, orgPolicyHost+"folders/2/constraints?pageToken=%21%21", "")
	assert.Equal(t, 400, status)
}

func TestCustomConstraints(t *testing.T) {
	t.Parallel()
	b, svc := orgPolicies(t)
	custom := svc.Organizations.CustomConstraints
	const name = "organizations/1/customConstraints/custom.onlyMain"
	want := func() *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint {
		return &orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint{
			Name: name, ResourceTypes: []string{"run.googleapis.com/Job"}, MethodTypes: []string{"CREATE", "UPDATE"},
			ActionType: "DENY", Condition: "true", DisplayName: "only main",
		}
	}
	made, err := custom.Create("organizations/1", want()).Do()
	require.NoError(t, err)
	assert.NotEmpty(t, made.UpdateTime)
	_, err = custom.Create("organizations/1", want()).Do()
	assert.Equal(t, 409, googleError(t, err).Code)

	// A policy can be set for it, in its organization only.
	const policy = "projects/data-prod/policies/custom.onlyMain"
	effective, err := svc.Projects.Policies.GetEffectivePolicy(policy).Do()
	require.NoError(t, err)
	assert.False(t, effective.Spec.Rules[0].Enforce)
	_, err = svc.Folders.Policies.Create("folders/2", orgPolicyEnforcing("folders/2/policies/custom.onlyMain", true)).Do()
	require.NoError(t, err)
	effective, err = svc.Projects.Policies.GetEffectivePolicy(policy).Do()
	require.NoError(t, err)
	assert.True(t, effective.Spec.Rules[0].Enforce)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "elsewhere"})
	b.Grant("projects/elsewhere", "roles/orgpolicy.policyAdmin", "user:dev@example.com")
	_, err = svc.Projects.Policies.GetEffectivePolicy("projects/elsewhere/policies/custom.onlyMain").Do()
	assert.Equal(t, 404, googleError(t, err).Code)

	change := want()
	change.Description = "as said"
	change.DisplayName = ""
	patched, err := custom.Patch(name, change).Do()
	require.NoError(t, err)
	assert.Equal(t, [2]string{"as said", ""}, [2]string{patched.Description, patched.DisplayName}, "all fields are overwritten")
	list, err := custom.List("organizations/1").Do()
	require.NoError(t, err)
	require.Len(t, list.CustomConstraints, 1)
	assert.Equal(t, patched.UpdateTime, list.CustomConstraints[0].UpdateTime)

	bad := map[string]func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint){
		"no condition":     func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint) { k.Condition = "" },
		"no action":        func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint) { k.ActionType = "" },
		"no methods":       func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint) { k.MethodTypes = nil },
		"no resources":     func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint) { k.ResourceTypes = nil },
		"no such action":   func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint) { k.ActionType = "MAYBE" },
		"a long condition": func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint) { k.Condition = strings.Repeat("x", 1001) },
		"a name without custom.": func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint) {
			k.Name = "organizations/1/customConstraints/c"
		},
		"a name with a dash": func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint) { k.Name = name + "-2" },
		"of elsewhere": func(k *orgpolicy.GoogleCloudOrgpolicyV2CustomConstraint) {
			k.Name = "organizations/2/customConstraints/custom.c"
		},
	}
	for flaw, spoil := range bad {
		k := want()
		k.Name += "2"
		spoil(k)
		_, err := custom.Create("organizations/1", k).Do()
		assert.Equal(t, 400, googleError(t, err).Code, flaw)
	}
	other := want()
	other.ResourceTypes = []string{"run.googleapis.com/Service"}
	_, err = custom.Patch(name, other).Do()
	assert.Equal(t, 400, googleError(t, err).Code)

	_, err = custom.Delete(name).Do()
	require.NoError(t, err)
	for call, err := range map[string]error{
		"get": orgPolicyErr(custom.Get(name).Do()), "patch": orgPolicyErr(custom.Patch(name, want()).Do()), "delete": orgPolicyErr(custom.Delete(name).Do()),
	} {
		assert.Equal(t, 404, googleError(t, err).Code, call)
	}
}

func TestSetOrgPolicy(t *testing.T) {
	t.Parallel()
	b, svc := orgPolicies(t)
	seeded := &orgPolicyV2{Name: orgPolicyOfData, Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{
		Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{}},
	}}
	b.SetOrgPolicy(seeded)
	b.SetOrgPolicy(seeded)
	got, err := svc.Projects.Policies.Get(orgPolicyOfData).Do()
	require.NoError(t, err)
	assert.Empty(t, seeded.Etag, "what is passed in stays as it is")
	_, err = base64.StdEncoding.DecodeString(got.Etag)
	require.NoError(t, err)
	require.NoError(t, orgPolicyAttach(t, b))

	list := "projects/data-prod/policies/run.allowedIngress"
	bad := map[string]*orgPolicyV2{
		"no such project":    {Name: "projects/nowhere/policies/" + orgPolicyUsage, Spec: orgSpecEnforcing(true)},
		"no such constraint": {Name: "projects/data-prod/policies/iam.unknown", Spec: orgSpecEnforcing(true)},
		"no policy's name":   {Name: "projects/data-prod", Spec: orgSpecEnforcing(true)},
		"no spec":            {Name: orgPolicyOfData},
		"an empty rule":      {Name: list, Spec: seeded.Spec},
		"a boolean's rule":   {Name: list, Spec: orgSpecEnforcing(true)},
	}
	for name, p := range bad {
		assert.Panics(t, func() { b.SetOrgPolicy(p) }, name)
	}
}
