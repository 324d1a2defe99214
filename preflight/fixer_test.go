package preflight_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

// brokenCloud lacks all that an attach across projects needs.
func brokenCloud(t *testing.T) (*fake.Backend, preflight.Target) {
	t.Helper()
	b := newCloud(t)
	grantAuditor(b)
	revoke(b, accountName(remote), "", dev)
	revoke(b, accountName(remote), "", agent)
	revoke(b, jobName, "", dev)
	b.SetOrgPolicy(crossProject(ownProject, true))
	return b, preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev}
}

func TestRepairWaitsForGrants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, target := brokenCloud(t)
		b.SetPropagation(0, time.Minute)
		// As the deployer, whose checks are exact.
		c := newChecker(t, b, dev)
		grantReading(b, dev)
		report := check(t, c, target)
		fixer := newFixer(t, b)
		began := time.Now()
		repaired, steps, err := fixer.Repair(t.Context(), c, report, repairAll)
		require.NoError(t, err)
		assert.Equal(t, preflight.Pass, repaired.Verdict(), "%s", repaired)
		assert.GreaterOrEqual(t, time.Since(began), time.Minute)
		assert.Less(t, time.Since(began), 2*time.Minute)
		var done []string
		for _, s := range steps {
			done = append(done, string(s.Outcome)+": "+s.Fix.String())
		}
		assert.Equal(t, []string{
			"applied: grant roles/iam.serviceAccountUser to dev@example.com on " + remote,
			"applied: grant roles/run.developer to dev@example.com on " + jobName,
			"applied: grant roles/iam.serviceAccountTokenCreator to " + agentEmail + " on " + remote,
			"applied: stop enforcing iam.disableCrossProjectServiceAccountUsage on project data-prod",
		}, done)
		require.NoError(t, attach(t, b, dev, job, remote))
	})
}

func TestRepairGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, target := brokenCloud(t)
		b.SetPropagation(0, time.Hour)
		grantReading(b, dev)
		c := newChecker(t, b, dev)
		fixer := newFixer(t, b)
		began := time.Now()
		report, steps, err := fixer.Repair(t.Context(), c, check(t, c, target), &preflight.RepairOptions{
			Apply: preflight.ApplyOptions{AllowGuardrailChanges: true, Wait: 3 * time.Minute},
		})
		require.ErrorIs(t, err, preflight.ErrNotEffective)
		require.ErrorContains(t, err, "lacks iam.serviceAccounts.actAs")
		assert.LessOrEqual(t, time.Since(began), 4*time.Minute)
		assert.Len(t, steps, 4)
		assert.Equal(t, preflight.Fail, report.Verdict())
	})
}

func TestGuardrailChangesAreSkipped(t *testing.T) {
	t.Parallel()
	b, target := brokenCloud(t)
	c := newChecker(t, b, auditor)
	report, steps, err := newFixer(t, b).Repair(t.Context(), c, check(t, c, target), nil)
	require.NoError(t, err)
	assert.Equal(t, map[preflight.Code]preflight.Verdict{
		preflight.CheckIdentity: preflight.Pass, preflight.CheckDeployerActAs: preflight.Pass, preflight.CheckDeployerDeploy: preflight.Pass,
		preflight.CheckRunAPI: preflight.Pass, preflight.CheckServiceAgent: preflight.Pass, preflight.CheckCrossProjectPolicy: preflight.Fail,
	}, verdicts(report))
	assert.Equal(t, preflight.OutcomeSkipped, steps[len(steps)-1].Outcome)
	require.Error(t, attach(t, b, dev, job, remote))
}

func TestDryRunOfFixes(t *testing.T) {
	t.Parallel()
	b, target := brokenCloud(t)
	c := newChecker(t, b, auditor)
	report := check(t, c, target)
	fixer := newFixer(t, b)
	dry := &preflight.RepairOptions{Apply: preflight.ApplyOptions{DryRun: true, AllowGuardrailChanges: true}}
	b.ResetCalls()
	after, steps, err := fixer.Repair(t.Context(), c, report, dry)
	require.NoError(t, err)
	assert.Equal(t, report, after)
	assert.Empty(t, b.Calls())
	for _, s := range steps {
		assert.Equal(t, preflight.OutcomeSkipped, s.Outcome)
	}
	assert.Len(t, steps, 4)
}

