package recommend_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

const (
	leastCaller    = "user:least@example.com"
	ships          = "folders/5"
	web            = "projects/web-prod"
	data           = "projects/data-prod"
	runnerResource = "projects/data-prod/serviceAccounts/" + runner
	ownResource    = "projects/web-prod/serviceAccounts/own-runner@web-prod.iam.gserviceaccount.com"
	computeAccount = "projects/web-prod/serviceAccounts/" + compute
	mailerName     = "projects/web-prod/locations/europe-west1/workerPools/mailer"
)

// permissionsSection is what the package comment says about permissions and about
// the predefined roles that have them.
func permissionsSection(t *testing.T) (permissions, roles string) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "// # Permissions\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n// # ")
	permissions, roles, found = strings.Cut(section, "\n// These predefined roles")
	require.True(t, found)
	return permissions, roles
}

// documentedPermissions are those that the items of the list name, by the method or
// the step that an item is about.
func documentedPermissions(t *testing.T) map[string][]string {
	t.Helper()
	section, _ := permissionsSection(t)
	listed := make(map[string][]string)
	for _, item := range strings.Split(section, "\n//   - ")[1:] {
		about := regexp.MustCompile(`^\[([\w.]+)\]`).FindStringSubmatch(item)
		require.NotNil(t, about, item)
		permissions := regexp.MustCompile(`\b(?:run|iam|recommender|resourcemanager)\.[a-zA-Z]+\.[a-zA-Z]+\b`).FindAllString(item, -1)
		listed[about[1]] = append(listed[about[1]], permissions...)
	}
	require.NotEmpty(t, listed)
	return compact(listed)
}

func compact(lists map[string][]string) map[string][]string {
	for about, list := range lists {
		slices.Sort(list)
		lists[about] = slices.Compact(list)
	}
	return lists
}

// documentedRoles are the predefined roles that the package comment names.
func documentedRoles(t *testing.T) []string {
	t.Helper()
	_, section := permissionsSection(t)
	roles := regexp.MustCompile(`roles/[a-zA-Z.]+\b`).FindAllString(section, -1)
	slices.Sort(roles)
	return slices.Compact(roles)
}

// A permission is what a caller may do on one resource. Without one that it needs,
// a method fails; without one that only helps, it goes on.
type permission struct {
	name, on string
	helps    bool
}

func needs(on string, names ...string) []permission {
	var all []permission
	for _, name := range names {
		all = append(all, permission{name: name, on: on})
	}
	return all
}

func helps(on, name string) []permission { return []permission{{name, on, true}} }

// exactly gives the caller one custom role for each permission.
func exactly(permissions []permission) func(*fake.Backend) {
	return func(b *fake.Backend) {
		for i, p := range permissions {
			role := fmt.Sprintf("organizations/1/roles/only%d", i)
			b.AddRole(&iam.Role{Name: role, IncludedPermissions: []string{p.name}})
			b.Grant(p.on, role, leastCaller)
		}
	}
}

// orgCloud is newCloud's within an organization.
func orgCloud(t testing.TB) *fake.Backend {
	t.Helper()
	b := fake.NewBackend()
	t.Cleanup(b.Close)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: ships, Parent: "organizations/1", DisplayName: "ships"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012", Parent: ships})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "data-prod", Name: "projects/210987654321", Parent: ships})
	b.AddServiceAccount(&iam.ServiceAccount{Email: runner})
	b.AddServiceAccount(&iam.ServiceAccount{Email: strings.TrimPrefix(ownResource, "projects/web-prod/serviceAccounts/")})
	b.AddRunJSON(jobName, []byte(`{"template": {"template": {"containers": [{"image": "i"}], "serviceAccount": "`+compute+`"}}}`))
	for _, name := range []string{shopName, mailerName} {
		b.AddRunJSON(name, []byte(`{"template": {"containers": [{"image": "i"}], "serviceAccount": "`+compute+`"}}`))
	}
	for name, text := range map[string]string{webPolicy + "other": removal("user:x@example.com", webProject, "roles/viewer"), webRun + "own": ownIdentity("shop", compute)} {
		b.AddRecommenderJSON(name, []byte(strings.Replace(text, "{", fmt.Sprintf(`{"etag": %q, `, firstEtag), 1)))
	}
	return b
}

