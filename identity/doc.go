// Package identity reads and changes the service identity of Cloud Run
// workloads: the service account that a job, a service or a worker pool runs
// as.
//
//	client, err := identity.NewClient(ctx)
//	w := identity.Job("web-prod", "europe-west1", "nightly")
//	sa := identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")
//	change, err := client.Attach(ctx, w, sa, nil)
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
// Attach needs run.jobs.get and run.jobs.update on the job (run.services.… and
// run.workerpools.… alike), iam.serviceAccounts.actAs on the account and, to
// wait, run.operations.get on the project: without that one it looks at the job
// itself until it has settled. Detach needs the same, actAs on the project's
// default identity. Get needs run.jobs.get, with ReadRevisions also
// run.revisions.get; CreateJob run.jobs.create on the project, run.jobs.get and
// actAs; Execute run.jobs.run, with Overrides run.jobs.runWithOverrides, and
// to wait without run.operations.get, run.executions.get; EnsureServiceAccount
// iam.serviceAccounts.get and, if it is missing, iam.serviceAccounts.create on
// the account's project.
// https://cloud.google.com/run/docs/configuring/jobs/service-identity
package identity
