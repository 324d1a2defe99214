package fake_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	crmv1 "google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
)

func TestSearchProjects(t *testing.T) {
	t.Parallel()
	b := hierarchy(t)
	v3, v1 := hierarchyClients(t, b, fake.Admin)
	all := []string{"data-prod", "lone", "web-prod"}
	tests := map[string]struct {
		query string
		want  []string
	}{
		"nothing asked":          {"", all},
		"by id":                  {"id:web-prod", []string{"web-prod"}},
		"by project id":          {"projectId=data-prod", []string{"data-prod"}},
		"by id, prefix":          {"id:*", all},
		"name is not a prefix":   {"name:How", []string{"data-prod"}},
		"name without case":      {"NAME:hOWL", []string{"web-prod"}},
		"name's beginning":       {"name:how*", []string{"data-prod", "web-prod"}},
		"display name":           {"displayName=Howl", []string{"web-prod"}},
		"quoted":                 {`displayName="Howl"`, []string{"web-prod"}},
		"quoted and escaped":     {`displayName:\"Howl\"`, []string{"web-prod"}},
		"parent":                 {"parent:folders/3", []string{"web-prod"}},
		"any organization":       {"parent:organizations/*", []string{"data-prod"}},
		"parent, not ancestor":   {"parent=folders/2", []string{}},
		"parent in two halves":   {"parent.type:organization parent.id:1", []string{"data-prod"}},
		"halves that don't fit":  {"parent.type:folder parent.id:1", []string{}},
		"parent's type":          {"parent.type:folder", []string{"web-prod"}},
		"state":                  {"state:active", all},
		"lifecycle state":        {"lifecycleState:DELETE_REQUESTED", []string{}},
		"has a label":            {"labels.color:*", []string{"data-prod", "web-prod"}},
		"has an empty label":     {"labels.empty:*", []string{"data-prod"}},
		"label's value":          {"labels.color:red", []string{"web-prod"}},
		"another label's value":  {"labels.size:red", []string{}},
		"any label":              {"labels:big", []string{"web-prod"}},
		"any label's name":       {"labels:empty", []string{"data-prod"}},
		"side by side: either":   {"labels.color:blue labels.size:big", []string{"data-prod", "web-prod"}},
		"with AND":               {"labels.color:red AND labels.size:big AND state:ACTIVE", []string{"web-prod"}},
		"with AND, none":         {"labels.color:blue AND labels.size:big", []string{}},
		"with OR":                {"id:lone OR labels.size:big", []string{"lone", "web-prod"}},
		"NOT":                    {"NOT id:lone", []string{"data-prod", "web-prod"}},
		"parentheses":            {"state:ACTIVE AND (id:lone OR id:web-prod)", []string{"lone", "web-prod"}},
		"as gcloud nests them":   {"lifecycleState:ACTIVE AND (parent.type:folder parent.id:3)", []string{"web-prod"}},
		"white space around":     {"  id:lone  ", []string{"lone"}},
		"NOT before parentheses": {"NOT (id:lone OR id:web-prod)", []string{"data-prod"}},
		"NOT twice":              {"NOT (NOT id:lone)", []string{"lone"}},
		"any folder":             {"parent:folders/*", []string{"web-prod"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, err := v3.Projects.Search().Query(tt.query).Do()
			require.NoError(t, err)
			assert.Equal(t, tt.want, hierarchyNames(resp.Projects, func(p *cloudresourcemanager.Project) string { return p.ProjectId }))
			listed, err := v1.Projects.List().Filter(tt.query).Do()
			require.NoError(t, err)
			assert.Equal(t, tt.want, hierarchyNames(listed.Projects, func(p *crmv1.Project) string { return p.ProjectId }))
		})
	}
	for _, query := range []string{
		"howl", "id:", ":x", "number:1", "labels.:x", "(", "()", "(id:a", "id:a)", "AND", "id:a AND", "OR id:a", "NOT",
		"id:a AND id:b OR id:c", `name:"a`, strings.Repeat("(", 1000) + "id:a", strings.Repeat("NOT ", 1000) + "id:a",
	} {
		_, err := v3.Projects.Search().Query(query).Do()
		assert.Equal(t, 400, googleError(t, err).Code, "%.40s", query)
		_, err = v1.Projects.List().Filter(query).Do()
		assert.Equal(t, 400, googleError(t, err).Code, "%.40s", query)
	}
}

