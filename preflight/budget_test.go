package preflight_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

const latency = 100 * time.Millisecond

// deepCloud is a cloud whose two projects are five folders deep, each with the
// organization in common.
func deepCloud(t *testing.T) *fake.Backend {
	t.Helper()
	b := fake.NewBackend()
	t.Cleanup(b.Close)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com"})
	for i, project := range []string{"web-prod", "data-prod"} {
		parent := "organizations/1"
		for depth := range 5 {
			name := fmt.Sprintf("folders/%d", 10*(i+1)+depth)
			b.AddFolder(&cloudresourcemanager.Folder{Name: name, Parent: parent})
			parent = name
		}
		b.AddProject(&cloudresourcemanager.Project{ProjectId: project, Name: fmt.Sprintf("projects/%d23456789012", i+1), Parent: parent})
	}
	b.AddServiceAccount(&iam.ServiceAccount{Email: remote})
	b.AddServiceAccount(&iam.ServiceAccount{Email: local})
	b.AddRunJSON(jobName, []byte(`{"template": {"template": {"containers": [{"image": "image"}], "serviceAccount": "`+local+`"}}}`))
	b.SetOrgPolicy(crossProject(ownProject, false))
	grantAuditor(b)
	return b
}

// measure runs a check in virtual time and returns its round trips and calls.
func measure(t *testing.T, b *fake.Backend, c *preflight.Checker, target preflight.Target) (preflight.Report, int, []fake.Call) {
	t.Helper()
	b.SetLatency(latency)
	b.ResetCalls()
	began := time.Now()
	report := check(t, c, target, &preflight.CheckOptions{NoAdvice: true, CallsPerSecond: -1})
	trips := int(time.Since(began) / latency)
	b.SetLatency(0)
	return report, trips, b.Calls()
}

// count is how many calls there were, in all and of each method.
func count(calls []fake.Call) (n int, by map[string]int) {
	by = make(map[string]int)
	for _, c := range calls {
		by[c.Method]++
	}
	return len(calls), by
}

// The agent of web-prod in deepCloud.
const deepAgent = "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"

func TestRoundTrips(t *testing.T) {
	t.Parallel()
	// Other projects' ancestors: 5 folders each and the organization.
	const ancestors = 11
	t.Run("another deployer, across projects", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := deepCloud(t)
			b.Grant("folders/22", "roles/iam.serviceAccountUser", dev)
			b.Grant("folders/12", "roles/run.developer", dev)
			b.Grant(accountName(remote), "roles/iam.serviceAccountTokenCreator", deepAgent)
			b.AddDenyPolicy("folders/24", &iamv2.GoogleIamV2Policy{Name: "unrelated", Rules: []*iamv2.GoogleIamV2PolicyRule{{
				DenyRule: &iamv2.GoogleIamV2DenyRule{
					DeniedPrincipals: []string{"principal://goog/subject/eve@example.com"}, DeniedPermissions: []string{"iam.googleapis.com/roles.create"},
				},
			}}})
			report, trips, calls := measure(t, b, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev})
			assert.Equal(t, preflight.Pass, report.Verdict(), "%s", report)
			assert.Equal(t, 3, trips)
			n, by := count(calls)
			assert.Equal(t, 3, by["iam.roles.get"], "%v", by)
			assert.Equal(t, 1, by["iam.policies.get"])
			assert.LessOrEqual(t, n, 12+2*ancestors+1+3, "%v", by)
			t.Logf("%d round trips, %d calls, of which 2*%d for ancestors, 1 deny policy and 3 roles: %v", trips, n, ancestors, by)
		})
	})
	t.Run("the caller, across projects", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := deepCloud(t)
			b.Grant("folders/22", "roles/iam.serviceAccountUser", dev)
			b.Grant("folders/12", "roles/run.developer", dev)
			grantReading(b, dev)
			b.Grant(accountName(remote), "roles/iam.serviceAccountTokenCreator", deepAgent)
			report, trips, calls := measure(t, b, newChecker(t, b, dev), preflight.Target{Workload: job, Identity: account(t, remote)})
			assert.Equal(t, preflight.Pass, report.Verdict(), "%s", report)
			assert.Equal(t, 2, trips)
			n, by := count(calls)
			// The deny policies above the account decide as well: a call for
			// each ancestor of its project.
			assert.Equal(t, 7, by["iam.policies.listPolicies"], "%v", by)
			assert.LessOrEqual(t, n-by["iam.roles.get"]-6, 8, "%v", by)
			assert.Zero(t, by["cloudresourcemanager.projects.getIamPolicy"], "the agent has a grant on the account")
			t.Logf("%d round trips, %d calls: %v", trips, n, by)
		})
	})
	t.Run("the identity that the workload has", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := deepCloud(t)
			b.Grant("folders/12", "roles/run.developer", dev)
			b.Grant(accountName(local), "roles/iam.serviceAccountUser", dev)
			c := newChecker(t, b, auditor)
			given, trips, calls := measure(t, b, c, preflight.Target{Workload: job, Identity: account(t, local), Deployer: dev})
			require.Equal(t, preflight.Pass, given.Verdict(), "%s", given)
			read, more, moreCalls := measure(t, b, c, preflight.Target{Workload: job, Deployer: dev})
			assert.Equal(t, preflight.Pass, read.Verdict(), "%s", read)
			assert.Equal(t, account(t, local), read.Identity)
			assert.Equal(t, trips+1, more)
			assert.Len(t, moreCalls, len(calls)+1)
		})
	})
}

