package preflight_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/preflight"
)

// readsOnly says whether a call changes nothing.
func readsOnly(c fake.Call) bool {
	if c.Verb == "GET" || strings.Contains(c.Query, "validateOnly=true") {
		return true
	}
	for _, read := range []string{"getIamPolicy", "testIamPermissions", "getAncestry", "troubleshoot", "queryGrantableRoles"} {
		if strings.HasSuffix(c.Method, "."+read) {
			return true
		}
	}
	return false
}

// A refusal is a way in which an attach is refused.
type refusal struct {
	account string
	breaks  func(*testing.T, *fake.Backend)
	code    preflight.Code
	message string // a part of it, as the auditor reads it
	fixes   string // their texts
}

func refusals() map[string]refusal {
	return map[string]refusal{
		"no actAs": {
			local, func(_ *testing.T, b *fake.Backend) { revoke(b, accountName(local), "", dev) },
			preflight.CheckDeployerActAs, "lacks iam.serviceAccounts.actAs on " + local,
			"grant roles/iam.serviceAccountUser to dev@example.com on " + local,
		},
		"no actAs, though roles/run.admin": {
			local, func(_ *testing.T, b *fake.Backend) {
				revoke(b, accountName(local), "", dev)
				b.Grant(runProject, "roles/run.admin", dev)
			}, preflight.CheckDeployerActAs, "lacks",
			"grant roles/iam.serviceAccountUser to dev@example.com on " + local,
		},
		"actAs by a disabled custom role": {
			local, func(_ *testing.T, b *fake.Backend) {
				revoke(b, accountName(local), "", dev)
				b.AddRole(&iam.Role{Name: "projects/web-prod/roles/actor", Stage: "DISABLED", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
				b.Grant(accountName(local), "projects/web-prod/roles/actor", dev)
			}, preflight.CheckDeployerActAs, "lacks",
			"grant roles/iam.serviceAccountUser to dev@example.com on " + local,
		},
		"account missing": {
			"nobody@web-prod.iam.gserviceaccount.com", func(*testing.T, *fake.Backend) {},
			preflight.CheckIdentity, "there is no account nobody@web-prod.iam.gserviceaccount.com in project web-prod",
			"create the account nobody@web-prod.iam.gserviceaccount.com\n" +
				"grant roles/iam.serviceAccountUser to dev@example.com on nobody@web-prod.iam.gserviceaccount.com",
		},
		"account disabled": {
			local, func(t *testing.T, b *fake.Backend) {
				_, err := admin(t, b).Projects.ServiceAccounts.Disable("projects/-/serviceAccounts/"+local, &iam.DisableServiceAccountRequest{}).Do()
				require.NoError(t, err)
			}, preflight.CheckIdentity, "is disabled", "enable the account " + local,
		},
		"account deleted": {
			local, func(t *testing.T, b *fake.Backend) {
				_, err := admin(t, b).Projects.ServiceAccounts.Delete("projects/-/serviceAccounts/" + local).Do()
				require.NoError(t, err)
			}, preflight.CheckIdentity, "there is no account",
			"create the account " + local + "\ngrant roles/iam.serviceAccountUser to dev@example.com on " + local,
		},
		"deny policy": {
			local, func(_ *testing.T, b *fake.Backend) {
				b.AddDenyPolicy("folders/2", &iamv2.GoogleIamV2Policy{Name: "no-actas", Rules: []*iamv2.GoogleIamV2PolicyRule{{
					DenyRule: &iamv2.GoogleIamV2DenyRule{
						DeniedPrincipals:  []string{"principalSet://goog/public:all"},
						DeniedPermissions: []string{"iam.googleapis.com/serviceAccounts.actAs"},
					},
				}}})
			}, preflight.CheckDeployerActAs, "rule 0 of the deny policy no-actas on folders/2 denies it",
			"make dev@example.com an exception to rule 0 of the deny policy no-actas",
		},
		"condition expired": {
			local, func(_ *testing.T, b *fake.Backend) {
				revoke(b, accountName(local), "", dev)
				b.GrantIf(accountName(local), "roles/iam.serviceAccountUser", dev, `request.time < timestamp("1999-01-01T00:00:00Z")`)
			}, preflight.CheckDeployerActAs, "lacks",
			"grant roles/iam.serviceAccountUser to dev@example.com on " + local,
		},
		"agent without its role in the same project": {
			local, func(_ *testing.T, b *fake.Backend) { revoke(b, runProject, "", agent) },
			preflight.CheckServiceAgent, "may not mint tokens for " + local,
			"grant roles/run.serviceAgent to " + agentEmail + " on projects/web-prod",
		},
		"the agent an owner of its own project": {
			local, func(_ *testing.T, b *fake.Backend) {
				revoke(b, runProject, "", agent)
				b.Grant(runProject, "roles/owner", agent)
				b.Grant(runProject, "roles/editor", agent)
			}, preflight.CheckServiceAgent, "may not mint tokens", "grant roles/run.serviceAgent to " + agentEmail + " on projects/web-prod",
		},
		"agent without the token right across projects": {
			remote, func(_ *testing.T, b *fake.Backend) { revoke(b, accountName(remote), "", agent) },
			preflight.CheckServiceAgent, "may not mint tokens for " + remote,
			"grant roles/iam.serviceAccountTokenCreator to " + agentEmail + " on " + remote,
		},
		"the agent an owner of the account's project": {
			remote, func(_ *testing.T, b *fake.Backend) {
				revoke(b, accountName(remote), "", agent)
				b.Grant(ownProject, "roles/owner", agent)
				b.Grant(ownProject, "roles/editor", agent)
			}, preflight.CheckServiceAgent, "may not mint tokens",
			"grant roles/iam.serviceAccountTokenCreator to " + agentEmail + " on " + remote,
		},
		"org policy enforced on the project": {
			remote, func(_ *testing.T, b *fake.Backend) { b.SetOrgPolicy(crossProject(ownProject, true)) },
			preflight.CheckCrossProjectPolicy, "is enforced on project data-prod",
			"stop enforcing iam.disableCrossProjectServiceAccountUsage on project data-prod",
		},
		"org policy enforced on the folder": {
			remote, func(t *testing.T, b *fake.Backend) {
				clearOrgPolicy(t, b, ownProject)
				b.SetOrgPolicy(crossProject("organizations/1", false))
				b.SetOrgPolicy(crossProject("folders/3", true))
			}, preflight.CheckCrossProjectPolicy, "is enforced", "stop enforcing iam.disableCrossProjectServiceAccountUsage on project data-prod",
		},
		"org policy enforced on the organization": {
			remote, func(t *testing.T, b *fake.Backend) {
				clearOrgPolicy(t, b, ownProject)
				b.SetOrgPolicy(crossProject("organizations/1", true))
			}, preflight.CheckCrossProjectPolicy, "is enforced", "stop enforcing iam.disableCrossProjectServiceAccountUsage on project data-prod",
		},
		"org policy unset: enforced by default": {
			remote, func(t *testing.T, b *fake.Backend) { clearOrgPolicy(t, b, ownProject) },
			preflight.CheckCrossProjectPolicy, "is enforced", "stop enforcing iam.disableCrossProjectServiceAccountUsage on project data-prod",
		},
		"API disabled": {
			local, disableRun, preflight.CheckRunAPI, "the Cloud Run API isn't enabled in project web-prod",
			"enable run.googleapis.com in project web-prod",
		},
		"no run.jobs.update": {
			local, func(_ *testing.T, b *fake.Backend) { revoke(b, jobName, "", dev) },
			preflight.CheckDeployerDeploy, "lacks run.jobs.update on " + jobName, "grant roles/run.developer to dev@example.com on " + jobName,
		},
	}
}

// Each way in which an attach is refused: the check says so beforehand, to the
// deployer and to whoever may read policies, and its fixes make the attach pass.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range refusals() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			target := preflight.Target{Workload: job, Identity: account(t, tt.account), Deployer: dev}
			reader := newChecker(t, b, auditor)
			if tt.account != "nobody@web-prod.iam.gserviceaccount.com" {
				require.Equal(t, preflight.Pass, check(t, reader, target).Verdict(), "the situation itself passes:\n%s", check(t, reader, target))
			}
			tt.breaks(t, b)
			require.Error(t, attach(t, b, dev, job, tt.account))
			b.ResetCalls()

			report := check(t, reader, target)

			assertNoWrites(t, b)
			assert.Equal(t, preflight.Fail, report.Verdict(), "%s", report)
			f := finding(t, report, tt.code)
			assert.Equal(t, preflight.Fail, f.Verdict, "%s", report)
			assert.Contains(t, f.Message, tt.message)
			require.ErrorContains(t, report.Err(), tt.message)
			var fixes []string
			for _, fix := range preflight.Fixes(report) {
				fixes = append(fixes, fix.String())
			}
			assert.Equal(t, tt.fixes, strings.Join(fixes, "\n"))

			// The deployer may read less, and is never told something else.
			b.ResetCalls()
			own := check(t, newChecker(t, b, dev), preflight.Target{Workload: job, Identity: target.Identity})
			assertNoWrites(t, b)
			for code, v := range verdicts(own) {
				if v != preflight.Unknown {
					assert.Equal(t, verdicts(report)[code], v, "%s as the deployer sees it:\n%s", code, own)
				}
			}
			assert.NotEqual(t, preflight.Pass, own.Verdict())

			fixer := newFixer(t, b)
			repaired, steps, err := fixer.Repair(t.Context(), reader, report, repairAll)
			require.NoError(t, err)
			assert.NotEmpty(t, steps)
			assert.Equal(t, preflight.Pass, repaired.Verdict(), "%s", repaired)
			require.NoError(t, attach(t, b, dev, job, tt.account))
		})
	}
}

