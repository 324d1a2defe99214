package fake_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	runv1 "google.golang.org/api/run/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

const (
	regional  = "https://europe-west1-run.googleapis.com/"
	jobsV1    = regional + "apis/run.googleapis.com/v1/namespaces/web-prod/jobs"
	poolsV1   = regional + "apis/run.googleapis.com/v1/namespaces/web-prod/workerpools"
	servingV1 = regional + "apis/serving.knative.dev/v1/namespaces/web-prod/services"
	account   = "x@web-prod.iam.gserviceaccount.com"
)

func startedV1(t *testing.T) (*fake.Backend, *runv1.APIService) {
	t.Helper()
	b, _ := started(t)
	svc, err := runv1.NewService(t.Context(), append(b.ClientOptions("user:dev@example.com"), option.WithEndpoint(regional))...)
	require.NoError(t, err)
	return b, svc
}

func manifestV1(name string) *runv1.Job {
	return &runv1.Job{
		ApiVersion: "run.googleapis.com/v1", Kind: "Job",
		Metadata: &runv1.ObjectMeta{Name: name, Namespace: "web-prod"},
		Spec: &runv1.JobSpec{Template: &runv1.ExecutionTemplateSpec{Spec: &runv1.ExecutionSpec{Template: &runv1.TaskTemplateSpec{
			Spec: &runv1.TaskSpec{ServiceAccountName: account, Containers: []*runv1.Container{{Image: "image"}}},
		}}}},
	}
}

func TestV1Job(t *testing.T) {
	t.Parallel()
	b, svc := startedV1(t)
	created, err := svc.Namespaces.Jobs.Create("namespaces/web-prod", manifestV1("nightly-2")).Do()
	require.NoError(t, err)
	assert.Equal(t, "Unknown", created.Status.Conditions[0].Status)
	assert.NotEmpty(t, created.Metadata.Annotations["run.googleapis.com/operation-id"])

	job, err := svc.Namespaces.Jobs.Get("namespaces/123456789012/jobs/nightly-2").Do()
	require.NoError(t, err)
	assert.Equal(t, "123456789012", job.Metadata.Namespace)
	assert.Equal(t, "/apis/run.googleapis.com/v1/namespaces/123456789012/jobs/nightly-2", job.Metadata.SelfLink)
	assert.Equal(t, "europe-west1", job.Metadata.Labels["cloud.googleapis.com/location"])
	assert.Equal(t, "dev@example.com", job.Metadata.Annotations["run.googleapis.com/creator"])
	assert.Equal(t, int64(1), job.Metadata.Generation)
	assert.Equal(t, "True", job.Status.Conditions[0].Status)
	assert.Equal(t, int64(600), job.Spec.Template.Spec.Template.Spec.TimeoutSeconds)
	assert.Equal(t, "gen2", job.Spec.Template.Metadata.Annotations["run.googleapis.com/execution-environment"])
	assert.Equal(t, account, field(parse(t, b.RunJSON(location+"/jobs/nightly-2")), "template.template.serviceAccount"))

	job.Spec.Template.Spec.TaskCount = 4
	replaced, err := svc.Namespaces.Jobs.ReplaceJob("namespaces/web-prod/jobs/nightly-2", job).Do()
	require.NoError(t, err)
	assert.Equal(t, int64(2), replaced.Metadata.Generation)
	assert.Equal(t, json.Number("4"), field(parse(t, b.RunJSON(location+"/jobs/nightly-2")), "template.taskCount"))

	t.Run("an older resourceVersion is a conflict", func(t *testing.T) {
		_, err := svc.Namespaces.Jobs.ReplaceJob("namespaces/web-prod/jobs/nightly-2", job).Do()
		g := googleError(t, err)
		assert.Equal(t, http.StatusConflict, g.Code)
		assert.Regexp(t, `^Conflict for resource 'nightly-2': version '\d{16}' was specified but current version is '\d{16}'\.$`, g.Message)
		assert.Contains(t, g.Body, `"ABORTED"`)
		assert.Contains(t, g.Body, `"errors"`)
	})

	execution, err := svc.Namespaces.Jobs.Run("namespaces/web-prod/jobs/nightly-2", &runv1.RunJobRequest{
		Overrides: &runv1.Overrides{TimeoutSeconds: 30, ContainerOverrides: []*runv1.ContainerOverride{{Args: []string{"now"}}}},
	}).Do()
	require.NoError(t, err)
	assert.Equal(t, int64(30), execution.Spec.Template.Spec.TimeoutSeconds)
	assert.Equal(t, []string{"now"}, execution.Spec.Template.Spec.Containers[0].Args)
	assert.Equal(t, "nightly-2", execution.Metadata.Labels["run.googleapis.com/job"])
	execution, err = svc.Namespaces.Executions.Get("namespaces/web-prod/executions/" + execution.Metadata.Name).Do()
	require.NoError(t, err)
	assert.Equal(t, int64(4), execution.Status.SucceededCount)
	list, err := svc.Namespaces.Executions.List("namespaces/web-prod").LabelSelector("run.googleapis.com/job = nightly-2").Do()
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	job, err = svc.Namespaces.Jobs.Get("namespaces/web-prod/jobs/nightly-2").Do()
	require.NoError(t, err)
	assert.Equal(t, execution.Metadata.Name, job.Status.LatestCreatedExecution.Name)
	assert.Equal(t, "EXECUTION_SUCCEEDED", job.Status.LatestCreatedExecution.CompletionStatus)

	status, err := svc.Namespaces.Jobs.Delete("namespaces/web-prod/jobs/nightly-2").Do()
	require.NoError(t, err)
	assert.Equal(t, "Success", status.Status)
	_, err = svc.Namespaces.Jobs.Get("namespaces/web-prod/jobs/nightly-2").Do()
	assert.Equal(t, http.StatusNotFound, googleError(t, err).Code)
	assert.Equal(t, "Resource 'nightly-2' of kind 'JOB' in region 'europe-west1' in project 'web-prod' does not exist.", googleError(t, err).Message)
}

