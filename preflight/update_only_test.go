package preflight_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

// A deployer that has the update permission on a workload and nothing else may update
// it and not read it, and may not act as the identity that the workload has: the
// server refuses every update, also one that leaves the identity alone.
func TestUpdatePermissionAlone(t *testing.T) {
	t.Parallel()
	const bot = "serviceAccount:deploy-bot@web-prod.iam.gserviceaccount.com"
	for name, permission := range map[string]string{"services/s": "run.services.update", "workerPools/w": "run.workerpools.update", "jobs/j": "run.jobs.update"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			b.AddServiceAccount(&iam.ServiceAccount{Email: strings.TrimPrefix(bot, "serviceAccount:")})
			w, err := identity.ParseWorkload("projects/web-prod/locations/europe-west1/" + name)
			require.NoError(t, err)
			template := `{"template": {"serviceAccount": "` + local + `", "containers": [{"image": "i"}]}}`
			if w.Kind == identity.KindJob {
				template = `{"template": ` + template + `}`
			}
			b.AddRunJSON(w.Name(), []byte(template))
			b.AddRole(&iam.Role{Name: "projects/web-prod/roles/updater", IncludedPermissions: []string{permission}})
			b.Grant(w.Name(), "projects/web-prod/roles/updater", bot)

			report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: w, Deployer: bot})
			assert.Equal(t, account(t, local), report.Identity, "the one that it has")
			f := finding(t, report, preflight.CheckDeployerActAs)
			assert.Equal(t, preflight.Fail, f.Verdict, f.Message)
			assert.Equal(t, "roles/iam.serviceAccountUser", f.Fix.Role)
			assert.True(t, strings.HasSuffix(f.Fix.Resource, "/serviceAccounts/"+local), f.Fix.Resource)
			got := make(map[string]preflight.Verdict)
			for _, f := range report.Findings {
				if f.Code == preflight.CheckDeployerDeploy {
					got[f.Permission] = f.Verdict
				}
			}
			assert.Equal(t, map[string]preflight.Verdict{
				permission: preflight.Pass, strings.TrimSuffix(permission, "update") + "get": preflight.Fail,
			}, got)

			own := check(t, newChecker(t, b, bot), preflight.Target{Workload: w})
			assert.NotEqual(t, preflight.Pass, own.Verdict(), "%s", own)
			require.ErrorContains(t, attach(t, b, bot, w, local), strings.TrimSuffix(permission, "update")+"get' denied")
		})
	}
}
