package preflight_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	iamv2 "google.golang.org/api/iam/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/preflight"
)

// Groups and sets of a pool's identities deploy, too: they have what is granted to
// the set itself, or to one that contains it.
func TestSetsAsDeployers(t *testing.T) {
	t.Parallel()
	const pool = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/"
	for name, tt := range map[string]struct {
		deployer, granted string
		want              preflight.Verdict
	}{
		"a group":                        {"group:deployers@example.com", "group:deployers@example.com", preflight.Pass},
		"a group, by its domain":         {"group:deployers@example.com", "group:others@example.com", preflight.Unknown},
		"a repository":                   {pool + "attribute.repository/shop/web", pool + "attribute.repository/shop/web", preflight.Pass},
		"a repository, by the pool":      {pool + "attribute.repository/shop/web", pool + "*", preflight.Pass},
		"a repository, not by another":   {pool + "attribute.repository/shop/web", pool + "attribute.repository/shop/api", preflight.Fail},
		"one identity, by the pool":      {strings.Replace(pool, "principalSet", "principal", 1) + "subject/repo:shop", pool + "*", preflight.Pass},
		"one identity, by an attribute":  {strings.Replace(pool, "principalSet", "principal", 1) + "subject/repo:shop", pool + "attribute.repository/shop/web", preflight.Unknown},
		"one identity, by another pool":  {strings.Replace(pool, "principalSet", "principal", 1) + "subject/repo:shop", strings.Replace(pool, "/ci/", "/other/", 1) + "*", preflight.Fail},
		"an account, by all of its kind": {"serviceAccount:" + local, "principalSet://cloudresourcemanager.googleapis.com/projects/123456789012/type/ServiceAccount", preflight.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			b.AddGroup("deployers@example.com", dev)
			b.AddGroup("others@example.com", dev)
			b.Grant(runProject, "roles/run.developer", tt.granted)
			b.Grant(accountName(remote), "roles/iam.serviceAccountUser", tt.granted)
			report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, remote), Deployer: tt.deployer})
			assert.Equal(t, tt.want, verdicts(report)[preflight.CheckDeployerActAs], "%s", report)
			assert.Equal(t, tt.want, verdicts(report)[preflight.CheckDeployerDeploy], "%s", report)
			if tt.want == preflight.Unknown {
				f := finding(t, report, preflight.CheckDeployerActAs)
				assert.Equal(t, tt.granted, f.Causes[0].Principal, "the set is named")
			}
		})
	}
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

// An organization policy that doesn't say, and a role that isn't there any more.
func TestWhatTheServerDoesNotSay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method, body string
		status       int
		code         preflight.Code
		want         preflight.Verdict
	}{
		"no rules":           {"orgpolicy.projects.policies.getEffectivePolicy", `{"name": "x", "spec": {}}`, 200, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"no specification":   {"orgpolicy.projects.policies.getEffectivePolicy", `{"name": "x"}`, 200, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"rules that differ":  {"orgpolicy.projects.policies.getEffectivePolicy", `{"spec": {"rules": [{"enforce": true, "condition": {"expression": "x"}}, {"enforce": false}]}}`, 200, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"rules of a list":    {"orgpolicy.projects.policies.getEffectivePolicy", `{"spec": {"rules": [{"allowAll": true}]}}`, 200, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"no policy":          {"orgpolicy.projects.policies.getEffectivePolicy", `{"error": {"code": 404, "message": "none"}}`, 404, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"enforced":           {"orgpolicy.projects.policies.getEffectivePolicy", `{"spec": {"rules": [{"enforce": true}]}}`, 200, preflight.CheckCrossProjectPolicy, preflight.Fail},
		"a role that's gone": {"iam.roles.get", `{"error": {"code": 404, "message": "none"}}`, 404, preflight.CheckDeployerActAs, preflight.Fail},
		"a state of the API": {"serviceusage.services.get", `{"name": "projects/123456789012/services/run.googleapis.com", "state": "STATE_UNSPECIFIED"}`, 200, preflight.CheckRunAPI, preflight.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			b.Inject(tt.method, fake.Fault{Status: tt.status, Body: tt.body})
			report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev})
			f := finding(t, report, tt.code)
			assert.Equal(t, tt.want, f.Verdict, "%s", report)
			assert.Equal(t, tt.want == preflight.Unknown, len(f.Causes) > 0)
		})
	}
}

// A rule with a condition says nothing of the project.
func TestConditionalOrgPolicy(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)
	b.Inject("orgpolicy.projects.policies.getEffectivePolicy", fake.Fault{Status: 200, Body: `{"name":"projects/210987654321/policies/iam.disableCrossProjectServiceAccountUsage","spec":{"rules":[{"enforce":false,"condition":{"expression":"resource.matchTag('1/env','test')"}}]}}`})
	report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev}, &preflight.CheckOptions{NoAdvice: true})
	f := finding(t, report, preflight.CheckCrossProjectPolicy)
	assert.Equal(t, preflight.Unknown, f.Verdict)
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
	before := b.RunJSON(jobName)
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
	assert.JSONEq(t, string(before), string(b.RunJSON(jobName)))
}

// Whatever goes wrong with whatever is asked, nothing is written, and nothing is
// told that isn't so.
func TestNothingIsWrittenWhateverFails(t *testing.T) {
	t.Parallel()
	for _, caller := range []string{dev, auditor} {
		b := newCloud(t)
		grantAuditor(b)
		target := preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev, Needs: []preflight.Need{
			{Resource: ownProject, Permissions: []string{"run.jobs.run"}, Role: "roles/run.invoker"},
		}}
		opts := []*preflight.CheckOptions{{Troubleshoot: true, ValidateOnly: true}}
		truth := verdicts(check(t, newChecker(t, b, auditor), target))
		check(t, newChecker(t, b, caller), target, opts...)
		methods := make(map[string]bool)
		for _, call := range b.Calls() {
			methods[call.Method] = true
		}
		assertNoWrites(t, b)
		for method := range methods {
			for fault, f := range map[string]fake.Fault{
				"403": {Status: 403, Body: `{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}`},
				"404": {Status: 404, Body: `{"error": {"code": 404, "message": "nothing there", "status": "NOT_FOUND"}}`},
				"400": {Status: 400, Body: `{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}`},
				"500": {Status: 500}, "garbage": {Garble: true}, "dropped": {DropBefore: true}, "cut": {Truncate: true},
			} {
				t.Run(strings.Join([]string{caller, method, fault}, " "), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						b := newCloud(t)
						grantAuditor(b)
						b.Inject(method, f)
						report := check(t, newChecker(t, b, caller), target, opts...)
						assertNoWrites(t, b)
						for code, v := range verdicts(report) {
							want, known := truth[code]
							if v == preflight.Unknown || !known || fault == "404" {
								continue // what the server says isn't there isn't there
							}
							assert.Equal(t, want, v, "%s: %s", code, report)
						}
					})
				})
			}
		}
	}
}