// A search finds what the caller may get, and is never refused.
func TestSearchFindsWhatTheCallerMayGet(t *testing.T) {
	t.Parallel()
	b := hierarchy(t)
	v3, v1 := hierarchyClients(t, b, nobody)
	projects := func() []string {
		resp, err := v3.Projects.Search().Do()
		require.NoError(t, err)
		listed, err := v1.Projects.List().Do()
		require.NoError(t, err)
		found := hierarchyNames(resp.Projects, func(p *cloudresourcemanager.Project) string { return p.ProjectId })
		assert.Equal(t, found, hierarchyNames(listed.Projects, func(p *crmv1.Project) string { return p.ProjectId }))
		return found
	}
	folders := func() []string {
		resp, err := v3.Folders.Search().Do()
		require.NoError(t, err)
		return hierarchyNames(resp.Folders, func(f *cloudresourcemanager.Folder) string { return f.Name })
	}
	organizations := func() []string {
		resp, err := v3.Organizations.Search().Do()
		require.NoError(t, err)
		found, err := v1.Organizations.Search(&crmv1.SearchOrganizationsRequest{}).Do()
		require.NoError(t, err)
		assert.Len(t, found.Organizations, len(resp.Organizations))
		return hierarchyNames(resp.Organizations, func(o *cloudresourcemanager.Organization) string { return o.Name })
	}
	assert.Empty(t, projects())
	assert.Empty(t, folders())
	assert.Empty(t, organizations())

	b.AddRole(&iam.Role{Name: "organizations/1/roles/lister", IncludedPermissions: []string{"resourcemanager.projects.list", "resourcemanager.folders.list"}})
	b.Grant("organizations/1", "organizations/1/roles/lister", nobody)
	assert.Empty(t, projects(), "to list is not to get")
	assert.Empty(t, folders())

	b.Grant("folders/2", "roles/browser", nobody)
	assert.Equal(t, []string{"web-prod"}, projects())
	assert.Equal(t, []string{"folders/2", "folders/3"}, folders())
	assert.Empty(t, organizations())
	b.Grant("organizations/1", "roles/resourcemanager.organizationViewer", nobody)
	assert.Equal(t, []string{"organizations/1"}, organizations())
}

func TestSearchFolders(t *testing.T) {
	t.Parallel()
	b := hierarchy(t)
	v3, _ := hierarchyClients(t, b, fake.Admin)
	tests := map[string]struct {
		query string
		want  []string
	}{
		"all":                {"", []string{"folders/2", "folders/3"}},
		"parent":             {"parent=folders/2", []string{"folders/3"}},
		"parent and state":   {"parent=organizations/1 AND state=ACTIVE", []string{"folders/2"}},
		"name's beginning":   {"displayName=Prod*", []string{"folders/2"}},
		"one of its words":   {"displayName=systems", []string{"folders/2"}},
		"all of its words":   {`displayName="Systems Production"`, []string{"folders/2"}},
		"a word too many":    {`displayName=\"Production Web\"`, []string{}},
		"a part of a word":   {"displayName=Prod", []string{}},
		"lifecycle state":    {"lifecycleState:ACTIVE", []string{"folders/2", "folders/3"}},
		"not of that parent": {"NOT parent:organizations/*", []string{"folders/3"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, err := v3.Folders.Search().Query(tt.query).Do()
			require.NoError(t, err)
			assert.Equal(t, tt.want, hierarchyNames(resp.Folders, func(f *cloudresourcemanager.Folder) string { return f.Name }))
		})
	}
	_, err := v3.Folders.Search().Query("labels.a:b").Do()
	assert.Equal(t, 400, googleError(t, err).Code)
}

func TestSearchOrganizations(t *testing.T) {
	t.Parallel()
	b := hierarchy(t)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/5", DisplayName: "example.org", DirectoryCustomerId: "C05"})
	v3, v1 := hierarchyClients(t, b, fake.Admin)
	tests := map[string]struct {
		query string
		want  []string
	}{
		"all":             {"", []string{"organizations/1", "organizations/5"}},
		"domain":          {"domain:Example.com", []string{"organizations/1"}},
		"customer":        {"directorycustomerid:c05", []string{"organizations/5"}},
		"customer, as v1": {"owner.directoryCustomerId:C01", []string{"organizations/1"}},
		"none":            {"domain:example.net", []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, err := v3.Organizations.Search().Query(tt.query).Do()
			require.NoError(t, err)
			assert.Equal(t, tt.want, hierarchyNames(resp.Organizations, func(o *cloudresourcemanager.Organization) string { return o.Name }))
			found, err := v1.Organizations.Search(&crmv1.SearchOrganizationsRequest{Filter: tt.query}).Do()
			require.NoError(t, err)
			assert.Equal(t, tt.want, hierarchyNames(found.Organizations, func(o *crmv1.Organization) string { return o.Name }))
		})
	}
	var seen []string
	require.NoError(t, v1.Organizations.Search(&crmv1.SearchOrganizationsRequest{PageSize: 1}).Pages(t.Context(), func(page *crmv1.SearchOrganizationsResponse) error {
		assert.Len(t, page.Organizations, 1)
		seen = append(seen, page.Organizations[0].Name)
		return nil
	}))
	assert.Equal(t, []string{"organizations/1", "organizations/5"}, seen, "v1 pages in the body")
	_, err := v1.Organizations.Search(&crmv1.SearchOrganizationsRequest{Filter: "name:x"}).Do()
	assert.Equal(t, 400, googleError(t, err).Code)
}