// all returns the errors that a listing yields.
func all[V any](seq func(func(V, error) bool)) error {
	var errs []error
	for _, err := range seq {
		if err != nil {
			var listing *recommend.ListError
			if errors.As(err, &listing) && !errors.Is(err, recommend.ErrDenied) {
				err = fmt.Errorf("%w is not a denial", err)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// step is a plan with one step.
func step(ctx context.Context, c *recommend.Client, steps ...recommend.Step) error {
	r, err := c.Get(ctx, webPolicy+"other")
	if err != nil {
		return err
	}
	_, err = c.Apply(ctx, recommend.Plan{Recommendation: r.Name, Etag: r.Etag, Action: r.Action, Steps: steps}, "bot", nil)
	return err
}

// mark changes a recommendation's state, which it has read before.
func mark(ctx context.Context, c *recommend.Client, name string, after ...recommend.State) error {
	r := recommend.Recommendation{Name: name, Etag: firstEtag}
	var err error
	for _, state := range after {
		switch state {
		case recommend.StateClaimed:
			r, err = c.Claim(ctx, r, nil)
		case recommend.StateSucceeded:
			r, err = c.Succeed(ctx, r, nil)
		case recommend.StateFailed:
			r, err = c.Fail(ctx, r, nil)
		case recommend.StateDismissed:
			r, err = c.Dismiss(ctx, r)
		default:
			err = fmt.Errorf("no method marks a recommendation %s", state)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// firstEtag is that of orgCloud's recommendations.
const firstEtag = `"1"`

// Each method, and Apply with each kind of step, works with the permissions that
// the package comment lists, each on the one resource that it is said of, and
// without any of them fails or, where it is said to, goes on. So it does with the
// predefined roles that the comment names.
func TestDocumentedPermissionsAreEnoughAndNeeded(t *testing.T) {
	t.Parallel()
	const (
		iamRecs, iamUse, accountUse = "recommender.iamPolicyRecommendations.", "recommender.iamPolicyInsights.", "recommender.iamServiceAccountInsights."
		runRecs, runUse             = "recommender.runServiceIdentityRecommendations.", "recommender.runServiceIdentityInsights."
	)
	type call = func(context.Context, *recommend.Client) error
	own := identity.MustParseServiceAccount("own-runner@web-prod.iam.gserviceaccount.com")
	old := identity.MustParseServiceAccount(compute)
	forOne := func(w identity.Workload) call {
		return func(ctx context.Context, c *recommend.Client) error {
			return all(c.For(ctx, w, &recommend.ForOptions{Projects: []string{"data-prod"}}))
		}
	}
	grants := func(on string) call {
		return func(ctx context.Context, c *recommend.Client) error {
			s := recommend.Step{Kind: recommend.StepGrantRole, Member: own.Member(), Role: "roles/run.invoker", Resource: fullName(on)}
			return step(ctx, c, s)
		}
	}
	removes := func(on string) call {
		return func(ctx context.Context, c *recommend.Client) error {
			s := recommend.Step{Kind: recommend.StepRemoveRole, Member: own.Member(), Role: "roles/iam.securityReviewer", Resource: fullName(on)}
			return step(ctx, c, s)
		}
	}
	attach := func(w identity.Workload) recommend.Step {
		return recommend.Step{Kind: recommend.StepAttach, Workload: w, Account: own, Before: old}
	}
	attaches := func(w identity.Workload) call {
		return func(ctx context.Context, c *recommend.Client) error { return step(ctx, c, attach(w)) }
	}
	mailer := identity.MustParseWorkload(mailerName)
	applying := needs(web, iamRecs+"get", iamRecs+"update")
	attaching := func(on, collection string) []permission {
		return slices.Concat(needs(on, "run."+collection+".get", "run."+collection+".update"), needs(ownResource, "iam.serviceAccounts.actAs"), helps(web, "run.operations.get"))
	}
	lists := func(on string) []permission { return needs(on, iamRecs+"list", iamUse+"list", accountUse+"list") }
	type measure struct {
		about, name string
		permissions []permission
		call        call
		roles       map[string][]string // by resource
	}
	runViewer := map[string][]string{web: {"roles/run.viewer", "roles/recommender.iamViewer"}, data: {"roles/recommender.iamViewer"}}
	cases := []measure{
		{"Client.For", "job", slices.Concat(needs(jobName, "run.jobs.get"), lists(web), lists(data)), forOne(job), runViewer},
		{"Client.For", "worker pool", slices.Concat(needs(mailerName, "run.workerpools.get"), lists(web), lists(data)), forOne(mailer), runViewer},
		{
			"Client.For", "service",
			slices.Concat(needs(shopName, "run.services.get"), lists(web), lists(data), needs(web, runRecs+"list", runUse+"list")), forOne(shop), runViewer,
		},
		{"Client.List", "IAM's", needs(web, iamRecs+"list"), func(ctx context.Context, c *recommend.Client) error {
			return all(c.List(ctx, []string{"web-prod"}, nil))
		}, runViewer},
		{"Client.List", "with insights", needs(web, iamRecs+"list", iamUse+"list", runRecs+"list", runUse+"list"), func(ctx context.Context, c *recommend.Client) error {
			return all(c.List(ctx, []string{"web-prod"}, &recommend.ListOptions{Regions: []string{"europe-west1"}, WithInsights: true}))
		}, runViewer},
		{"Client.Insights", "all", needs(web, iamUse+"list", accountUse+"list", runUse+"list"), func(ctx context.Context, c *recommend.Client) error {
			return all(c.Insights(ctx, []string{"web-prod"}, &recommend.InsightsOptions{Regions: []string{"europe-west1"}}))
		}, runViewer},
		{"Client.Get", "IAM's", needs(web, iamRecs+"get"), func(ctx context.Context, c *recommend.Client) error {
			_, err := c.Get(ctx, webPolicy+"other")
			return err
		}, runViewer},
		{"Client.Get", "Cloud Run's", needs(web, runRecs+"get"), func(ctx context.Context, c *recommend.Client) error {
			_, err := c.Get(ctx, webRun+"own")
			return err
		}, runViewer},
		{"StepCreateAccount", "there", slices.Concat(applying, needs(ownResource, "iam.serviceAccounts.get")), func(ctx context.Context, c *recommend.Client) error {
			return step(ctx, c, recommend.Step{Kind: recommend.StepCreateAccount, Account: own})
		}, map[string][]string{web: {"roles/recommender.iamAdmin", "roles/iam.serviceAccountCreator"}}},
		{"StepCreateAccount", "created", slices.Concat(applying, needs(web, "iam.serviceAccounts.get", "iam.serviceAccounts.create")), func(ctx context.Context, c *recommend.Client) error {
			return step(ctx, c, recommend.Step{Kind: recommend.StepCreateAccount, Account: shopAccount})
		}, map[string][]string{web: {"roles/recommender.iamAdmin", "roles/iam.serviceAccountCreator"}}},
	}
	for _, path := range [][]recommend.State{
		{recommend.StateDismissed}, {recommend.StateClaimed, recommend.StateSucceeded}, {recommend.StateClaimed, recommend.StateFailed},
	} {
		name := " " + string(path[len(path)-1])
		cases = append(cases,
			measure{"Client.Claim", "IAM's" + name, needs(web, iamRecs+"update"), func(ctx context.Context, c *recommend.Client) error {
				return mark(ctx, c, webPolicy+"other", path...)
			}, map[string][]string{web: {"roles/recommender.iamAdmin"}}},
			measure{"Client.Claim", "Cloud Run's" + name, needs(web, runRecs+"update"), func(ctx context.Context, c *recommend.Client) error {
				return mark(ctx, c, webRun+"own", path...)
			}, map[string][]string{web: {"roles/run.developer"}}})
	}
	for _, on := range []struct{ resource, api, role string }{
		{"organizations/1", "resourcemanager.organizations", "roles/resourcemanager.organizationAdmin"},
		{ships, "resourcemanager.folders", "roles/resourcemanager.folderIamAdmin"},
		{web, "resourcemanager.projects", "roles/resourcemanager.projectIamAdmin"},
		{runnerResource, "iam.serviceAccounts", "roles/iam.serviceAccountAdmin"},
		{jobName, "run.jobs", "roles/run.admin"},
		{shopName, "run.services", "roles/run.admin"},
		{mailerName, "run.workerpools", "roles/run.admin"},
	} {
		permissions := slices.Concat(applying, needs(on.resource, on.api+".getIamPolicy", on.api+".setIamPolicy"))
		roles := map[string][]string{web: {"roles/recommender.iamAdmin"}}
		roles[on.resource] = append(roles[on.resource], on.role)
		cases = append(cases, measure{"StepGrantRole", on.resource, permissions, grants(on.resource), roles},
			measure{"StepGrantRole", "remove, " + on.resource, permissions, removes(on.resource), roles})
	}
	for w, collection := range map[identity.Workload]string{job: "jobs", shop: "services", mailer: "workerpools"} {
		roles := map[string][]string{web: {"roles/recommender.iamAdmin", "roles/run.developer"}, ownResource: {"roles/iam.serviceAccountUser"}}
		cases = append(cases, measure{"StepAttach", collection, slices.Concat(applying, attaching(w.Name(), collection)), attaches(w), roles})
	}
	cases = append(cases, measure{
		"StepAttach", "and remove a role",
		slices.Concat(applying, attaching(shopName, "services"), needs(web, "run.revisions.get", "resourcemanager.projects.getIamPolicy", "resourcemanager.projects.setIamPolicy")),
		func(ctx context.Context, c *recommend.Client) error {
			return step(ctx, c, attach(shop), recommend.Step{Kind: recommend.StepRemoveRole, Member: own.Member(), Role: "roles/iam.securityReviewer", Resource: webProject})
		},
		map[string][]string{web: {"roles/recommender.iamAdmin", "roles/run.developer", "roles/resourcemanager.projectIamAdmin"}, ownResource: {"roles/iam.serviceAccountUser"}},
	})
	newAccount := slices.Concat(
		needs(web, runRecs+"get", runRecs+"update", "iam.serviceAccounts.get", "iam.serviceAccounts.create", "iam.serviceAccounts.actAs"),
		needs(web, "resourcemanager.projects.getIamPolicy", "resourcemanager.projects.setIamPolicy"), needs(shopName, "run.services.get", "run.services.update"),
		helps(web, "run.operations.get"),
	)
	cases = append(cases, measure{"Client.Apply", "a new account", newAccount, func(ctx context.Context, c *recommend.Client) error {
		r, err := c.Get(ctx, webRun+"own")
		if err != nil {
			return err
		}
		p, err := recommend.NewPlan(r, &recommend.PlanOptions{Account: shopAccount, Current: old, Grants: []recommend.Grant{{Role: "roles/run.invoker", Resource: webProject}}})
		if err != nil {
			return err
		}
		_, err = c.Apply(ctx, p, "bot", nil)
		return err
	}, map[string][]string{web: {"roles/run.developer", "roles/iam.serviceAccountCreator", "roles/iam.serviceAccountUser", "roles/resourcemanager.projectIamAdmin"}}})
	measured := make(map[string][]string)
	for _, tt := range cases {
		for _, p := range tt.permissions {
			about := tt.about
			switch ofRecommender := strings.HasPrefix(p.name, "recommender."); {
			case ofRecommender && strings.HasPrefix(about, "Step"):
				about = "Client.Apply"
			case about == "Client.Apply" && !ofRecommender, about == "StepAttach" && strings.HasPrefix(p.name, "resourcemanager."):
				continue // of another step
			}
			measured[about] = append(measured[about], p.name)
		}
		attempt := func(t *testing.T, grant func(*fake.Backend)) error {
			t.Helper()
			var err error
			synctest.Test(t, func(t *testing.T) { // waits for grants and accounts
				b := orgCloud(t)
				for _, on := range []string{"organizations/1", ships, web, runnerResource, jobName, shopName, mailerName} {
					b.Grant(on, "roles/iam.securityReviewer", own.Member())
				}
				grant(b)
				var c *recommend.Client
				c, err = recommend.NewClient(t.Context(), b.ClientOptions(leastCaller)...)
				require.NoError(t, err)
				err = tt.call(t.Context(), c)
			})
			return err
		}
		t.Run(tt.about+", "+tt.name, func(t *testing.T) {
			t.Parallel()
			assert.NoError(t, attempt(t, exactly(tt.permissions)), "with all")
			assert.NoError(t, attempt(t, func(b *fake.Backend) {
				for on, roles := range tt.roles {
					for _, role := range roles {
						b.Grant(on, role, leastCaller)
					}
				}
			}), "with the predefined roles")
			for i, p := range tt.permissions {
				err := attempt(t, exactly(slices.Delete(slices.Clone(tt.permissions), i, i+1)))
				if p.helps {
					require.NoError(t, err, "without %s", p.name)
					continue
				}
				if assert.Error(t, err, "without %s", p.name) {
					// Cloud Run writes iam.serviceaccounts.actAs.
					assert.Contains(t, strings.ToLower(err.Error()), strings.ToLower(p.name), "without %s", p.name)
				}
			}
		})
	}
	assert.Equal(t, compact(measured), documentedPermissions(t))
	var roles []string
	for _, tt := range cases {
		for _, on := range tt.roles {
			roles = append(roles, on...)
		}
	}
	slices.Sort(roles)
	assert.Equal(t, slices.Compact(roles), documentedRoles(t))
}

// To go back to the account that a workload had takes actAs on that one.
func TestGoingBackTakesActAsOnTheOldAccount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		mayGoBack bool
		runsAs    string
	}{
		{"with it", true, compute},
		{"without it", false, "own-runner@web-prod.iam.gserviceaccount.com"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := orgCloud(t)
				for _, role := range []string{"roles/recommender.iamAdmin", "roles/run.developer"} {
					b.Grant(web, role, leastCaller)
				}
				b.Grant(ownResource, "roles/iam.serviceAccountUser", leastCaller)
				if tt.mayGoBack {
					b.Grant(computeAccount, "roles/iam.serviceAccountUser", leastCaller)
				}
				// The rehearsal passes, and the second workload is refused.
				b.Inject("run.projects.locations.jobs.patch", fake.Fault{Skip: 1, Status: 400})
				c, err := recommend.NewClient(t.Context(), b.ClientOptions(leastCaller)...)
				require.NoError(t, err)
				own := identity.MustParseServiceAccount("own-runner@web-prod.iam.gserviceaccount.com")
				var steps []recommend.Step
				for _, w := range []identity.Workload{shop, job} {
					steps = append(steps, recommend.Step{Kind: recommend.StepAttach, Workload: w, Account: own, Before: identity.MustParseServiceAccount(compute)})
				}
				err = step(t.Context(), c, steps...)
				require.Error(t, err)
				assert.Equal(t, !tt.mayGoBack, errors.Is(err, identity.ErrActAsDenied), err)
				assert.Contains(t, string(b.RunJSON(shopName)), `"serviceAccount":"`+tt.runsAs+`"`)
			})
		})
	}
}

// fullName is a full resource name.
func fullName(resource string) string {
	switch {
	case strings.Contains(resource, "/serviceAccounts/"):
		return "//iam.googleapis.com/" + resource
	case strings.Contains(resource, "/locations/"):
		return "//run.googleapis.com/" + resource
	}
	return "//cloudresourcemanager.googleapis.com/" + resource
}
