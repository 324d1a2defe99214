package recommend_test

import (
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

// Each method, and Apply with each kind of step, works with the permissions that
// the package comment lists, each on the one resource that it is said of, and
// without any of them fails or, where it is said to, goes on. So it does with the
// predefined roles that the comment names.
func TestDocumentedPermissionsAreEnoughAndNeeded(t *testing.T) {
	t.Parallel()
	cases := slices.Concat(readMeasures(), markMeasures(), policyMeasures(), accountMeasures(), []measure{newAccountMeasure()})
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
					b.Grant(on, "roles/iam.securityReviewer", ownAccount.Member())
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
				var steps []recommend.Step
				for _, w := range []identity.Workload{shop, job} {
					steps = append(steps, recommend.Step{Kind: recommend.StepAttach, Workload: w, Account: ownAccount, Before: oldAccount})
				}
				err = applySteps(t.Context(), c, steps...)
				require.Error(t, err)
				assert.Equal(t, !tt.mayGoBack, errors.Is(err, identity.ErrActAsDenied), err)
				assert.Contains(t, string(b.RunJSON(shopName)), `"serviceAccount":"`+tt.runsAs+`"`)
			})
		})
	}
}
