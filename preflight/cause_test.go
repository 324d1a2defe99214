package preflight_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/preflight"
)

// What a cause names is a full resource name, or nothing: prose is in its message.
func TestCausesNameResources(t *testing.T) {
	t.Parallel()
	const full = `^//[a-z]+\.googleapis\.com/[a-zA-Z0-9_][^ ()]*$`
	needs := []preflight.Need{
		{Resource: "folders/3", Permissions: []string{"resourcemanager.folders.get"}}, {Resource: "organizations/1", Role: "roles/viewer"},
		{Resource: ownProject, Role: "organizations/1/roles/hidden"}, {Resource: "//storage.googleapis.com/projects/_/buckets/b", Permissions: []string{"storage.objects.get"}},
	}
	for name, target := range map[string]preflight.Target{
		"across projects":    {Workload: job, Identity: account(t, remote), Needs: needs},
		"the workload's own": {Workload: job},
		"of no known project": {
			Workload: job, Identity: account(t, "123-abc@developer.gserviceaccount.com"), Needs: needs,
		},
		"another deployer": {Workload: job, Identity: account(t, remote), Deployer: "group:deployers@example.com", Needs: needs},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			b.AddRole(&iam.Role{Name: "organizations/1/roles/reviewer", IncludedPermissions: []string{
				"iam.serviceAccounts.getIamPolicy", "resourcemanager.projects.getIamPolicy", "resourcemanager.folders.getIamPolicy",
			}})
			b.Grant("organizations/1", "organizations/1/roles/reviewer", auditor)
			b.AddGroup("all@example.com")
			b.Grant("organizations/1", "roles/iam.serviceAccountUser", "group:all@example.com")
			n := 0
			for _, caller := range []string{dev, auditor, fake.Admin} {
				for _, f := range check(t, newChecker(t, b, caller), target, &preflight.CheckOptions{ValidateOnly: true}).Findings {
					assert.NotContains(t, f.Message, ".;", "the server's sentence ends within another: %s", f.Code)
					for _, c := range f.Causes {
						n++
						if c.Resource != "" {
							assert.Regexp(t, full, c.Resource, "%s as %s: %s", f.Code, caller, c.Message)
						}
						assert.False(t, strings.HasPrefix(c.Resource, "//cloudresourcemanager.googleapis.com/projects/-"), "%s", c.Resource)
					}
				}
			}
			assert.Positive(t, n)
		})
	}
}

// Where the folders above can't be read, the cause names whose they are and what it
// takes.
func TestCauseOfUnreadableAncestors(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	for _, role := range documentedRoles(t) {
		b.Grant("organizations/1", role, auditor)
	}
	need := func(resource string) preflight.Finding {
		return finding(t, check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, local), Needs: []preflight.Need{
			{Resource: resource, Permissions: []string{"resourcemanager.folders.get"}},
		}}), preflight.CheckRuntimeAccess)
	}
	f := need("folders/3")
	require.Equal(t, preflight.Unknown, f.Verdict, f.Message)
	assert.Equal(t, "//cloudresourcemanager.googleapis.com/folders/3", f.Causes[0].Resource)
	assert.Equal(t, []string{"resourcemanager.folders.get"}, f.Causes[0].Permissions)
	assert.Contains(t, f.Message, "the folders and the organization above it")

	b.Grant("organizations/1", "roles/resourcemanager.folderViewer", auditor) // as the package comment says
	assert.Equal(t, preflight.Fail, need("folders/3").Verdict)

	b.Inject("cloudresourcemanager.projects.getAncestry", fake.Fault{Status: 403, Body: `{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}`})
	f = need(ownProject)
	require.Equal(t, preflight.Unknown, f.Verdict, f.Message)
	assert.Equal(t, "//cloudresourcemanager.googleapis.com/"+ownProject, f.Causes[0].Resource)
	assert.Equal(t, []string{"resourcemanager.projects.get"}, f.Causes[0].Permissions)
}
