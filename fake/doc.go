// Package fake is a Google Cloud in memory that says no, for tests of programs
// that use the generated clients (google.golang.org/api/…) or this module.
//
//	b := fake.Start(t)
//	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
//	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com"})
//	b.AddJob(&run.GoogleCloudRunV2Job{Name: "projects/web-prod/locations/europe-west1/jobs/nightly", …})
//	b.Grant("projects/web-prod", "roles/editor", "user:dev@example.com")
//	svc, err := run.NewService(ctx, b.ClientOptions("user:dev@example.com")...)
//
// A [Backend] answers as the real servers have been recorded to: Cloud Run v2
// and v1 (jobs, services, worker pools, executions, revisions, operations), IAM
// (service accounts, roles, allow and deny policies), Resource Manager v1 and
// v3, Organization Policy v2, Service Usage, Policy Troubleshooter v3 and
// Recommender v1. Everything is kept as the API's JSON, fields that no client
// knows included. What a client leaves out of a job is gone, since jobs.patch
// replaces the whole job.
//
// Cloud Run v1, the API of gcloud and of manifests, reads and writes the same
// resources as v2, and neither loses what only the other can say. The region is
// that of the host: us-central1-run.googleapis.com. A replacement that names
// an older resourceVersion is a conflict.
//
// The methods of a Backend come in groups:
//
//   - seed: AddOrganization, AddFolder, AddProject, AddServiceAccount, AddRole,
//     AddGroup, AddFederatedIdentity, Grant, GrantIf, SetPolicy, AddDenyPolicy,
//     SetOrgPolicy, SetService, AddJob, AddService, AddWorkerPool, AddRunJSON,
//     AddRecommendation, AddInsight, AddRecommenderJSON. They panic on what a
//     test has got wrong, and no permission is asked for;
//   - act as someone: ClientOptions, HTTPClient, ServeHTTP;
//   - look: Calls, ResetCalls, ObserveCalls, RunJSON, Policy, Explain;
//   - trouble: Inject, Use, EnforceEtags, SetCrossProjectText;
//   - time: SetLatency, SetOperationTime, SetPropagation;
//   - save: Dump, Load.
//
// # Other processes
//
// A Backend is an [http.Handler], and examples/emulator serves one on a port;
// [Remote] is for Go programs that call it there. [Backend.Dump] writes all that
// a backend holds to a file that [Backend.Load] reads and that can be edited.
//
// # Who calls, and what they may do
//
// Each client is made for a caller, see [Backend.ClientOptions]; [Admin] may do
// everything. All others need the permission that Google documents for each
// method, from allow policies on the organization, folder, project, account or
// workload ([Backend.Grant], or the APIs), predefined and custom roles, groups,
// conditions and deny policies. A refusal has the text and the body of the
// real one. [Backend.Explain] says why.
//
// Cloud Run asks more before a workload may run as an account, on each create
// and patch: the caller needs iam.serviceAccounts.actAs on it; the service
// agent of the workload's project has to be able to mint its tokens; and if
// the account is of another project, that project must not enforce
// iam.disableCrossProjectServiceAccountUsage, which is enforced unless
// [Backend.SetOrgPolicy] or the API says otherwise.
//
// # Time
//
// Operations are done when they are next looked at, unless
// [Backend.SetOperationTime] makes them last. [Backend.SetLatency] makes calls take
// their time, and [Backend.SetPropagation] delays when new accounts and grants are
// seen. Nothing runs in
// the background, and all waits are ordinary timers, so that a Backend made
// within a testing/synctest bubble runs in its virtual time.
//
// # Trouble
//
// [Backend.Inject] makes calls of a method fail, hang, break off before or
// after they had their effect, answer garbage, or their operation end badly:
// counted, never at random. [Backend.Use] puts middleware in front for the
// rest. Methods are named by the IDs of Google's discovery documents, such as
// "run.projects.locations.jobs.patch". [Backend.Calls] tells what was asked.
//
// A method that the APIs have and the fake does not answers 501 naming it, and
// fails the test.
//
// # Limits
//
// Each is held by a test, TestLimits.
//
//   - gRPC is not served. Clients whose default it is (cloud.google.com/go/run)
//     are made with their REST constructors.
//   - Of predefined roles, those that have to do with Cloud Run, IAM and the
//     other services above are known, and of most of them only the permissions
//     of these services. Others can be bound; a decision that depends on one is
//     a refusal that fails the test and says so. [Backend.AddRole] makes a role
//     known.
//   - Conditions see request.time, resource.name, resource.type and
//     resource.service, as documented for the resource's type: service accounts
//     and Cloud Run resources have none of the last three. A policy with any
//     other attribute, tags included, is refused.
//   - Of all constraints only iam.disableCrossProjectServiceAccountUsage has an
//     effect. What Cloud Run answers when it is enforced is not known, see
//     [Backend.SetCrossProjectText].
//   - Users and domains are taken to exist; groups and accounts have to.
//   - Whether an API is enabled matters to Cloud Run and Recommender only: the
//     others ask the project that pays for the call, which the fake does not
//     know.
//   - Projects, folders and organizations are seeded, not created, moved or
//     deleted by calls. Tasks of executions, builds, instances, and v1's
//     configurations, routes and domain mappings are not implemented, nor is
//     Resource Manager v2, with which gcloud lists folders.
//   - A resource's containers are not started and their images not pulled: a
//     change succeeds unless a [Fault] says otherwise.
//   - Recommendations are seeded, not computed.
//   - Policy Troubleshooter shows every sender who is in a group.
//   - Fields that the API's schema does not have are kept, where the real
//     servers refuse the request.
//
// # How a request travels
//
// For those who change this package. All requests take one way; this is that
// of a jobs.patch:
//
//   - Backend.ServeHTTP counts it in, and hands it to what Use put in front;
//     Backend.serve logs it.
//   - Backend.exchange reads the body, the query and the caller, and finds the
//     route by host and path: run.projects.locations.jobs.patch, which writes. All
//     of that is now in a call.
//   - Backend.carryOut lets the weather have the call: latency, then a Fault.
//   - Backend.perform decodes the body and holds it against the API's schema
//     (call.decodeMessage), asks for the state once, to read or to write as the
//     route says, and calls the route's handler with it. Backend.write is what
//     hands the state out: it ends the operations that are due first (state.settle).
//   - workloadKind.patch is the handler. It finds the job and what the caller may
//     do (runKind.existing, call.may), applies the update mask where the method has
//     one (wire.ApplyMask), and gives the job its new state (workloadKind.apply):
//     defaults, checks, the service account (call.checkIdentity), then an operation
//     that ends as beginJob says (call.start). The answer is operation.json.
//   - render gives the answer the form that the query asks for, and answer.write
//     sends it.
//
// A call has no way to the Backend, and the state none to its lock, so that a
// handler that forgets the lock or takes it twice does not compile. The methods
// that seed the cloud get the state in the same way; they must not call one
// another from within. What a service keeps is in files of its name. What needs no
// cloud is in internal/wire (JSON, schemas, masks, errors) and internal/knative
// (the messages of Cloud Run v1); where its two versions differ otherwise, a
// handler asks the call's dialect.
package fake
