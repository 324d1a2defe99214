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
// attaches an account:
//
//	import (
//		"context"
//		"fmt"
//
//		"github.com/runidentity/runidentity/identity"
//		"github.com/runidentity/runidentity/preflight"
//	)
//
//	func deploy(ctx context.Context, checker *preflight.Checker, client *identity.Client) error {
//		w := identity.Job("web-prod", "europe-west1", "nightly")
//		sa := identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")
//
//		report, err := checker.Check(ctx, preflight.Target{Workload: w, Identity: sa}, nil) // reads only
//		if err != nil {
//			return err
//		}
//		if err := report.Err(); err != nil {
//			return err // each failure with the command that fixes it
//		}
//		change, err := client.Attach(ctx, w, sa, nil)
//		if err != nil {
//			return err
//		}
//		fmt.Println(change.Old, "->", change.New) // in effect
//		return nil
//	}
//
// Its test needs no cloud:
//
//	import (
//		"errors"
//		"testing"
//
//		"google.golang.org/api/cloudresourcemanager/v3"
//		"google.golang.org/api/iam/v1"
//
//		"github.com/runidentity/runidentity/fake"
//		"github.com/runidentity/runidentity/identity"
//	)
//
//	func TestAttach(t *testing.T) {
//		const runner = "runner@web-prod.iam.gserviceaccount.com"
//		b := fake.Start(t)
//		b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
//		b.AddServiceAccount(&iam.ServiceAccount{Email: runner})
//		b.AddRunJSON("projects/web-prod/locations/europe-west1/jobs/nightly",
//			[]byte(`{"template": {"template": {"containers": [{"image": "nightly"}]}}}`))
//		b.Grant("projects/web-prod", "roles/run.admin", "user:dev@example.com") // not enough: no actAs
//
//		client, err := identity.NewClient(t.Context(), b.ClientOptions("user:dev@example.com")...)
//		if err != nil {
//			t.Fatal(err)
//		}
//		w, sa := identity.Job("web-prod", "europe-west1", "nightly"), identity.MustParseServiceAccount(runner)
//		if _, err = client.Attach(t.Context(), w, sa, nil); !errors.Is(err, identity.ErrActAsDenied) {
//			t.Error(err)
//		}
//
//		b.Grant("projects/web-prod", "roles/iam.serviceAccountUser", "user:dev@example.com")
//		b.Inject("run.projects.locations.jobs.patch", fake.Fault{Status: 503, Times: 2})
//		if _, err = client.Attach(t.Context(), w, sa, nil); err != nil { // after two more attempts
//			t.Error(err)
//		}
//	}
package runidentity
