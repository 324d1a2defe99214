package preflight_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"

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

// A context that ends is not a grant that has no effect.
func TestRepairEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, target := brokenCloud(t)
		b.SetPropagation(0, time.Hour)
		grantReading(b, dev)
		c := newChecker(t, b, dev)
		fixer := newFixer(t, b)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, _, err := fixer.Repair(ctx, c, check(t, c, target), repairAll)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotContains(t, err.Error(), "after 5m0s")
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
			b.AddRunJSON(w.Name(), []byte(template))
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
