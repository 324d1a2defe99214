package identity_test

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
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

const (
	leastCaller    = "user:least@example.com"
	webResource    = "projects/web-prod"
	runnerResource = "projects/data-prod/serviceAccounts/" + runnerEmail
	shopResource   = "projects/web-prod/locations/europe-west1/services/shop"
	mailerResource = "projects/web-prod/locations/europe-west1/workerPools/mailer"
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

// A permission is what a caller may do on one resource. A method fails without one
// that it needs, and goes on without one that only helps.
type permission struct {
	name, on string
	helps    bool
	// refused is the permission that the error names: another one where either is
	// enough.
	refused string
}

func needs(on string, names ...string) []permission {
	var all []permission
	for _, name := range names {
		all = append(all, permission{name: name, on: on, refused: name})
	}
	return all
}

// either needs one permission, in place of which another would do.
func either(on, name, other string) []permission {
	return []permission{{name: name, on: on, refused: other}}
}

func helps(on, name string) []permission {
	return []permission{{name: name, on: on, helps: true}}
}

// exactly gives the caller one custom role for each permission.
func exactly(permissions []permission) func(*fake.Backend) {
	return func(b *fake.Backend) {
		for i, p := range permissions {
			project, _, _ := strings.Cut(strings.TrimPrefix(p.on, "projects/"), "/")
			role := fmt.Sprintf("projects/%s/roles/only%d", project, i)
			b.AddRole(&iam.Role{Name: role, IncludedPermissions: []string{p.name}})
			b.Grant(p.on, role, leastCaller)
		}
	}
}

// documentedRoles gives the caller the roles that the package comment says are
// enough.
func documentedRoles(b *fake.Backend) {
	b.Grant(webResource, "roles/run.developer", leastCaller)
	b.Grant(webResource, "roles/iam.serviceAccountCreator", leastCaller)
	for _, account := range []string{runnerResource, webResource + "/serviceAccounts/" + defaultEmail} {
		b.Grant(account, "roles/iam.serviceAccountUser", leastCaller)
	}
}

// Each method works with the permissions that the package comment lists for it,
// each on the one resource that it is said of, and without any of them fails or,
// where it is said to, goes on.
func TestDocumentedPermissionsAreEnoughAndNeeded(t *testing.T) {
	t.Parallel()
	shop, mailer := identity.MustParseWorkload(shopResource), identity.MustParseWorkload(mailerResource)
	own := identity.MustParseServiceAccount("runner-2@web-prod.iam.gserviceaccount.com")
	attach := func(w identity.Workload) func(context.Context, *identity.Client) error {
		return func(ctx context.Context, c *identity.Client) error {
			change, err := c.Attach(ctx, w, runner, nil)
			if err == nil && !change.Done {
				return fmt.Errorf("%s hasn't settled", w)
			}
			return err
		}
	}
	detach := func(w identity.Workload) func(context.Context, *identity.Client) error {
		return func(ctx context.Context, c *identity.Client) error {
			_, err := c.Detach(ctx, w, nil)
			return err
		}
	}
	get := func(w identity.Workload, opts *identity.GetOptions) func(context.Context, *identity.Client) error {
		return func(ctx context.Context, c *identity.Client) error {
			_, err := c.Get(ctx, w, opts)
			return err
		}
	}
	execute := func(opts *identity.ExecuteOptions) func(context.Context, *identity.Client) error {
		return func(ctx context.Context, c *identity.Client) error {
			_, err := c.Execute(ctx, nightly, opts)
			return err
		}
	}
	ensure := func(sa identity.ServiceAccount) func(context.Context, *identity.Client) error {
		return func(ctx context.Context, c *identity.Client) error {
			_, err := c.EnsureServiceAccount(ctx, sa, nil)
			return err
		}
	}
	defaultResource := webResource + "/serviceAccounts/" + defaultEmail
	measured := make(map[string][]string)
	for _, tt := range []struct {
		name, method string
		permissions  []permission
		call         func(context.Context, *identity.Client) error
	}{
		{"job", "Client.Get", needs(nightly.Name(), "run.jobs.get"), get(nightly, nil)},
		{"service", "Client.Get", needs(shopResource, "run.services.get"), get(shop, nil)},
		{"worker pool", "Client.Get", needs(mailerResource, "run.workerpools.get"), get(mailer, nil)},
		{
			"revisions of a service", "Client.Get",
			slices.Concat(needs(shopResource, "run.services.get"), needs(webResource, "run.revisions.get")),
			get(shop, &identity.GetOptions{ReadRevisions: true}),
		},
		{
			"job", "Client.Attach",
			slices.Concat(needs(nightly.Name(), "run.jobs.get", "run.jobs.update"), needs(runnerResource, "iam.serviceAccounts.actAs"), helps(webResource, "run.operations.get")),
			attach(nightly),
		},
		{
			"service", "Client.Attach",
			slices.Concat(needs(shopResource, "run.services.get", "run.services.update"), needs(runnerResource, "iam.serviceAccounts.actAs"), helps(webResource, "run.operations.get")),
			attach(shop),
		},
		{
			"worker pool", "Client.Attach",
			slices.Concat(needs(mailerResource, "run.workerpools.get", "run.workerpools.update"), needs(runnerResource, "iam.serviceAccounts.actAs"), helps(webResource, "run.operations.get")),
			attach(mailer),
		},
		{
			"job", "Client.Detach",
			slices.Concat(needs(nightly.Name(), "run.jobs.get", "run.jobs.update"), needs(defaultResource, "iam.serviceAccounts.actAs"), helps(webResource, "run.operations.get")),
			detach(nightly),
		},
		{
			"service", "Client.Detach",
			slices.Concat(needs(shopResource, "run.services.get", "run.services.update"), needs(defaultResource, "iam.serviceAccounts.actAs"), helps(webResource, "run.operations.get")),
			detach(shop),
		},
		{
			"worker pool", "Client.Detach",
			slices.Concat(needs(mailerResource, "run.workerpools.get", "run.workerpools.update"), needs(defaultResource, "iam.serviceAccounts.actAs"), helps(webResource, "run.operations.get")),
			detach(mailer),
		},
		{
			"waits for the operation", "Client.CreateJob",
			slices.Concat(needs(webResource, "run.jobs.create"), either(webResource, "run.operations.get", "run.jobs.get"), needs(runnerResource, "iam.serviceAccounts.actAs")), createFresh("job"),
		},
		{
			"waits by reading the job", "Client.CreateJob",
			slices.Concat(needs(webResource, "run.jobs.create", "run.jobs.get"), needs(runnerResource, "iam.serviceAccounts.actAs")), createFresh("job"),
		},
		{
			"waits for the operation", "Client.CreateService",
			slices.Concat(needs(webResource, "run.services.create"), either(webResource, "run.operations.get", "run.services.get"), needs(runnerResource, "iam.serviceAccounts.actAs")), createFresh("service"),
		},
		{
			"waits by reading it", "Client.CreateService",
			slices.Concat(needs(webResource, "run.services.create", "run.services.get"), needs(runnerResource, "iam.serviceAccounts.actAs")), createFresh("service"),
		},
		{
			"waits for the operation", "Client.CreateWorkerPool",
			slices.Concat(needs(webResource, "run.workerpools.create"), either(webResource, "run.operations.get", "run.workerpools.get"), needs(runnerResource, "iam.serviceAccounts.actAs")), createFresh("worker pool"),
		},
		{
			"waits by reading it", "Client.CreateWorkerPool",
			slices.Concat(needs(webResource, "run.workerpools.create", "run.workerpools.get"), needs(runnerResource, "iam.serviceAccounts.actAs")), createFresh("worker pool"),
		},
		{"start", "Client.Execute", needs(nightly.Name(), "run.jobs.run"), execute(nil)},
		{
			"overrides", "Client.Execute", needs(nightly.Name(), "run.jobs.runWithOverrides"),
			execute(&identity.ExecuteOptions{Overrides: &run.GoogleCloudRunV2Overrides{TaskCount: 2}}),
		},
		{
			"waits for the operation", "Client.Execute", slices.Concat(needs(nightly.Name(), "run.jobs.run"), either(webResource, "run.operations.get", "run.executions.get")),
			execute(&identity.ExecuteOptions{WaitForCompletion: true}),
		},
		{
			"waits by reading the execution", "Client.Execute", slices.Concat(needs(nightly.Name(), "run.jobs.run"), needs(webResource, "run.executions.get")),
			execute(&identity.ExecuteOptions{WaitForCompletion: true}),
		},
		{"there", "Client.EnsureServiceAccount", needs(webResource+"/serviceAccounts/"+own.Email(), "iam.serviceAccounts.get"), ensure(own)},
		{
			"created", "Client.EnsureServiceAccount", needs(webResource, "iam.serviceAccounts.get", "iam.serviceAccounts.create"),
			ensure(identity.MustParseServiceAccount("runner-3@web-prod.iam.gserviceaccount.com")),
		},
	} {
		for _, p := range tt.permissions {
			measured[tt.method] = append(measured[tt.method], p.name)
		}
		attempt := func(t *testing.T, grant func(*fake.Backend)) error {
			t.Helper()
			b := newCloud(t)
			for _, name := range []string{shopResource, mailerResource} {
				b.AddRunJSON(name, []byte(`{"template": {"containers": [{"image": "i"}], "serviceAccount": "other@web-prod.iam.gserviceaccount.com"}}`))
			}
			b.AddServiceAccount(&iam.ServiceAccount{Email: own.Email()})
			grant(b)
			c, err := identity.NewClient(t.Context(), b.ClientOptions(leastCaller)...)
			require.NoError(t, err)
			return tt.call(t.Context(), c)
		}
		t.Run(tt.method+", "+tt.name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, attempt(t, exactly(tt.permissions)), "with all")
			require.NoError(t, attempt(t, documentedRoles), "with the predefined roles")
			for i, p := range tt.permissions {
				err := attempt(t, exactly(slices.Delete(slices.Clone(tt.permissions), i, i+1)))
				if p.helps {
					require.NoError(t, err, "without %s", p.name)
					continue
				}
				if assert.Error(t, err, "without %s", p.name) {
					// Cloud Run writes iam.serviceaccounts.actAs.
					assert.Contains(t, strings.ToLower(err.Error()), strings.ToLower(p.refused), "without %s", p.name)
				}
			}
		})
	}
	for method, permissions := range measured {
		slices.Sort(permissions)
		measured[method] = slices.Compact(permissions)
	}
	assert.Equal(t, measured, documentedPermissions(t))
}

// To start an execution with overrides takes more than an invoker has.
func TestAnInvokerMayNotOverride(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.Grant(nightly.Name(), "roles/run.invoker", leastCaller)
	c, err := identity.NewClient(t.Context(), b.ClientOptions(leastCaller)...)
	require.NoError(t, err)

	_, err = c.Execute(t.Context(), nightly, nil)
	require.NoError(t, err)
	_, err = c.Execute(t.Context(), nightly, &identity.ExecuteOptions{Overrides: &run.GoogleCloudRunV2Overrides{TaskCount: 2}})
	require.ErrorContains(t, err, "run.jobs.runWithOverrides")
}

func createFresh(kind string) func(context.Context, *identity.Client) error {
	return func(ctx context.Context, c *identity.Client) error {
		tt := creations()[kind]
		_, err := tt.create(ctx, c, tt.workload, runner, "")
		return err
	}
}
