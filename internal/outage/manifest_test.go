package outage_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/identity/manifest"
	"github.com/runidentity/runidentity/internal/outage"
)

// manifestOf describes a job or service that runs as an account.
func manifestOf(w identity.Workload, sa identity.ServiceAccount) string {
	const service = `apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: NAME
spec:
  template:
    spec:
      serviceAccountName: ACCOUNT
      containers:
      - image: image
        env:
        - {name: MODE, value: slow}
`
	const job = `apiVersion: run.googleapis.com/v1
kind: Job
metadata:
  name: NAME
spec:
  template:
    spec:
      template:
        spec:
          maxRetries: 0
          serviceAccountName: ACCOUNT
          containers:
          - image: image
            env:
            - {name: MODE, value: slow}
`
	text := job
	if w.Kind == identity.KindService {
		text = service
	}
	return strings.NewReplacer("NAME", w.ID, "ACCOUNT", sa.Email()).Replace(text)
}

func apply(w identity.Workload, opts *manifest.ApplyOptions) action {
	var o manifest.ApplyOptions
	if opts != nil {
		o = *opts
	}
	o.Project, o.Region = w.Project, w.Location
	return func(ctx context.Context, b *world) outcome {
		client, err := manifest.NewClient(ctx, b.ClientOptions(fake.Admin)...)
		if err != nil {
			return outcome{claim: notDone, err: err}
		}
		file, err := manifest.Parse("file.yaml", []byte(manifestOf(w, runner)))
		if err != nil {
			return outcome{claim: notDone, err: err}
		}
		a, err := client.Apply(ctx, file, 0, &o)
		o := outcome{claim: claimOf(err), err: err}
		switch {
		case err == nil:
			o.value = fmt.Sprintf("%s -> %s, done %t, generation %d, created %t", a.Old, a.New, a.Done, a.Generation, a.Created)
		case o.claim == notDone && (a.Created || a.Done):
			o.claim = done
		}
		return o
	}
}

// applyAgain applies what may have been applied: then it says that it didn't
// create it, and that nothing changed.
func applyAgain(w identity.Workload) action { return apply(w, nil) }

func export(w identity.Workload) action {
	return func(ctx context.Context, b *world) outcome {
		client, err := manifest.NewClient(ctx, b.ClientOptions(fake.Admin)...)
		if err != nil {
			return outcome{claim: notDone, err: err}
		}
		text, err := client.Export(ctx, w)
		return outcome{claim: claimOf(err), value: string(text), err: err}
	}
}

// foreignManifests are answers of version 1 of the API about a workload that
// wasn't asked for.
func foreignManifests() []outage.Fault {
	resource := `{"apiVersion": "run.googleapis.com/v1", "kind": "Job",
		"metadata": {"name": "other", "namespace": "987654321098", "generation": 7, "resourceVersion": "AAAA", "uid": "c0ffee00-0000-4000-8000-000000000000"},
		"spec": {"template": {"spec": {"serviceAccountName": "` + runner.Email() + `", "containers": [{"image": "theirs"}],
			"template": {"spec": {"serviceAccountName": "` + runner.Email() + `", "containers": [{"image": "theirs"}]}}}}},
		"status": {"observedGeneration": 7, "conditions": [{"type": "Ready", "status": "True"}]}}`
	return []outage.Fault{
		outage.Answer("another's manifest", http.StatusOK, resource),
		outage.AnswerAfter("another's manifest, after", http.StatusOK, resource),
	}
}

func manifestOperations() []*operation {
	job, fresh, shop := identity.MustParseWorkload(jobName), identity.MustParseWorkload(newJob), identity.MustParseWorkload(shopName)
	freshShop := identity.Service("web-prod", "europe-west1", "front")
	foreign := foreignManifests()
	return []*operation{
		{name: "export job", seed: withJob(before), run: export(job), foreign: foreign},
		{name: "export service", seed: withService(before), run: export(shop), foreign: foreign},
		{name: "apply manifest, create job", seed: withJob(before), run: apply(fresh, nil), foreign: foreign},
		{name: "apply manifest, create service", seed: withService(before), run: apply(freshShop, nil), foreign: foreign},
		{name: "apply manifest, replace job", seed: withJob(before), run: apply(job, nil), foreign: foreign},
		{name: "apply manifest, replace service", seed: withService(before), run: apply(shop, nil), foreign: foreign},
		{name: "apply manifest, no wait", seed: withJob(before), run: apply(job, &manifest.ApplyOptions{NoWait: true}), again: applyAgain(job), foreign: foreign},
		{name: "apply manifest, dry run", seed: withJob(before), run: apply(job, &manifest.ApplyOptions{ValidateOnly: true}), foreign: foreign},
	}
}
