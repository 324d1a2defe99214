package preflight_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

var situations = flag.Int("preflight.situations", 1000, "how many situations TestOracle generates")

// A world is a generated situation.
type world struct {
	*fake.Backend
	rng      *rand.Rand
	deployer string
	email    string   // the identity
	levels   []string // what has policies that matter
	groups   map[string][]string
	bare     bool // a project is in no organization
}

const botMember = "serviceAccount:deploy-bot@web-prod.iam.gserviceaccount.com"

func (w *world) pick(of ...string) string { return of[w.rng.IntN(len(of))] }
func (w *world) chance(percent int) bool  { return w.rng.IntN(100) < percent }
func (w *world) level() string            { return w.levels[w.rng.IntN(len(w.levels))] }
func (w *world) hasGroups() bool          { return len(w.groups) > 0 }
func (w *world) group(members ...string) string {
	email := fmt.Sprintf("group-%d@example.com", len(w.groups))
	w.groups[email] = members
	w.AddGroup(email, members...)
	return "group:" + email
}

// generate makes a situation from a seed.
func generate(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{Backend: fake.NewBackend(), rng: rand.New(rand.NewPCG(seed, 4)), groups: make(map[string][]string)}
	t.Cleanup(w.Close)
	w.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com"})
	for i, project := range []string{"web-prod", "data-prod"} {
		parent := "organizations/1"
		for depth := range w.rng.IntN(6) {
			name := fmt.Sprintf("folders/%d", 10*(i+1)+depth)
			w.AddFolder(&cloudresourcemanager.Folder{Name: name, Parent: parent})
			w.levels = append(w.levels, name)
			parent = name
		}
		if w.chance(5) {
			parent, w.bare = "", true
		}
		w.AddProject(&cloudresourcemanager.Project{ProjectId: project, Name: fmt.Sprintf("projects/%d23456789012", i+1), Parent: parent})
	}
	w.AddServiceAccount(&iam.ServiceAccount{Email: strings.TrimPrefix(botMember, "serviceAccount:")})
	w.AddFederatedIdentity(federated, map[string]string{"attribute.repository": "shop/web"}, "deployers")
	w.deployer = w.pick(dev, dev, botMember, federated)
	w.email = w.pick(local, remote, remote)
	w.AddServiceAccount(&iam.ServiceAccount{Email: w.email, Disabled: w.chance(3)})
	w.levels = append(w.levels, "organizations/1", runProject, ownProject, accountName(w.email), accountName(w.email))
	if w.chance(85) {
		w.AddRunJSON(jobName, []byte(`{"template": {"template": {"containers": [{"image": "image"}]}}}`))
		w.levels = append(w.levels, jobName)
	}
	w.AddRole(&iam.Role{Name: "projects/web-prod/roles/actor", IncludedPermissions: []string{"iam.serviceAccounts.actAs", "run.jobs.update"}})
	w.AddRole(&iam.Role{Name: "organizations/1/roles/off", Stage: "DISABLED", IncludedPermissions: []string{"iam.serviceAccounts.actAs", "iam.serviceAccounts.getAccessToken"}})
	w.AddRole(&iam.Role{Name: "organizations/1/roles/minter", IncludedPermissions: []string{"iam.serviceAccounts.getAccessToken"}})

	// What is usual, most of the time, so that enough situations pass.
	if w.chance(75) {
		w.Grant(accountName(w.email), "roles/iam.serviceAccountUser", w.who())
	}
	if w.chance(75) {
		w.Grant(runProject, w.pick("roles/run.developer", "roles/run.admin", "roles/editor"), w.who())
	}
	if w.email == remote && w.chance(75) {
		w.Grant(accountName(remote), "roles/iam.serviceAccountTokenCreator", agent)
	}
	if w.chance(80) {
		w.SetOrgPolicy(crossProject(ownProject, w.chance(10)))
	}
	if w.chance(30) {
		w.SetOrgPolicy(crossProject("organizations/1", w.chance(50)))
	}
	for range w.rng.IntN(6) {
		w.grantSomething()
	}
	for range w.rng.IntN(3) {
		w.denySomething(seed)
	}
	if w.chance(8) {
		revoke(w.Backend, runProject, "", agent)
	}
	if w.chance(4) {
		disableRun(t, w.Backend)
	}
	grantReading(w.Backend, auditor)
	for _, project := range []string{runProject, ownProject} { // which may be in no organization
		for _, role := range []string{"roles/iam.securityReviewer", "roles/iam.denyReviewer", "roles/viewer"} {
			w.Grant(project, role, auditor)
		}
	}
	return w
}