func TestV1Cancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := startedV1(t)
		b.SetOperationTime(time.Minute)
		execution, err := svc.Namespaces.Jobs.Run("namespaces/web-prod/jobs/nightly", &runv1.RunJobRequest{}).Do()
		require.NoError(t, err)
		name := "namespaces/web-prod/executions/" + execution.Metadata.Name
		_, err = svc.Namespaces.Executions.Cancel(name, &runv1.CancelExecutionRequest{}).Do()
		require.NoError(t, err)
		time.Sleep(time.Minute)
		execution, err = svc.Namespaces.Executions.Get(name).Do()
		require.NoError(t, err)
		assert.Equal(t, int64(1), execution.Status.CancelledCount)
		assert.Equal(t, "False", execution.Status.Conditions[0].Status)
		assert.Equal(t, "Cancelled", execution.Status.Conditions[0].Reason)
		_, err = svc.Namespaces.Executions.Delete(name).Do()
		require.NoError(t, err)
	})
}

// Until an operation ends, gcloud sees a condition that is unknown, and may
// wait for the operation by its id.
func TestV1WaitsForOperations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := startedV1(t)
		b.SetOperationTime(10 * time.Second)
		status, body := call(t, b, http.MethodPost, servingV1, `{"apiVersion":"serving.knative.dev/v1","kind":"Service",
			"metadata":{"name":"web","namespace":"web-prod"},"spec":{"template":{"spec":{"serviceAccountName":"`+account+`","containers":[{"image":"i"}]}}}}`)
		require.Equal(t, http.StatusOK, status, body)
		created := parse(t, []byte(body))
		assert.Equal(t, "Unknown", field(created, "status.conditions").([]any)[0].(map[string]any)["status"])
		assert.Nil(t, field(created, "status.observedGeneration"))
		annotations := field(created, "metadata.annotations").(map[string]any)
		assert.Equal(t, "all", annotations["run.googleapis.com/ingress"])
		op, err := svc.Projects.Locations.Operations.Wait("projects/web-prod/locations/europe-west1/operations/"+
			annotations["run.googleapis.com/operation-id"].(string), &runv1.GoogleLongrunningWaitOperationRequest{Timeout: "30s"}).Do()
		require.NoError(t, err)
		require.True(t, op.Done)
		answer := parse(t, op.Response)
		assert.Equal(t, "serving.knative.dev/v1", answer["apiVersion"])
		assert.Equal(t, "https://web-123456789012.europe-west1.run.app", field(answer, "status.url"))
		revisions, err := svc.Namespaces.Revisions.List("namespaces/web-prod").LabelSelector("serving.knative.dev/service=web").Do()
		require.NoError(t, err)
		require.Len(t, revisions.Items, 1)
		assert.Equal(t, field(answer, "status.latestReadyRevisionName"), revisions.Items[0].Metadata.Name)
		assert.Equal(t, account, revisions.Items[0].Spec.ServiceAccountName)
	})
}

