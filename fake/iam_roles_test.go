package fake_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

const (
	rolesAdmin   = "user:roles@example.com"
	rolesOrg     = "organizations/555"
	rolesProject = "projects/web-prod"
)

// rolesCloud has a project in an organization; rolesAdmin may manage roles in
// both and do nothing else.
func rolesCloud(t *testing.T) (*fake.Backend, *iam.Service) {
	t.Helper()
	b := fake.Start(t)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: rolesOrg, DisplayName: "example.com"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012", Parent: rolesOrg})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "x@web-prod.iam.gserviceaccount.com"})
	b.Grant(rolesProject, "roles/iam.roleAdmin", rolesAdmin)
	b.Grant(rolesOrg, "roles/iam.organizationRoleAdmin", rolesAdmin)
	return b, rolesAs(t, b, rolesAdmin)
}

func rolesAs(t *testing.T, b *fake.Backend, member string) *iam.Service {
	t.Helper()
	svc, err := iam.NewService(t.Context(), b.ClientOptions(member)...)
	require.NoError(t, err)
	return svc
}

func rolesRequest(id string, permissions ...string) *iam.CreateRoleRequest {
	return &iam.CreateRoleRequest{RoleId: id, Role: &iam.Role{Title: "Title", Stage: "GA", IncludedPermissions: permissions}}
}

func TestCustomRoleLife(t *testing.T) {
	t.Parallel()
	_, svc := rolesCloud(t)
	roles := svc.Projects.Roles
	const name = rolesProject + "/roles/deployer"

	created, err := roles.Create(rolesProject, rolesRequest("deployer", "run.jobs.get", "run.jobs.update", "run.jobs.get")).Do()
	require.NoError(t, err)
	assert.Equal(t, name, created.Name)
	assert.Equal(t, []string{"run.jobs.get", "run.jobs.update"}, created.IncludedPermissions)
	etag, err := base64.StdEncoding.DecodeString(created.Etag)
	require.NoError(t, err)
	assert.Len(t, etag, 8)
	assert.EqualValues(t, 7, etag[0], "as those that were seen: BwYDv1zJ7TI=")

	_, err = roles.Create(rolesProject, rolesRequest("deployer")).Do()
	g := googleError(t, err)
	assert.Equal(t, http.StatusConflict, g.Code)
	assert.Equal(t, "A role named deployer in projects/web-prod already exists.", g.Message)

	patched, err := roles.Patch("projects/123456789012/roles/deployer", &iam.Role{
		Title: "Other", Description: "not in the mask", Etag: created.Etag, Stage: "BETA",
	}).UpdateMask("title,stage").Do()
	require.NoError(t, err)
	assert.Equal(t, name, patched.Name, "by the project's id, whatever the request says")
	assert.Equal(t, "Other", patched.Title)
	assert.Equal(t, "BETA", patched.Stage)
	assert.Empty(t, patched.Description)
	assert.NotEqual(t, created.Etag, patched.Etag)

	_, err = roles.Patch(name, &iam.Role{Title: "Lost", Etag: created.Etag}).Do()
	g = googleError(t, err)
	assert.Equal(t, http.StatusConflict, g.Code)
	assert.Contains(t, g.Body, "ABORTED")
	_, err = roles.Delete(name).Etag(created.Etag).Do()
	assert.Equal(t, http.StatusConflict, googleError(t, err).Code)

	// gcloud answers etags in the URL-safe alphabet. Without a mask, what the
	// body has is changed.
	urlSafe := strings.NewReplacer("+", "-", "/", "_").Replace(patched.Etag)
	patched, err = roles.Patch(name, &iam.Role{Description: "Deploys.", Etag: urlSafe}).Do()
	require.NoError(t, err)
	assert.Equal(t, "Deploys.", patched.Description)
	assert.Equal(t, "Other", patched.Title)
	patched, err = roles.Patch(name, &iam.Role{IncludedPermissions: []string{"run.jobs.run"}}).UpdateMask("included_permissions").Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"run.jobs.run"}, patched.IncludedPermissions)

	deleted, err := roles.Delete(name).Etag(patched.Etag).Do()
	require.NoError(t, err)
	assert.True(t, deleted.Deleted)
	got, err := roles.Get(name).Do()
	require.NoError(t, err)
	assert.True(t, got.Deleted)
	for what, do := range map[string]func() error{
		"create again": func() error { _, err := roles.Create(rolesProject, rolesRequest("deployer")).Do(); return err },
		"patch":        func() error { _, err := roles.Patch(name, &iam.Role{Title: "x"}).Do(); return err },
		"delete":       func() error { _, err := roles.Delete(name).Do(); return err },
	} {
		g := googleError(t, do())
		assert.Equal(t, http.StatusBadRequest, g.Code, what)
		assert.Equal(t, "failedPrecondition", g.Errors[0].Reason, what)
	}
	restored, err := roles.Undelete(name, &iam.UndeleteRoleRequest{Etag: deleted.Etag}).Do()
	require.NoError(t, err)
	assert.False(t, restored.Deleted)
	_, err = roles.Undelete(name, &iam.UndeleteRoleRequest{}).Do()
	assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code)
}

