package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runv2 "google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

const (
	runner = "runner@demo-proj.iam.gserviceaccount.com"
	bot    = "deploy-bot@demo-proj.iam.gserviceaccount.com"
)

func TestGcloudJobs(t *testing.T) {
	t.Parallel()
	g := newGcloud(t, startEmulator(t), owner)
	g.ok("run jobs create etl --image=gcr.io/p/etl:1 --service-account="+runner+" --max-retries=0 --tasks=2 --set-secrets=S=s:latest",
		"run jobs update etl --service-account="+bot+" --update-env-vars=A=1",
		"run jobs execute etl", "run jobs execute etl --wait", "run jobs execute etl --async --args=x --tasks=3")
	assert.Equal(t, 3, strings.Count(g.ok("run jobs executions list --job=etl"), "etl-"))
	execution := strings.TrimSpace(g.ok("run jobs executions list --job=etl --limit=1 --format=value(metadata.name)"))
	assert.Contains(t, g.ok("run jobs executions describe "+execution), execution)
	g.ok("run jobs executions delete " + execution)
	assert.Contains(t, g.ok("run jobs list"), "nightly")
	assert.Contains(t, g.ok("run jobs list --region=us-central1"), "etl")
	g.ok("run jobs deploy etl --image=gcr.io/p/etl:2", "run jobs deploy new --image=gcr.io/p/new:1")

	exported := g.ok("run jobs describe etl --format=export")
	assert.Contains(t, exported, "serviceAccountName: "+bot)
	assert.Contains(t, exported, "maxRetries: 0")
	g.file("job.yaml", strings.Replace(exported, bot, runner, 1))
	g.ok("run jobs replace job.yaml")
	assert.Equal(t, strings.Replace(exported, bot, runner, 1), g.ok("run jobs describe etl --format=export"))
	g.file("copy.yaml", strings.Replace(exported, "name: etl", "name: copy", 1))
	g.ok("run jobs replace copy.yaml", "run jobs delete copy",
		"run jobs add-iam-policy-binding etl --member=user:dev@example.com --role=roles/run.invoker")
	assert.Contains(t, g.ok("run jobs get-iam-policy etl"), "user:dev@example.com")
	g.ok("run jobs remove-iam-policy-binding etl --member=user:dev@example.com --role=roles/run.invoker", "run regions list --limit=1")

	assert.Contains(t, g.refused("run jobs describe copy"), "Cannot find job [copy]")
	assert.Contains(t, g.refused("run jobs create etl --image=gcr.io/p/etl:1"), "Job [etl] already exists.")
	assert.Contains(t, g.refused("run jobs update etl --service-account=gone@demo-proj.iam.gserviceaccount.com"),
		"Permission 'iam.serviceaccounts.actAs' denied on service account gone@demo-proj.iam.gserviceaccount.com (or it may not exist).")
}

func TestGcloudRefusals(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	dev := newGcloud(t, e, "user:dev@example.com")
	dev.ok("run jobs update nightly --service-account=" + runner)
	assert.Contains(t, dev.refused("run jobs update nightly --service-account="+bot),
		"PERMISSION_DENIED: Permission 'iam.serviceaccounts.actAs' denied on service account "+bot+" (or it may not exist).")
	assert.Contains(t, dev.refused("run jobs update gone --service-account="+runner), "Job [gone] could not be found")
	assert.Contains(t, dev.refused("projects get-iam-policy demo-proj"), "does not have permission")
	stranger := newGcloud(t, e, "user:stranger@example.com")
	assert.Contains(t, stranger.refused("run jobs describe nightly"), "Permission 'run.jobs.get' denied on resource 'namespaces/demo-proj/jobs/nightly'")
	assert.Contains(t, newGcloud(t, e, owner).refused("run jobs update nightly --service-account=exporter@data-prod.iam.gserviceaccount.com"),
		"iam.disableCrossProjectServiceAccountUsage")
}

