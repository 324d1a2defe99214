package preflight_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

const selfBot = "serviceAccount:" + local

// Identity == caller and a need on another service's resource.
func TestNeedOnAnotherService(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newChecker(t, b, selfBot)
	for _, res := range []string{"//storage.googleapis.com/projects/_/buckets/invoices", "//logging.googleapis.com/projects/data-prod"} {
		b.ResetCalls()
		b.Grant(ownProject, "roles/viewer", selfBot)
		report := check(t, c, preflight.Target{Workload: job, Identity: account(t, local), Needs: []preflight.Need{{Resource: res, Permissions: []string{"storage.objects.get"}}}}, &preflight.CheckOptions{NoAdvice: true})
		f := finding(t, report, preflight.CheckRuntimeAccess)
		assert.Equal(t, preflight.Unknown, f.Verdict)
	}
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

// No operation is waited for longer than Fixer.Wait.
func TestFixerWaitsForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		disableRun(t, b)
		b.SetOperationTime(48*time.Hour, "serviceusage.services.enable")
		f := newFixer(t, b)
		began := time.Now()
		_, err := f.Apply(t.Context(), []preflight.Fix{{Kind: preflight.FixEnableAPI, Project: "web-prod", Service: "run.googleapis.com"}}, &preflight.ApplyOptions{Wait: time.Minute})
		require.ErrorContains(t, err, "the operation is still under way")
		assert.Less(t, time.Since(began), time.Hour)
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

// Why the agent can't be created is told.
func TestWhyThereIsNoAgent(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	number := b.AddProject(&cloudresourcemanager.Project{ProjectId: "new-proj"})
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: "projects/new-proj/services/run.googleapis.com", State: "DISABLED"})
	b.Inject("serviceusage.services.generateServiceIdentity", fake.Fault{Status: 403, Body: `{"error": {"code": 403, "message": "you lack serviceusage.services.enable", "status": "PERMISSION_DENIED"}}`})
	_, err := newFixer(t, b).Apply(t.Context(), []preflight.Fix{{
		Kind: preflight.FixGrantRole, Resource: "//iam.googleapis.com/projects/data-prod/serviceAccounts/" + remote, Role: "roles/iam.serviceAccountTokenCreator",
		Member: identity.RunServiceAgent(number).Member(),
	}}, nil)
	require.ErrorContains(t, err, "serviceusage.services.enable")
}

// Fixes are validated before anything is done.
func TestFixesAreCheckedFirst(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	disableRun(t, b)
	for _, bad := range []preflight.Fix{
		{Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/projects/web-prod", Role: "roles/run.viewer", Member: "bob"},
		{Kind: preflight.FixGrantRole, Resource: "projects/web-prod", Role: "roles/run.viewer", Member: dev},
		{Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/projects/web-prod", Member: dev},
		{Kind: preflight.FixExemptFromDeny, Member: dev},
		{Kind: preflight.FixAllowCrossProject},
		{Kind: preflight.FixEnableAccount},
		{Kind: preflight.FixCreateAccount},
	} {
		b.ResetCalls()
		f := newFixer(t, b)
		_, err := f.Apply(t.Context(), []preflight.Fix{{Kind: preflight.FixEnableAPI, Project: "web-prod", Service: "run.googleapis.com"}, bad}, applyAll)
		require.Error(t, err)
		assert.Empty(t, b.Calls(), "%T", bad)
	}
}

// A rule that took the place of the one that was found is left as it is.
func TestDenyRuleMoved(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)
	rule := func(permission string) *iamv2.GoogleIamV2PolicyRule {
		return &iamv2.GoogleIamV2PolicyRule{DenyRule: &iamv2.GoogleIamV2DenyRule{
			DeniedPrincipals: []string{"principalSet://goog/public:all"}, DeniedPermissions: []string{permission}}}
	}
	b.AddDenyPolicy("folders/2", &iamv2.GoogleIamV2Policy{Name: "frozen", Rules: []*iamv2.GoogleIamV2PolicyRule{rule("iam.googleapis.com/serviceAccounts.actAs")}})
	report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, local), Deployer: dev}, &preflight.CheckOptions{NoAdvice: true})
	svc, err := iamv2.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	name := preflight.Fixes(report)[0].Policy
	p, err := svc.Policies.Get(name).Do()
	require.NoError(t, err)
	p.Rules = append([]*iamv2.GoogleIamV2PolicyRule{rule("iam.googleapis.com/serviceAccountKeys.create")}, p.Rules...)
	_, err = svc.Policies.Update(name, p).Do()
	require.NoError(t, err)
	f := newFixer(t, b)
	_, err = f.Apply(t.Context(), preflight.Fixes(report), applyAll)
	require.ErrorContains(t, err, "rule 0 of the policy doesn't deny iam.serviceAccounts.actAs any more: check again")
	p, err = svc.Policies.Get(name).Do()
	require.NoError(t, err)
	assert.Empty(t, p.Rules[0].DenyRule.ExceptionPrincipals, "the ban on creating keys is none of the report's business")
}

// What became of a fix is kept as JSON.
func TestStepJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(preflight.Step{Fix: preflight.Fix{Kind: preflight.FixEnableAPI, Project: "p", Service: "s"}, Outcome: preflight.OutcomeApplied})
	require.NoError(t, err)
	var s preflight.Step
	require.NoError(t, json.Unmarshal(text, &s))
	assert.Equal(t, preflight.Step{Fix: preflight.Fix{Kind: preflight.FixEnableAPI, Project: "p", Service: "s"}, Outcome: preflight.OutcomeApplied}, s)
	text, err = json.Marshal(preflight.Step{})
	require.NoError(t, err)
	assert.JSONEq(t, `{"fix": null, "outcome": ""}`, string(text))
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
