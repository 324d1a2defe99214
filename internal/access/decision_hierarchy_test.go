package access

// hierarchyRows are about the inheritance of allow policies.
func hierarchyRows() []row {
	return []row{
		{name: "nothing", doc: pageAllow, says: "An allow policy without role bindings doesn't grant any IAM roles.",
			as: alice, want: Denied},
		{name: "on the account", doc: pageHierarchy, says: "Some resources let you grant users permission to a single resource within a project.",
			as: alice, account: to(accountUser, alice), want: Granted},
		{name: "on the project", doc: pageHierarchy, says: "Roles granted at the project level are inherited by resources within that project.",
			as: alice, project: to(accountUser, alice), want: Granted},
		{name: "on the folder", doc: pageHierarchy, says: "Roles granted at a folder are inherited by the projects and folders in it.",
			as: alice, folder: to(accountUser, alice), want: Granted},
		{name: "on the organization", doc: pageHierarchy, says: "Roles granted at this level are inherited by all resources under the organization.",
			as: alice, org: to(accountUser, alice), want: Granted},
		{name: "a lower policy doesn't take away", doc: pageHierarchy, says: "The effective allow policy is the union of the resource's and its parent's.",
			as: alice, account: to(accountUser, "user:bob@example.com"), org: to(accountUser, alice), want: Granted},
		{name: "roles of two levels add up, first", doc: pageAllow + "#inheritance", says: "Effective permissions are the union over the levels.",
			as: alice, perm: "run.jobs.get", project: to("roles/viewer", alice), org: to(accountUser, alice), want: Granted},
		{name: "roles of two levels add up, second", doc: pageAllow + "#inheritance", says: "Effective permissions are the union over the levels.",
			as: alice, perm: actAs, project: to("roles/viewer", alice), org: to(accountUser, alice), want: Granted},
		{name: "granted if any binding grants", doc: pageAllow + "#inheritance", says: "A request is granted if any of the higher-level role bindings grant access to it.",
			as: alice, account: to("roles/viewer", alice), project: to("roles/run.admin", alice), folder: to(accountUser, "group:everyone@example.com"), want: Granted},
		{name: "conditional binding doesn't override", doc: pageAllow, says: "Conditional role bindings don't override role bindings with no conditions.",
			as: alice, account: append(to(accountUser, alice), when(`request.time < timestamp("2020-01-01T00:00:00Z")`, accountUser, alice)...), want: Granted},
		{name: "bindings are evaluated independently", doc: pageAllow + "#inheritance", says: "Each role binding that affects the effective policy is evaluated independently.",
			as: alice, account: when(`false`, accountUser, alice), project: when(`true`, accountUser, alice), want: Granted},
	}
}

// roleRows are about roles and their permissions.
func roleRows() []row {
	return []row{
		{name: "role without the permission", doc: pageRunIdentity, says: "Deploying takes roles/run.developer and, besides, roles/iam.serviceAccountUser on the identity.",
			as: alice, project: to("roles/run.admin", alice), want: Denied},
		{name: "role with the permission", doc: pageAllow + "#structure", says: "A role is a named collection of permissions.",
			as: alice, perm: "run.jobs.update", project: to("roles/run.admin", alice), want: Granted},
		{name: "another permission of the same resource", doc: pageAllow + "#structure", says: "A role is a named collection of permissions.",
			as: alice, perm: "iam.serviceAccounts.getAccessToken", account: to(accountUser, alice), want: Denied},
		{name: "token creator doesn't act as", doc: pageAllow + "#structure", says: "A role is a named collection of permissions.",
			as: alice, account: to("roles/iam.serviceAccountTokenCreator", alice), want: Denied},
		{name: "custom role of the project", doc: pageCustomRoles, says: "A custom role bundles the permissions that you choose.",
			as: alice, account: to("projects/p/roles/deployer", alice), want: Granted},
		{name: "custom role of the organization", doc: pageCustomRoles, says: "Custom roles can be created at the organization level.",
			as: alice, account: to("organizations/9/roles/deployer", alice), want: Granted},
		{name: "empty custom role", doc: pageCustomRoles, says: "A custom role has the permissions in includedPermissions.",
			as: alice, account: to("projects/p/roles/empty", alice), want: Denied},
		{name: "disabled role", doc: pageCustomRoles + "#disabling-custom-role", says: "When a role is disabled, its role bindings are inactivated: granting it has no effect.",
			as: alice, account: to("projects/p/roles/disabled", alice), want: Denied},
		{name: "deleted role", doc: pageCustomRoles + "#deleting-custom-role", says: "Existing role bindings that include the deleted role have no effect.",
			as: alice, account: to("projects/p/roles/deleted", alice), want: Denied},
		{name: "disabled role beside another", doc: pageCustomRoles + "#disabling-custom-role", says: "Only bindings of the disabled role are inactivated.",
			as: alice, account: append(to("projects/p/roles/disabled", alice), to(accountUser, alice)...), want: Granted},
		{name: "role that can't be read", doc: pageTroubleshot + "#rolepermissioninclusionstate", says: "The sender of the request is not allowed to access the role definition: unknown.",
			as: alice, account: to("roles/unlisted", alice), want: Unknown, causes: []CauseKind{CauseRole}},
		{name: "role that can't be read, someone else's", doc: pageTroubleshot + "#rolepermissioninclusionstate", says: "A binding that doesn't include the principal doesn't matter.",
			as: alice, account: to("roles/unlisted", "user:bob@example.com"), want: Denied},
		{name: "role that can't be read, granted elsewhere", doc: pageTroubleshot + "#rolepermissioninclusionstate", says: "Access is granted if any binding grants it.",
			as: alice, account: to("roles/unlisted", alice), project: to(accountUser, alice), want: Granted},
	}
}
