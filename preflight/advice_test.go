package preflight_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/runidentity/runidentity/preflight"
)

func TestAdvice(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)

	b.AddRunJSON("projects/web-prod/locations/europe-west1/jobs/other", []byte(`{"template": {"template": {"containers": [{"image": "i"}]}}}`))
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
