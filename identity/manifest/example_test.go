package manifest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"testing/fstest"

	"google.golang.org/api/cloudresourcemanager/v3"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/identity/manifest"
)

// A file may hold several documents. Those that are about no workload are left
// alone, and an error names the file, the line and the column.
func ExampleParse() {
	file, err := manifest.Parse("shop.yaml", []byte(`apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: shop
spec:
  template:
    spec:
      serviceAccountName: runner@web-prod.iam.gserviceaccount.com
      containers:
      - image: shop
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
`))
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range file.Documents {
		if d.Kind == identity.KindUnknown {
			fmt.Printf("%s:%d: no workload\n", file.Name, d.Line)
			continue
		}
		fmt.Printf("%s:%d: %v %s runs as %s\n", file.Name, d.IdentityLine, d.Kind, d.Name, d.Identity)
	}

	_, err = manifest.Parse("job.yaml", []byte("kind: Job\n\tapiVersion: run.googleapis.com/v1\n"))
	fmt.Println(err)
	// Output:
	// shop.yaml:8: service shop runs as runner@web-prod.iam.gserviceaccount.com
	// shop.yaml:12: no workload
	// job.yaml:2:1: found a tab character that violates indentation: YAML doesn't indent with tabs
}

// A bot that reads a checkout passes os.DirFS of it.
func ExampleWalk() {
	checkout := fstest.MapFS{
		"jobs/nightly.yaml": {Data: []byte(`apiVersion: run.googleapis.com/v1
kind: Job
metadata: {name: nightly}
spec: {template: {spec: {template: {spec: {serviceAccountName: runner@web-prod.iam.gserviceaccount.com, containers: [{image: nightly}]}}}}}
`)},
		"jobs/broken.yaml":      {Data: []byte("kind: [Job\n")},
		"README.md":             {Data: []byte("not a manifest")},
		".github/workflow.yaml": {Data: []byte("on: push")},
	}
	for file, err := range manifest.Walk(checkout, ".") {
		if err != nil {
			if flaw, ok := errors.AsType[*manifest.Error](err); ok {
				fmt.Println("can't read", flaw.File, "at line", flaw.Line)
			}
			continue // the other files follow
		}
		for _, d := range file.Documents {
			fmt.Println(file.Name, d.Name, d.Identity)
		}
	}
	// Output:
	// can't read jobs/broken.yaml at line 1
	// jobs/nightly.yaml nightly runner@web-prod.iam.gserviceaccount.com
}

// What Export returns can be put under version control, edited with File.Set and
// applied again.
func ExampleClient_Export() {
	ctx := context.Background()
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.AddRunJSON("projects/web-prod/locations/europe-west1/jobs/nightly",
		[]byte(`{"template": {"template": {"containers": [{"image": "nightly", "resources": {"limits": {"cpu": "1"}}}], "maxRetries": 0, "timeout": "600s"}}}`))
	b.Grant("projects/web-prod", "roles/run.viewer", "user:dev@example.com")

	client, err := manifest.NewClient(ctx, b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		log.Fatal(err)
	}
	data, err := client.Export(ctx, identity.Job("web-prod", "europe-west1", "nightly"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", data)
	// Output:
	// apiVersion: run.googleapis.com/v1
	// kind: Job
	// metadata:
	//   annotations:
	//     run.googleapis.com/creator: admin
	//     run.googleapis.com/lastModifier: admin
	//   labels:
	//     cloud.googleapis.com/location: europe-west1
	//   name: nightly
	//   namespace: '123456789012'
	// spec:
	//   template:
	//     metadata:
	//       annotations:
	//         run.googleapis.com/execution-environment: gen2
	//     spec:
	//       taskCount: 1
	//       template:
	//         spec:
	//           containers:
	//           - image: nightly
	//             resources:
	//               limits:
	//                 cpu: '1'
	//                 memory: 512Mi
	//           maxRetries: 0
	//           serviceAccountName: 123456789012-compute@developer.gserviceaccount.com
	//           timeoutSeconds: '600'
}