// What was done before a fix failed is said, and so is what wasn't tried.
func TestHalfDone(t *testing.T) {
	t.Parallel()
	b, target := brokenCloud(t)
	b.Inject("run.projects.locations.jobs.setIamPolicy", fake.Fault{Status: 403, Body: `{"error": {"code": 403, "message": "not you", "status": "PERMISSION_DENIED"}}`})
	c := newChecker(t, b, auditor)
	fixer := newFixer(t, b)
	_, steps, err := fixer.Repair(t.Context(), c, check(t, c, target), repairAll)
	var g *googleapi.Error
	require.ErrorAs(t, err, &g)
	require.ErrorContains(t, err, "repair "+jobName+": grant roles/run.developer to dev@example.com on "+jobName)
	var outcomes []string
	for _, s := range steps {
		outcomes = append(outcomes, string(s.Outcome))
	}
	assert.Equal(t, []string{"applied", "failed", "untried", "untried"}, outcomes)
	text, err := json.Marshal(steps[0])
	require.NoError(t, err)
	assert.Contains(t, string(text), `"type":"grant-role"`)
	assert.Contains(t, string(text), `"outcome":"applied"`)
}

// An agent that isn't there yet is made, before it is granted to.
func TestAgentIsMade(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	number := b.AddProject(&cloudresourcemanager.Project{ProjectId: "new-proj"})
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: "projects/new-proj/services/run.googleapis.com", State: "DISABLED"})
	grant := preflight.Fix{
		Kind: preflight.FixGrantRole, Resource: "//iam.googleapis.com/projects/data-prod/serviceAccounts/" + remote, Role: "roles/iam.serviceAccountTokenCreator",
		Member: identity.RunServiceAgent(number).Member(),
	}
	fixer := newFixer(t, b)
	steps, err := fixer.Apply(t.Context(), []preflight.Fix{grant}, nil)
	require.NoError(t, err)
	require.Len(t, steps, 2)
	assert.Equal(t, preflight.FixCreateAgent, steps[0].Fix.Kind)
	assert.Equal(t, []preflight.Outcome{preflight.OutcomeApplied, preflight.OutcomeApplied}, []preflight.Outcome{steps[0].Outcome, steps[1].Outcome})
	steps, err = fixer.Apply(t.Context(), []preflight.Fix{grant}, nil)
	require.NoError(t, err)
	assert.Equal(t, preflight.OutcomeUnneeded, steps[0].Outcome)
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)
	b.Grant(ownProject, "roles/run.invoker", "serviceAccount:"+local)
	b.GrantIf(accountName(remote), "roles/iam.serviceAccountTokenCreator", "serviceAccount:"+local, `request.time < timestamp("2999-01-01T00:00:00Z")`)
	c := newChecker(t, b, auditor)
	need := func(n preflight.Need, opts ...*preflight.CheckOptions) preflight.Finding {
		return finding(t, check(t, c, preflight.Target{Workload: job, Identity: account(t, local), Needs: []preflight.Need{n}}, opts...), preflight.CheckRuntimeAccess)
	}
	f := need(preflight.Need{Resource: "projects/data-prod", Permissions: []string{"run.jobs.run"}})
	assert.Equal(t, preflight.Pass, f.Verdict)
	assert.Equal(t, "roles/run.invoker", f.Evidence.Grant.Role)

	f = need(preflight.Need{Resource: "projects/data-prod", Role: "roles/run.invoker"})
	assert.Equal(t, preflight.Pass, f.Verdict, f.Message)

	f = need(preflight.Need{Resource: "projects/data-prod", Role: "roles/run.developer"})
	assert.Equal(t, preflight.Fail, f.Verdict)
	assert.Contains(t, f.Message, "permissions of roles/run.developer on projects/data-prod, such as ")
	assert.Equal(t, &preflight.Fix{
		Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/projects/data-prod", Role: "roles/run.developer", Member: "serviceAccount:" + local,
	}, f.Fix)

	f = need(preflight.Need{Resource: "//iam.googleapis.com/projects/data-prod/serviceAccounts/" + remote, Permissions: []string{"iam.serviceAccounts.signJwt"}})
	assert.Equal(t, preflight.Pass, f.Verdict)
	assert.Equal(t, 2999, f.Evidence.Grant.Expires.Year())
	assert.Contains(t, f.Message, "until 2999-01-01")

	// The smallest role that the server says can be granted there.
	f = need(preflight.Need{Resource: jobName, Permissions: []string{"run.jobs.run"}})
	assert.Equal(t, preflight.Fail, f.Verdict)
	assert.Equal(t, "grant roles/run.jobsExecutor to "+local+" on "+jobName, f.Fix.String())

	f = need(preflight.Need{Resource: "projects/web-prod", Permissions: []string{"nosuch.things.get"}})
	assert.Equal(t, preflight.Fail, f.Verdict)
	assert.Nil(t, f.Fix)
	assert.Contains(t, f.Message, "which role to grant isn't known: no predefined role")

	bucket := preflight.Need{Resource: "//storage.googleapis.com/projects/_/buckets/b", Permissions: []string{"storage.objects.get"}, Role: "roles/storage.objectViewer"}
	f = need(bucket)
	assert.Equal(t, preflight.Unknown, f.Verdict)
	assert.Contains(t, f.Message, "Policy Troubleshooter")
}

