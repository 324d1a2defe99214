package fake

import (
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/access"
)

//go:embed predefined-roles.tsv
var predefinedRolesTSV string

// role is an IAM role, predefined or custom.
type role struct {
	name, title, description, stage string
	permissions                     []string
	deleted                         bool
	deletedAt                       time.Time
	etag                            []byte // of a custom role
	// abridged says that permissions leaves out those of services with which
	// this module has nothing to do.
	abridged bool
	ready    *access.Role
}

// permissionPrefixes are those of the permissions that an abridged role lists.
var permissionPrefixes = []string{"run.", "iam.", "resourcemanager.", "orgpolicy.", "recommender.", "serviceusage.services."}

// predefinedRoles are the roles that Google publishes and the fake knows.
var predefinedRoles = sync.OnceValue(func() map[string]*role {
	roles := make(map[string]*role)
	abridged := true
	for line := range strings.Lines(predefinedRolesTSV) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# Below:") {
			abridged = false
		}
		columns := strings.Split(line, "\t")
		if len(columns) != 4 || strings.HasPrefix(line, "#") {
			continue
		}
		r := &role{
			name: columns[0], title: columns[1], stage: columns[2],
			permissions: strings.Fields(columns[3]), abridged: abridged,
		}
		r.prepare()
		roles[r.name] = r
	}
	return roles
})

// prepare makes the role ready for decisions after a change.
func (r *role) prepare() {
	state := access.RoleActive
	switch {
	case r.deleted:
		state = access.RoleDeleted
	case r.stage == "DISABLED":
		state = access.RoleDisabled
	}
	r.ready = access.NewRole(state, r.permissions...)
}

// covers reports whether the role's list tells if it has a permission.
func (r *role) covers(permission string) bool {
	return !r.abridged || slices.ContainsFunc(permissionPrefixes, func(prefix string) bool {
		return strings.HasPrefix(permission, prefix)
	})
}

// findRole returns a role, deleted ones included, or nil.
func (st *state) findRole(name string) *role {
	if r := st.roles[name]; r != nil {
		return r
	}
	return predefinedRoles()[name]
}

// roleExists reports whether a role can be bound. Predefined ones that the fake
// does not know can: Google has many more.
func (st *state) roleExists(name string) bool {
	if id, ok := strings.CutPrefix(name, "roles/"); ok {
		return id != "" && !strings.Contains(id, "/")
	}
	r := st.roles[name]
	return r != nil && !r.deleted
}

// roleFor returns the role for a decision on a permission: nil if the fake does
// not know whether the role has it.
func (st *state) roleFor(name, permission string) *access.Role {
	r := st.findRole(name)
	if r == nil || !r.covers(permission) {
		return nil
	}
	return r.ready
}

// AddRole adds a role with all of its permissions: a custom one of a project
// or an organization ("projects/P/roles/R", "organizations/1/roles/R"), also
// of stage DISABLED or deleted, or a predefined one ("roles/…") that the fake
// does not know or knows only in part. A role of that name that is there is replaced.
// AddRole panics if the parent is not there, and on what the API would refuse in a
// custom role.
func (b *Backend) AddRole(in *iam.Role) {
	b.write(time.Now(), func(st *state) {
		now := time.Now()
		added := &role{
			name: in.Name, title: in.Title, description: in.Description, stage: in.Stage,
			permissions: slices.Clone(in.IncludedPermissions), deleted: in.Deleted,
		}
		if in.Deleted {
			added.deletedAt = now
		}
		if parent, id, ok := strings.Cut(in.Name, "/roles/"); ok {
			n, canonical := st.roleParent(parent)
			if n == nil {
				panic(fmt.Sprintf("fake: AddRole: there is no parent of %q", in.Name))
			}
			if err := errors.Join(checkRoleID(id), st.checkRolePermissions(n, in.IncludedPermissions)); err != nil {
				panic(fmt.Sprintf("fake: AddRole %s: %v", in.Name, err))
			}
			added.name = canonical + "/roles/" + id
			added.etag = st.roleEtag(now)
		} else if !st.roleExists(in.Name) {
			panic(fmt.Sprintf(`fake: AddRole: Name %q is none of "roles/R", "projects/P/roles/R", "organizations/1/roles/R"`, in.Name))
		}
		added.prepare()
		st.roles[added.name] = added
	})
}

// roleParent finds the project or organization that custom roles are of, and
// names it as their names do: a project by its id.
func (st *state) roleParent(name string) (n *node, canonical string) {
	if id, ok := strings.CutPrefix(name, "projects/"); ok {
		if p := st.projects[id]; p != nil && !p.deleted {
			return &p.node, "projects/" + p.id
		}
		return nil, name
	}
	if !strings.HasPrefix(name, "organizations/") {
		return nil, name
	}
	return st.parentNode(name), name
}

// json returns the role as the API answers it. It does not tell the stage
// ALPHA, as documented. Of a predefined role that the fake knows only in part,
// the permissions are those that it knows.
func (r *role) json(full bool) *iam.Role {
	out := &iam.Role{Name: r.name, Title: r.title, Description: r.description, Stage: r.stage, Deleted: r.deleted, Etag: "AA=="}
	if r.etag != nil {
		out.Etag = base64.StdEncoding.EncodeToString(r.etag)
	}
	if r.stage == "ALPHA" {
		out.Stage = ""
	}
	if full {
		out.IncludedPermissions = slices.Clone(r.permissions)
	}
	return out
}

// roleEtag returns an etag built as those of policies are.
func (st *state) roleEtag(now time.Time) []byte {
	etag := binary.BigEndian.AppendUint64(nil, uint64(st.tick(now).UnixMicro()))
	etag[0] = 7
	return etag
}

// purged reports whether a deleted role is past being undeleted.
func (r *role) purged(now time.Time) bool { return r.deleted && now.Sub(r.deletedAt) >= undeleteWithin }
