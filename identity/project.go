package identity

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/runidentity/runidentity/internal/names"
)

// maxProjectID is the longest project id, the domain of a domain-scoped one not
// counted. There is no minimum here: the six of today are not of old projects.
const maxProjectID = 30

// checkProject refuses what can't stand for PROJECT in projects/PROJECT/...:
// a project id, a domain-scoped one (example.com:web-prod), or a number.
//
// https://cloud.google.com/resource-manager/docs/creating-managing-projects
func checkProject(s string) error {
	if names.IsNumber(s) {
		if !isProjectNumber(s) {
			return fmt.Errorf("project number %s must be positive, without leading zeros, and fit into 64 bits", quote(s))
		}
		return nil
	}
	domain, id, scoped := strings.Cut(s, ":")
	if !scoped {
		id = s
	}
	if !isName(id, maxProjectID) || scoped && !isDomain(domain) {
		return fmt.Errorf("project %s must be a project id (at most %d lower-case letters, digits and hyphens; "+
			"begins with a letter, doesn't end in a hyphen), a domain-scoped id such as example.com:web-prod, "+
			"or a project number", quote(s), maxProjectID)
	}
	return nil
}

// isProjectNumber reports whether s is a project number, spelled the one way
// that makes equal numbers equal text.
func isProjectNumber(s string) bool {
	if !names.IsNumber(s) || s[0] == '0' {
		return false
	}
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

// Email addresses spell a project as a host name, which for a domain-scoped id
// is backwards: web-prod.example.com is the project example.com:web-prod.

// isProjectHost reports whether host spells a project id in an address.
func isProjectHost(host string) bool {
	id, domain, scoped := strings.Cut(host, ".")
	return isName(id, maxProjectID) && (!scoped || isDomain(domain))
}

// projectOfHost returns the project that an address spells as host.
func projectOfHost(host string) string {
	if id, domain, scoped := strings.Cut(host, "."); scoped {
		return domain + ":" + id
	}
	return host
}
