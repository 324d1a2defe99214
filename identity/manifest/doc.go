// Package manifest reads and edits the service identity in YAML manifests of
// Cloud Run, as gcloud and the console write them and as people keep them in git,
// and exports and applies them.
//
//	import (
//		"fmt"
//		"os"
//
//		"github.com/runidentity/runidentity/identity"
//		"github.com/runidentity/runidentity/identity/manifest"
//	)
//
//	func setIdentity(name string, sa identity.ServiceAccount) error {
//		data, err := os.ReadFile(name)
//		if err != nil {
//			return err
//		}
//		file, err := manifest.Parse(name, data)
//		if err != nil {
//			return err
//		}
//		for _, d := range file.Documents {
//			fmt.Println(d.Line, d.Kind, d.Name, d.Identity)
//		}
//		edited, err := file.Set(sa)
//		if err != nil {
//			return err
//		}
//		return os.WriteFile(name, edited.Bytes(), 0o644)
//	}
//
// An edit changes the identity and nothing else. Comments, order, quotes,
// indentation and line endings stay byte for byte, as does everything else that a
// YAML library would write in its own way. An edit replaces the bytes of one value,
// or adds one line. [File.Set] reads the result again, and returns an error if
// anything but the identity differs.
//
// A [Client] exports a live workload as a manifest, and applies one as gcloud run
// jobs replace does, through version 1 of the API:
//
//	import (
//		"context"
//		"fmt"
//
//		"github.com/runidentity/runidentity/identity/manifest"
//	)
//
//	func apply(ctx context.Context, client *manifest.Client, file *manifest.File) error {
//		applied, err := client.Apply(ctx, file, 0, &manifest.ApplyOptions{Region: "europe-west1"})
//		if err != nil {
//			return err
//		}
//		fmt.Println(applied.Workload, applied.Old, "->", applied.New)
//		return nil
//	}
//
// The package understands the kinds Job and WorkerPool of run.googleapis.com/v1 and
// Service of serving.knative.dev/v1, several documents in a file, and JSON. It
// leaves documents of other kinds alone.
//
// # Permissions
//
// Only the methods of [Client] make calls. Each permission may also be granted on a
// project, folder or organization above the resource.
//
//   - [Client.Export]: run.jobs.get, run.services.get or run.workerpools.get on the
//     workload.
//   - [Client.Apply]: run.jobs.get and run.jobs.update, run.services.get and
//     run.services.update, or run.workerpools.get and run.workerpools.update on the
//     workload. If it doesn't exist, run.jobs.get and run.jobs.create,
//     run.services.get and run.services.create, or run.workerpools.get and
//     run.workerpools.create on the project. In both cases
//     iam.serviceAccounts.actAs on the service account that the document names, or
//     on the project's default one if it names none.
//
// https://cloud.google.com/run/docs/reference/yaml/v1
package manifest
