package access

import (
	"strings"
)

// PermissionFQDN converts a permission to the form of deny policies, in which
// the service is a domain name: iam.serviceAccounts.actAs becomes
// iam.googleapis.com/serviceAccounts.actAs. A name that is in that form already
// stays as it is.
//
// The service's domain is its name in the permission and .googleapis.com, but
// for the exceptions that Google's list of permissions supported in deny
// policies has: resourcemanager is cloudresourcemanager, and a few resources of
// bigquery, datastore, lookerstudio and serviceusage belong to another service.
func PermissionFQDN(permission string) string {
	p, ok := splitPermission(permission)
	if !ok || strings.Contains(permission, "/") {
		return permission
	}
	return p.service + googleapis + "/" + p.resource + "." + p.verb
}

const googleapis = ".googleapis.com"

// permission is a permission's name in three parts.
type permission struct {
	// service is the domain without .googleapis.com if it ends in that, else
	// the whole domain.
	service        string
	resource, verb string
}

// splitPermission splits both forms, and gives the v1 form the service of v2.
func splitPermission(s string) (permission, bool) {
	if domain, rest, ok := strings.Cut(s, "/"); ok {
		resource, verb, ok := cutLast(rest, '.')
		return permission{strings.TrimSuffix(domain, googleapis), resource, verb}, ok && domain != "" && resource != "" && verb != ""
	}
	service, rest, ok := strings.Cut(s, ".")
	if !ok {
		return permission{}, false
	}
	resource, verb, ok := cutLast(rest, '.')
	if !ok || service == "" || resource == "" || verb == "" {
		return permission{}, false
	}
	return permission{serviceOf(service, resource), resource, verb}, true
}

// serviceOf returns the v2 name of the service that a v1 permission's prefix
// and resource belong to.
func serviceOf(service, resource string) string {
	switch service {
	case "resourcemanager":
		return "cloudresourcemanager"
	case "bigquery":
		switch resource {
		case "connections":
			return "bigqueryconnection"
		case "dataPolicies":
			return "bigquerydatapolicy"
		case "transfers":
			return "bigquerydatatransfer"
		}
	case "datastore":
		if resource == "locations" {
			return "firestore"
		}
	case "lookerstudio":
		if resource == "pro" {
			return "datastudio"
		}
	case "serviceusage":
		if resource == "apiKeys" {
			return "apikeys"
		}
	}
	return service
}

// pattern is a permission of a deny rule: resource and verb may be *.
type pattern struct {
	permission
	text string
}

// parsePattern parses SERVICE_FQDN/RESOURCE.VERB and the permission groups
// SERVICE_FQDN/RESOURCE.*, SERVICE_FQDN/*.VERB and SERVICE_FQDN/*.*.
func parsePattern(s string) (pattern, bool) {
	domain, _, ok := strings.Cut(s, "/")
	if !ok || !strings.Contains(domain, ".") || strings.Contains(domain, "*") {
		return pattern{}, false
	}
	p, ok := splitPermission(s)
	if !ok || partial(p.resource) || partial(p.verb) || strings.Contains(p.resource, "/") {
		return pattern{}, false
	}
	return pattern{p, s}, true
}

// partial reports whether a section has a wildcard for a part of it, which
// permission groups don't have.
func partial(section string) bool {
	return section != "*" && strings.Contains(section, "*")
}

func (p pattern) matches(q permission) bool {
	return p.service == q.service &&
		(p.resource == "*" || p.resource == q.resource) &&
		(p.verb == "*" || p.verb == q.verb)
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
