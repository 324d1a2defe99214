package manifest_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/identity/manifest"
)

// documentedPermissions are those that each item of the package comment's list of
// permissions names, by the method that the item is about.
func documentedPermissions(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "// # Permissions\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n// # ")
	listed := make(map[string][]string)
	for _, item := range strings.Split(section, "\n//   - ")[1:] {
		item, _, _ = strings.Cut(item, "\n//\n") // what follows the list
		method := regexp.MustCompile(`^\[(\w+\.\w+)\]`).FindStringSubmatch(item)
		require.NotNil(t, method, item)
		permissions := regexp.MustCompile(`\b(?:run|iam)\.[a-zA-Z]+\.[a-zA-Z]+\b`).FindAllString(item, -1)
		slices.Sort(permissions)
		listed[method[1]] = slices.Compact(permissions)
	}
	require.NotEmpty(t, listed)
	return listed
}

// Each method works with the permissions that the package comment lists for it,
// each on the one resource that it is said of, and without any of them fails and
// names it.
func TestDocumentedPermissionsAreEnoughAndNeeded(t *testing.T) {
	t.Parallel()
	const (
		caller  = "user:least@example.com"
		project = "projects/web-prod"
		account = project + "/serviceAccounts/" + runner
	)
	measured := make(map[string][]string)
	for _, kind := range []struct{ apiVersion, name, permissions, template, before string }{
		{"run.googleapis.com/v1", "Job", "run.jobs.", `{"spec": {"template": {"spec": %s}}}`, `{"template": {"template": %s}}`},
		{"serving.knative.dev/v1", "Service", "run.services.", `{"spec": %s}`, `{"template": %s}`},
		{"run.googleapis.com/v1", "WorkerPool", "run.workerpools.", `{"spec": %s}`, `{"template": %s}`},
	} {
		workloads := map[string]identity.Workload{
			"Job": job, "Service": identity.Service("web-prod", "europe-west1", "nightly"), "WorkerPool": identity.WorkerPool("web-prod", "europe-west1", "nightly"),
		}
		w := workloads[kind.name]
		text := fmt.Sprintf(`{"apiVersion": %q, "kind": %q, "metadata": {"name": "nightly"}, "spec": {"template": %s}}`, kind.apiVersion, kind.name,
			fmt.Sprintf(kind.template, fmt.Sprintf(`{"serviceAccountName": %q, "containers": [{"image": "i:2"}]}`, runner)))
		export := func(ctx context.Context, c *manifest.Client) error {
			_, err := c.Export(ctx, w)
			return err
		}
		apply := func(ctx context.Context, c *manifest.Client) error {
			file, err := manifest.Parse("nightly.json", []byte(text))
			if err != nil {
				return err
			}
			applied, err := c.Apply(ctx, file, 0, &manifest.ApplyOptions{Project: "web-prod", Region: "europe-west1"})
			if err == nil && !applied.Done {
				return fmt.Errorf("%s isn't ready", w)
			}
			return err
		}
		for _, tt := range []struct {
			method, name string
			there        bool
			on           map[string]string // the permissions, and on what
			call         func(context.Context, *manifest.Client) error
		}{
			{"Client.Export", "", true, map[string]string{kind.permissions + "get": w.Name()}, export},
			{"Client.Apply", "replaces", true, map[string]string{
				kind.permissions + "get": w.Name(), kind.permissions + "update": w.Name(), "iam.serviceAccounts.actAs": account,
			}, apply},
			{"Client.Apply", "creates", false, map[string]string{
				kind.permissions + "get": project, kind.permissions + "create": project, "iam.serviceAccounts.actAs": account,
			}, apply},
		} {
			for name := range tt.on {
				measured[tt.method] = append(measured[tt.method], name)
			}
			attempt := func(t *testing.T, without string) error {
				t.Helper()
				b := fake.Start(t)
				b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
				b.AddServiceAccount(&iam.ServiceAccount{Email: runner})
				if tt.there {
					b.AddRunJSON(w.Name(), fmt.Appendf(nil, kind.before, `{"containers": [{"image": "i:1"}]}`))
				}
				i := 0
				for name, on := range tt.on {
					i++
					role := fmt.Sprintf("%s/roles/only%d", project, i)
					b.AddRole(&iam.Role{Name: role, IncludedPermissions: []string{name}})
					if name != without {
						b.Grant(on, role, caller)
					}
				}
				c, err := manifest.NewClient(t.Context(), b.ClientOptions(caller)...)
				require.NoError(t, err)
				return tt.call(t.Context(), c)
			}
			t.Run(tt.method+" "+kind.name+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				require.NoError(t, attempt(t, ""), "with all")
				for name := range tt.on {
					err := attempt(t, name)
					if assert.Error(t, err, "without %s", name) {
						// Cloud Run writes iam.serviceaccounts.actAs.
						assert.Contains(t, strings.ToLower(err.Error()), strings.ToLower(name))
					}
				}
			})
		}
	}
	for method, permissions := range measured {
		slices.Sort(permissions)
		measured[method] = slices.Compact(permissions)
	}
	assert.Equal(t, measured, documentedPermissions(t))
}
