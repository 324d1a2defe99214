package preflight_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/runidentity/runidentity/preflight"
)

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

// A need on another service's resource is Unknown also where the identity is the
// caller.
func TestNeedOnAnotherService(t *testing.T) {
	t.Parallel()
	const botOfJob = "serviceAccount:" + local
	b := newCloud(t)
	c := newChecker(t, b, botOfJob)
	for _, res := range []string{"//storage.googleapis.com/projects/_/buckets/invoices", "//logging.googleapis.com/projects/data-prod"} {
		b.ResetCalls()
		b.Grant(ownProject, "roles/viewer", botOfJob)
		report := check(t, c, preflight.Target{Workload: job, Identity: account(t, local), Needs: []preflight.Need{{Resource: res, Permissions: []string{"storage.objects.get"}}}}, &preflight.CheckOptions{NoAdvice: true})
		f := finding(t, report, preflight.CheckRuntimeAccess)
		assert.Equal(t, preflight.Unknown, f.Verdict)
	}
}
