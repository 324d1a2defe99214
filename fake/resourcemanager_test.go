package fake_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	crmv1 "google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
)

// hierarchy is an organization with two folders, one in the other, and three
// projects: one in the inner folder, one in the organization, one in nothing.
func hierarchy(t *testing.T) *fake.Backend {
	t.Helper()
	b := fake.Start(t)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com", DirectoryCustomerId: "C01"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/2", Parent: "organizations/1", DisplayName: "Production Systems"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/3", Parent: "folders/2", DisplayName: "Web"})
	b.AddProject(&cloudresourcemanager.Project{
		Name: "projects/123456789012", ProjectId: "web-prod", Parent: "folders/3", DisplayName: "Howl",
		Labels: map[string]string{"color": "red", "size": "big"},
	})
	b.AddProject(&cloudresourcemanager.Project{
		Name: "projects/223456789012", ProjectId: "data-prod", Parent: "organizations/1", DisplayName: "How",
		Labels: map[string]string{"color": "blue", "empty": ""},
	})
	b.AddProject(&cloudresourcemanager.Project{Name: "projects/323456789012", ProjectId: "lone"})
	return b
}

// hierarchyClients are clients of both versions for a caller.
func hierarchyClients(t *testing.T, b *fake.Backend, member string) (*cloudresourcemanager.Service, *crmv1.Service) {
	t.Helper()
	v3, err := cloudresourcemanager.NewService(t.Context(), b.ClientOptions(member)...)
	require.NoError(t, err)
	v1, err := crmv1.NewService(t.Context(), b.ClientOptions(member)...)
	require.NoError(t, err)
	return v3, v1
}

func hierarchyNames[T any](all []T, name func(T) string) []string {
	names := []string{}
	for _, one := range all {
		names = append(names, name(one))
	}
	return names
}

const nobody = "user:nobody@example.com"

func TestHierarchyGet(t *testing.T) {
	t.Parallel()
	b := hierarchy(t)
	b.Grant("organizations/1", "roles/browser", nobody)
	v3, v1 := hierarchyClients(t, b, nobody)

	for _, asked := range []string{"projects/web-prod", "projects/123456789012"} {
		p, err := v3.Projects.Get(asked).Do()
		require.NoError(t, err)
		assert.Equal(t, "projects/123456789012", p.Name, "the number, whatever was asked")
		assert.Equal(t, []string{"web-prod", "folders/3", "Howl", "ACTIVE", "red"},
			[]string{p.ProjectId, p.Parent, p.DisplayName, p.State, p.Labels["color"]})
		assert.NotEmpty(t, p.Etag)
		assert.NotEmpty(t, p.CreateTime)
		assert.NotEmpty(t, p.UpdateTime)
	}
	for _, asked := range []string{"web-prod", "123456789012"} {
		p, err := v1.Projects.Get(asked).Do()
		require.NoError(t, err)
		assert.EqualValues(t, 123456789012, p.ProjectNumber)
		assert.Equal(t, []string{"web-prod", "Howl", "ACTIVE", "folder", "3", "big"},
			[]string{p.ProjectId, p.Name, p.LifecycleState, p.Parent.Type, p.Parent.Id, p.Labels["size"]})
	}
	f, err := v3.Folders.Get("folders/3").Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"folders/3", "folders/2", "Web", "ACTIVE"}, []string{f.Name, f.Parent, f.DisplayName, f.State})
	o, err := v3.Organizations.Get("organizations/1").Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"organizations/1", "example.com", "C01", "ACTIVE"}, []string{o.Name, o.DisplayName, o.DirectoryCustomerId, o.State})
	o1, err := v1.Organizations.Get("organizations/1").Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"organizations/1", "example.com", "C01", "ACTIVE"},
		[]string{o1.Name, o1.DisplayName, o1.Owner.DirectoryCustomerId, o1.LifecycleState})
	assert.NotEmpty(t, o1.CreationTime)

	_, body := call(t, b, http.MethodGet, "https://cloudresourcemanager.googleapis.com/v1/projects/lone", "")
	assert.Contains(t, body, "403", "the caller of this helper may not")
	b.Grant("projects/lone", "roles/browser", "user:dev@example.com")
	_, body = call(t, b, http.MethodGet, "https://cloudresourcemanager.googleapis.com/v1/projects/lone", "")
	o2 := parse(t, []byte(body))
	assert.Equal(t, "323456789012", field(o2, "projectNumber"), "a string, as int64 are")
	assert.Nil(t, field(o2, "parent"))
}

