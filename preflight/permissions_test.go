package preflight_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

// documentedRoles are those that the package comment lists under Permissions.
func documentedRoles(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var roles []string
	for _, m := range regexp.MustCompile(`(?m)^// {3}- (roles/[\w.]+):`).FindAllSubmatch(text, -1) {
		roles = append(roles, string(m[1]))
	}
	require.NotEmpty(t, roles)
	return roles
}

// cloudWithEverything has something of each sort that a check reads.
func cloudWithEverything(t *testing.T) *fake.Backend {
	t.Helper()
	b := newCloud(t)
	b.AddRole(&iam.Role{Name: "organizations/1/roles/actor", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
	b.Grant("organizations/1", "organizations/1/roles/actor", "user:other@example.com")
	b.AddRole(&iam.Role{Name: "projects/data-prod/roles/actor", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
	b.Grant(ownProject, "projects/data-prod/roles/actor", dev)
	for _, at := range []string{"organizations/1", "folders/3", ownProject, runProject} {
		b.AddDenyPolicy(at, &iamv2.GoogleIamV2Policy{Name: "unrelated", Rules: []*iamv2.GoogleIamV2PolicyRule{{DenyRule: &iamv2.GoogleIamV2DenyRule{
			DeniedPrincipals:  []string{"principal://goog/subject/other@example.com"},
			DeniedPermissions: []string{"iam.googleapis.com/serviceAccounts.actAs", "run.googleapis.com/jobs.update"},
		}}}})
	}
	return b
}

// unknowns returns what a caller with some roles on the organization can't find
// out, over targets of each sort.
func unknowns(t *testing.T, caller string, roles []string) []string {
	t.Helper()
	b := cloudWithEverything(t)
	for _, role := range roles {
		b.Grant("organizations/1", role, caller)
	}
	missing := identity.Job("web-prod", "europe-west1", "new")
	needs := []preflight.Need{
		{Resource: ownProject, Role: "roles/run.invoker"}, {Resource: jobName, Permissions: []string{"run.jobs.run"}},
		{Resource: "organizations/1", Permissions: []string{"run.jobs.run"}},
	}
	var unknown []string
	for _, target := range []preflight.Target{
		{Workload: job}, {Workload: job, Identity: account(t, local)}, {Workload: missing, Identity: account(t, local)},
		{Workload: job, Identity: account(t, remote), Needs: needs}, {Workload: missing, Identity: account(t, remote)},
		{Workload: identity.Job("123456789012", "europe-west1", "nightly"), Identity: account(t, remote)},
	} {
		target.Deployer = dev
		for _, f := range check(t, newChecker(t, b, caller), target).Findings {
			if f.Verdict == preflight.Unknown {
				unknown = append(unknown, string(f.Code)+": "+f.Message)
			}
		}
	}
	return unknown
}

// With the roles of the package comment nothing is Unknown, and without any one of
// them something is: to the deployer itself and to someone who checks for it.
func TestDocumentedRolesAreEnoughAndNeeded(t *testing.T) {
	t.Parallel()
	roles := documentedRoles(t)
	for _, caller := range []string{dev, auditor} {
		assert.Empty(t, unknowns(t, caller, roles), "%s has all roles", caller)
		for i, role := range roles {
			assert.NotEmpty(t, unknowns(t, caller, slices.Concat(roles[:i], roles[i+1:])), "%s without %s", caller, role)
		}
	}
}
