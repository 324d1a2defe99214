// Package runidentity is the root of a module about the service identity of
// Cloud Run workloads: the service account that a job, a service or a worker
// pool runs as. The root holds no code; its packages are
//
//   - [github.com/runidentity/runidentity/identity]: which account does this
//     workload run as, and make it run as that one instead, changing nothing
//     else;
//   - [github.com/runidentity/runidentity/identity/manifest]: the identity in YAML
//     files, read and edited in place; files applied, live workloads exported;
//   - [github.com/runidentity/runidentity/preflight]: would a deploy work, and
//     if not, what is the smallest fix;
//   - [github.com/runidentity/runidentity/recommend]: what would least privilege
//     be for a workload, and a transaction that applies it;
//   - [github.com/runidentity/runidentity/fake]: a Google Cloud in memory that
//     says no for the same reasons as the real one, for the tests of programs
//     that do so.
//
// identity, preflight and recommend never import fake. A deployment bot checks, and
// attaches an account, so:
//
//	w := identity.Job("web-prod", "europe-west1", "nightly")
//	sa, err := identity.ParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")
//	checker, err := preflight.NewChecker(ctx)
//	report, err := checker.Check(ctx, preflight.Target{Workload: w, Identity: sa}, nil)
//	if err := report.Err(); err != nil { … }
//	client, err := identity.NewClient(ctx)
//	change, err := client.Attach(ctx, w, sa)
//	fmt.Println(change.Old, "->", change.New)
//
// and is tested without a cloud:
//
//	b := fake.Start(t)
//	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
//	b.AddJob(&run.GoogleCloudRunV2Job{Name: w.Name(), Template: …})
//	b.Grant("projects/web-prod", "roles/run.developer", "user:dev@example.com")
//	client, err := identity.NewClient(ctx, b.ClientOptions("user:dev@example.com")...)
package runidentity