func admin(t *testing.T, b *fake.Backend) *iam.Service {
	t.Helper()
	svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	return svc
}

func disableRun(t *testing.T, b *fake.Backend) {
	t.Helper()
	svc, err := serviceusage.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	_, err = svc.Services.Disable(runProject+"/services/run.googleapis.com", &serviceusage.DisableServiceRequest{}).Do()
	require.NoError(t, err)
}

// A deployer that may do no more than it takes: exact about itself, Unknown
// about what it may not read, and never wrong.
func TestLeastPrivilegedDeployer(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newChecker(t, b, dev)
	report := check(t, c, preflight.Target{Workload: job, Identity: account(t, remote)})
	assert.Equal(t, map[preflight.Code]preflight.Verdict{
		preflight.CheckIdentity: preflight.Pass, preflight.CheckDeployerActAs: preflight.Pass, preflight.CheckDeployerDeploy: preflight.Pass,
		preflight.CheckRunAPI: preflight.Unknown, preflight.CheckServiceAgent: preflight.Unknown, preflight.CheckCrossProjectPolicy: preflight.Unknown,
	}, verdicts(report), "%s", report)
	assert.Equal(t, preflight.Unknown, report.Verdict())
	require.NoError(t, report.Err())
	require.ErrorContains(t, report.ErrStrict(), "orgpolicy.policy.get")
	assert.Equal(t, preflight.ByTestIAMPermissions, finding(t, report, preflight.CheckDeployerActAs).Evidence.Method)
	for _, f := range report.Findings {
		assert.Equal(t, f.Verdict == preflight.Unknown, len(f.Causes) > 0, "%s: %v", f.Code, f.Causes)
		assert.Nil(t, f.Fix)
	}
	assert.Equal(t, []string{"serviceusage.services.get"}, finding(t, report, preflight.CheckRunAPI).Causes[0].Permissions)

	b.Grant(runProject, "roles/serviceusage.serviceUsageViewer", dev)
	report = check(t, c, preflight.Target{Workload: job, Identity: account(t, remote)})
	assert.Equal(t, preflight.Pass, finding(t, report, preflight.CheckRunAPI).Verdict)
	assert.Contains(t, finding(t, report, preflight.CheckServiceAgent).Message, "iam.serviceAccounts.getIamPolicy")
	assert.Equal(t, agent, report.Agent)
	assert.Equal(t, "123456789012", report.ProjectNumber)
}