func TestV1Lists(t *testing.T) {
	t.Parallel()
	b, svc := startedV1(t)
	for _, at := range []string{"asia-east1/jobs/a", "europe-west1/jobs/b", "europe-west1/jobs/c"} {
		b.AddRunJSON("projects/web-prod/locations/"+at, []byte(`{"labels":{"at":"`+at[:2]+`"},"template":{"template":{"containers":[{"image":"i"}]}}}`))
	}
	names := func(list *runv1.ListJobsResponse, err error) (out []string) {
		t.Helper()
		require.NoError(t, err)
		assert.Equal(t, "JobList", list.Kind)
		for _, job := range list.Items {
			out = append(out, job.Metadata.Labels["cloud.googleapis.com/location"]+"/"+job.Metadata.Name)
		}
		return out
	}
	jobs := svc.Namespaces.Jobs
	assert.Equal(t, []string{"europe-west1/b", "europe-west1/c", "europe-west1/nightly"}, names(jobs.List("namespaces/web-prod").Do()))
	assert.Equal(t, []string{"europe-west1/b", "europe-west1/c"}, names(jobs.List("namespaces/web-prod").LabelSelector("at in (eu, us)").Do()))
	first, err := jobs.List("namespaces/web-prod").Limit(2).Do()
	assert.Equal(t, []string{"europe-west1/b", "europe-west1/c"}, names(first, err))
	assert.Equal(t, []string{"europe-west1/nightly"}, names(jobs.List("namespaces/web-prod").Limit(2).Continue(first.Metadata.Continue).Do()))

	_, err = jobs.Delete("namespaces/web-prod/jobs/c").Do()
	require.NoError(t, err)
	assert.Equal(t, []string{"europe-west1/b", "europe-west1/nightly"}, names(jobs.List("namespaces/web-prod").Do()))

	everywhere, err := runv1.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	assert.Equal(t, []string{"asia-east1/a", "europe-west1/b", "europe-west1/nightly"},
		names(everywhere.Namespaces.Jobs.List("namespaces/web-prod").Do()))
	services, err := everywhere.Projects.Locations.Services.List("projects/web-prod/locations/-").Do()
	require.NoError(t, err)
	assert.Empty(t, services.Items)
	locations, err := everywhere.Projects.Locations.List("projects/web-prod").PageSize(3).Do()
	require.NoError(t, err)
	assert.Len(t, locations.Locations, 3)
	assert.NotEmpty(t, locations.NextPageToken)
}