func TestCustomRoleIsHeldAfterDeletion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, svc := rolesCloud(t)
		roles := svc.Projects.Roles
		const name = rolesProject + "/roles/deployer"
		_, err := roles.Create(rolesProject, rolesRequest("deployer", "run.jobs.get")).Do()
		require.NoError(t, err)
		_, err = roles.Delete(name).Do()
		require.NoError(t, err)

		time.Sleep(7*24*time.Hour - time.Second)
		_, err = roles.Undelete(name, &iam.UndeleteRoleRequest{}).Do()
		require.NoError(t, err)
		_, err = roles.Delete(name).Do()
		require.NoError(t, err)

		time.Sleep(7 * 24 * time.Hour)
		_, err = roles.Undelete(name, &iam.UndeleteRoleRequest{}).Do()
		assert.Equal(t, "The role named projects/web-prod/roles/deployer was not found.", googleError(t, err).Message)
		list, err := roles.List(rolesProject).ShowDeleted(true).Do()
		require.NoError(t, err)
		assert.Empty(t, list.Roles)
		_, err = roles.Create(rolesProject, rolesRequest("deployer")).Do()
		assert.Equal(t, "You can't create a role_id (deployer) which has been marked for deletion.", googleError(t, err).Message)

		time.Sleep(30 * 24 * time.Hour)
		_, err = roles.Create(rolesProject, rolesRequest("deployer")).Do()
		require.NoError(t, err)
	})
}

// What a custom role grants follows its changes at once.
func TestCustomRoleDecides(t *testing.T) {
	t.Parallel()
	b, svc := rolesCloud(t)
	roles := svc.Projects.Roles
	const name = rolesProject + "/roles/reader"
	b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: jobTemplate("image")})
	_, err := roles.Create(rolesProject, rolesRequest("reader", "run.jobs.list")).Do()
	require.NoError(t, err)
	b.Grant(rolesProject, name, "user:reader@example.com")
	client, err := run.NewService(t.Context(), b.ClientOptions("user:reader@example.com")...)
	require.NoError(t, err)
	may := func() bool {
		_, err := client.Projects.Locations.Jobs.Get(jobName).Do()
		return err == nil
	}
	patch := func(r *iam.Role, mask string) {
		_, err := roles.Patch(name, r).UpdateMask(mask).Do()
		require.NoError(t, err)
	}
	assert.False(t, may())
	patch(&iam.Role{IncludedPermissions: []string{"run.jobs.get"}}, "includedPermissions")
	assert.True(t, may())
	patch(&iam.Role{Stage: "DISABLED"}, "stage")
	assert.False(t, may(), "a disabled role has no effect")
	patch(&iam.Role{Stage: "GA"}, "stage")
	assert.True(t, may())
	_, err = roles.Delete(name).Do()
	require.NoError(t, err)
	assert.False(t, may(), "nor has a deleted one")
	_, err = roles.Undelete(name, &iam.UndeleteRoleRequest{}).Do()
	require.NoError(t, err)
	assert.True(t, may(), "its binding was left")
}

