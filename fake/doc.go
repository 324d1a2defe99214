// Package fake is a Google Cloud in memory that says no, for tests of programs
// that use the generated clients (google.golang.org/api/…) or this module.
//
//	import (
//		"testing"
//
//		"google.golang.org/api/cloudresourcemanager/v3"
//		"google.golang.org/api/iam/v1"
//		"google.golang.org/api/run/v2"
//
//		"github.com/runidentity/runidentity/fake"
//	)
//
//	func TestEditorsMayRunJobs(t *testing.T) {
//		const job = "projects/web-prod/locations/europe-west1/jobs/nightly"
//		b := fake.Start(t)
//		b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
//		b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com"})
//		b.AddRunJSON(job, []byte(`{"template": {"template": {"containers": [{"image": "nightly"}]}}}`))
//		b.Grant("projects/web-prod", "roles/editor", "user:dev@example.com")
//
//		svc, err := run.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
//		if err != nil {
//			t.Fatal(err)
//		}
//		if _, err := svc.Projects.Locations.Jobs.Run(job, &run.GoogleCloudRunV2RunJobRequest{}).Do(); err != nil {
//			t.Error(err, b.Explain("user:dev@example.com", "run.jobs.run", job))
//		}
//	}
//
// A [Backend] answers as the real servers have been recorded to. It has Cloud Run v2
// and v1 (jobs, services, worker pools, executions, revisions, operations), IAM
// (service accounts, roles, allow and deny policies), Resource Manager v1 and
// v3, Organization Policy v2, Service Usage, Policy Troubleshooter v3 and
// Recommender v1. It keeps everything as the API's JSON, including fields that no
// client knows. What a client leaves out of a job is gone, since jobs.patch replaces
// the whole job.
//
// Cloud Run v1, the API of gcloud and of manifests, reads and writes the same
// resources as v2, and neither loses what only the other can say. The host names the
// region: us-central1-run.googleapis.com. A replacement that names an older
// resourceVersion is a conflict.
//
// The methods of a Backend come in groups:
//
//   - seed: AddOrganization, AddFolder, AddProject, AddServiceAccount, AddRole,
//     AddGroup, AddFederatedIdentity, Grant, GrantIf, SetPolicy, AddDenyPolicy,
//     SetOrgPolicy, SetService, AddJob, AddService, AddWorkerPool, AddRunJSON,
//     AddRecommendation, AddInsight, AddRecommenderJSON. They panic if the
//     test is wrong, and need no permission;
//   - act as someone: ClientOptions, HTTPClient, ServeHTTP;
//   - look: Calls, ResetCalls, ObserveCalls, RunJSON, Policy, Explain;
//   - trouble: Inject, Use, EnforceEtags, SetCrossProjectText;
//   - time: SetLatency, SetOperationTime, SetPropagation;
//   - save: Dump, Load.
//
// # Other processes
//
// A Backend is an [http.Handler], and examples/emulator serves one on a port. Go
// programs call it there with [Remote]. [Backend.Dump] writes all that a backend
// holds as JSON, which can be edited and which [Backend.Load] reads.
//
// # Who calls, and what they may do
//
// Each client is made for a caller: see [Backend.ClientOptions]. [Admin] may do
// everything. All others need the permission that Google documents for each method.
// It comes from allow policies on the organization, folder, project, account or
// workload ([Backend.Grant], or the APIs), with predefined and custom roles, groups
// and conditions, unless a deny policy takes it away. A refusal has the text and the
// body of the real one. [Backend.Explain] says why.
//
// On each create and patch, Cloud Run also checks whether the workload may run as its
// account:
//
//   - the caller needs iam.serviceAccounts.actAs on the account;
//   - the service agent of the workload's project needs to be able to mint tokens for
//     the account;
//   - if the account is of another project, that project must not enforce
//     iam.disableCrossProjectServiceAccountUsage. It is enforced unless
//     [Backend.SetOrgPolicy] or the API says otherwise.
//
// # Time
//
// Operations are done when they are next looked at. [Backend.SetOperationTime] makes
// operations take longer, [Backend.SetLatency] calls, and [Backend.SetPropagation]
// new accounts and grants. Nothing runs in the background, and all waits are ordinary
// timers: a Backend made within a testing/synctest bubble runs in its virtual time.
//
// # Trouble
//
// [Backend.Inject] makes calls of a method fail, hang, break off before or after they
// had their effect, or answer garbage, or makes their operation end badly: counted,
// never at random. [Backend.Use] puts middleware in front for the rest. Methods have
// the IDs of Google's discovery documents, such as
// "run.projects.locations.jobs.patch". [Backend.Calls] returns what was called.
//
// If the APIs have a method and the fake does not, the fake answers 501 naming it,
// and the test fails.
//
// # Limits
//
// Each is held by a test, TestLimits.
//
//   - The fake doesn't serve gRPC. Clients whose default it is
//     (cloud.google.com/go/run) need their REST constructors.
//   - The fake knows the predefined roles that have to do with Cloud Run, IAM and
//     the other services above, and in most of them only the permissions of these
//     services. Other roles can be bound. If a decision depends on one, the fake
//     refuses and fails the test, saying so. [Backend.AddRole] makes a role known.
//   - Conditions see request.time, resource.name, resource.type and
//     resource.service, as documented for the resource's type: service accounts
//     and Cloud Run resources have none of the last three. The fake
//     refuses a policy with any other attribute, tags included.
//   - Of all constraints only iam.disableCrossProjectServiceAccountUsage has an
//     effect. What Cloud Run answers when it is enforced is not known: see
//     [Backend.SetCrossProjectText].
//   - Users and domains are taken to exist. Groups and accounts have to exist.
//   - Only Cloud Run and Recommender check whether their API is enabled. The others
//     would check it in the project that pays for the call, which the fake does not
//     know.
//   - Projects, folders and organizations are seeded, not created, moved or
//     deleted by calls. Tasks of executions, builds, instances, and v1's
//     configurations, routes and domain mappings are not implemented, nor is
//     Resource Manager v2, with which gcloud lists folders.
//   - The fake starts no containers and pulls no images: a change succeeds unless a
//     [Fault] says otherwise.
//   - Recommendations are seeded, not computed. Recommenders in Google's published
//     list are empty otherwise; of most of them the permission isn't known, and
//     whoever has recommender.locations.list may read them. Of insight types there
//     are those of the service account, of allow policies and of Cloud Run.
//   - Policy Troubleshooter tells every caller who is in a group.
//   - The fake keeps fields that the API's schema does not have. The real servers
//     refuse the request.
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
