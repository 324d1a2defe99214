package access

// grantedToAll lets everyone act as the account, so that only deny rules decide.
func grantedToAll() []Binding { return to(accountUser, "allUsers") }

// denial is a row of a rule on the project.
func denial(name, doc, says, as string, rule DenyRule, want Outcome, causes ...CauseKind) row {
	return row{name: name, doc: doc, says: says, as: as, project: grantedToAll(), projectDeny: []DenyRule{rule}, want: want, causes: causes}
}

// rule denies one permission to one principal.
func rule(principal, permission string, exceptions ...string) DenyRule {
	return DenyRule{DeniedPrincipals: []string{principal}, DeniedPermissions: []string{permission}, ExceptionPrincipals: exceptions}
}

// denyRows are about deny policies.
func denyRows() []row {
	const actAsV2 = "iam.googleapis.com/serviceAccounts.actAs"
	subject := "principal://" + workload + "/subject/s"
	except := func(permission string, exceptions ...string) DenyRule {
		return DenyRule{DeniedPrincipals: []string{"principalSet://goog/public:all"}, DeniedPermissions: []string{permission}, ExceptionPermissions: exceptions}
	}
	onlyIf := func(expression string) DenyRule {
		r := rule("principalSet://goog/public:all", actAsV2)
		r.Condition = &Expr{Expression: expression}
		return r
	}
	return []row{
		denial("user", pageIdentifiers, "A Google Account in deny policies is principal://goog/subject/EMAIL.", alice, rule("principal://goog/subject/alice@example.com", actAsV2), Denied),
		denial("user in other case", pageDenyRule, "principal://goog/subject/{email_id} is an email address.", alice, rule("principal://goog/subject/Alice@Example.com", actAsV2), Denied),
		denial("another user", pageIdentifiers, "A Google Account in deny policies is principal://goog/subject/EMAIL.", "user:bob@example.com", rule("principal://goog/subject/alice@example.com", actAsV2), Granted),
		denial("service account", pageIdentifiers, "A service account in deny policies is principal://iam.googleapis.com/projects/-/serviceAccounts/EMAIL.", runnerSA, rule("principal://iam.googleapis.com/projects/-/serviceAccounts/runner@p.iam.gserviceaccount.com", actAsV2), Denied),
		denial("group", pageDeny, "The rule denies the permissions to the principals in the group.", alice, rule("principalSet://goog/group/devs@example.com", actAsV2), Denied),
		denial("nested group", pageTroubleshot, "A principal can be included directly or indirectly.", alice, rule("principalSet://goog/group/everyone@example.com", actAsV2), Denied),
		denial("group, not a member", pageDeny, "The rule denies the permissions to the principals in the group.", "user:bob@example.com", rule("principalSet://goog/group/devs@example.com", actAsV2), Granted),
		denial("everyone", pageDenyRule, "principalSet://goog/public:all is any principal on the internet.", runnerSA, rule("principalSet://goog/public:all", actAsV2), Denied),
		denial("everyone, federated", pageDenyRule, "principalSet://goog/public:all is any principal on the internet.", subject, rule("principalSet://goog/public:all", actAsV2), Denied),
		denial("everyone, anonymous", pageDenyRule, "… even if they do not have a Google Account or are not logged in.", "", rule("principalSet://goog/public:all", actAsV2), Denied),
		denial("customer", pageIdentifiers, "All principals in a Cloud Identity account, by customer ID.", alice, rule("principalSet://goog/cloudIdentityCustomerId/C01Abc35", actAsV2), Denied),
		denial("customer, secondary domain", pagePrincipals+"#secondary-domains", "Secondary domains are associated with the same customer ID.", "user:sec@second.example", rule("principalSet://goog/cloudIdentityCustomerId/C01Abc35", actAsV2), Denied),
		denial("another customer", pageIdentifiers, "All principals in a Cloud Identity account, by customer ID.", alice, rule("principalSet://goog/cloudIdentityCustomerId/C0other", actAsV2), Granted),
		denial("workload identity", pageIdentifiers, "A single identity in a workload identity pool.", subject, rule(subject, actAsV2), Denied),
		denial("workload pool", pageIdentifiers, "All identities in a workload identity pool.", subject, rule("principalSet://"+workload+"/*", actAsV2), Denied),
		denial("service accounts of the organization", pageIdentifiers, "All service accounts in all projects in an organization.", runnerSA, rule("principalSet://cloudresourcemanager.googleapis.com/organizations/9/type/ServiceAccount", actAsV2), Denied),
		denial("service agents of the project", pageIdentifiers, "All service agents associated with a project.", "serviceAccount:service-111@serverless-robot-prod.iam.gserviceaccount.com", rule("principalSet://cloudresourcemanager.googleapis.com/projects/111/type/ServiceAgent", actAsV2), Denied),
		denial("service agents exempt", pageIdentifiers, "Use these principal sets to exempt service agents from deny rules.", "serviceAccount:service-111@serverless-robot-prod.iam.gserviceaccount.com", rule("principalSet://goog/public:all", actAsV2, "principalSet://cloudresourcemanager.googleapis.com/projects/111/type/ServiceAgent"), Granted),
		denial("deleted user", pageDenyRule, "deleted:principal://… is an account that was deleted recently.", alice, rule("deleted:principal://goog/subject/alice@example.com?uid=1234567890", actAsV2), Granted),
		denial("exempt user", pageDenyRule, "The identities that are excluded from the deny rule, even if they are listed in the denied principals.", alice, rule("principalSet://goog/public:all", actAsV2, "principal://goog/subject/alice@example.com"), Granted),
		denial("exempt, though listed by name", pageDeny, "These principals aren't denied even if they are listed in deniedPrincipals.", alice, rule("principal://goog/subject/alice@example.com", actAsV2, "principal://goog/subject/alice@example.com"), Granted),
		denial("another user is exempt", pageDenyRule, "The identities that are excluded from the deny rule.", "user:bob@example.com", rule("principalSet://goog/public:all", actAsV2, "principal://goog/subject/alice@example.com"), Denied),
		denial("exempt group", pageDeny, "Members of eng-prod can, even if they are also a member of the denied group eng.", "user:charlie@example.com", rule("principalSet://goog/group/eng@example.com", actAsV2, "principalSet://goog/group/eng-prod@example.com"), Granted),
		denial("not in the exempt group", pageDeny, "Members of the eng group are denied unless they are in eng-prod.", "user:izumi@example.com", rule("principalSet://goog/group/eng@example.com", actAsV2, "principalSet://goog/group/eng-prod@example.com"), Denied),
		denial("another permission", pageDeny, "A rule denies the permissions that it lists.", alice, rule("principalSet://goog/public:all", "iam.googleapis.com/serviceAccounts.delete"), Granted),
		denial("all verbs of a resource", pageDeny+"#permission-groups", "SERVICE_FQDN/RESOURCE.* denies all permissions for the resource.", alice, rule("principalSet://goog/public:all", "iam.googleapis.com/serviceAccounts.*"), Denied),
		denial("all verbs of another resource", pageDeny+"#permission-groups", "SERVICE_FQDN/RESOURCE.* denies all permissions for the resource.", alice, rule("principalSet://goog/public:all", "iam.googleapis.com/serviceAccountKeys.*"), Granted),
		denial("all of a service", pageDeny+"#permission-groups", "SERVICE_FQDN/*.* denies all permissions for the service.", alice, rule("principalSet://goog/public:all", "iam.googleapis.com/*.*"), Denied),
		denial("all of another service", pageDeny+"#permission-groups", "SERVICE_FQDN/*.* denies all permissions for the service.", alice, rule("principalSet://goog/public:all", "run.googleapis.com/*.*"), Granted),
		denial("a verb of a service", pageDeny+"#permission-groups", "SERVICE_FQDN/*.VERB denies all permissions of a service that end in the verb.", alice, rule("principalSet://goog/public:all", "iam.googleapis.com/*.actAs"), Denied),
		denial("another verb of a service", pageDeny+"#permission-groups", "SERVICE_FQDN/*.VERB denies all permissions of a service that end in the verb.", alice, rule("principalSet://goog/public:all", "iam.googleapis.com/*.get"), Granted),
		denial("exempt permission of a group", pageDeny, "exceptionPermissions make exceptions for specific permissions in a permission group.", alice, except("iam.googleapis.com/serviceAccounts.*", actAsV2), Granted),
		denial("exempt permission listed as denied", pageDenyRule, "A permission in denied and exception permissions will not be denied.", alice, except(actAsV2, actAsV2), Granted),
		denial("another permission is exempt", pageDeny, "exceptionPermissions make exceptions for specific permissions.", alice, except("iam.googleapis.com/serviceAccounts.*", "iam.googleapis.com/serviceAccounts.get"), Denied),
		denial("exempt group of permissions", pageDenyRule, "The excluded permissions can be specified using the same syntax as the denied ones.", alice, except("iam.googleapis.com/*.*", "iam.googleapis.com/serviceAccounts.*"), Granted),
		denial("condition true", pageDeny, "If the condition evaluates to true, the deny rule applies.", alice, onlyIf(`true`), Denied),
		denial("condition false", pageDeny, "If the condition evaluates to false, the deny rule does not apply.", alice, onlyIf(`false`), Granted),
		denial("condition that fails", pageDeny, "If the condition cannot be evaluated, the deny rule applies.", alice, onlyIf(`resource.name == "x"`), Denied),
		denial("condition on tags", pageAttributes+"#resource-tags", "Denial conditions recognize functions of tags, which aren't known here.", alice, onlyIf(`resource.matchTag("12345678/env", "prod")`), Unknown, CauseCondition),
		denial("condition on tags, exempt", pageDeny, "An exempt principal isn't denied, whatever the condition.", alice, func() DenyRule {
			r := onlyIf(`resource.matchTag("12345678/env", "prod")`)
			r.ExceptionPrincipals = []string{"principalSet://goog/group/devs@example.com"}
			return r
		}(), Granted),
		{name: "resource manager's permissions", doc: pageDeny, says: "cloudresourcemanager.googleapis.com/projects.delete is resourcemanager.projects.delete.",
			as: alice, perm: "resourcemanager.projects.delete", project: to("roles/resourcemanager.projectDeleter", alice),
			projectDeny: []DenyRule{rule("principalSet://goog/public:all", "cloudresourcemanager.googleapis.com/projects.delete")}, want: Denied},
		{name: "the service ID of v1 isn't the domain", doc: pageDeniable, says: "The domain is typically the v1 service ID and .googleapis.com; exceptions are documented.",
			as: alice, perm: "resourcemanager.projects.delete", project: to("roles/resourcemanager.projectDeleter", alice),
			projectDeny: []DenyRule{rule("principalSet://goog/public:all", "resourcemanager.googleapis.com/projects.delete")}, want: Granted},
		{name: "permission that can't be denied", doc: pageDeniable, says: "You can use some, but not all, permissions in deny policies.",
			as: alice, project: grantedToAll(), projectDeny: denied("principalSet://goog/public:all"), deniable: func(string) bool { return false }, want: Granted},
		{name: "permission that can be denied", doc: pageDeniable, says: "iam.googleapis.com/serviceAccounts.actAs is among the supported permissions.",
			as: alice, project: grantedToAll(), projectDeny: denied("principalSet://goog/public:all"), deniable: func(p string) bool { return p == actAsV2 }, want: Denied},
		{name: "deny wins over a lower grant", doc: pageTypes, says: "If any of these deny policies prevent the principal from using a permission, IAM prevents the access.",
			as: alice, account: to(accountUser, alice), orgDeny: denied("principalSet://goog/public:all"), want: Denied},
		{name: "deny wins over a higher grant", doc: pageDeny, says: "Deny policies can deny inherited permissions.",
			as: alice, org: to(accountUser, alice), projectDeny: denied("principal://goog/subject/alice@example.com"), want: Denied},
		{name: "deny wins over owner", doc: pageDeny, says: "… regardless of the IAM roles they've been granted.",
			as: alice, project: to("roles/owner", alice), folderDeny: denied("principal://goog/subject/alice@example.com"), want: Denied},
		{name: "deny is inherited from the folder", doc: pageDeny + "#inheritance", says: "A deny policy is effective for all resources inside the project, folder or organization.",
			as: alice, account: to(accountUser, alice), folderDeny: denied("principal://goog/subject/alice@example.com"), want: Denied},
		{name: "a lower exception doesn't help", doc: pageDeny + "#inheritance", says: "This applies even if lower resources have more permissive deny policies.",
			as: alice, account: to(accountUser, alice), orgDeny: denied("principalSet://goog/public:all"),
			projectDeny: []DenyRule{rule("principalSet://goog/public:all", actAsV2, "principal://goog/subject/alice@example.com")}, want: Denied},
		{name: "a higher exception doesn't help", doc: pageDeny + "#inheritance", says: "This applies even if the parents have more permissive deny policies.",
			as: alice, account: to(accountUser, alice), projectDeny: denied("principalSet://goog/public:all"),
			orgDeny: []DenyRule{rule("principalSet://goog/public:all", actAsV2, "principal://goog/subject/alice@example.com")}, want: Denied},
		{name: "an exception of another rule doesn't help", doc: pageDenyRule, says: "Each deny rule is evaluated independently; if this one does not apply, others might.",
			as: alice, account: to(accountUser, alice), projectDeny: []DenyRule{rule("principalSet://goog/public:all", actAsV2, "principal://goog/subject/alice@example.com"), rule("principalSet://goog/public:all", actAsV2)}, want: Denied},
		{name: "an exception doesn't grant", doc: pageDeny, says: "The principals can use the permissions if they have them.",
			as: alice, projectDeny: []DenyRule{rule("principalSet://goog/public:all", actAsV2, "principal://goog/subject/alice@example.com")}, want: Denied},
	}
}