func TestTroubleshooter(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)
	target := preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev}
	report := check(t, newChecker(t, b, auditor), target, &preflight.CheckOptions{Troubleshoot: true})
	assert.Equal(t, preflight.Pass, report.Verdict(), "%s", report)
	assert.Equal(t, preflight.ByTroubleshooter, finding(t, report, preflight.CheckDeployerActAs).Evidence.Method)
	assert.Equal(t, preflight.ByTroubleshooter, finding(t, report, preflight.CheckServiceAgent).Evidence.Method)
	revoke(b, accountName(remote), "", dev)
	report = check(t, newChecker(t, b, auditor), target, &preflight.CheckOptions{Troubleshoot: true})
	assert.Equal(t, preflight.Fail, finding(t, report, preflight.CheckDeployerActAs).Verdict)
	assert.NotNil(t, finding(t, report, preflight.CheckDeployerActAs).Fix)
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	target := preflight.Target{Workload: job, Identity: account(t, remote)}
	before := b.JSON(jobName)
	report := check(t, newChecker(t, b, dev), target, &preflight.CheckOptions{ValidateOnly: true})
	f := finding(t, report, preflight.CheckDryRun)
	assert.Equal(t, preflight.Pass, f.Verdict)
	assert.Equal(t, preflight.Unknown, report.Verdict(), "a dry run makes nothing else pass")
	revoke(b, accountName(remote), "", agent)
	report = check(t, newChecker(t, b, dev), target, &preflight.CheckOptions{ValidateOnly: true})
	f = finding(t, report, preflight.CheckDryRun)
	assert.Equal(t, preflight.Fail, f.Verdict)
	assert.Contains(t, f.Message, "Google Cloud Run Service Agent does not have permission to get access tokens")
	require.ErrorContains(t, report.Err(), "Service Agent")
	assertNoWrites(t, b)
	assert.JSONEq(t, string(before), string(b.JSON(jobName)))
}

func TestAdvice(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)
	const compute = "123456789012-compute@developer.gserviceaccount.com"
	b.AddJSON("projects/web-prod/locations/europe-west1/jobs/other", []byte(`{"template": {"template": {"containers": [{"image": "i"}]}}}`))
	b.Grant(runProject, "roles/editor", "serviceAccount:"+compute)
	b.Grant(ownProject, "roles/owner", "serviceAccount:"+compute)
	b.Grant("folders/2", "roles/iam.serviceAccountUser", dev)
	b.Grant(runProject, "roles/run.serviceAgent", dev)
	report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Deployer: dev})
	assert.Equal(t, preflight.Pass, report.Verdict(), "%s", report)
	assert.Equal(t, account(t, compute), report.Identity)
	var codes []preflight.Code
	for _, a := range report.Advice {
		codes = append(codes, a.Code)
	}
	assert.Equal(t, []preflight.Code{
		preflight.AdviceCannotWait, preflight.AdviceDefaultIdentity, preflight.AdviceSharedIdentity, preflight.AdviceBasicRole, preflight.AdviceWideGrant, preflight.AdviceAgentRole,
	}, codes, "%s", report)
	b.Grant(runProject, "roles/owner", "serviceAccount:"+compute)
	report = check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Deployer: dev})
	last := report.Advice[len(report.Advice)-1]
	assert.Equal(t, preflight.AdviceMightierIdentity, last.Code)
	assert.Contains(t, last.Message, "may change the allow policy of projects/web-prod, which dev@example.com may not")
	assert.Empty(t, check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Deployer: dev}, &preflight.CheckOptions{NoAdvice: true}).Advice)
}