func TestHierarchyTestIamPermissions(t *testing.T) {
	t.Parallel()
	b := hierarchy(t)
	b.AddRole(&iam.Role{Name: "projects/web-prod/roles/own", IncludedPermissions: []string{"acme.things.get"}})
	b.Grant("organizations/1", "roles/run.viewer", nobody)
	b.Grant("projects/web-prod", "projects/web-prod/roles/own", nobody)
	b.Grant("folders/2", "roles/resourcemanager.projectCreator", nobody)
	v3, v1 := hierarchyClients(t, b, nobody)
	test := map[string]func(resource string, permissions ...string) ([]string, error){
		"v3": func(resource string, permissions ...string) ([]string, error) {
			req := &cloudresourcemanager.TestIamPermissionsRequest{Permissions: permissions}
			var resp *cloudresourcemanager.TestIamPermissionsResponse
			var err error
			switch kind, _, _ := strings.Cut(resource, "/"); kind {
			case "projects":
				resp, err = v3.Projects.TestIamPermissions(resource, req).Do()
			case "folders":
				resp, err = v3.Folders.TestIamPermissions(resource, req).Do()
			default:
				resp, err = v3.Organizations.TestIamPermissions(resource, req).Do()
			}
			if err != nil {
				return nil, err
			}
			return resp.Permissions, nil
		},
		"v1": func(resource string, permissions ...string) ([]string, error) {
			req := &crmv1.TestIamPermissionsRequest{Permissions: permissions}
			var resp *crmv1.TestIamPermissionsResponse
			var err error
			if id, ok := strings.CutPrefix(resource, "projects/"); ok {
				resp, err = v1.Projects.TestIamPermissions(id, req).Do()
			} else {
				resp, err = v1.Organizations.TestIamPermissions(resource, req).Do()
			}
			if err != nil {
				return nil, err
			}
			return resp.Permissions, nil
		},
	}
	tests := map[string]struct {
		resource string
		asked    []string
		want     []string // nil: refused
	}{
		"has one of two":                {"projects/web-prod", []string{"run.jobs.get", "run.jobs.update"}, []string{"run.jobs.get"}},
		"by number":                     {"projects/123456789012", []string{"run.jobs.get"}, []string{"run.jobs.get"}},
		"in the order asked":            {"projects/web-prod", []string{"run.services.get", "run.jobs.get"}, []string{"run.services.get", "run.jobs.get"}},
		"none":                          {"projects/lone", []string{"run.jobs.get"}, []string{}},
		"nothing asked":                 {"projects/web-prod", nil, []string{}},
		"missing project":               {"projects/none", []string{"run.jobs.get"}, []string{}},
		"organization":                  {"organizations/1", []string{"run.jobs.get", "resourcemanager.organizations.get"}, []string{"run.jobs.get"}},
		"of an organization":            {"projects/lone", []string{"resourcemanager.organizations.get"}, []string{}},
		"only a custom role lists it":   {"projects/web-prod", []string{"acme.things.get"}, []string{"acme.things.get"}},
		"of a service half known":       {"projects/lone", []string{"storage.buckets.create"}, []string{}},
		"no role has it":                {"projects/web-prod", []string{"run.jobs.get", "run.jobs.fly"}, nil},
		"no such service":               {"projects/web-prod", []string{"teleport.things.get"}, nil},
		"wildcard":                      {"projects/web-prod", []string{"run.*"}, nil},
		"wildcard verb":                 {"projects/web-prod", []string{"run.jobs.*"}, nil},
		"no permission at all":          {"projects/web-prod", []string{"get"}, nil},
		"empty":                         {"projects/web-prod", []string{""}, nil},
		"create on a project":           {"projects/web-prod", []string{"resourcemanager.projects.create"}, nil},
		"list on a project":             {"projects/web-prod", []string{"resourcemanager.projects.list"}, nil},
		"list on an organization":       {"organizations/1", []string{"resourcemanager.projects.list"}, []string{"resourcemanager.projects.list"}},
		"refused on missing ones too":   {"projects/none", []string{"run.*"}, nil},
		"case counts":                   {"projects/web-prod", []string{"run.jobs.Get"}, nil},
		"the deny form is no such name": {"projects/web-prod", []string{"run.googleapis.com/jobs.get"}, nil},
	}
	for name, tt := range tests {
		for version, ask := range test {
			t.Run(name+", "+version, func(t *testing.T) {
				t.Parallel()
				got, err := ask(tt.resource, tt.asked...)
				if tt.want == nil {
					g := googleError(t, err)
					assert.Equal(t, 400, g.Code)
					assert.Equal(t, "Permission "+tt.asked[len(tt.asked)-1]+" is not valid for this resource.", g.Message)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, tt.want, append([]string{}, got...))
			})
		}
	}
	got, err := test["v3"]("folders/3", "resourcemanager.projects.create", "resourcemanager.folders.get")
	require.NoError(t, err)
	assert.Equal(t, []string{"resourcemanager.projects.create"}, got)
	got, err = test["v3"]("folders/9", "resourcemanager.projects.create")
	require.NoError(t, err)
	assert.Empty(t, got)
}
