package preflight_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

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

// A fix that is given twice is tried twice, and there is nothing to do then.
func TestFixGivenTwice(t *testing.T) {
	t.Parallel()
	grant := preflight.Fix{
		Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/projects/web-prod", Role: "roles/run.viewer", Member: auditor,
	}
	steps, err := newFixer(t, newCloud(t)).Apply(t.Context(), []preflight.Fix{grant, grant}, nil)
	require.NoError(t, err)
	assert.Equal(t, []preflight.Step{{Fix: grant, Outcome: preflight.OutcomeApplied}, {Fix: grant, Outcome: preflight.OutcomeUnneeded}}, steps)
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

// A rule that took the place of the one that was found is left as it is.
func TestDenyRuleMoved(t *testing.T) {
	t.Parallel()
	rule := func(principal, permission string) *iamv2.GoogleIamV2PolicyRule {
		return &iamv2.GoogleIamV2PolicyRule{DenyRule: &iamv2.GoogleIamV2DenyRule{
			DeniedPrincipals: []string{principal}, DeniedPermissions: []string{permission},
		}}
	}
	const everyone, contractors = "principalSet://goog/public:all", "principalSet://goog/group/contractors@example.com"
	for name, tt := range map[string]struct {
		found string // whom the rule denies that was found
		now   *iamv2.GoogleIamV2PolicyRule
		want  string
	}{
		"another permission": {everyone, rule(everyone, "iam.googleapis.com/serviceAccountKeys.create"), "doesn't deny iam.serviceAccounts.actAs any more"},
		"other people":       {everyone, rule(contractors, "iam.googleapis.com/serviceAccounts.actAs"), "doesn't deny allUsers any more"},
		"others than one":    {"principal://goog/subject/dev@example.com", rule(contractors, "iam.googleapis.com/serviceAccounts.actAs"), "doesn't deny " + dev + " any more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			b.AddGroup("contractors@example.com", "user:someone@example.com")
			b.AddDenyPolicy("folders/2", &iamv2.GoogleIamV2Policy{Name: "frozen", Rules: []*iamv2.GoogleIamV2PolicyRule{
				rule(tt.found, "iam.googleapis.com/serviceAccounts.actAs"),
			}})
			report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, local), Deployer: dev}, &preflight.CheckOptions{NoAdvice: true})
			svc, err := iamv2.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
			require.NoError(t, err)
			name := preflight.Fixes(report)[0].Policy
			p, err := svc.Policies.Get(name).Do()
			require.NoError(t, err)
			p.Rules = append([]*iamv2.GoogleIamV2PolicyRule{tt.now}, p.Rules...)
			_, err = svc.Policies.Update(name, p).Do()
			require.NoError(t, err)
			f := newFixer(t, b)
			_, err = f.Apply(t.Context(), preflight.Fixes(report), applyAll)
			require.ErrorContains(t, err, "rule 0 of the policy "+tt.want+": check again")
			p, err = svc.Policies.Get(name).Do()
			require.NoError(t, err)
			assert.Empty(t, p.Rules[0].DenyRule.ExceptionPrincipals, "that rule is none of the report's business")

			report, _, err = f.Repair(t.Context(), newChecker(t, b, auditor), check(t, newChecker(t, b, auditor), report.Target, nil), repairAll)
			require.NoError(t, err)
			assert.NoError(t, report.Err())
		})
	}
}
