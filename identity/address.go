package identity

import (
	"errors"
	"fmt"
	"strings"

	"github.com/runidentity/runidentity/internal/names"
)

const (
	// serviceAccountDomain ends the address of every service account, and of
	// nothing else: users and groups can't have addresses there.
	serviceAccountDomain = ".gserviceaccount.com"

	// maxEmail is the longest address that SMTP can carry (RFC 5321).
	maxEmail = 254
)

// parseAddress checks the email of a service account and tells what its form
// says: the kind, and the project as the address spells it (see projectOfHost),
// "" where the address doesn't tell. It doesn't allocate for a valid email, so
// a ServiceAccount needs to keep nothing but its email.
//
// https://cloud.google.com/iam/docs/service-account-types
func parseAddress(email string) (kind AccountKind, project string, err error) {
	name, domain, ok := strings.Cut(email, "@")
	switch {
	case !ok && names.IsNumber(email):
		return 0, "", errors.New("is the unique id of an account: give its email, which " +
			"gcloud iam service-accounts describe ID --format='value(email)' prints")
	case !ok && strings.Contains(email, ".svc.id.goog["):
		return 0, "", errors.New("is a Kubernetes service account, not one of IAM")
	case !ok:
		return 0, "", errors.New("must be an email address, but has no @")
	case strings.Contains(domain, "@"):
		return 0, "", errors.New("must be one email address, but has several @")
	case len(email) > maxEmail:
		return 0, "", fmt.Errorf("must be an email address of at most %d bytes", maxEmail)
	case strings.ToLower(email) != email:
		return 0, "", errors.New("must be lower case")
	}
	host, ok := strings.CutSuffix(domain, serviceAccountDomain)
	if !ok {
		return 0, "", fmt.Errorf("the email of a service account ends in %s; any other is of a user or a group, "+
			"which is not a service account", serviceAccountDomain)
	}
	switch {
	case strings.HasSuffix(host, ".iam"):
		return parseIAMAddress(name, strings.TrimSuffix(host, ".iam"))
	case host == "appspot":
		if !isProjectHost(name) {
			return 0, "", fmt.Errorf("%s before @appspot%s must be a project id", quote(name), serviceAccountDomain)
		}
		return AccountAppEngineDefault, name, nil
	case !isManagedName(name):
		return 0, "", fmt.Errorf("%s before the @ must be lower-case letters, digits, hyphens, dots and underscores, "+
			"the first one a letter or digit", quote(name))
	case host == "developer":
		if number, ok := strings.CutSuffix(name, "-compute"); ok && isProjectNumber(number) {
			return AccountComputeDefault, number, nil
		}
		return AccountUserManaged, "", nil
	case host != "iam" && isLabel(host, maxLabel) && isGoogleHost(name, host):
		return AccountServiceAgent, "", nil
	}
	return 0, "", fmt.Errorf("the domain %s must be PROJECT.iam%[2]s, developer%[2]s, appspot%[2]s, "+
		"or a Google service's, such as cloudservices%[2]s", quote(domain), serviceAccountDomain)
}

// parseIAMAddress is parseAddress for name@host.iam.gserviceaccount.com.
func parseIAMAddress(name, host string) (kind AccountKind, project string, err error) {
	// These hosts are named by Google alone, so the rules for what a user may
	// choose say nothing about what exists there.
	if strings.HasPrefix(host, "gcp-sa-") && isLabel(host, maxLabel) && isManagedName(name) {
		return AccountServiceAgent, "", nil
	}
	if !isLabel(name, maxLabel) {
		return 0, "", fmt.Errorf("%s before the @ must be at most %d lower-case letters, digits and hyphens, "+
			"the first and the last one no hyphen", quote(name), maxLabel)
	}
	if !isProjectHost(host) {
		return 0, "", fmt.Errorf("%s between the @ and .iam%s must be a project id: at most %d lower-case letters, "+
			"digits and hyphens; begins with a letter, doesn't end in a hyphen; a domain-scoped one is "+
			"written backwards, as in web-prod.example.com", quote(host), serviceAccountDomain, maxProjectID)
	}
	if isAgentName(name, host) {
		return AccountServiceAgent, "", nil
	}
	return AccountUserManaged, host, nil
}

// isAgentName reports whether name is one that service agents have at host.
//
// https://cloud.google.com/iam/docs/service-agents
func isAgentName(name, host string) bool {
	number := strings.LastIndexByte(name, '-') + 1
	if !isProjectNumber(name[number:]) {
		return false
	}
	switch name[:number] {
	case "service-", "service-org-", "service-folder-":
		return true
	case "bq-":
		return host == "bigquery-encryption"
	case "project-":
		return host == "storage-transfer-service"
	}
	return false
}

// isGoogleHost reports whether host is one at which Google's services have
// accounts. Those that are not well known are told from a project id after
// which ".iam" was forgotten by their names, which begin with a number.
func isGoogleHost(name, host string) bool {
	switch host {
	case "cloudservices", "cloudbuild", "project", "system":
		return true
	}
	return isDigit(name[0])
}

// isManagedName reports whether Google may have given name to an account. It is
// lenient, as no rule for such names is published.
func isManagedName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !isLower(c) && !isDigit(c) && (i == 0 || c != '-' && c != '.' && c != '_') {
			return false
		}
	}
	return name != ""
}