func TestGetAncestry(t *testing.T) {
	t.Parallel()
	b := hierarchy(t)
	b.Grant("projects/web-prod", "roles/browser", nobody)
	b.Grant("projects/lone", "roles/browser", nobody)
	_, v1 := hierarchyClients(t, b, nobody)
	chain := func(project string) []string {
		b.ResetCalls()
		resp, err := v1.Projects.GetAncestry(project, &crmv1.GetAncestryRequest{}).Do()
		require.NoError(t, err)
		assert.Len(t, b.Calls(), 1)
		return hierarchyNames(resp.Ancestor, func(a *crmv1.Ancestor) string { return a.ResourceId.Type + ":" + a.ResourceId.Id })
	}
	want := []string{"project:web-prod", "folder:3", "folder:2", "organization:1"}
	assert.Equal(t, want, chain("web-prod"), "all of it, with rights on the project alone")
	assert.Equal(t, want, chain("123456789012"))
	assert.Equal(t, []string{"project:lone"}, chain("lone"))

	_, err := v1.Projects.GetAncestry("data-prod", &crmv1.GetAncestryRequest{}).Do()
	assert.Equal(t, "The caller does not have permission", googleError(t, err).Message)
	status, body := call(t, b, http.MethodPost, "https://cloudresourcemanager.googleapis.com/v1/projects/web-prod:getAncestry", "[")
	assert.Equal(t, http.StatusBadRequest, status, body)
}