const federated = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/subject/repo:shop"

// who is the deployer, or something that contains it, or doesn't.
func (w *world) who() string {
	pool := "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/"
	switch n := w.rng.IntN(12); {
	case n < 2 && w.deployer == federated: // Google's groups have no such members
		return w.group("user:other@example.com")
	case n == 0:
		return w.group(w.deployer)
	case n == 1:
		return w.group(w.group(w.deployer), "user:other@example.com")
	case n == 2:
		return w.group("user:other@example.com")
	case n == 3:
		return "user:other@example.com"
	case n == 4:
		if w.deployer == federated {
			return w.pick(pool+"*", pool+"attribute.repository/shop/web", pool+"group/deployers")
		}
		return w.pick("domain:example.com", "principalSet://cloudresourcemanager.googleapis.com/projects/123456789012/type/ServiceAccount")
	}
	return w.deployer
}

func (w *world) grantSomething() {
	role := w.pick("roles/run.viewer", "roles/run.developer", "roles/run.invoker", "roles/iam.serviceAccountUser", "roles/iam.serviceAccountTokenCreator",
		"roles/iam.workloadIdentityUser", "organizations/1/roles/off", "organizations/1/roles/minter", "roles/iam.serviceAccountAdmin")
	member := w.who()
	if w.chance(35) {
		member = agent
	}
	at := w.level()
	if strings.HasPrefix(role, "organizations/") && w.bare {
		role = "roles/run.viewer"
	}
	switch w.rng.IntN(5) {
	case 0:
		w.GrantIf(at, role, member, `request.time < timestamp("1999-01-01T00:00:00Z")`)
	case 1:
		w.GrantIf(at, role, member, `request.time < timestamp("2999-01-01T00:00:00Z")`)
	case 2:
		w.GrantIf(at, role, member, w.pick(`resource.type == "cloudresourcemanager.googleapis.com/Project"`, `resource.service != "run.googleapis.com"`,
			`resource.name.startsWith("projects/")`, `request.time.getFullYear() > 2000`))
	default:
		w.Grant(at, role, member)
	}
}

func (w *world) denySomething(seed uint64) {
	var at []string
	for _, l := range w.levels {
		if !strings.Contains(l, "serviceAccounts") && !strings.Contains(l, "/jobs/") {
			at = append(at, l)
		}
	}
	rule := &iamv2.GoogleIamV2DenyRule{
		DeniedPrincipals: []string{w.pick("principalSet://goog/public:all", "principal://goog/subject/dev@example.com", "principal://goog/subject/other@example.com",
			"principalSet://cloudresourcemanager.googleapis.com/projects/123456789012/type/ServiceAgent",
			"principalSet://cloudresourcemanager.googleapis.com/organizations/1/type/ServiceAccount")},
		DeniedPermissions: []string{w.pick("iam.googleapis.com/serviceAccounts.actAs", "run.googleapis.com/jobs.update", "iam.googleapis.com/roles.create",
			"iam.googleapis.com/serviceAccounts.getAccessToken", "iam.googleapis.com/*.*")},
	}
	// Who checks reads everything.
	rule.ExceptionPrincipals = append(rule.ExceptionPrincipals, "principal://goog/subject/auditor@example.com")
	if w.chance(60) {
		for _, email := range slices.Sorted(func(yield func(string) bool) {
			for email := range w.groups {
				if !yield(email) {
					return
				}
			}
		}) {
			rule.ExceptionPrincipals = append(rule.ExceptionPrincipals, "principalSet://goog/group/"+email)
		}
		rule.ExceptionPrincipals = append(rule.ExceptionPrincipals, "principal://goog/subject/dev@example.com", "principalSet://cloudresourcemanager.googleapis.com/projects/123456789012/type/ServiceAgent")
	}
	w.AddDenyPolicy(w.pick(at...), &iamv2.GoogleIamV2Policy{
		Name: fmt.Sprintf("deny-%d-%d", seed, w.rng.IntN(1<<30)), Rules: []*iamv2.GoogleIamV2PolicyRule{{DenyRule: rule}},
	})
}