func TestCustomRoleRefusals(t *testing.T) {
	t.Parallel()
	b, admin := rolesCloud(t)
	_, err := admin.Projects.Roles.Create(rolesProject, rolesRequest("deployer", "run.jobs.get")).Do()
	require.NoError(t, err)
	const name = rolesProject + "/roles/deployer"
	nobody := rolesAs(t, b, "user:nobody@example.com")
	reader := rolesAs(t, b, "user:reader@example.com")
	b.Grant(rolesProject, "roles/iam.roleViewer", "user:reader@example.com")
	create := func(svc *iam.Service, parent string, req *iam.CreateRoleRequest) func() error {
		return func() error {
			if strings.HasPrefix(parent, "organizations/") {
				_, err := svc.Organizations.Roles.Create(parent, req).Do()
				return err
			}
			_, err := svc.Projects.Roles.Create(parent, req).Do()
			return err
		}
	}
	invalidPermission := func(permission string) func() error {
		return create(admin, rolesProject, rolesRequest("other", permission))
	}
	for what, test := range map[string]struct {
		do     func() error
		code   int
		text   string
		reason string
	}{
		"create":                     {create(nobody, rolesProject, rolesRequest("other")), 403, "You don't have permission to create a role in projects/web-prod.", "forbidden"},
		"create as a reader":         {create(reader, rolesProject, rolesRequest("other")), 403, "You don't have permission to create a role in projects/web-prod.", "forbidden"},
		"create in the organization": {create(reader, rolesOrg, rolesRequest("other")), 403, "You don't have permission to create a role in organizations/555.", "forbidden"},
		"create in no project":       {create(admin, "projects/none", rolesRequest("other")), 403, "You don't have permission to create a role in projects/none.", "forbidden"},
		"list":                       {func() error { _, err := nobody.Projects.Roles.List(rolesProject).Do(); return err }, 403, "You don't have permission to list roles in projects/web-prod.", "forbidden"},
		"list by parent":             {func() error { _, err := nobody.Roles.List().Parent(rolesProject).Do(); return err }, 403, "You don't have permission to list roles in projects/web-prod.", "forbidden"},
		"get":                        {func() error { _, err := nobody.Projects.Roles.Get(name).Do(); return err }, 403, "You don't have permission to get the role at projects/web-prod/roles/deployer.", "forbidden"},
		"update":                     {func() error { _, err := reader.Projects.Roles.Patch(name, &iam.Role{}).Do(); return err }, 403, "You don't have permission to update the role at projects/web-prod/roles/deployer.", "forbidden"},
		"delete":                     {func() error { _, err := reader.Projects.Roles.Delete(name).Do(); return err }, 403, "You don't have permission to delete the role at projects/web-prod/roles/deployer.", "forbidden"},
		"undelete": {func() error {
			_, err := reader.Projects.Roles.Undelete(name, &iam.UndeleteRoleRequest{}).Do()
			return err
		}, 403, "You don't have permission to undelete the role at projects/web-prod/roles/deployer.", "forbidden"},

		"get what is not there": {func() error { _, err := reader.Projects.Roles.Get(rolesProject + "/roles/none").Do(); return err }, 404, "The role named projects/web-prod/roles/none was not found.", "notFound"},
		"get a malformed name": {func() error { _, err := reader.Projects.Roles.Get(rolesProject + "/roles/test-1").Do(); return err }, 400,
			`The role name must be in the form "roles/{role}", "organizations/{organization_id}/roles/{role}", or "projects/{project_id}/roles/{role}".`, "badRequest"},
		"get a predefined role that is not known": {func() error { _, err := reader.Roles.Get("roles/none").Do(); return err }, 404, "The role named roles/none was not found.", "notFound"},
		"malformed id": {create(admin, rolesProject, rolesRequest("test-1")), 400,
			`The role_id "test-1" is invalid. It doesn't match pattern "[a-zA-Z0-9_\.]{3,64}". The role_id must be 3 to 64 characters long ` +
				`and can be a mix of uppercase and lowercase English letters, digits, underscores and periods.`, "badRequest"},
		"short id": {create(admin, rolesProject, rolesRequest("ab")), 400, "", "badRequest"},
		"a name":   {create(admin, rolesProject, &iam.CreateRoleRequest{RoleId: "other", Role: &iam.Role{Name: "roles/other"}}), 400, "Must not specify role.name.", "badRequest"},

		"no permission of Cloud Run": {invalidPermission("run.workerPools.get"), 400, "Permission run.workerPools.get is not valid.", "badRequest"},
		"in other letters":           {invalidPermission("iam.serviceaccounts.actAs"), 400, "Permission iam.serviceaccounts.actAs is not valid.", "badRequest"},
		"an unknown verb":            {invalidPermission("iam.roles.rename"), 400, "Permission iam.roles.rename is not valid.", "badRequest"},
		"no permission at all":       {invalidPermission("*"), 400, "Permission * is not valid.", "badRequest"},
		"an organization's":          {invalidPermission("resourcemanager.organizations.get"), 400, "Permission resourcemanager.organizations.get is not valid.", "badRequest"},
		"a folder's":                 {invalidPermission("resourcemanager.folders.get"), 400, "Permission resourcemanager.folders.get is not valid.", "badRequest"},
		"to list projects":           {invalidPermission("resourcemanager.projects.list"), 400, "Permission resourcemanager.projects.list is not valid.", "badRequest"},
		"not supported":              {invalidPermission("iam.denypolicies.create"), 400, "Permission iam.denypolicies.create is not valid.", "badRequest"},
		"not supported, patched": {func() error {
			_, err := admin.Projects.Roles.Patch(name, &iam.Role{IncludedPermissions: []string{"run.x.y"}}).Do()
			return err
		}, 400, "Permission run.x.y is not valid.", "badRequest"},
		"a mask of no field": {func() error {
			_, err := admin.Projects.Roles.Patch(name, &iam.Role{}).UpdateMask("color").Do()
			return err
		}, 400, "", ""},
		"an etag that is no bytes":     {func() error { _, err := admin.Projects.Roles.Delete(name).Etag("%%").Do(); return err }, 400, "", "badRequest"},
		"a page token that is invalid": {func() error { _, err := admin.Projects.Roles.List(rolesProject).PageToken("%").Do(); return err }, 400, "", ""},
	} {
		g := googleError(t, test.do())
		assert.Equal(t, test.code, g.Code, "%s: %s", what, g.Message)
		if test.text != "" {
			assert.Equal(t, test.text, g.Message, what)
		}
		if test.reason != "" && assert.NotEmpty(t, g.Errors, what) {
			assert.Equal(t, test.reason, g.Errors[0].Reason, what)
		}
		if test.code == 403 {
			assert.Contains(t, g.Body, "IAM_PERMISSION_DENIED", what)
		}
	}
}

