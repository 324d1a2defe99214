package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/identity/manifest"
)

// manifests are one of each kind, as people write them. gcloud's beta commands,
// the only ones for worker pools that use REST, set the launch stage.
var manifests = map[identity.Kind]string{
	identity.KindJob: `apiVersion: run.googleapis.com/v1
kind: Job
metadata:
  name: sample
  labels:
    team: data
spec:
  template:
    metadata:
      annotations:
        run.googleapis.com/cloudsql-instances: demo-proj:us-central1:db
        run.googleapis.com/execution-environment: gen2
    spec:
      parallelism: 2
      taskCount: 5
      template:
        spec:
          maxRetries: 0
          timeoutSeconds: 1800
          serviceAccountName: RUNNER
          containers:
          - image: us-docker.pkg.dev/p/jobs/etl:1
            command: [python, -m, etl]
            env:
            - name: MODE
              value: 'full'
            - name: PASSWORD
              valueFrom:
                secretKeyRef: {name: db, key: latest}
            resources:
              limits: {cpu: '2', memory: 1Gi}
`,
	identity.KindService: `apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: sample
  annotations:
    run.googleapis.com/ingress: internal-and-cloud-load-balancing
    run.googleapis.com/minScale: '1'
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/maxScale: '10'
        run.googleapis.com/cpu-throttling: 'false'
        run.googleapis.com/startup-cpu-boost: 'true'
    spec:
      serviceAccountName: RUNNER
      containerConcurrency: 40
      containers:
      - image: us-docker.pkg.dev/p/apps/web:1
        ports:
        - containerPort: 9090
        livenessProbe:
          httpGet: {path: /healthz}
        volumeMounts:
        - {name: scratch, mountPath: /scratch}
      volumes:
      - name: scratch
        emptyDir: {medium: Memory, sizeLimit: 256Mi}
  traffic:
  - latestRevision: true
    percent: 100
`,
	identity.KindWorkerPool: `apiVersion: run.googleapis.com/v1
kind: WorkerPool
metadata:
  name: sample
  annotations:
    run.googleapis.com/launch-stage: BETA
    run.googleapis.com/manualInstanceCount: '3'
spec:
  template:
    spec:
      serviceAccountName: RUNNER
      containers:
      - image: us-docker.pkg.dev/p/workers/queue:1
`,
}

// A manifest that this library applies and the same one that gcloud applies to
// another project give the same workload, and exports of both are the same
// document.
func TestGcloudAppliesTheSame(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	g := newGcloud(t, e, owner)
	client, err := manifest.NewClient(t.Context(), fake.Remote(e.address, owner)...)
	require.NoError(t, err)
	const ours, theirs = "demo-proj", "data-prod"
	commands := map[identity.Kind]string{
		identity.KindJob: "run jobs", identity.KindService: "run services", identity.KindWorkerPool: "beta run worker-pools",
	}
	for kind, source := range manifests {
		name := "sample-" + strings.ReplaceAll(kind.String(), " ", "-")
		source = strings.Replace(source, "name: sample", "name: "+name, 1)
		for _, image := range []string{":1", ":2"} { // created, and replaced
			source = strings.Replace(source, ":1\n", image+"\n", 1)
			file, err := manifest.Parse("sample.yaml", []byte(strings.Replace(source, "RUNNER", runner, 1)))
			require.NoError(t, err)
			applied, err := client.Apply(t.Context(), file, 0, &manifest.ApplyOptions{Project: ours, Region: "us-central1"})
			require.NoError(t, err)
			assert.True(t, applied.Done)
			g.file("sample.yaml", strings.Replace(source, "RUNNER", "exporter@data-prod.iam.gserviceaccount.com", 1))
			g.ok(commands[kind] + " replace sample.yaml --project=" + theirs)

			mine := identity.Workload{Kind: kind, Project: ours, Location: "us-central1", ID: name}
			other := identity.Workload{Kind: kind, Project: theirs, Location: "us-central1", ID: name}
			assert.Equal(t, stored(t, e, mine), stored(t, e, other))

			for project, w := range map[string]identity.Workload{ours: mine, theirs: other} {
				exported, err := client.Export(t.Context(), w)
				require.NoError(t, err)
				assert.Equal(t, g.ok(commands[kind]+" describe "+name+" --format=export --project="+project), string(exported))
			}
		}
	}
}

// stored is a workload as version 2 of the API answers it, but for what the same
// manifest in two projects may differ in: names, times, accounts, and what gcloud
// says of itself.
func stored(t *testing.T, e *emulator, w identity.Workload) map[string]any {
	t.Helper()
	status, body := exchange(t, e.address, "GET http://run.googleapis.com/v2/"+w.String()+" HTTP/1.1\r\nHost: run.googleapis.com\r\n"+
		"Authorization: Bearer "+owner+"\r\n\r\n")
	require.Equal(t, http.StatusOK, status, body)
	for _, account := range []string{runner, "exporter@data-prod.iam.gserviceaccount.com"} {
		body = strings.ReplaceAll(body, account, "ACCOUNT")
	}
	var o map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &o))
	for _, field := range []string{
		"name", "uid", "etag", "createTime", "updateTime", "terminalCondition", "conditions", "latestCreatedRevision", "latestReadyRevision",
		"uri", "client", "clientVersion",
	} {
		delete(o, field)
	}
	template, _ := o["template"].(map[string]any)
	require.NotNil(t, template)
	delete(template, "client")
	delete(template, "clientVersion")
	if labels, ok := template["labels"].(map[string]any); ok {
		delete(labels, "client.knative.dev/nonce")
		if len(labels) == 0 {
			delete(template, "labels")
		}
	}
	return o
}