// deployAs makes the deploy itself.
func (w *world) deployAs(t *testing.T) error {
	t.Helper()
	client, err := identity.NewClient(t.Context(), w.ClientOptions(w.deployer)...)
	require.NoError(t, err)
	if w.RunJSON(jobName) == nil {
		_, err = client.CreateJob(t.Context(), job, account(t, w.email), &run.GoogleCloudRunV2Job{Template: &run.GoogleCloudRunV2ExecutionTemplate{
			Template: &run.GoogleCloudRunV2TaskTemplate{Containers: []*run.GoogleCloudRunV2Container{{Image: "image"}}},
		}}, nil)
		return err
	}
	_, err = client.Attach(t.Context(), job, account(t, w.email), nil)
	return err
}

// A report that passes means that the deploy succeeds, one that fails that it
// is refused; who may read everything is not left with Unknown.
func TestOracle(t *testing.T) {
	t.Parallel()
	type tally map[preflight.Verdict]int
	counts := map[string]tally{"reads all": {}, "without groups": {}, "the deployer": {}}
	refused, n := 0, *situations
	if raceEnabled {
		n /= 5
	}
	for seed := range uint64(n) {
		w := generate(t, seed)
		target := preflight.Target{Workload: job, Identity: account(t, w.email), Deployer: w.deployer}
		all := newChecker(t, w.Backend, auditor)
		all.GroupMembers = func(_ context.Context, email string) ([]string, error) {
			members, ok := w.groups[email]
			if !ok {
				return nil, errors.New("no such group")
			}
			return members, nil
		}
		reports := map[string]preflight.Report{
			"reads all": check(t, all, target, &preflight.CheckOptions{NoAdvice: true}), "without groups": check(t, newChecker(t, w.Backend, auditor), target),
			"the deployer": check(t, newChecker(t, w.Backend, w.deployer), target),
		}
		err := w.deployAs(t)
		if err != nil {
			refused++
		}
		for who, report := range reports {
			v := report.Verdict()
			counts[who][v]++
			if v == preflight.Pass && err != nil || v == preflight.Fail && err == nil {
				assert.Failf(t, "wrong", "situation %d as %s sees it: %v, but the deploy: %v\n%s", seed, who, v, err, report)
			}
		}
		off := finding(t, reports["reads all"], preflight.CheckRunAPI).Verdict == preflight.Fail // then nothing of Cloud Run can be read
		for _, f := range reports["reads all"].Findings {
			if f.Verdict != preflight.Unknown {
				continue
			}
			// What a set's identities have is known to their provider only, and
			// in no organization there may be no policy.
			byDesign := off && f.Code == preflight.CheckDeployerDeploy || w.bare && f.Code == preflight.CheckCrossProjectPolicy || w.deployer == federated && onlySets(f.Causes)
			assert.True(t, byDesign, "situation %d: %s could be known\n%s", seed, f.Code, reports["reads all"])
		}
		if !w.hasGroups() {
			assert.Equal(t, verdicts(reports["reads all"]), verdicts(reports["without groups"]), "situation %d", seed)
		}
		own := verdicts(reports["the deployer"])
		assert.NotEqual(t, preflight.Unknown, own[preflight.CheckDeployerActAs], "situation %d: acting as the account is exact\n%s", seed, reports["the deployer"])
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d situations, %d deploys refused", n, refused)
	for who, c := range counts {
		t.Logf("%s: %d pass, %d fail, %d unknown", who, c[preflight.Pass], c[preflight.Fail], c[preflight.Unknown])
		if n >= 1000 {
			assert.Positive(t, c[preflight.Fail], who)
		}
	}
	assert.Positive(t, counts["reads all"][preflight.Pass])
}

// onlySets says whether all causes are about sets of a pool's identities.
func onlySets(causes []preflight.Cause) bool {
	for _, c := range causes {
		if !strings.HasPrefix(c.Principal, "principalSet://iam.googleapis.com/") {
			return false
		}
	}
	return len(causes) > 0
}
