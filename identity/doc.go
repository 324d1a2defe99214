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
// [Client.Detach] gives the project's default one back. [Client.CreateJob],
// [Client.CreateService] and [Client.CreateWorkerPool] create a workload with an
// identity, [Client.Execute] runs a job, and [Client.EnsureServiceAccount] creates the
// account. Programs that make the API calls themselves use [Of] and [Set] on the
// generated types, and [WrapError] on the errors.
//
// # Nothing else changes
//
// jobs.patch has no update mask and replaces the whole job. A job that is read
// into the generated types and sent back loses what they omit, such as
// maxRetries: 0, and every field that they do not know. This package reads and
// writes a job as JSON, with one field changed. If the workload has the wanted
// identity already, it writes nothing.
//
// # Others write too
//
// Cloud Run has been seen to ignore the etag of a write. The workload's generation
// tells whether someone else wrote between the read and the write:
// [Change.Interleaved].
//
// # Failures
//
// Some requests are repeated on 429, 500, 502, 503, 504 and broken connections:
// reads, and writes whose effect can be recognised. They are repeated eight times,
// with full-jitter exponential backoff and a Retry-After of up to ten minutes, and
// never beyond the context. If the answer to a write got lost, the workload is read
// before the write is repeated. A request that may have started an execution is not
// repeated.
//
// [ErrActAsDenied], [ErrAgentTokenDenied] and the like tell why Cloud Run refused a
// request. Wherever the server answered with an error, errors.As finds its
// *googleapi.Error.
//
// # Permissions
//
// What each method needs, and on which resource. A permission may also be granted
// on a project, folder or organization above.
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
//   - [Client.CreateService]: run.services.create on the project, and
//     iam.serviceAccounts.actAs on the service account. To wait,
//     run.operations.get or run.services.get on the project.
//   - [Client.CreateWorkerPool]: run.workerpools.create on the project, and
//     iam.serviceAccounts.actAs on the service account. To wait,
//     run.operations.get or run.workerpools.get on the project.
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