func TestV1Refusals(t *testing.T) {
	t.Parallel()
	const job = `{"apiVersion":"run.googleapis.com/v1","kind":"Job","metadata":{"name":"new","namespace":"web-prod"},
		"spec":{"template":{"spec":{"template":{"spec":{"serviceAccountName":"` + account + `","containers":[{"image":"i"}]}}}}}}`
	with := func(old, replacement string) string { return strings.Replace(job, old, replacement, 1) }
	for _, tc := range []struct {
		name, caller, verb, url, body string
		status                        int
		says                          string
	}{
		{"no permission to create", "user:none@example.com", "POST", jobsV1, job, 403, `Permission 'run.jobs.create' denied on resource 'namespaces/web-prod/jobs/new' (or resource may not exist).`},
		{"no permission to update", "user:none@example.com", "PUT", jobsV1 + "/new", job, 403, `Permission 'run.jobs.update' denied on resource 'namespaces/web-prod/jobs/new' (or resource may not exist).`},
		{"no such project", "user:dev@example.com", "GET", strings.Replace(jobsV1, "web-prod", "gone", 1) + "/new", "", 403, `Permission 'run.jobs.get' denied on resource 'namespaces/gone/jobs/new' (or resource may not exist).`},
		{"no actAs", "user:runner@example.com", "POST", jobsV1, job, 403, `Permission 'iam.serviceaccounts.actAs' denied on service account ` + account + ` (or it may not exist).`},
		{"missing account", "user:dev@example.com", "POST", jobsV1, with(account, "gone@web-prod.iam.gserviceaccount.com"), 403, `Permission 'iam.serviceaccounts.actAs' denied on service account gone@web-prod.iam.gserviceaccount.com (or it may not exist).`},
		{"duplicate", "user:dev@example.com", "POST", jobsV1, with(`"new"`, `"nightly"`), 409, `Resource 'nightly' already exists.`},
		{"missing job", "user:dev@example.com", "PUT", jobsV1 + "/new", job, 404, `Resource 'new' of kind 'JOB' in region 'europe-west1' in project 'web-prod' does not exist.`},
		{"other kind", "user:dev@example.com", "POST", jobsV1, with(`"Job"`, `"Service"`), 400, `kind: Expected value 'Job' obtained 'Service'.`},
		{"other version", "user:dev@example.com", "POST", jobsV1, with(`"run.googleapis.com/v1"`, `"batch/v1"`), 400, `apiVersion: Expected value 'run.googleapis.com/v1' obtained 'batch/v1'.`},
		{"other name", "user:dev@example.com", "PUT", jobsV1 + "/nightly", job, 400, `metadata.name: Expected value 'nightly' obtained 'new'.`},
		{"other namespace", "user:dev@example.com", "POST", jobsV1, with(`"namespace":"web-prod"`, `"namespace":"other"`), 400, `metadata.namespace: Expected value 'web-prod' obtained 'other'.`},
		{"no namespace", "user:dev@example.com", "POST", jobsV1, with(`,"namespace":"web-prod"`, ``), 400, `metadata.namespace: Expected value 'web-prod' obtained ''.`},
		{"bad name", "user:dev@example.com", "POST", jobsV1, with(`"new"`, `"New"`), 400, `metadata.name: Resource name must use only`},
		{"bad annotation", "user:dev@example.com", "POST", jobsV1, with(`"spec":{"template":{`, `"spec":{"template":{"metadata":{"annotations":{"run.googleapis.com/vpc-access-egress":"some"}},`), 400, `spec.template: metadata.annotations.run.googleapis.com/vpc-access-egress: Invalid value "some": expected one of all, all-traffic, private-ranges-only.`},
		{"bad version", "user:dev@example.com", "PUT", jobsV1 + "/nightly", strings.Replace(with(`"new"`, `"nightly"`), `"namespace"`, `"resourceVersion":"?","namespace"`, 1), 400, `metadata.resourceVersion: Invalid value '?'.`},
		{"dry run of another kind", "user:dev@example.com", "POST", jobsV1 + "?dryRun=some", job, 400, `dryRun: Invalid value "some": the only one is "all".`},
		{"no region", "user:dev@example.com", "GET", strings.Replace(jobsV1, "europe-west1-", "", 1) + "/nightly", "", 400, `The host name has to begin with a region, as in us-central1-run.googleapis.com.`},
		{"no such region", "user:dev@example.com", "GET", strings.Replace(jobsV1, "europe-west1-", "us-nowhere9-", 1) + "/nightly", "", 501, `Operation is not implemented, or supported, or enabled.`},
		{"bad selector", "user:dev@example.com", "GET", jobsV1 + "?labelSelector=a%20b", "", 400, `labelSelector: Invalid value "a b"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b, _ := started(t)
			b.Grant("projects/web-prod", "roles/run.developer", "user:runner@example.com")
			before := string(b.RunJSON(jobName))
			status, body := ask(t, b, tc.caller, tc.verb, tc.url, tc.body)
			assert.Equal(t, tc.status, status)
			message, _ := field(parse(t, []byte(body)), "error.message").(string)
			assert.Contains(t, message, tc.says)
			errors, _ := field(parse(t, []byte(body)), "error.errors").([]any)
			assert.Len(t, errors, 1, "version 1 still sends errors[]")
			assert.Equal(t, before, string(b.RunJSON(jobName)))
			assert.Nil(t, b.RunJSON(location+"/jobs/new"))
		})
	}
}

func TestV1DryRun(t *testing.T) {
	t.Parallel()
	b, svc := startedV1(t)
	job, err := svc.Namespaces.Jobs.Create("namespaces/web-prod", manifestV1("new")).DryRun("all").Do()
	require.NoError(t, err)
	assert.Equal(t, account, job.Spec.Template.Spec.Template.Spec.ServiceAccountName)
	assert.Nil(t, b.RunJSON(location+"/jobs/new"))
	before := string(b.RunJSON(jobName))
	_, err = svc.Namespaces.Jobs.ReplaceJob("namespaces/web-prod/jobs/nightly", manifestV1("nightly")).DryRun("all").Do()
	require.NoError(t, err)
	_, err = svc.Namespaces.Jobs.Delete("namespaces/web-prod/jobs/nightly").DryRun("all").Do()
	require.NoError(t, err)
	assert.Equal(t, before, string(b.RunJSON(jobName)))
}

// Policies are the same whichever version reads them.
func TestV1Policies(t *testing.T) {
	t.Parallel()
	b, svc := startedV1(t)
	jobs := svc.Projects.Locations.Jobs
	_, err := jobs.SetIamPolicy(jobName, &runv1.SetIamPolicyRequest{Policy: &runv1.Policy{
		Bindings: []*runv1.Binding{{Role: "roles/run.viewer", Members: []string{"user:ann@example.com"}}},
	}}).Do()
	require.NoError(t, err)
	assert.Contains(t, b.Explain("user:ann@example.com", "run.jobs.get", jobName), "granted")
	status, _ := ask(t, b, "user:ann@example.com", http.MethodGet, jobsV1+"/nightly", "")
	assert.Equal(t, http.StatusOK, status)
	pool := location + "/workerPools/pool"
	b.AddWorkerPool(&run.GoogleCloudRunV2WorkerPool{Name: pool, Template: &run.GoogleCloudRunV2WorkerPoolRevisionTemplate{
		Containers: []*run.GoogleCloudRunV2Container{{Image: "i"}},
	}})
	policy, err := svc.Projects.Locations.Workerpools.GetIamPolicy(strings.Replace(pool, "workerPools", "workerpools", 1)).Do()
	require.NoError(t, err)
	assert.Empty(t, policy.Bindings)
}

// Faults, times and counts are those of version 1's own methods.
func TestV1Faults(t *testing.T) {
	t.Parallel()
	b, svc := startedV1(t)
	b.Inject("run.namespaces.jobs.replaceJob", fake.Fault{Status: 503, Times: 1})
	_, err := svc.Namespaces.Jobs.ReplaceJob("namespaces/web-prod/jobs/nightly", manifestV1("nightly")).Do()
	assert.Equal(t, 503, googleError(t, err).Code)
	calls := b.Calls()
	assert.Equal(t, "run.namespaces.jobs.replaceJob", calls[len(calls)-1].Method)
}

// Services and revisions are also found below projects, with the region in the
// path.
func TestV1LocatedServices(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	svc, err := runv1.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	services := svc.Projects.Locations.Services
	service := &runv1.Service{
		ApiVersion: "serving.knative.dev/v1", Kind: "Service", Metadata: &runv1.ObjectMeta{Name: "web", Namespace: "123456789012"},
		Spec: &runv1.ServiceSpec{Template: &runv1.RevisionTemplate{Spec: &runv1.RevisionSpec{Containers: []*runv1.Container{{Image: "i"}}}}},
	}
	_, err = services.Create(location, service).Do()
	require.NoError(t, err)
	service.Spec.Template.Spec.ServiceAccountName = account
	_, err = services.ReplaceService(location+"/services/web", service).Do()
	require.NoError(t, err)
	got, err := services.Get(location + "/services/web").Do()
	require.NoError(t, err)
	assert.Equal(t, account, got.Spec.Template.Spec.ServiceAccountName)
	revision, err := svc.Projects.Locations.Revisions.Get(location + "/revisions/" + got.Status.LatestReadyRevisionName).Do()
	require.NoError(t, err)
	assert.Equal(t, "web", revision.Status.ServiceName)
	list, err := svc.Projects.Locations.Revisions.List("projects/web-prod/locations/-").Do()
	require.NoError(t, err)
	assert.Len(t, list.Items, 2)
	_, err = services.Delete(location + "/services/web").Do()
	require.NoError(t, err)
	_, err = services.Get(location + "/services/web").Do()
	assert.Equal(t, http.StatusNotFound, googleError(t, err).Code)
}
