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
// The documentation of fake has a test of such a program.
package runidentity
