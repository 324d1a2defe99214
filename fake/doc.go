// Package fake is a Google Cloud in memory, for tests of programs that use
// the generated clients (google.golang.org/api/…) or this module.
//
//	b := fake.Start(t)
//	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
//	b.AddJob(&run.GoogleCloudRunV2Job{Name: "projects/web-prod/locations/europe-west1/jobs/nightly", …})
//	svc, err := run.NewService(ctx, b.ClientOptions("user:dev@example.com")...)
//
// A [Backend] answers Cloud Run v2 (jobs, services, worker pools, executions,
// revisions, operations) and IAM v1 (service accounts) as the real servers
// have been recorded to: defaults, etags, generations, reconciling states,
// conditions, long-running operations and the texts of errors. Everything is
// kept as the API's JSON, fields that no client knows included. What a client
// leaves out of a job is gone, since jobs.patch replaces the whole job.
//
// # Time
//
// Operations are done when they are next looked at, unless
// [Backend.SetOperationTime] makes them last; [Backend.SetLatency] does so for
// calls. Nothing runs in the background, and all waits are ordinary timers, so
// that a Backend made within a testing/synctest bubble runs in its virtual
// time.
//
// # Trouble
//
// [Backend.Inject] makes calls of a method fail, hang, break off before or
// after they had their effect, or their operation end badly: counted, never at
// random. Methods are named by the IDs of Google's discovery documents, such
// as "run.projects.locations.jobs.patch". [Backend.Calls] tells what was
// asked.
//
// A method that the APIs have and the fake does not answers 501 naming it, and
// fails the test.
//
// # Limits
//
//   - Every caller may do everything: permissions are not enforced yet.
//   - gRPC is not served. Clients whose default it is (cloud.google.com/go/run)
//     are made with their REST constructors.
//   - Tasks of executions, builds, instances and IAM policies of Cloud Run
//     resources are not implemented.
//   - A resource's containers are not started and their images not pulled: a
//     change succeeds unless a [Fault] says otherwise.
//   - Fields that the API's schema does not have are kept, where the real
//     servers refuse the request.
package fake
