package preflight_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

// Accounts of domain-scoped projects, and projects without an organization.
func TestUnusualProjects(t *testing.T) {
	t.Parallel()
	b := fake.NewBackend()
	defer b.Close()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "example.com:shop"})
	const email = "runner@shop.example.com.iam.gserviceaccount.com"
	b.AddServiceAccount(&iam.ServiceAccount{Email: email, ProjectId: "example.com:shop"})
	w := identity.Job("example.com:shop", "europe-west1", "nightly")
	b.Grant("projects/example.com:shop", "roles/run.developer", dev)
	b.Grant("projects/example.com:shop", "roles/iam.serviceAccountUser", dev)
	b.Grant("projects/example.com:shop", "roles/viewer", auditor)
	b.Grant("projects/example.com:shop", "roles/iam.securityReviewer", auditor)
	b.Grant("projects/example.com:shop", "roles/iam.denyReviewer", auditor)
	for name, c := range map[string]*preflight.Checker{"auditor": newChecker(t, b, auditor), "admin": newChecker(t, b, fake.Admin)} {
		report := check(t, c, preflight.Target{Workload: w, Identity: account(t, email), Deployer: dev})
		assert.Equal(t, preflight.Pass, report.Verdict(), "%s: %s", name, report)
		assert.Equal(t, "example.com:shop", report.IdentityProject)
		assert.NotContains(t, verdicts(report), preflight.CheckCrossProjectPolicy, "it is of the same project")
		assert.Equal(t, preflight.AdviceWideGrant, report.Advice[0].Code)
	}
}

// A project is one by its id and by its number.
func TestProjectByNumber(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)
	w := identity.Job("123456789012", "europe-west1", "nightly")
	for _, email := range []string{local, "123456789012-compute@developer.gserviceaccount.com"} {
		b.Grant(accountName(email), "roles/iam.serviceAccountUser", dev)
		report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: w, Identity: account(t, email), Deployer: dev})
		assert.Equal(t, preflight.Pass, report.Verdict(), "%s", report)
		assert.NotContains(t, verdicts(report), preflight.CheckCrossProjectPolicy, "it is of the same project")
		assert.Equal(t, "web-prod", report.IdentityProject)
	}
	report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: w, Identity: account(t, remote), Deployer: dev})
	assert.Equal(t, preflight.Pass, verdicts(report)[preflight.CheckCrossProjectPolicy], "of another")
}

// What keeps the project of the account from being known is told, without a race.
func TestUnknownProjectOfTheAccount(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newChecker(t, b, dev)
	sa := account(t, "123-abc@developer.gserviceaccount.com")
	report := check(t, c, preflight.Target{Workload: job, Identity: sa}, &preflight.CheckOptions{NoAdvice: true})
	f := finding(t, report, preflight.CheckCrossProjectPolicy)
	require.Error(t, f.Causes[0].Err, "it says why")
}
