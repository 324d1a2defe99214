package fake_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	crmv1 "google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

const (
	policyAdmin   = "user:admin@example.com"
	policyAccount = "projects/web-prod/serviceAccounts/runner@web-prod.iam.gserviceaccount.com"
	policyRunner  = "serviceAccount:runner@web-prod.iam.gserviceaccount.com"
	policyJob     = "projects/web-prod/locations/europe-west1/jobs/nightly"
)

// policyCloud has one resource of each kind that has an allow policy. The
// policyAdmin may read and write those policies and nothing else.
func policyCloud(t *testing.T) *fake.Backend {
	t.Helper()
	b := hierarchy(t)
	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com"})
	b.AddJob(&run.GoogleCloudRunV2Job{Name: policyJob, Template: jobTemplate("image")})
	b.AddGroup("team@example.com")
	var permissions []string
	for _, kind := range []string{"resourcemanager.projects", "resourcemanager.folders", "resourcemanager.organizations", "iam.serviceAccounts", "run.jobs"} {
		permissions = append(permissions, kind+".getIamPolicy", kind+".setIamPolicy")
	}
	b.AddRole(&iam.Role{Name: "organizations/1/roles/policies", IncludedPermissions: permissions})
	b.Grant("organizations/1", "organizations/1/roles/policies", policyAdmin)
	return b
}

// policyAccess is the generated client of one kind of resource, with the
// policies of iam/v1.
type policyAccess struct {
	resource string
	get      func(version int64) (*iam.Policy, error)
	set      func(p *iam.Policy, mask string) (*iam.Policy, error)
	test     func(permission string) (bool, error)
}

// add binds a role to a member in a read-modify-write, once.
func (a policyAccess) add(binding *iam.Binding) (*iam.Policy, error) {
	p, err := a.get(3)
	if err != nil {
		return nil, err
	}
	p.Version = 3
	p.Bindings = append(p.Bindings, binding)
	return a.set(p, "")
}

// converted changes the type of a policy: all APIs write them alike.
func converted[To any](from any) *To {
	raw, err := json.Marshal(from)
	if err != nil {
		panic(err)
	}
	to := new(To)
	if err := json.Unmarshal(raw, to); err != nil {
		panic(err)
	}
	return to
}

func answered(p any, err error) (*iam.Policy, error) {
	if err != nil {
		return nil, err
	}
	return converted[iam.Policy](p), nil
}

