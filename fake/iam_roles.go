package fake

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// A deleted custom role can be undeleted for a week; its id can't be used
// again for another 30 days.
// https://cloud.google.com/iam/docs/creating-custom-roles#deleting-custom-role
const (
	undeleteWithin = 7 * 24 * time.Hour
	roleIDHeld     = 37 * 24 * time.Hour
)

func roleHandlers() map[string]handler {
	all := map[string]handler{
		"iam.roles.get":                            reads((*call).getPredefinedRole),
		"iam.roles.list":                           reads((*call).listRoles),
		"iam.roles.queryGrantableRoles":            reads((*call).queryGrantableRoles),
		"iam.permissions.queryTestablePermissions": reads((*call).queryTestablePermissions),
	}
	for _, parent := range []string{"projects", "organizations"} {
		maps.Copy(all, map[string]handler{
			"iam." + parent + ".roles.create":   writes((*call).createRole),
			"iam." + parent + ".roles.get":      reads((*call).getCustomRole),
			"iam." + parent + ".roles.list":     reads((*call).listRoles),
			"iam." + parent + ".roles.patch":    writes((*call).patchRole),
			"iam." + parent + ".roles.delete":   writes((*call).deleteRole),
			"iam." + parent + ".roles.undelete": writes((*call).undeleteRole),
		})
	}
	return all
}

// changed makes a change of a role known.
func (c *call) changed(st *state, r *role) ([]byte, error) {
	r.etag = st.roleEtag(c.now)
	r.prepare()
	return wire.MustEncode(r.json(true)), nil
}

// checkEtag refuses a change of another version of the role than is there. The
// text is that of allow policies; what IAM says of roles is not known.
func (r *role) checkEtag(etag string) error {
	if etag == "" {
		return nil
	}
	given, err := decodeEtag(etag)
	if err != nil {
		return wire.Invalid("Invalid value at 'role.etag' (TYPE_BYTES), %q", etag).WithReason("badRequest")
	}
	if !slices.Equal(given, r.etag) {
		return wire.Aborted("There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.").
			WithReason("aborted")
	}
	return nil
}

var roleIDPattern = regexp.MustCompile(`^[a-zA-Z0-9_.]{3,64}$`)

func checkRoleID(id string) error {
	if roleIDPattern.MatchString(id) {
		return nil
	}
	return wire.Invalid(`The role_id "%s" is invalid. It doesn't match pattern "[a-zA-Z0-9_\.]{3,64}". The role_id must be 3 to 64 `+
		"characters long and can be a mix of uppercase and lowercase English letters, digits, underscores and periods.", id).
		WithReason("badRequest")
}

// rolePermission returns the IAM permission that the method needs.
func (c *call) rolePermission() string {
	verb := c.method.ID[strings.LastIndexByte(c.method.ID, '.')+1:]
	if verb == "patch" {
		verb = "update"
	}
	return "iam.roles." + verb
}

// deniedRole returns the refusal of methods on custom roles. Its texts are
// recorded for get, list and create; those of the other methods are made after
// them.
func (c *call) deniedRole(resource string) *wire.Error {
	permission := c.rolePermission()
	what := strings.TrimPrefix(permission, "iam.roles.") + " the role at"
	switch permission {
	case "iam.roles.create":
		what = "create a role in"
	case "iam.roles.list":
		what = "list roles in"
	}
	e := wire.Denied("You don't have permission to %s %s.", what, resource).WithReason("forbidden")
	e.Details = []any{map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED",
		"domain": "iam.googleapis.com", "metadata": map[string]string{"permission": permission, "resource": resource},
	}}
	return e
}

func missingRole(name string) *wire.Error {
	return wire.NotFound("The role named %s was not found.", name).WithReason("notFound")
}

// pathParent returns the project or organization that the path names, if the
// caller may do there what the method does.
func (c *call) pathParent(st *state) (n *node, name string, err error) {
	kind := strings.Split(c.method.ID, ".")[1]
	requested := kind + "/" + c.params[0]
	n, name = st.roleParent(requested)
	resource := requested
	if len(c.params) > 1 {
		resource += "/roles/" + c.params[1]
	}
	if n == nil || !c.may(st, c.rolePermission(), n) {
		return nil, "", c.deniedRole(resource)
	}
	return n, name, nil
}

// findCustomRole returns the role that the path names, deleted ones included
// as long as they can be undeleted.
func (c *call) findCustomRole(st *state) (*node, *role, error) {
	if checkRoleID(c.params[1]) != nil {
		return nil, nil, wire.Invalid(`The role name must be in the form "roles/{role}", ` +
			`"organizations/{organization_id}/roles/{role}", or "projects/{project_id}/roles/{role}".`).WithReason("badRequest")
	}
	parent, name, err := c.pathParent(st)
	if err != nil {
		return nil, nil, err
	}
	name += "/roles/" + c.params[1]
	r := st.roles[name]
	if r == nil || r.purged(c.now) {
		return nil, nil, missingRole(name)
	}
	return parent, r, nil
}

// getPredefinedRole needs no permission: there is no resource that one could
// be granted on.
func (c *call) getPredefinedRole(st *state) ([]byte, error) {
	name := "roles/" + c.params[0]
	r := st.findRole(name)
	if r == nil {
		return nil, missingRole(name)
	}
	return wire.MustEncode(r.json(true)), nil
}

func (c *call) getCustomRole(st *state) ([]byte, error) {
	_, r, err := c.findCustomRole(st)
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(r.json(true)), nil
}