func TestGcloudServices(t *testing.T) {
	t.Parallel()
	g := newGcloud(t, startEmulator(t), owner)
	g.ok("run deploy web --image=gcr.io/p/web:1 --no-allow-unauthenticated --service-account="+runner,
		"run deploy web --image=gcr.io/p/web:2 --no-cpu-throttling --min-instances=1",
		"run services update web --service-account="+bot,
		"run services update-traffic web --to-latest --set-tags=blue=LATEST",
		"run services add-iam-policy-binding web --member=user:dev@example.com --role=roles/run.invoker")
	assert.Contains(t, g.ok("run services describe web --format=export"), "run.googleapis.com/cpu-throttling: 'False'")
	assert.Contains(t, g.ok("run services describe web"), "blue: https://blue---web-123456789012.us-central1.run.app")
	assert.Contains(t, g.ok("run services list"), "storefront")
	assert.Contains(t, g.ok("run revisions list --service=web"), "web-00003-")
	g.ok("run deploy open --image=gcr.io/p/web:1 --allow-unauthenticated")
	assert.Contains(t, g.ok("run services get-iam-policy open"), "allUsers")
	g.ok("run services delete web")
	assert.Contains(t, g.refused("run services describe web"), "Cannot find service [web]")

	g.file("pool.yaml", `apiVersion: run.googleapis.com/v1
kind: WorkerPool
metadata:
  name: pool
  annotations:
    run.googleapis.com/manualInstanceCount: '2'
spec:
  template:
    spec:
      serviceAccountName: `+runner+`
      containers:
      - image: gcr.io/p/pool:1
`)
	g.ok("beta run worker-pools replace pool.yaml")
	exported := g.ok("beta run worker-pools describe pool --format=export")
	assert.Contains(t, exported, "serviceAccountName: "+runner)
	assert.Contains(t, g.ok("beta run worker-pools list"), "pool")
	g.file("pool.yaml", strings.Replace(exported, runner, bot, 1))
	g.ok("beta run worker-pools replace pool.yaml")
	assert.Equal(t, strings.Replace(exported, runner, bot, 1), g.ok("beta run worker-pools describe pool --format=export"))
}

// A job that gcloud wrote is read and attached anew by this library, and
// described by gcloud: nothing is lost either way.
func TestGcloudAndLibrary(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	g := newGcloud(t, e, owner)
	g.file("odd.yaml", `apiVersion: run.googleapis.com/v1
kind: Job
metadata:
  name: odd
  labels: {team: data}
  annotations: {run.googleapis.com/launch-stage: BETA, example.com/note: 'yes'}
spec:
  template:
    metadata:
      annotations:
        run.googleapis.com/cloudsql-instances: demo-proj:us-central1:db
        run.googleapis.com/vpc-access-egress: all
        run.googleapis.com/vpc-access-connector: c
        run.googleapis.com/secrets: theirs:projects/1/secrets/theirs
    spec:
      parallelism: 2
      taskCount: 3
      template:
        spec:
          maxRetries: 0
          timeoutSeconds: '3600'
          serviceAccountName: `+runner+`
          containers:
          - image: gcr.io/p/odd:1
            env:
            - {name: EMPTY, value: ''}
            - {name: SECRET, valueFrom: {secretKeyRef: {name: theirs, key: latest}}}
            volumeMounts:
            - {name: data, mountPath: /data}
          volumes:
          - name: data
            csi: {driver: gcsfuse.run.googleapis.com, volumeAttributes: {bucketName: b}}
`)
	g.ok("run jobs replace odd.yaml")
	before := g.ok("run jobs describe odd --format=export")

	client, err := identity.NewClient(t.Context(), fake.Remote(e.address, owner)...)
	require.NoError(t, err)
	job, err := identity.ParseWorkload("projects/demo-proj/locations/us-central1/jobs/odd")
	require.NoError(t, err)
	account, err := identity.ParseServiceAccount(bot)
	require.NoError(t, err)
	_, err = client.Attach(t.Context(), job, account, nil)
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(before, runner, bot, 1), g.ok("run jobs describe odd --format=export"))

	svc, err := runv2.NewService(t.Context(), fake.Remote(e.address, owner)...)
	require.NoError(t, err)
	stored, err := svc.Projects.Locations.Jobs.Get("projects/demo-proj/locations/us-central1/jobs/odd").Do()
	require.NoError(t, err)
	assert.Equal(t, "BETA", stored.LaunchStage)
	assert.Equal(t, "ALL_TRAFFIC", stored.Template.Template.VpcAccess.Egress)
	g.ok("run jobs update odd --service-account=" + runner)
	again, err := svc.Projects.Locations.Jobs.Get("projects/demo-proj/locations/us-central1/jobs/odd").Do()
	require.NoError(t, err)
	assert.Equal(t, runner, again.Template.Template.ServiceAccount)
	again.Template.Template.ServiceAccount = bot
	// gcloud signs what it writes.
	again.Client, again.ClientVersion, again.Template.Client, again.Template.ClientVersion = "", "", "", ""
	stored.Client, stored.ClientVersion, stored.Template.Client, stored.Template.ClientVersion = "", "", "", ""
	stored.Template.Labels, again.Template.Labels = nil, nil // a nonce
	assert.Equal(t, stored.Template, again.Template)
}
