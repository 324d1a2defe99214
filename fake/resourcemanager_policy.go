package fake

import (
	"slices"
	"strings"
	"sync"
)

// testable reports whether a permission can be tested on the organization, folder
// or project of that name. Google publishes no list to go by but the one of
// iam.permissions.queryTestablePermissions; the fake takes what it has seen in
// a role. A service whose permissions it knows in part only, since the roles
// leave them out, is taken at its word.
func (st *state) testable(resource, permission string) bool {
	service, rest, _ := strings.Cut(permission, ".")
	if resource, verb, ok := strings.Cut(rest, "."); !ok || resource == "" || verb == "" || strings.Contains(permission, "*") {
		return false
	}
	if strings.HasPrefix(resource, "projects/") && onParentsOnly(permission) {
		return false
	}
	known := knownPermissions()
	if known.names[permission] || known.partly[service] && !inPrefixes(permission) {
		return true
	}
	for _, r := range st.roles {
		if slices.Contains(r.permissions, permission) {
			return true
		}
	}
	return false
}

// onParentsOnly reports whether a permission is about a project that is not there
// yet, or about several: those are tested on an organization or folder.
// https://github.com/googleapis/google-cloud-java/issues/722
func onParentsOnly(permission string) bool {
	return permission == "resourcemanager.projects.create" || permission == "resourcemanager.projects.list"
}

func inPrefixes(permission string) bool {
	return slices.ContainsFunc(permissionPrefixes, func(prefix string) bool { return strings.HasPrefix(permission, prefix) })
}

// permissionSet is what the predefined roles tell of permissions.
type permissionSet struct {
	names  map[string]bool
	partly map[string]bool // services
}

var knownPermissions = sync.OnceValue(func() permissionSet {
	known := permissionSet{make(map[string]bool), make(map[string]bool)}
	for _, r := range predefinedRoles() {
		for _, permission := range r.permissions {
			service, _, _ := strings.Cut(permission, ".")
			known.names[permission], known.partly[service] = true, true
		}
	}
	return known
})
