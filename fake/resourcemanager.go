package fake

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/cloudresourcemanager/v3"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// Resource Manager reads the hierarchy and its allow policies, in v1 and v3.
// The two versions share the IDs of their methods and differ in messages and
// refusals. Both never tell a resource that is missing from one that may not
// be seen.

const (
	projectType       = "cloudresourcemanager.googleapis.com/Project"
	resourceManagerV1 = "cloudresourcemanager:v1"
)

func resourceManagerHandlers() map[string]handler {
	const (
		projects      = "cloudresourcemanager.projects."
		folders       = "cloudresourcemanager.folders."
		organizations = "cloudresourcemanager.organizations."
	)
	all := map[string]handler{
		projects + "get": reads((*call).getProject),
		inVersion(resourceManagerV1, projects+"get"): reads((*call).getProjectV1),
		projects + "list": reads((*call).listProjects),
		inVersion(resourceManagerV1, projects+"list"): reads((*call).listProjectsV1),
		projects + "search":                           reads((*call).searchProjects),
		projects + "getAncestry":                      reads((*call).getAncestry),

		folders + "get":    reads((*call).getFolder),
		folders + "list":   reads((*call).listFolders),
		folders + "search": reads((*call).searchFolders),

		organizations + "get":                                reads((*call).getOrganization),
		inVersion(resourceManagerV1, organizations+"get"):    reads((*call).getOrganizationV1),
		organizations + "search":                             reads((*call).searchOrganizations),
		inVersion(resourceManagerV1, organizations+"search"): reads((*call).searchOrganizationsV1),
	}
	for _, kind := range []string{projects, folders, organizations} {
		all[kind+"getIamPolicy"] = reads((*call).getHierarchyPolicy)
		all[kind+"setIamPolicy"] = writes((*call).setHierarchyPolicy)
		all[kind+"testIamPermissions"] = reads((*call).testHierarchyPermissions)
	}
	return all
}

// hierarchyName returns the name of the resource as the path has it, such as
// "projects/web-prod".
func (c *call) hierarchyName() string {
	return strings.Split(c.method.ID, ".")[1] + "/" + c.params[0]
}

// hierarchyPermission returns the permission that the method is documented to
// need, on the resource or, to list, on its parent. It is named as the method
// is.
func (c *call) hierarchyPermission() string { return strings.TrimPrefix(c.method.ID, "cloud") }

// hierarchyNode returns the organization, folder or project of that name, or
// nil.
func (st *state) hierarchyNode(name string) *node {
	if id, ok := strings.CutPrefix(name, "projects/"); ok {
		if p := st.projects[id]; p != nil && !p.deleted {
			return &p.node
		}
		return nil
	}
	return st.parentNode(name)
}

// permittedNode returns the resource that the path names, if the caller has
// the permission on it.
func (c *call) permittedNode(st *state, permission string) (*node, error) {
	n := st.hierarchyNode(c.hierarchyName())
	if n == nil || !c.may(st, permission, n) {
		return nil, c.hierarchyDenied(permission, c.hierarchyName())
	}
	return n, nil
}

// permittedProject does what permittedNode does, for projects.
func (c *call) permittedProject(st *state, permission string) (*project, error) {
	if _, err := c.permittedNode(st, permission); err != nil {
		return nil, err
	}
	return st.projects[c.params[0]], nil
}

// permittedContainer does what permittedNode does, for folders and
// organizations.
func (c *call) permittedContainer(st *state, permission string) (*container, error) {
	if _, err := c.permittedNode(st, permission); err != nil {
		return nil, err
	}
	return st.containers[c.hierarchyName()], nil
}

// hierarchyDenied returns the refusal of both versions. These are recorded:
// that of v1's projects.get without errors[], those of v1's other methods with
// it, and of v3 the message for projects and the whole for a folder's policy.
// What other v3 methods answer is inferred from that.
func (c *call) hierarchyDenied(permission, name string) error {
	if c.api.ID == resourceManagerV1 {
		e := wire.Denied("The caller does not have permission")
		if c.method.ID == "cloudresourcemanager.projects.get" {
			return e
		}
		return e.WithReason("forbidden")
	}
	e := wire.Denied("Permission '%s' denied on resource '%s%s' (or it may not exist).", permission, resourceManager, name).
		WithReason("forbidden")
	e.Details = []any{map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED",
		"domain": "cloudresourcemanager.googleapis.com", "metadata": map[string]string{"permission": permission, "resource": name},
	}}
	return e
}

func (c *call) getProject(st *state) ([]byte, error) {
	p, err := c.permittedProject(st, "resourcemanager.projects.get")
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(p.json()), nil
}

func (p *project) json() *cloudresourcemanager.Project {
	return &cloudresourcemanager.Project{
		Name: p.resourceID(), ProjectId: p.id, Parent: p.above(), DisplayName: p.displayName, Labels: p.labels,
		State: stateActive, CreateTime: timestamp(p.created), UpdateTime: timestamp(p.updated), Etag: hierarchyEtag(p.full, p.updated),
	}
}

// stateActive is the state of all that the fake's hierarchy holds.
const stateActive = "ACTIVE"

// above returns the name of what the node is in, or "".
func (n *node) above() string {
	if n.parent == nil {
		return ""
	}
	return strings.TrimPrefix(n.parent.full, resourceManager)
}