// listRoles lists the predefined roles, or the custom ones of a parent, which
// roles.list takes as a query parameter too.
func (c *call) listRoles(st *state) ([]byte, error) {
	prefix := "roles/"
	parent := c.query.Get("parent")
	switch {
	case len(c.params) > 0:
		_, name, err := c.pathParent(st)
		if err != nil {
			return nil, err
		}
		prefix = name + "/roles/"
	case parent != "":
		n, name := st.roleParent(parent)
		if n == nil || !c.may(st, "iam.roles.list", n) {
			return nil, c.deniedRole(parent)
		}
		prefix = name + "/roles/"
	}
	var names []string
	for name := range st.allRoles {
		r := st.findRole(name)
		if strings.HasPrefix(name, prefix) && (!r.deleted || c.flag("showDeleted") && !r.purged(c.now)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	page, next, err := c.page(names, 300, 1000)
	if err != nil {
		return nil, err
	}
	resp := &iam.ListRolesResponse{NextPageToken: next}
	for _, name := range page {
		resp.Roles = append(resp.Roles, st.findRole(name).json(c.query.Get("view") == "FULL"))
	}
	return wire.MustEncode(resp), nil
}

// allRoles yields the names of all roles, predefined, seeded and custom, each
// once.
func (st *state) allRoles(yield func(name string) bool) {
	for name := range st.roles {
		if !yield(name) {
			return
		}
	}
	for name := range predefinedRoles() {
		if st.roles[name] == nil && !yield(name) {
			return
		}
	}
}

func (c *call) createRole(st *state) ([]byte, error) {
	var req iam.CreateRoleRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	in := req.Role
	if in == nil {
		in = &iam.Role{}
	}
	if err := checkRoleID(req.RoleId); err != nil {
		return nil, err
	}
	if in.Name != "" {
		return nil, wire.Invalid("Must not specify role.name.").WithReason("badRequest")
	}
	parent, name, err := c.pathParent(st)
	if err != nil {
		return nil, err
	}
	if err := st.checkRolePermissions(parent, in.IncludedPermissions); err != nil {
		return nil, err
	}
	full := name + "/roles/" + req.RoleId
	switch had := st.roles[full]; {
	case had == nil || had.deleted && c.now.Sub(had.deletedAt) >= roleIDHeld:
	case had.deleted:
		return nil, wire.NewError(http.StatusBadRequest, "FAILED_PRECONDITION",
			"You can't create a role_id (%s) which has been marked for deletion.", req.RoleId).WithReason("failedPrecondition")
	default:
		return nil, wire.AlreadyExists("A role named %s in %s already exists.", req.RoleId, name).WithReason("alreadyExists")
	}
	r := &role{
		name: full, title: in.Title, description: in.Description, stage: in.Stage, permissions: distinct(in.IncludedPermissions),
	}
	st.roles[full] = r
	return c.changed(st, r)
}

// distinct returns the strings without repetitions, in their order.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// patchRole changes the fields of the mask. Without one it changes those that
// the body has, which is how other Google APIs read an absent mask.
func (c *call) patchRole(st *state) ([]byte, error) {
	o, err := c.object()
	if err != nil {
		return nil, err
	}
	var in iam.Role
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	fields, err := c.roleFields(o)
	if err != nil {
		return nil, err
	}
	parent, r, err := c.findCustomRole(st)
	if err != nil {
		return nil, err
	}
	if err := r.checkEtag(in.Etag); err != nil {
		return nil, err
	}
	if r.deleted {
		return nil, deletedRole(r)
	}
	for _, field := range fields {
		if field == "includedPermissions" {
			if err := st.checkRolePermissions(parent, in.IncludedPermissions); err != nil {
				return nil, err
			}
		}
	}
	for _, field := range fields {
		switch field {
		case "title":
			r.title = in.Title
		case "description":
			r.description = in.Description
		case "stage":
			r.stage = in.Stage
		case "includedPermissions":
			r.permissions = distinct(in.IncludedPermissions)
		}
	}
	return c.changed(st, r)
}

// roleFields returns the fields that a patch changes.
func (c *call) roleFields(o wire.Object) ([]string, error) {
	mask := c.query.Get("updateMask")
	switch mask {
	case "*":
		return []string{"title", "description", "stage", "includedPermissions"}, nil
	case "":
		return slices.Collect(maps.Keys(o)), nil
	}
	paths := wire.ParseMask(mask)
	if err := c.check().CheckMask("Role", paths); err != nil {
		return nil, err
	}
	var fields []string
	for _, path := range paths {
		fields = append(fields, path[0])
	}
	return fields, nil
}

// deletedRole returns the refusal to change or delete what is deleted. The text
// is the fake's own.
func deletedRole(r *role) *wire.Error {
	return wire.NewError(http.StatusBadRequest, "FAILED_PRECONDITION", "The role %s is deleted.", r.name).WithReason("failedPrecondition")
}

// deleteRole leaves the bindings of the role: they have no effect until it is
// undeleted.
func (c *call) deleteRole(st *state) ([]byte, error) {
	_, r, err := c.findCustomRole(st)
	if err != nil {
		return nil, err
	}
	if err := r.checkEtag(c.query.Get("etag")); err != nil {
		return nil, err
	}
	if r.deleted {
		return nil, deletedRole(r)
	}
	r.deleted, r.deletedAt = true, c.now
	return c.changed(st, r)
}

func (c *call) undeleteRole(st *state) ([]byte, error) {
	var req iam.UndeleteRoleRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	_, r, err := c.findCustomRole(st)
	if err != nil {
		return nil, err
	}
	if err := r.checkEtag(req.Etag); err != nil {
		return nil, err
	}
	if !r.deleted {
		return nil, wire.NewError(http.StatusBadRequest, "FAILED_PRECONDITION", "The role %s is not deleted.", r.name).
			WithReason("failedPrecondition")
	}
	r.deleted, r.deletedAt = false, time.Time{}
	return c.changed(st, r)
}
