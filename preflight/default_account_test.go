package preflight_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

const compute = "123456789012-compute@developer.gserviceaccount.com"

// A default account that was deleted can't be created again, so that no fix does; one
// that was disabled can be enabled.
func TestDefaultAccountIsGone(t *testing.T) {
	t.Parallel()
	target := preflight.Target{Workload: identity.Job("web-prod", "europe-west1", "new"), Deployer: dev}
	name := "projects/-/serviceAccounts/" + compute
	t.Run("deleted", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		grantAuditor(b)
		_, err := admin(t, b).Projects.ServiceAccounts.Delete(name).Do()
		require.NoError(t, err)
		report := check(t, newChecker(t, b, auditor), target)
		assert.Equal(t, account(t, compute), report.Identity)
		f := finding(t, report, preflight.CheckIdentity)
		assert.Equal(t, preflight.Fail, f.Verdict)
		assert.Nil(t, f.Fix)
		for _, fix := range preflight.Fixes(report) {
			assert.NotEqual(t, preflight.FixCreateAccount, fix.Kind)
		}
	})
	t.Run("disabled", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		grantAuditor(b)
		_, err := admin(t, b).Projects.ServiceAccounts.Disable(name, &iam.DisableServiceAccountRequest{}).Do()
		require.NoError(t, err)
		f := finding(t, check(t, newChecker(t, b, auditor), target), preflight.CheckIdentity)
		assert.Equal(t, preflight.Fail, f.Verdict)
		assert.Equal(t, &preflight.Fix{Kind: preflight.FixEnableAccount, Account: account(t, compute), Project: "web-prod"}, f.Fix)
	})
}

// Organizations keep roles/editor from default accounts: then there is advice about
// the default account but none about the basic role, and what the workload needs is
// granted to the account on the resource itself.
func TestDefaultAccountWithAndWithoutEditor(t *testing.T) {
	t.Parallel()
	target := preflight.Target{Workload: identity.Service("web-prod", "europe-west1", "front"), Deployer: dev, Needs: []preflight.Need{
		{Resource: ownProject, Role: "roles/run.invoker"},
		{Resource: "//storage.googleapis.com/projects/_/buckets/sources", Role: "roles/storage.objectViewer"},
	}}
	for name, editor := range map[string]bool{"with": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			revoke(b, runProject, "roles/editor", "serviceAccount:"+compute)
			if editor {
				b.Grant(runProject, "roles/editor", "serviceAccount:"+compute)
			}
			report := check(t, newChecker(t, b, auditor), target)
			advice := make(map[preflight.Code]bool)
			for _, a := range report.Advice {
				advice[a.Code] = true
			}
			assert.True(t, advice[preflight.AdviceDefaultIdentity])
			assert.Equal(t, editor, advice[preflight.AdviceBasicRole])
			f := finding(t, report, preflight.CheckRuntimeAccess)
			assert.Equal(t, preflight.Fail, f.Verdict, f.Message)
			assert.Equal(t, &preflight.Fix{
				Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/" + ownProject, Role: "roles/run.invoker",
				Member: "serviceAccount:" + compute,
			}, f.Fix)
			bucket := report.Findings[len(report.Findings)-1]
			assert.Equal(t, preflight.Unknown, bucket.Verdict, "a bucket's policy isn't read: %s", bucket.Message)
			assert.Nil(t, bucket.Fix)
		})
	}
}