// grantReading lets a member read what checks need.
func grantReading(b *fake.Backend, member string) {
	for _, role := range []string{"roles/iam.securityReviewer", "roles/iam.denyReviewer", "roles/viewer"} {
		b.Grant("organizations/1", role, member)
	}
}

// Ten thousand workloads over 50 projects and 200 identities.
func TestManyTargets(t *testing.T) { //nolint:paralleltest // it measures
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const projects, accounts, workloads = 50, 200, 10_000
	b := fake.NewBackend()
	defer b.Close()
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com"})
	grantAuditor(b)
	identities := make([]identity.ServiceAccount, accounts)
	for i := range projects {
		id := fmt.Sprintf("project-%02d", i)
		b.AddProject(&cloudresourcemanager.Project{ProjectId: id, Parent: "organizations/1"})
		b.Grant("projects/"+id, "roles/run.developer", dev)
		b.SetOrgPolicy(crossProject("projects/"+id, false))
	}
	for i := range identities {
		email := fmt.Sprintf("runner-%03d@project-%02d.iam.gserviceaccount.com", i, i%projects)
		identities[i] = account(t, email)
		b.AddServiceAccount(&iam.ServiceAccount{Email: email})
		b.Grant(accountName(email), "roles/iam.serviceAccountUser", dev)
	}
	// Every agent may mint tokens for all accounts.
	b.AddRole(&iam.Role{Name: "organizations/1/roles/minter", IncludedPermissions: []string{"iam.serviceAccounts.getAccessToken"}})
	for i := range projects {
		number := numberOf(t, b, fmt.Sprintf("project-%02d", i))
		b.Grant("organizations/1", "organizations/1/roles/minter", identity.RunServiceAgent(number).Member())
	}
	targets := func(yield func(preflight.Target) bool) {
		for i := range workloads {
			w := identity.Job(fmt.Sprintf("project-%02d", i%projects), "europe-west1", fmt.Sprintf("job-%d", i))
			if !yield(preflight.Target{Workload: w, Identity: identities[(i+7)%accounts], Deployer: dev}) {
				return
			}
		}
	}
	c := newChecker(t, b, auditor)
	b.ResetCalls()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	passed, peak := 0, uint64(0)
	for report, err := range c.CheckAll(t.Context(), targets, &preflight.CheckAllOptions{Check: preflight.CheckOptions{NoAdvice: true, CallsPerSecond: -1}}) {
		require.NoError(t, err)
		if report.Verdict() == preflight.Pass {
			passed++
		} else {
			require.Fail(t, report.String())
		}
		if passed%2000 == 0 {
			runtime.ReadMemStats(&after)
			peak = max(peak, after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))
		}
	}
	took := time.Since(began)
	n, by := count(b.Calls())
	t.Logf("%d workloads in %s, %d calls, heap grew by at most %d MiB: %v", passed, took, n, peak>>20, by)
	assert.Equal(t, workloads, passed)
	assert.LessOrEqual(t, n, 10*(projects+accounts))
	assert.Zero(t, by["run.projects.locations.jobs.getIamPolicy"])
	assert.Less(t, peak, uint64(200<<20))
}

// numberOf is a project's number.
func numberOf(t *testing.T, b *fake.Backend, project string) int64 {
	t.Helper()
	svc, err := cloudresourcemanager.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	p, err := svc.Projects.Get("projects/" + project).Do()
	require.NoError(t, err)
	var number int64
	_, err = fmt.Sscanf(p.Name, "projects/%d", &number)
	require.NoError(t, err)
	return number
}
