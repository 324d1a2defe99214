// Package preflight checks before a deploy to Cloud Run whether it would work, and
// finds the smallest fix if not. It has three parts:
//
//   - a [Checker] checks a [Target] and only reads;
//   - a [Report] is what it found, as text, Markdown, JSON or an error;
//   - a [Fixer] applies the report's fixes, if you ask it to.
//
// A program that checks before it attaches an identity:
//
//	import (
//		"context"
//		"fmt"
//
//		"github.com/runidentity/runidentity/identity"
//		"github.com/runidentity/runidentity/preflight"
//	)
//
//	func check(ctx context.Context, w identity.Workload, sa identity.ServiceAccount) error {
//		checker, err := preflight.NewChecker(ctx)
//		if err != nil {
//			return err
//		}
//		report, err := checker.Check(ctx, preflight.Target{Workload: w, Identity: sa}, nil)
//		if err != nil {
//			return err
//		}
//		fmt.Print(report)
//		return report.Err() // names each failure and its fix
//	}
//
// A deploy works if
//
//   - the service account exists and is enabled;
//   - the deployer may act as it, and may deploy;
//   - the Cloud Run API is enabled;
//   - the Cloud Run service agent of the workload's project may mint tokens for the
//     account;
//   - an organization policy lets the account be used, if it is of another project.
//
// Each is a [Finding] that says [Pass], [Fail] or [Unknown], with the evidence.
//
// # Three values
//
// What can't be read is Unknown, never Pass and never Fail. The finding names the
// permission that it takes to know. Few deployers may read policies, so Unknown is
// common: [Report.Err] ignores it, [Report.ErrStrict] doesn't.
//
// If the deployer is the caller, testIamPermissions answers exactly, whatever
// groups, conditions and deny policies are behind it, and needs no permission. For
// other principals, the allow and deny policies from the resource up to the
// organization are read and evaluated here. With [CheckOptions.Troubleshoot], Policy
// Troubleshooter is asked first. Each finding says how it was found.
//
// # Fixes
//
// A failure has the narrowest [Fix] that is known to work. Access to an account is
// granted on the account, never on its project; only the service agent of the
// account's own project gets its role back on the project, where Google grants it.
// If a permission is missing and no role is known to be the right one, there is no
// fix.
//
// [Fixer.Repair] applies the fixes of a report and reports success only once they
// are in effect. It skips fixes that change what an organization forbade on purpose,
// unless [ApplyOptions.AllowGuardrailChanges] is set.
//
// # Permissions
//
// With these roles on the organization, nothing is Unknown for want of a permission,
// whether the caller checks its own deploys or another's:
//
//   - roles/iam.securityReviewer: allow policies, roles and accounts;
//   - roles/iam.denyReviewer: deny policies;
//   - roles/orgpolicy.policyViewer: the organization policy;
//   - roles/run.viewer: the workload, and the project's ancestors;
//   - roles/serviceusage.serviceUsageViewer: whether the API is enabled.
//
// A [Need] on a folder takes roles/resourcemanager.folderViewer as well. To apply a
// fix takes the permission that [Fix.SideEffect] names.
//
// # Limits
//
//   - None of the APIs used here lists the members of Google groups: what depends on
//     them is Unknown unless [Checker.GroupMembers] is set.
//   - Policies of resources other than those that [Need] lists are not read: access to
//     them is Unknown unless Policy Troubleshooter can tell.
//   - In a project without an organization, the organization policy is Unknown if the
//     server has none.
package preflight
