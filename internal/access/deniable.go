package access

import (
	"slices"
	"strings"
)

// undeniable are, by service, the beginnings of permissions that Google's list
// of those which deny policies support did not have in January 2026. It had
// all others of these services; newer permissions are taken to be supported.
// https://cloud.google.com/iam/docs/deny-permissions-support
var undeniable = map[string][]string{
	"cloudresourcemanager.googleapis.com": {
		"capabilities.", "hierarchyNodes.", "projects.list", "resourceTagBindings.", "tagHolds.", "tagKeys.", "tagValueBindings.",
		"tagValues.", "folders.createPolicyBinding", "folders.deletePolicyBinding", "folders.searchPolicyBinding",
		"folders.updatePolicyBinding", "organizations.createPolicyBinding", "organizations.deletePolicyBinding",
		"organizations.searchPolicyBinding", "organizations.updatePolicyBinding", "projects.createPolicyBinding",
		"projects.deletePolicyBinding", "projects.searchPolicyBinding", "projects.updatePolicyBinding",
	},
	"iam.googleapis.com": {
		"accesspolicies.", "denypolicies.", "serviceAccountApiKeyBindings.", "serviceAccounts.createTagBinding",
		"serviceAccounts.deleteTagBinding", "serviceAccounts.listEffectiveTags", "serviceAccounts.listTagBindings",
	},
	"orgpolicy.googleapis.com":      {"policy.get"},
	"policyanalyzer.googleapis.com": {""},
	"recommender.googleapis.com":    {""},
	"serviceusage.googleapis.com": {
		"apiKeys.", "consumerpolicy.", "contentsecuritypolicy.", "effectivemcppolicy.", "effectivepolicy.", "groups.", "mcppolicy.",
		"values.",
	},
}

// Deniable reports whether deny policies support a permission, in the form of
// [PermissionFQDN]: others are not denied, even if a permission group would
// contain them.
//
// https://cloud.google.com/iam/docs/deny-permissions-support
func Deniable(fqdn string) bool {
	service, rest, _ := strings.Cut(fqdn, "/")
	return !slices.ContainsFunc(undeniable[service], func(prefix string) bool { return strings.HasPrefix(rest, prefix) })
}