// policyClients are the ways to the policies of all kinds of resources.
func policyClients(t *testing.T, b *fake.Backend, member string) map[string]policyAccess {
	t.Helper()
	v3, v1 := hierarchyClients(t, b, member)
	iamService, err := iam.NewService(t.Context(), b.ClientOptions(member)...)
	require.NoError(t, err)
	runService, err := run.NewService(t.Context(), b.ClientOptions(member)...)
	require.NoError(t, err)
	accounts, jobs := iamService.Projects.ServiceAccounts, runService.Projects.Locations.Jobs
	asked := func(version int64) *cloudresourcemanager.GetIamPolicyRequest {
		return &cloudresourcemanager.GetIamPolicyRequest{Options: &cloudresourcemanager.GetPolicyOptions{RequestedPolicyVersion: version}}
	}
	wanted := func(p *iam.Policy, mask string) *cloudresourcemanager.SetIamPolicyRequest {
		return &cloudresourcemanager.SetIamPolicyRequest{Policy: converted[cloudresourcemanager.Policy](p), UpdateMask: mask}
	}
	tested := func(permission string) *cloudresourcemanager.TestIamPermissionsRequest {
		return &cloudresourcemanager.TestIamPermissionsRequest{Permissions: []string{permission}}
	}
	has := func(resp *cloudresourcemanager.TestIamPermissionsResponse, err error) (bool, error) {
		return err == nil && len(resp.Permissions) > 0, err
	}
	return map[string]policyAccess{
		"project, v1": {
			"projects/web-prod",
			func(version int64) (*iam.Policy, error) {
				return answered(v1.Projects.GetIamPolicy("web-prod", converted[crmv1.GetIamPolicyRequest](asked(version))).Do())
			},
			func(p *iam.Policy, mask string) (*iam.Policy, error) {
				return answered(v1.Projects.SetIamPolicy("web-prod", converted[crmv1.SetIamPolicyRequest](wanted(p, mask))).Do())
			},
			func(permission string) (bool, error) {
				resp, err := v1.Projects.TestIamPermissions("web-prod", &crmv1.TestIamPermissionsRequest{Permissions: []string{permission}}).Do()
				return err == nil && len(resp.Permissions) > 0, err
			},
		},
		"project, v3": {
			"projects/web-prod",
			func(version int64) (*iam.Policy, error) {
				return answered(v3.Projects.GetIamPolicy("projects/123456789012", asked(version)).Do())
			},
			func(p *iam.Policy, mask string) (*iam.Policy, error) {
				return answered(v3.Projects.SetIamPolicy("projects/web-prod", wanted(p, mask)).Do())
			},
			func(permission string) (bool, error) {
				return has(v3.Projects.TestIamPermissions("projects/web-prod", tested(permission)).Do())
			},
		},
		"folder": {
			"folders/3",
			func(version int64) (*iam.Policy, error) {
				return answered(v3.Folders.GetIamPolicy("folders/3", asked(version)).Do())
			},
			func(p *iam.Policy, mask string) (*iam.Policy, error) {
				return answered(v3.Folders.SetIamPolicy("folders/3", wanted(p, mask)).Do())
			},
			func(permission string) (bool, error) {
				return has(v3.Folders.TestIamPermissions("folders/3", tested(permission)).Do())
			},
		},
		"organization, v1": {
			"organizations/1",
			func(version int64) (*iam.Policy, error) {
				return answered(v1.Organizations.GetIamPolicy("organizations/1", converted[crmv1.GetIamPolicyRequest](asked(version))).Do())
			},
			func(p *iam.Policy, mask string) (*iam.Policy, error) {
				return answered(v1.Organizations.SetIamPolicy("organizations/1", converted[crmv1.SetIamPolicyRequest](wanted(p, mask))).Do())
			},
			func(permission string) (bool, error) {
				resp, err := v1.Organizations.TestIamPermissions("organizations/1", &crmv1.TestIamPermissionsRequest{Permissions: []string{permission}}).Do()
				return err == nil && len(resp.Permissions) > 0, err
			},
		},
		"organization, v3": {
			"organizations/1",
			func(version int64) (*iam.Policy, error) {
				return answered(v3.Organizations.GetIamPolicy("organizations/1", asked(version)).Do())
			},
			func(p *iam.Policy, mask string) (*iam.Policy, error) {
				return answered(v3.Organizations.SetIamPolicy("organizations/1", wanted(p, mask)).Do())
			},
			func(permission string) (bool, error) {
				return has(v3.Organizations.TestIamPermissions("organizations/1", tested(permission)).Do())
			},
		},
		"service account": {
			policyAccount,
			func(version int64) (*iam.Policy, error) {
				return accounts.GetIamPolicy(policyAccount).OptionsRequestedPolicyVersion(version).Do()
			},
			func(p *iam.Policy, mask string) (*iam.Policy, error) {
				return accounts.SetIamPolicy(policyAccount, &iam.SetIamPolicyRequest{Policy: p, UpdateMask: mask}).Do()
			},
			func(permission string) (bool, error) {
				resp, err := accounts.TestIamPermissions(policyAccount, &iam.TestIamPermissionsRequest{Permissions: []string{permission}}).Do()
				return err == nil && len(resp.Permissions) > 0, err
			},
		},
		"job": {
			policyJob,
			func(version int64) (*iam.Policy, error) {
				return answered(jobs.GetIamPolicy(policyJob).OptionsRequestedPolicyVersion(version).Do())
			},
			func(p *iam.Policy, mask string) (*iam.Policy, error) {
				return answered(jobs.SetIamPolicy(policyJob, &run.GoogleIamV1SetIamPolicyRequest{Policy: converted[run.GoogleIamV1Policy](p), UpdateMask: mask}).Do())
			},
			func(permission string) (bool, error) {
				resp, err := jobs.TestIamPermissions(policyJob, &run.GoogleIamV1TestIamPermissionsRequest{Permissions: []string{permission}}).Do()
				return err == nil && len(resp.Permissions) > 0, err
			},
		},
	}
}

// onEachResource runs a test on each kind of resource, in a cloud of its own.
func onEachResource(t *testing.T, test func(t *testing.T, b *fake.Backend, a policyAccess)) {
	t.Helper()
	for _, kind := range []string{"project, v1", "project, v3", "folder", "organization, v1", "organization, v3", "service account", "job"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := policyCloud(t)
			test(t, b, policyClients(t, b, policyAdmin)[kind])
		})
	}
}

func bound(role string, members ...string) *iam.Binding {
	return &iam.Binding{Role: role, Members: members}
}

// holds reports whether a policy binds a role, without a condition, to a member.
func holds(p *iam.Policy, role, member string) bool {
	return slices.ContainsFunc(p.Bindings, func(b *iam.Binding) bool {
		return b.Role == role && b.Condition == nil && slices.Contains(b.Members, member)
	})
}

func refusal(t *testing.T, err error, code int, status, reason, message string) {
	t.Helper()
	g := googleError(t, err)
	assert.Equal(t, code, g.Code)
	assert.Equal(t, message, g.Message)
	assert.Equal(t, status, field(parse(t, []byte(g.Body)), "error.status"))
	assert.Equal(t, []googleapi.ErrorItem{{Message: message, Reason: reason}}, g.Errors)
}

// policyKind is any client of the resource.
func policyKind(a policyAccess) string {
	switch {
	case a.resource == policyAccount:
		return "service account"
	case a.resource == policyJob:
		return "job"
	case strings.HasPrefix(a.resource, "projects"):
		return "project, v3"
	case strings.HasPrefix(a.resource, "folders"):
		return "folder"
	}
	return "organization, v3"
}

// policyPermission is one that can be tested on the resource.
func policyPermission(a policyAccess) string {
	if a.resource == policyAccount {
		return "iam.serviceAccounts.actAs"
	}
	return "run.jobs.get"
}

func policyURL(resource string) string {
	switch {
	case strings.Contains(resource, "/serviceAccounts/"):
		return "https://iam.googleapis.com/v1/" + resource
	case strings.Contains(resource, "/jobs/"):
		return "https://run.googleapis.com/v2/" + resource
	}
	return "https://cloudresourcemanager.googleapis.com/v3/" + resource
}