func TestManyMembers(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)
	revoke(b, accountName(local), "", dev)
	members := make([]string, 1499, 1500)
	for i := range members {
		members[i] = fmt.Sprintf("user:u%d@example.com", i)
	}
	p := &iam.Policy{Bindings: []*iam.Binding{{Role: "roles/iam.serviceAccountUser", Members: append(members, dev)}}}
	b.SetPolicy(accountName(local), p)
	target := preflight.Target{Workload: job, Identity: account(t, local), Deployer: dev}
	assert.Equal(t, preflight.Pass, check(t, newChecker(t, b, auditor), target).Verdict())

	// A policy that is full takes no other principal, and that is said before it
	// is written.
	_, err := newFixer(t, b).Apply(t.Context(), []preflight.Fix{{
		Kind: preflight.FixGrantRole, Resource: "//iam.googleapis.com/projects/web-prod/serviceAccounts/" + local, Role: "roles/iam.serviceAccountUser", Member: auditor,
	}}, nil)
	require.ErrorContains(t, err, "would have 1501 principals, and may have 1500")
}

// What was just made isn't seen at once.
func TestRepairOfWhatIsMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		grantReading(b, dev)
		b.SetPropagation(40*time.Second, time.Minute)
		c := newChecker(t, b, dev)
		const fresh = "fresh-one@data-prod.iam.gserviceaccount.com"
		report := check(t, c, preflight.Target{Workload: job, Identity: account(t, fresh)})
		assert.Equal(t, preflight.Fail, report.Verdict())
		repaired, steps, err := newFixer(t, b).Repair(t.Context(), c, report, nil)
		require.NoError(t, err)
		assert.Equal(t, preflight.Pass, repaired.Verdict(), "%s", repaired)
		assert.Len(t, steps, 3)
		time.Sleep(2 * time.Minute)
		require.NoError(t, attach(t, b, dev, job, fresh))
	})
}

// Where a deny policy says no, a grant is no fix.
func TestDenialsAreFound(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.AddDenyPolicy("folders/3", &iamv2.GoogleIamV2Policy{Name: "freeze", Rules: []*iamv2.GoogleIamV2PolicyRule{{DenyRule: &iamv2.GoogleIamV2DenyRule{
		DeniedPrincipals: []string{"principal://goog/subject/dev@example.com"}, DeniedPermissions: []string{"iam.googleapis.com/serviceAccounts.actAs"},
	}}}})
	target := preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev}
	f := finding(t, check(t, newChecker(t, b, dev), target), preflight.CheckDeployerActAs)
	assert.Equal(t, preflight.Fail, f.Verdict)
	assert.Equal(t, preflight.FixGrantRole, f.Fix.Kind, "who may not read policies is told what is usual")

	grantReading(b, dev)
	grantAuditor(b)
	for caller, opts := range map[string][]*preflight.CheckOptions{dev: nil, auditor: {&preflight.CheckOptions{Troubleshoot: true}}} {
		f = finding(t, check(t, newChecker(t, b, caller), target, opts...), preflight.CheckDeployerActAs)
		assert.Equal(t, preflight.Fail, f.Verdict)
		assert.Equal(t, preflight.FixExemptFromDeny, f.Fix.Kind, caller)
		assert.Contains(t, f.Message, "rule 0 of the deny policy freeze on folders/3 denies it")
		assert.NotEqual(t, preflight.ByPolicies, f.Evidence.Method)
	}
}

// Services and worker pools alike.
func TestKinds(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"services/s", "workerPools/w", "jobs/j"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			w, err := identity.ParseWorkload("projects/web-prod/locations/europe-west1/" + name)
			require.NoError(t, err)
			target := preflight.Target{Workload: w, Identity: account(t, local), Deployer: dev}
			for _, c := range []*preflight.Checker{newChecker(t, b, auditor), newChecker(t, b, dev)} {
				f := finding(t, check(t, c, target), preflight.CheckDeployerDeploy)
				if f.Verdict == preflight.Fail { // dev may not see whether it is there
					assert.Contains(t, f.Permission, "run."+strings.ToLower(strings.Split(name, "/")[0])+".")
				}
			}
			template := `{"template": {"containers": [{"image": "i"}]}}`
			if w.Kind == identity.KindJob {
				template = `{"template": ` + template + `}`
			}
			b.AddJSON(w.Name(), []byte(template))
			report := check(t, newChecker(t, b, auditor), target)
			assert.Equal(t, preflight.Fail, report.Verdict())
			_, _, err = newFixer(t, b).Repair(t.Context(), newChecker(t, b, auditor), report, nil)
			require.NoError(t, err)
			for _, c := range []*preflight.Checker{newChecker(t, b, auditor), newChecker(t, b, dev)} {
				assert.Equal(t, preflight.Pass, verdicts(check(t, c, target))[preflight.CheckDeployerDeploy])
			}
			require.NoError(t, attach(t, b, dev, w, local))
		})
	}
}