// hierarchyCalls are all methods, each with the one permission that it is
// documented to need and the resource on which it needs it.
func hierarchyCalls(v3 *cloudresourcemanager.Service, v1 *crmv1.Service) map[string]struct {
	permission, on string
	do             func() error
} {
	type entry = struct {
		permission, on string
		do             func() error
	}
	return map[string]entry{
		"v3 projects.get": {"resourcemanager.projects.get", "projects/web-prod", func() error { _, err := v3.Projects.Get("projects/web-prod").Do(); return err }},
		"v3 projects.list": {"resourcemanager.projects.list", "folders/3", func() error {
			_, err := v3.Projects.List().Parent("folders/3").Do()
			return err
		}},
		"v3 projects.getIamPolicy": {"resourcemanager.projects.getIamPolicy", "projects/web-prod", func() error {
			_, err := v3.Projects.GetIamPolicy("projects/web-prod", &cloudresourcemanager.GetIamPolicyRequest{}).Do()
			return err
		}},
		"v3 projects.setIamPolicy": {"resourcemanager.projects.setIamPolicy", "projects/web-prod", func() error {
			_, err := v3.Projects.SetIamPolicy("projects/web-prod", &cloudresourcemanager.SetIamPolicyRequest{Policy: &cloudresourcemanager.Policy{}}).Do()
			return err
		}},
		"v3 folders.get": {"resourcemanager.folders.get", "folders/3", func() error { _, err := v3.Folders.Get("folders/3").Do(); return err }},
		"v3 folders.list": {"resourcemanager.folders.list", "folders/2", func() error {
			_, err := v3.Folders.List().Parent("folders/2").Do()
			return err
		}},
		"v3 folders.getIamPolicy": {"resourcemanager.folders.getIamPolicy", "folders/3", func() error {
			_, err := v3.Folders.GetIamPolicy("folders/3", &cloudresourcemanager.GetIamPolicyRequest{}).Do()
			return err
		}},
		"v3 folders.setIamPolicy": {"resourcemanager.folders.setIamPolicy", "folders/3", func() error {
			_, err := v3.Folders.SetIamPolicy("folders/3", &cloudresourcemanager.SetIamPolicyRequest{Policy: &cloudresourcemanager.Policy{}}).Do()
			return err
		}},
		"v3 organizations.get": {"resourcemanager.organizations.get", "organizations/1", func() error { _, err := v3.Organizations.Get("organizations/1").Do(); return err }},
		"v3 organizations.getIamPolicy": {"resourcemanager.organizations.getIamPolicy", "organizations/1", func() error {
			_, err := v3.Organizations.GetIamPolicy("organizations/1", &cloudresourcemanager.GetIamPolicyRequest{}).Do()
			return err
		}},
		"v3 organizations.setIamPolicy": {"resourcemanager.organizations.setIamPolicy", "organizations/1", func() error {
			_, err := v3.Organizations.SetIamPolicy("organizations/1", &cloudresourcemanager.SetIamPolicyRequest{Policy: &cloudresourcemanager.Policy{}}).Do()
			return err
		}},
		"v1 projects.get": {"resourcemanager.projects.get", "projects/web-prod", func() error { _, err := v1.Projects.Get("web-prod").Do(); return err }},
		"v1 projects.getAncestry": {"resourcemanager.projects.get", "projects/web-prod", func() error {
			_, err := v1.Projects.GetAncestry("web-prod", &crmv1.GetAncestryRequest{}).Do()
			return err
		}},
		"v1 projects.getIamPolicy": {"resourcemanager.projects.getIamPolicy", "projects/web-prod", func() error {
			_, err := v1.Projects.GetIamPolicy("web-prod", &crmv1.GetIamPolicyRequest{}).Do()
			return err
		}},
		"v1 projects.setIamPolicy": {"resourcemanager.projects.setIamPolicy", "projects/web-prod", func() error {
			_, err := v1.Projects.SetIamPolicy("web-prod", &crmv1.SetIamPolicyRequest{Policy: &crmv1.Policy{}}).Do()
			return err
		}},
		"v1 organizations.get": {"resourcemanager.organizations.get", "organizations/1", func() error { _, err := v1.Organizations.Get("organizations/1").Do(); return err }},
		"v1 organizations.getIamPolicy": {"resourcemanager.organizations.getIamPolicy", "organizations/1", func() error {
			_, err := v1.Organizations.GetIamPolicy("organizations/1", &crmv1.GetIamPolicyRequest{}).Do()
			return err
		}},
		"v1 organizations.setIamPolicy": {"resourcemanager.organizations.setIamPolicy", "organizations/1", func() error {
			_, err := v1.Organizations.SetIamPolicy("organizations/1", &crmv1.SetIamPolicyRequest{Policy: &crmv1.Policy{}}).Do()
			return err
		}},
	}
}

func TestHierarchyNeedsOnePermission(t *testing.T) {
	t.Parallel()
	for name := range hierarchyCalls(nil, nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := hierarchy(t)
			m := hierarchyCalls(hierarchyClients(t, b, nobody))[name]
			g := googleError(t, m.do())
			assert.Equal(t, http.StatusForbidden, g.Code)
			body := parse(t, []byte(g.Body))
			assert.Equal(t, "PERMISSION_DENIED", field(body, "error.status"))
			if strings.HasPrefix(name, "v1") {
				assert.Equal(t, "The caller does not have permission", g.Message)
				assert.Nil(t, field(body, "error.details"))
				assert.Equal(t, name != "v1 projects.get", field(body, "error.errors") != nil, "projects.get was recorded without errors[]")
			} else {
				assert.Equal(t, "Permission '"+m.permission+"' denied on resource '//cloudresourcemanager.googleapis.com/"+m.on+"' (or it may not exist).", g.Message)
				assert.JSONEq(t, `[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"IAM_PERMISSION_DENIED",
					"domain":"cloudresourcemanager.googleapis.com","metadata":{"permission":"`+m.permission+`","resource":"`+m.on+`"}}]`,
					hierarchyJSON(t, field(body, "error.details")))
			}

			b.AddRole(&iam.Role{Name: "organizations/1/roles/one", IncludedPermissions: []string{m.permission}})
			b.Grant(m.on, "organizations/1/roles/one", nobody)
			require.NoError(t, m.do())
		})
	}
}

func hierarchyJSON(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	require.NoError(t, err)
	return string(out)
}