func TestOrganizationRoles(t *testing.T) {
	t.Parallel()
	_, svc := rolesCloud(t)
	roles := svc.Organizations.Roles
	r, err := roles.Create(rolesOrg, rolesRequest("browser", "resourcemanager.organizations.get", "resourcemanager.projects.list", "storage.buckets.new")).Do()
	require.NoError(t, err, "services that the fake does not know may have any permission")
	assert.Equal(t, "organizations/555/roles/browser", r.Name)
	_, err = roles.Patch(r.Name, &iam.Role{}).UpdateMask("*").Do()
	require.NoError(t, err)
	r, err = roles.Get(r.Name).Do()
	require.NoError(t, err)
	assert.Empty(t, r.IncludedPermissions)
	_, err = roles.Delete(r.Name).Do()
	require.NoError(t, err)
	_, err = roles.Undelete(r.Name, &iam.UndeleteRoleRequest{}).Do()
	require.NoError(t, err)
	list, err := roles.List(rolesOrg).Do()
	require.NoError(t, err)
	assert.Len(t, list.Roles, 1)
}

func TestListRoles(t *testing.T) {
	t.Parallel()
	b, svc := rolesCloud(t)
	for _, id := range []string{"ccc", "aaa", "bbb"} {
		_, err := svc.Projects.Roles.Create(rolesProject, rolesRequest(id, "run.jobs.get")).Do()
		require.NoError(t, err)
	}
	_, err := svc.Projects.Roles.Delete(rolesProject + "/roles/bbb").Do()
	require.NoError(t, err)
	b.AddRole(&iam.Role{Name: "roles/new.viewer", Title: "New", IncludedPermissions: []string{"run.new.get"}})
	b.AddRole(&iam.Role{Name: "projects/123456789012/roles/alpha", Stage: "ALPHA"})

	var ids []string
	call := svc.Projects.Roles.List(rolesProject).PageSize(2)
	require.NoError(t, call.Pages(t.Context(), func(r *iam.ListRolesResponse) error {
		for _, role := range r.Roles {
			ids = append(ids, strings.TrimPrefix(role.Name, rolesProject+"/roles/"))
			assert.Empty(t, role.IncludedPermissions)
			assert.NotEmpty(t, role.Etag)
		}
		return nil
	}))
	assert.Equal(t, []string{"aaa", "alpha", "ccc"}, ids)
	all, err := svc.Roles.List().Parent(rolesProject).ShowDeleted(true).View("FULL").Do()
	require.NoError(t, err)
	require.Len(t, all.Roles, 4)
	assert.Empty(t, all.Roles[1].Stage, "ALPHA is not told")
	assert.Equal(t, "bbb", strings.TrimPrefix(all.Roles[2].Name, rolesProject+"/roles/"))
	assert.True(t, all.Roles[2].Deleted)
	assert.Equal(t, []string{"run.jobs.get"}, all.Roles[2].IncludedPermissions)

	// Anyone may read predefined roles.
	nobody := rolesAs(t, b, "user:nobody@example.com")
	seen := make(map[string]*iam.Role)
	require.NoError(t, nobody.Roles.List().View("FULL").Pages(t.Context(), func(r *iam.ListRolesResponse) error {
		for _, role := range r.Roles {
			assert.True(t, strings.HasPrefix(role.Name, "roles/"), role.Name)
			seen[role.Name] = role
		}
		return nil
	}))
	assert.Greater(t, len(seen), 300)
	assert.Contains(t, seen["roles/run.developer"].IncludedPermissions, "run.jobs.update")
	assert.Equal(t, "AA==", seen["roles/run.developer"].Etag)
	assert.Equal(t, "New", seen["roles/new.viewer"].Title)
	got, err := nobody.Roles.Get("roles/iam.serviceAccountUser").Do()
	require.NoError(t, err)
	assert.Contains(t, got.IncludedPermissions, "iam.serviceAccounts.actAs")
}

