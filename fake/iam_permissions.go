package fake

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/access"
)

// listedPermissions are the permissions that the embedded predefined roles
// list, and those on keys of service accounts, which the list leaves out.
var listedPermissions = sync.OnceValue(func() map[string]bool {
	known := make(map[string]bool)
	for _, r := range predefinedRoles() {
		for _, p := range r.permissions {
			known[p] = true
		}
	}
	for _, verb := range []string{"create", "delete", "disable", "enable", "get", "list"} {
		known["iam.serviceAccountKeys."+verb] = true
	}
	return known
})

// listedSpellings are the known permissions by their lower-case form.
var listedSpellings = sync.OnceValue(func() map[string]string {
	out := make(map[string]string)
	for p := range listedPermissions() {
		out[strings.ToLower(p)] = p
	}
	return out
})

// listedResources are what the known permissions are about: "run.jobs".
var listedResources = sync.OnceValue(func() map[string]bool {
	out := make(map[string]bool)
	for p := range listedPermissions() {
		out[p[:strings.LastIndexByte(p, '.')]] = true
	}
	return out
})

// permissions returns the known permissions and those of roles that were
// seeded, sorted.
func (st *state) permissions() []string {
	all := maps.Clone(listedPermissions())
	for name, r := range st.roles {
		if strings.HasPrefix(name, "roles/") {
			for _, p := range r.permissions {
				all[p] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// permissionExists reports whether Google has a permission, as far as the fake
// can tell: it knows all of Cloud Run's and of the organization policy's, and
// all on the resources of Resource Manager and IAM that it knows. Of other
// services it takes what has the form of a permission, unless it is a known
// one in other letters.
func (st *state) permissionExists(permission string) bool {
	if listedPermissions()[permission] {
		return true
	}
	if service, rest, ok := strings.Cut(permission, "/"); ok { // as in deny policies: some have no other name
		return strings.Contains(service, ".") && strings.Contains(rest, ".")
	}
	parts := strings.Split(permission, ".")
	if len(parts) < 3 || slices.Contains(parts, "") {
		return false
	}
	for name, r := range st.roles {
		if strings.HasPrefix(name, "roles/") && slices.Contains(r.permissions, permission) {
			return true
		}
	}
	if listedSpellings()[strings.ToLower(permission)] != "" {
		return false
	}
	resource := permission[:strings.LastIndexByte(permission, '.')]
	switch parts[0] {
	case "run", "orgpolicy":
		return false
	case "iam", "resourcemanager":
		return !listedResources()[resource]
	}
	return resource != "serviceusage.services"
}

// notInCustomRoles are permissions that custom roles do not support, as
// queryTestablePermissions was seen to say. Google's list has more.
// https://cloud.google.com/iam/docs/custom-roles-permissions-support
var notInCustomRoles = map[string]bool{"iam.denypolicies.create": true}

// checkRolePermissions refuses what a custom role of that project or
// organization can't have.
func (st *state) checkRolePermissions(parent *node, permissions []string) error {
	for _, p := range permissions {
		if !st.permissionExists(p) || !testableOn(parent, p) || notInCustomRoles[p] {
			return wire.Invalid("Permission %s is not valid.", p).WithReason("badRequest")
		}
	}
	return nil
}

// testableOn reports whether a permission can be tested on a resource of that
// type: it is about the resource or what is below it.
func testableOn(n *node, permission string) bool {
	in := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(permission, prefix) })
	}
	id, inManager := strings.CutPrefix(n.full, resourceManager)
	kind, _, _ := strings.Cut(id, "/")
	switch {
	case inManager && kind == "projects":
		return !in("resourcemanager.organizations.", "resourcemanager.folders.") && !onParentsOnly(permission)
	case inManager && kind == "folders":
		return !in("resourcemanager.organizations.")
	case inManager:
		return true
	case strings.Contains(n.full, "/serviceAccounts/"):
		return in("iam.serviceAccounts.", "iam.serviceAccountKeys.")
	case strings.Contains(n.full, "/workerPools/"):
		return in("run.workerpools.")
	case strings.Contains(n.full, "/jobs/"):
		return in("run.jobs.")
	}
	return in("run.services.") || permission == "run.routes.invoke"
}

// queryTestablePermissions needs no permission that is documented. The launch
// stages of permissions are not known to the fake: it says GA, which nearly
// all are.
func (c *call) queryTestablePermissions(st *state) ([]byte, error) {
	var req iam.QueryTestablePermissionsRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	n, err := c.queried(st, req.FullResourceName)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(st.permissions(), func(p string) bool { return !testableOn(n, p) })
	page, next, err := c.pageOfBody(names, req.PageSize, req.PageToken, 100, 1000)
	if err != nil {
		return nil, err
	}
	resp := &iam.QueryTestablePermissionsResponse{NextPageToken: next}
	for _, name := range page {
		p := &iam.Permission{Name: name, Stage: "GA"}
		if notInCustomRoles[name] {
			p.CustomRolesSupportLevel = "NOT_SUPPORTED"
		}
		resp.Permissions = append(resp.Permissions, p)
	}
	return wire.MustEncode(resp), nil
}

// queried returns the resource that a query is about. What the API answers for
// one that is not there is not known.
func (c *call) queried(st *state, full string) (*node, error) {
	if full == "" {
		return nil, wire.Invalid("full_resource_name must be specified.").WithReason("badRequest")
	}
	n := st.findFull(full)
	if n == nil {
		return nil, wire.NotFound("The resource %s was not found.", full).WithReason("notFound")
	}
	return n, nil
}

// findFull finds a resource by its full name alone, of the API that it is of.
func (st *state) findFull(full string) *node {
	n := st.find(full)
	if n == nil || apiOf(n.full) != apiOf(full) {
		return nil
	}
	return n
}

// apiOf returns the first part of a full resource name.
func apiOf(full string) string {
	rest, ok := strings.CutPrefix(full, "//")
	if !ok {
		return ""
	}
	api, _, _ := strings.Cut(rest, "/")
	return api
}

// pageOfBody cuts a page as page does, for a request whose body has the size
// and the token.
func (c *call) pageOfBody(ids []string, size int64, token string, usual, most int) (page []string, next string, err error) {
	c.query.Set("pageSize", strconv.FormatInt(size, 10))
	c.query.Set("pageToken", token)
	return c.page(ids, usual, most)
}

// queryGrantableRoles lists the predefined roles that have a permission which
// can be tested on the resource, and such custom roles of the projects and
// organizations that it is in. It needs no permission that is documented.
func (c *call) queryGrantableRoles(st *state) ([]byte, error) {
	var req iam.QueryGrantableRolesRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	n, err := c.queried(st, req.FullResourceName)
	if err != nil {
		return nil, err
	}
	parents := map[string]bool{"": true}
	for id := range n.ancestors {
		if _, name := st.roleParent(id); name != "" {
			parents[name] = true
		}
	}
	var names []string
	for name := range st.allRoles {
		r := st.findRole(name)
		parent, _, custom := strings.Cut(name, "/roles/")
		if !custom {
			parent = ""
		}
		if parents[parent] && !r.deleted && slices.ContainsFunc(r.permissions, func(p string) bool { return testableOn(n, p) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	page, next, err := c.pageOfBody(names, req.PageSize, req.PageToken, 300, 3000)
	if err != nil {
		return nil, err
	}
	resp := &iam.QueryGrantableRolesResponse{NextPageToken: next}
	for _, name := range page {
		resp.Roles = append(resp.Roles, st.findRole(name).json(req.View == "FULL"))
	}
	return wire.MustEncode(resp), nil
}

// permissionV1 returns the name that roles use for a permission named as deny
// policies do.
func permissionV1(name string) string {
	host, rest, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	service := strings.TrimSuffix(host, ".googleapis.com")
	for _, v1 := range []string{"resourcemanager", "bigquery", "datastore", "lookerstudio", "serviceusage"} {
		if candidate := v1 + "." + rest; access.PermissionFQDN(candidate) == name {
			return candidate
		}
	}
	return service + "." + rest
}