// Whoever may not see a resource is not told whether it is there.
func TestHierarchyMissingIsAsForbidden(t *testing.T) {
	t.Parallel()
	b := hierarchy(t)
	v3, v1 := hierarchyClients(t, b, fake.Admin)
	_, err := v3.Projects.Get("projects/none").Do()
	assert.Equal(t, "Permission 'resourcemanager.projects.get' denied on resource "+
		"'//cloudresourcemanager.googleapis.com/projects/none' (or it may not exist).", googleError(t, err).Message)
	_, err = v3.Folders.Get("folders/9").Do()
	assert.Contains(t, googleError(t, err).Message, "'resourcemanager.folders.get' denied on resource '//cloudresourcemanager.googleapis.com/folders/9'")
	_, err = v3.Folders.Get("folders/web").Do()
	assert.Equal(t, 403, googleError(t, err).Code)
	_, err = v3.Organizations.Get("organizations/9").Do()
	assert.Equal(t, 403, googleError(t, err).Code)
	_, err = v3.Projects.List().Parent("folders/9").Do()
	assert.Contains(t, googleError(t, err).Message, "'resourcemanager.projects.list'")

	_, err = v1.Projects.Get("none").Do()
	g := googleError(t, err)
	assert.JSONEq(t, `{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}`, g.Body)
	_, err = v1.Projects.GetAncestry("none", &crmv1.GetAncestryRequest{}).Do()
	assert.Equal(t, 403, googleError(t, err).Code)
	_, err = v1.Projects.GetIamPolicy("none", &crmv1.GetIamPolicyRequest{}).Do()
	assert.Equal(t, 403, googleError(t, err).Code)
	_, err = v1.Organizations.Get("organizations/9").Do()
	assert.Equal(t, 403, googleError(t, err).Code)
}

func TestHierarchyLists(t *testing.T) {
	t.Parallel()
	b := hierarchy(t)
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/4", Parent: "organizations/1", DisplayName: "Alpha"})
	for _, p := range []string{"zoo", "ant", "bee"} {
		b.AddProject(&cloudresourcemanager.Project{ProjectId: p, Parent: "folders/4", DisplayName: "Same"})
	}
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "first", Parent: "folders/4", DisplayName: "A"})
	b.Grant("organizations/1", "roles/browser", nobody)
	v3, _ := hierarchyClients(t, b, nobody)

	folders, err := v3.Folders.List().Parent("organizations/1").Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"folders/4", "folders/2"}, hierarchyNames(folders.Folders, func(f *cloudresourcemanager.Folder) string { return f.Name }),
		"direct children, by display name")
	projects, err := v3.Projects.List().Parent("organizations/1").Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"data-prod"}, hierarchyNames(projects.Projects, func(p *cloudresourcemanager.Project) string { return p.ProjectId }))

	var seen []string
	pages := 0
	require.NoError(t, v3.Projects.List().Parent("folders/4").PageSize(3).Pages(t.Context(), func(page *cloudresourcemanager.ListProjectsResponse) error {
		pages++
		for _, p := range page.Projects {
			seen = append(seen, p.ProjectId)
		}
		return nil
	}))
	assert.Equal(t, []string{"first", "ant", "bee", "zoo"}, seen)
	assert.Equal(t, 2, pages)
	empty, err := v3.Folders.List().Parent("folders/3").Do()
	require.NoError(t, err)
	assert.Empty(t, empty.Folders)

	for _, parent := range []string{"", "projects/web-prod", "folders", "folders/", "organizations/1/x", "1"} {
		_, err := v3.Projects.List().Parent(parent).Do()
		assert.Equal(t, 400, googleError(t, err).Code, parent)
		_, err = v3.Folders.List().Parent(parent).Do()
		assert.Equal(t, 400, googleError(t, err).Code, parent)
	}
	_, err = v3.Projects.List().Parent("folders/4").PageSize(-1).Do()
	assert.Equal(t, 400, googleError(t, err).Code)
	_, err = v3.Projects.List().Parent("folders/4").PageToken("%").Do()
	assert.Equal(t, 400, googleError(t, err).Code)
}
