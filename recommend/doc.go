// Package recommend joins what Google recommends about a service identity with
// the workload that runs as it, and applies it safely.
//
//	import (
//		"context"
//		"fmt"
//
//		"github.com/runidentity/runidentity/identity"
//		"github.com/runidentity/runidentity/recommend"
//	)
//
//	func show(ctx context.Context, w identity.Workload) error {
//		recs, err := recommend.NewClient(ctx)
//		if err != nil {
//			return err
//		}
//		for rec, err := range recs.For(ctx, w, nil) {
//			if err != nil {
//				return err
//			}
//			plan, err := recommend.NewPlan(rec, nil)
//			if err != nil {
//				return err
//			}
//			fmt.Print(plan)
//		}
//		return nil
//	}
//
// Recommender computes two kinds of recommendations that matter here:
//
//   - Those of Cloud Run ([RecommenderRunIdentity], in the region) propose an account
//     of its own for a service. No public source shows that jobs or worker pools get
//     any.
//   - Those of IAM ([RecommenderIAMPolicy], in "global") propose to take a role away
//     that is not used, or to replace it with smaller ones. They are about whatever
//     account a workload runs as, and so about jobs and worker pools as well.
//
// Insights say what recommendations follow from. One of them
// ([InsightTypeServiceAccount]) names accounts that were not used at all.
//
// An empty listing is normal. A new project has no recommendations for weeks, and
// those for anything but basic roles need a tier of Security Command Center that the
// API doesn't name. An API that is off ([ErrAPIDisabled]) and a missing permission
// ([ErrDenied]) are errors, not empty listings.
//
// # Lenient
//
// Google documents few of the fields of a recommendation's content. What isn't
// understood for certain is [ActionReview], with the reason and the JSON as it came.
// Nothing here acts on a guess.
//
// # Applying
//
// A [Plan] is data: steps with their reasons, to show and to decide on. It removes
// only the roles that [PlanOptions] name. [Client.Apply] claims the recommendation,
// carries the plan out and marks the recommendation succeeded or failed.
//
// # What Apply promises
//
// Apply carries the steps out in the order of the plan: accounts, roles, workloads,
// removals. It keeps in the metadata of the claim how far it got, in one of four
// phases:
//
//   - grant: accounts are created, roles granted;
//   - attach: workloads get their accounts or, after a failure, their old ones;
//   - remove: roles are taken away;
//   - undo: after a failure in grant, the roles that Apply granted are taken back.
//
// These hold whatever fails, is lost, comes late or is run twice:
//
//   - A workload that was moved, or may have been, keeps the roles that the plan
//     granted. Roles are taken back in undo only, and nothing is attached after
//     that. If the plan fails in attach, its roles stay: [StepResult.Undo] has the
//     commands that remove them.
//   - No role is removed before the roles and the account that replace it were read
//     back, and no revision that receives traffic runs as another account. From
//     then on the plan only goes forward: if a removal is refused, the
//     recommendation stays claimed, and applying the plan again goes on. If it is
//     refused for good, [Client.Fail] ends it: there is nothing to take back.
//   - Each write follows a renewal of the claim, which fails if someone else has
//     renewed it since. Several runs of one plan, of one owner or of many, so share
//     one line of history.
//   - SUCCEEDED means that every step was read back. FAILED means that nothing was
//     removed, and that each workload runs as its old account, unless the error and
//     an [OutcomeLeft] say that it could not go back.
//   - Only what the server itself confirmed counts as granted by Apply. A role that
//     is there after an answer that got lost may be someone else's, and is never
//     taken back.
//   - Before the phase attach, once the new roles have had time to take effect
//     ([ApplyOptions].Settle), Cloud Run is asked to validate each attach. What it refuses
//     then is undone without a trace but for accounts, which stay.
//
// Apply does not promise anything about
//
//   - what other programs and people change meanwhile. Apply reads everything back,
//     and stops where it isn't as it was;
//   - the time that IAM takes to enforce a grant, where it is more than Settle;
//   - executions of a job that began before it was moved: they run as its old
//     account to their end, and may need a role that is removed;
//   - a request that attaches an account and arrives late, after its owner was
//     overtaken by another one whose run failed: the workload then runs as the new
//     account, which has its roles, or as the old one;
//   - Recommender itself. That it refuses a state change under an etag that isn't
//     the current one is documented by the field, and has not been seen.
//
// # Permissions
//
// What each method needs, and on which resource. A permission may also be granted
// on a project, folder or organization above. A listing that lacks one is yielded
// as a [*ListError] that wraps [ErrDenied], and the others go on.
//
//   - [Client.For]: run.jobs.get, run.services.get or run.workerpools.get on the
//     workload; on each project that is looked at,
//     recommender.iamPolicyRecommendations.list,
//     recommender.iamPolicyInsights.list and
//     recommender.iamServiceAccountInsights.list; for a service, on its project,
//     recommender.runServiceIdentityRecommendations.list and
//     recommender.runServiceIdentityInsights.list.
//   - [Client.List]: recommender.iamPolicyRecommendations.list on each project;
//     with [ListOptions].Regions,
//     recommender.runServiceIdentityRecommendations.list; with WithInsights,
//     recommender.iamPolicyInsights.list and
//     recommender.runServiceIdentityInsights.list likewise.
//   - [Client.Insights]: recommender.iamPolicyInsights.list and
//     recommender.iamServiceAccountInsights.list on each project; with
//     [InsightsOptions].Regions, recommender.runServiceIdentityInsights.list.
//   - [Client.Get]: on the recommendation's project,
//     recommender.iamPolicyRecommendations.get for one of IAM's, and
//     recommender.runServiceIdentityRecommendations.get for one of Cloud Run's.
//   - [Client.Claim], and likewise Succeed, Fail and Dismiss: on the
//     recommendation's project, recommender.iamPolicyRecommendations.update for one
//     of IAM's, and recommender.runServiceIdentityRecommendations.update for one of
//     Cloud Run's.
//   - [Client.Apply], and likewise TakeOver: those of Get and Claim, which are
//     recommender.iamPolicyRecommendations.get and
//     recommender.iamPolicyRecommendations.update for one of IAM's, and
//     recommender.runServiceIdentityRecommendations.get and
//     recommender.runServiceIdentityRecommendations.update for one of Cloud Run's;
//     and those of each step of the plan.
//   - [StepCreateAccount]: iam.serviceAccounts.get on the account and, if it is
//     missing, iam.serviceAccounts.get and iam.serviceAccounts.create on its
//     project.
//   - [StepGrantRole] and [StepRemoveRole] on a project:
//     resourcemanager.projects.getIamPolicy, resourcemanager.projects.setIamPolicy.
//   - [StepGrantRole] and StepRemoveRole on a folder:
//     resourcemanager.folders.getIamPolicy, resourcemanager.folders.setIamPolicy.
//   - [StepGrantRole] and StepRemoveRole on an organization:
//     resourcemanager.organizations.getIamPolicy,
//     resourcemanager.organizations.setIamPolicy.
//   - [StepGrantRole] and StepRemoveRole on a service account:
//     iam.serviceAccounts.getIamPolicy, iam.serviceAccounts.setIamPolicy.
//   - [StepGrantRole] and StepRemoveRole on a workload: run.jobs.getIamPolicy and
//     run.jobs.setIamPolicy, run.services.getIamPolicy and
//     run.services.setIamPolicy, or run.workerpools.getIamPolicy and
//     run.workerpools.setIamPolicy.
//   - [StepAttach]: run.jobs.get and run.jobs.update, run.services.get and
//     run.services.update, or run.workerpools.get and run.workerpools.update on the
//     workload; iam.serviceAccounts.actAs on the account, which for one that the
//     plan creates has to be granted on its project, and, to go back if the plan
//     fails, on the account that the workload ran as; if the plan removes a role as
//     well and the workload isn't a job, run.revisions.get on its project.
//     run.operations.get on the project helps: without it, the workload is read
//     until it has settled.
//
// These predefined roles have them:
//
//   - roles/run.viewer on the workload's project and roles/recommender.iamViewer on
//     each project: For, List, Insights and Get;
//   - roles/recommender.iamAdmin on the project of a recommendation of IAM's, and
//     roles/run.developer on that of one of Cloud Run's: Claim, Succeed, Fail,
//     Dismiss, and Apply but for the steps;
//   - roles/iam.serviceAccountCreator on the project: StepCreateAccount;
//   - roles/resourcemanager.projectIamAdmin, roles/resourcemanager.folderIamAdmin,
//     roles/resourcemanager.organizationAdmin, roles/iam.serviceAccountAdmin or
//     roles/run.admin on the resource: StepGrantRole and StepRemoveRole;
//   - roles/run.developer on the workload's project and
//     roles/iam.serviceAccountUser on the accounts: StepAttach.
//
// https://cloud.google.com/recommender/docs/key-concepts
package recommend