// hierarchyEtag returns a checksum, which the etag is documented to be. Its
// form is inferred.
func hierarchyEtag(name string, updated time.Time) string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s %d", name, updated.UnixMicro())
	return fmt.Sprintf(`W/"%016x"`, h.Sum64())
}

func (c *call) listProjects(st *state) ([]byte, error) {
	parent, err := c.listedParent(st)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*project)
	for p := range st.liveProjects {
		if p.parent == parent {
			found[p.displayName+"\x00"+p.id] = p
		}
	}
	page, next, err := hierarchyPage(c, found)
	if err != nil {
		return nil, err
	}
	resp := &cloudresourcemanager.ListProjectsResponse{NextPageToken: next}
	for _, p := range page {
		resp.Projects = append(resp.Projects, p.json())
	}
	return wire.MustEncode(resp), nil
}

// listedParent returns the parent whose children the method lists, if the
// caller may.
func (c *call) listedParent(st *state) (*node, error) {
	name := c.query.Get("parent")
	kind, id, _ := strings.Cut(name, "/")
	if kind != "folders" && kind != "organizations" || id == "" || strings.Contains(id, "/") {
		return nil, wire.Invalid("Request contains an invalid argument.").WithReason("badRequest")
	}
	n := st.parentNode(name)
	if n == nil || !c.may(st, c.hierarchyPermission(), n) {
		return nil, c.hierarchyDenied(c.hierarchyPermission(), name)
	}
	return n, nil
}

// liveProjects yields each project once.
func (st *state) liveProjects(yield func(*project) bool) {
	for key, p := range st.projects {
		if key == p.id && !p.deleted && !yield(p) {
			return
		}
	}
}

// hierarchyPage cuts the page that the call asks for out of what it found, in
// the order of the keys. How long a page is unless the caller says, and at
// most, is the server's choice.
func hierarchyPage[T any](c *call, found map[string]T) ([]T, string, error) {
	keys, next, err := c.page(slices.Sorted(maps.Keys(found)), 100, 500)
	if err != nil {
		return nil, "", err
	}
	page := make([]T, 0, len(keys))
	for _, key := range keys {
		page = append(page, found[key])
	}
	return page, next, nil
}

// searchProjects finds the projects that match the query and that the caller
// may get.
func (c *call) searchProjects(st *state) ([]byte, error) {
	page, next, err := c.matchingProjects(st, c.query.Get("query"))
	if err != nil {
		return nil, err
	}
	resp := &cloudresourcemanager.SearchProjectsResponse{NextPageToken: next}
	for _, p := range page {
		resp.Projects = append(resp.Projects, p.json())
	}
	return wire.MustEncode(resp), nil
}

// matchingProjects returns a page of the projects that match a query and that
// the caller may get.
func (c *call) matchingProjects(st *state, query string) ([]*project, string, error) {
	matches, err := parseHierarchyQuery(query, isProjectField)
	if err != nil {
		return nil, "", err
	}
	found := make(map[string]*project)
	for p := range st.liveProjects {
		if matches(p.matches) && c.may(st, "resourcemanager.projects.get", &p.node) {
			found[p.id] = p
		}
	}
	return hierarchyPage(c, found)
}

func isProjectField(field string) bool {
	switch field {
	case "name", "displayname", "id", "projectid", "parent", "parent.type", "parent.id", "state", "lifecyclestate", "labels":
		return true
	}
	key, ok := strings.CutPrefix(field, "labels.")
	return ok && key != ""
}

// matches reports whether a field of the project has a value.
func (p *project) matches(field, value string) bool {
	switch field {
	case "name", "displayname":
		return matchesPattern(p.displayName, value)
	case "id", "projectid":
		return matchesPattern(p.id, value)
	case "parent":
		return matchesPattern(p.above(), value)
	case "parent.type":
		kind, _, _ := strings.Cut(p.above(), "/")
		return matchesPattern(strings.TrimSuffix(kind, "s"), value)
	case "parent.id":
		_, id, _ := strings.Cut(p.above(), "/")
		return matchesPattern(id, value)
	case "state", "lifecyclestate":
		return matchesPattern(stateActive, value)
	}
	key, named := strings.CutPrefix(field, "labels.")
	for name, label := range p.labels {
		switch {
		case !named && (matchesPattern(name, value) || matchesPattern(label, value)):
			return true
		// The value * asks whether there is such a label, an empty one too.
		case named && name == key && (value == "*" || matchesPattern(label, value)):
			return true
		}
	}
	return false
}

func (c *call) getHierarchyPolicy(st *state) ([]byte, error) {
	n, err := c.permittedNode(st, c.hierarchyPermission())
	if err != nil {
		return nil, err
	}
	return c.getIamPolicy(n)
}

func (c *call) setHierarchyPolicy(st *state) ([]byte, error) {
	n, err := c.permittedNode(st, c.hierarchyPermission())
	if err != nil {
		return nil, err
	}
	return c.setIamPolicy(st, n)
}

// testHierarchyPermissions needs no permission. On what does not exist nobody
// has any: that is how IAM documents the method in general, Resource Manager
// does not say.
func (c *call) testHierarchyPermissions(st *state) ([]byte, error) {
	name := c.hierarchyName()
	return c.testIamPermissions(st, st.hierarchyNode(name), func(permission string) bool {
		return st.testable(name, permission)
	})
}