func TestQueryTestablePermissions(t *testing.T) {
	t.Parallel()
	b, svc := rolesCloud(t)
	b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: jobTemplate("image")})
	for what, test := range map[string]struct {
		resource string
		has, not []string
	}{
		"organization": {"//cloudresourcemanager.googleapis.com/organizations/555",
			[]string{"resourcemanager.organizations.get", "resourcemanager.projects.list", "run.jobs.get"}, nil},
		"project by id": {"//cloudresourcemanager.googleapis.com/projects/web-prod",
			[]string{"run.jobs.get", "iam.serviceAccounts.actAs", "iam.serviceAccountKeys.create", "iam.denypolicies.create"},
			[]string{"resourcemanager.organizations.get", "resourcemanager.projects.list", "resourcemanager.folders.get"}},
		"service account": {"//iam.googleapis.com/projects/web-prod/serviceAccounts/x@web-prod.iam.gserviceaccount.com",
			[]string{"iam.serviceAccounts.actAs", "iam.serviceAccountKeys.list"}, []string{"run.jobs.get", "iam.roles.get"}},
		"job": {"//run.googleapis.com/" + jobName, []string{"run.jobs.run"}, []string{"run.services.get", "run.routes.invoke"}},
	} {
		var names []string
		req := &iam.QueryTestablePermissionsRequest{FullResourceName: test.resource, PageSize: 100}
		require.NoError(t, svc.Permissions.QueryTestablePermissions(req).Pages(t.Context(), func(r *iam.QueryTestablePermissionsResponse) error {
			assert.LessOrEqual(t, len(r.Permissions), 100)
			for _, p := range r.Permissions {
				names = append(names, p.Name)
				if p.Name == "iam.denypolicies.create" {
					assert.Equal(t, "NOT_SUPPORTED", p.CustomRolesSupportLevel)
				}
			}
			return nil
		}), what)
		assert.IsIncreasing(t, names, what)
		assert.Subset(t, names, test.has, what)
		for _, p := range test.not {
			assert.NotContains(t, names, p, what)
		}
	}
	for what, req := range map[string]*iam.QueryTestablePermissionsRequest{
		"missing":      {},
		"not there":    {FullResourceName: "//cloudresourcemanager.googleapis.com/projects/none"},
		"another API":  {FullResourceName: "//run.googleapis.com/projects/web-prod"},
		"not full":     {FullResourceName: "projects/web-prod"},
		"odd size":     {FullResourceName: "//cloudresourcemanager.googleapis.com/projects/web-prod", PageSize: -1},
		"a bad cursor": {FullResourceName: "//cloudresourcemanager.googleapis.com/projects/web-prod", PageToken: "?"},
	} {
		_, err := svc.Permissions.QueryTestablePermissions(req).Do()
		assert.Contains(t, []int{400, 404}, googleError(t, err).Code, what)
	}
}

