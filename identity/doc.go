// Package identity reads and changes the service identity of Cloud Run
// workloads: the service account that a job, a service or a worker pool runs
// as.
//
//	import (
//		"context"
//		"fmt"
//
//		"github.com/runidentity/runidentity/identity"
//	)
//
//	func attach(ctx context.Context) error {
//		client, err := identity.NewClient(ctx)
//		if err != nil {
//			return err
//		}
//		w := identity.Job("web-prod", "europe-west1", "nightly")
//		sa := identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")
//		change, err := client.Attach(ctx, w, sa, nil)
//		if err != nil {
//			return err
//		}
//		fmt.Println(change.Old, "->", change.New)
//		return nil
//	}
//
// [Client.Get] reads the identity, [Client.Attach] changes it and
// [Client.Detach] gives the project's default one back. [Client.CreateJob]
// creates a job with an identity, [Client.Execute] runs one,
// [Client.EnsureServiceAccount] makes the account. Programs that make the API
// calls themselves use [Of] and [Set] on the generated types.
//
// # Nothing else changes
//
// jobs.patch has no update mask and replaces the whole job. A job that is read
// into the generated types and sent back loses what they omit, such as
// maxRetries: 0, and every field that they do not know. Here a job is read and
// written as JSON, with one field changed. If the identity is the wanted one
// already, nothing is written.
//
// # Others write too
//
// Cloud Run has been seen to ignore the etag of a write. Whether someone else
// wrote between the read and the write is told by the workload's generation:
// [Change.Interleaved].
//
// # Failures
//
// Reads, and writes of which the effect can be recognised, are repeated on 429,
// 500, 502, 503, 504 and broken connections: eight times, with full-jitter
// exponential backoff, a Retry-After of up to ten minutes honoured, and never
// beyond the context. After a write whose answer got lost, the workload is read
// first. What may have started an execution is not repeated.
//
// What Cloud Run refuses is told apart by [ErrActAsDenied],
// [ErrAgentTokenDenied] and the like. The server's *googleapi.Error is in the
// chain wherever the server answered with one.
//
// # Permissions
//
// The permissions of each method, with the resource on which it needs them. Each
// may also be granted on a project, folder or organization above.
//
//   - [Client.Get]: run.jobs.get, run.services.get or run.workerpools.get on the
//     workload. With [GetOptions].ReadRevisions, run.revisions.get on its project
//     as well, unless the workload is a job.
//   - [Client.Attach]: run.jobs.get and run.jobs.update, run.services.get and
//     run.services.update, or run.workerpools.get and run.workerpools.update on the
//     workload, and iam.serviceAccounts.actAs on the service account.
//     run.operations.get on the workload's project helps: without it, Attach reads
//     the workload until it has settled.
//   - [Client.Detach]: run.jobs.get and run.jobs.update, run.services.get and
//     run.services.update, or run.workerpools.get and run.workerpools.update on the
//     workload, and iam.serviceAccounts.actAs on the project's default service
//     account. run.operations.get helps as with Attach.
//   - [Client.CreateJob]: run.jobs.create on the project, and
//     iam.serviceAccounts.actAs on the service account. To wait,
//     run.operations.get or run.jobs.get on the project.
//   - [Client.Execute]: run.jobs.run on the job. With [ExecuteOptions].Overrides,
//     run.jobs.runWithOverrides; whether Cloud Run then asks for run.jobs.run as
//     well is not documented. With [ExecuteOptions].WaitForCompletion,
//     run.operations.get or run.executions.get on the project as well.
//   - [Client.EnsureServiceAccount]: iam.serviceAccounts.get on the service account
//     and, if it is missing, iam.serviceAccounts.create and
//     iam.serviceAccounts.get on its project.
//
// The predefined roles that have these are roles/run.developer on the workload's
// project, roles/iam.serviceAccountUser on the service account, and
// roles/iam.serviceAccountCreator on the project of an account to create.
//
// https://cloud.google.com/run/docs/configuring/jobs/service-identity
package identity