func TestQueryGrantableRoles(t *testing.T) {
	t.Parallel()
	b, svc := rolesCloud(t)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "other", Parent: rolesOrg})
	b.AddRole(&iam.Role{Name: "projects/web-prod/roles/actor", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
	b.AddRole(&iam.Role{Name: "projects/web-prod/roles/runner", IncludedPermissions: []string{"run.jobs.run"}})
	b.AddRole(&iam.Role{Name: "projects/web-prod/roles/gone", Deleted: true, IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
	b.AddRole(&iam.Role{Name: "projects/other/roles/actor", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
	b.AddRole(&iam.Role{Name: "organizations/555/roles/actor", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
	var names []string
	req := &iam.QueryGrantableRolesRequest{
		FullResourceName: "//iam.googleapis.com/projects/web-prod/serviceAccounts/x@web-prod.iam.gserviceaccount.com", PageSize: 20, View: "FULL",
	}
	require.NoError(t, svc.Roles.QueryGrantableRoles(req).Pages(t.Context(), func(r *iam.QueryGrantableRolesResponse) error {
		for _, role := range r.Roles {
			assert.NotEmpty(t, role.IncludedPermissions)
			names = append(names, role.Name)
		}
		return nil
	}))
	assert.IsIncreasing(t, names)
	assert.Subset(t, names, []string{"organizations/555/roles/actor", "projects/web-prod/roles/actor", "roles/iam.serviceAccountUser"})
	for _, not := range []string{"projects/web-prod/roles/runner", "projects/web-prod/roles/gone", "projects/other/roles/actor", "roles/run.invoker"} {
		assert.NotContains(t, names, not)
	}
}

func TestSeededRolesAreHeldToTheRules(t *testing.T) {
	t.Parallel()
	b, _ := rolesCloud(t)
	for what, r := range map[string]*iam.Role{
		"no parent":            {Name: "projects/none/roles/abc"},
		"a malformed id":       {Name: "projects/web-prod/roles/a-b"},
		"an unknown one":       {Name: "projects/web-prod/roles/abc", IncludedPermissions: []string{"run.jobs.fly"}},
		"of the organization":  {Name: "projects/web-prod/roles/abc", IncludedPermissions: []string{"resourcemanager.organizations.get"}},
		"neither kind of name": {Name: "abc"},
	} {
		assert.Panics(t, func() { b.AddRole(r) }, what)
	}
}
