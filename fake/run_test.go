package fake_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/run/v2"
)

const api = "https://run.googleapis.com/v2/"

// parse reads JSON with number literals as they are.
func parse(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.UseNumber()
	var o map[string]any
	require.NoError(t, dec.Decode(&o), "%s", raw)
	return o
}

// field returns the value at a dotted path, or nil.
func field(o map[string]any, path string) any {
	var v any = o
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func googleError(t *testing.T, err error) *googleapi.Error {
	t.Helper()
	var g *googleapi.Error
	require.ErrorAs(t, err, &g)
	return g
}

func TestUnknownFieldsAndNumberLiteralsAreKept(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	status, body := call(t, b, http.MethodPost, api+location+"/jobs?jobId=odd", `{"of":{"tomorrow":[1.50,1e3,-0]},
		"template":{"taskCount":1.0,"template":{"maxRetries":0,"containers":[{"image":"i","env":[{"name":"E","value":""}],"gpu":2.0}]}}}`)
	require.Equal(t, http.StatusOK, status, body)
	o := parse(t, b.RunJSON(location+"/jobs/odd"))
	assert.Equal(t, []any{json.Number("1.50"), json.Number("1e3"), json.Number("-0")}, field(o, "of.tomorrow"))
	assert.Equal(t, json.Number("1.0"), field(o, "template.taskCount"))
	assert.Equal(t, json.Number("0"), field(o, "template.template.maxRetries"))
	container := field(o, "template.template.containers").([]any)[0].(map[string]any)
	assert.Equal(t, json.Number("2.0"), container["gpu"])
	assert.Equal(t, []any{map[string]any{"name": "E", "value": ""}}, container["env"])
}

func TestPatchReplacesAJob(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	_, err := svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{
		Labels: map[string]string{"a": "b"},
		Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{
			Containers:     []*run.GoogleCloudRunV2Container{{Image: "image"}},
			ServiceAccount: "x@web-prod.iam.gserviceaccount.com", MaxRetries: 7,
		}},
	}).Do()
	require.NoError(t, err)
	assert.Equal(t, json.Number("7"), field(parse(t, b.RunJSON(jobName)), "template.template.maxRetries"))

	_, err = svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: jobTemplate("image")}).Do()
	require.NoError(t, err)
	o := parse(t, b.RunJSON(jobName))
	assert.Nil(t, o["labels"])
	assert.Equal(t, json.Number("3"), field(o, "template.template.maxRetries"), "what is left out gets the default again")
	assert.Equal(t, "123456789012-compute@developer.gserviceaccount.com", field(o, "template.template.serviceAccount"))
	assert.Equal(t, "3", o["generation"])

	op, err := svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: jobTemplate("image")}).Do()
	require.NoError(t, err)
	assert.True(t, op.Done)
	assert.Equal(t, "3", parse(t, b.RunJSON(jobName))["generation"], "a patch that changes nothing keeps the generation")
}

func TestMaskedPatch(t *testing.T) {
	t.Parallel()
	name := location + "/services/shop"
	body := `{"labels":{"new":"1"},"template":{"serviceAccount":"x@web-prod.iam.gserviceaccount.com","timeout":"9s"}}`
	tests := map[string]struct {
		mask string
		want map[string]any
	}{
		"one field":    {"template.serviceAccount", map[string]any{"template.serviceAccount": "x@web-prod.iam.gserviceaccount.com", "template.timeout": "300s", "labels.old": "1"}},
		"snake case":   {"template.service_account", map[string]any{"template.serviceAccount": "x@web-prod.iam.gserviceaccount.com", "template.timeout": "300s", "labels.old": "1"}},
		"two fields":   {"labels,template.timeout", map[string]any{"template.timeout": "9s", "labels.old": nil, "labels.new": "1"}},
		"cleared":      {"template.maxInstanceRequestConcurrency,description", map[string]any{"template.maxInstanceRequestConcurrency": json.Number("80"), "description": nil}},
		"a map's key":  {"labels.new", map[string]any{"labels.old": "1", "labels.new": "1"}},
		"whole object": {"template", map[string]any{"template.timeout": "9s", "labels.old": "1"}},
	}
	for test, tt := range tests {
		t.Run(test, func(t *testing.T) {
			t.Parallel()
			b, _ := started(t)
			b.AddRunJSON(name, []byte(`{"description":"d","labels":{"old":"1"},"template":{"maxInstanceRequestConcurrency":5,"containers":[{"image":"i"}]}}`))
			sent := body
			if test == "whole object" {
				sent = strings.Replace(body, `"timeout"`, `"containers":[{"image":"i"}],"timeout"`, 1)
			}
			status, answer := call(t, b, http.MethodPatch, api+name+"?updateMask="+tt.mask, sent)
			require.Equal(t, http.StatusOK, status, answer)
			o := parse(t, b.RunJSON(name))
			for path, want := range tt.want {
				assert.Equal(t, want, field(o, path), path)
			}
		})
	}
}

func TestCreateGetDelete(t *testing.T) {
	t.Parallel()
	_, svc := started(t)
	jobs := svc.Projects.Locations.Jobs
	_, err := jobs.Create(location, &run.GoogleCloudRunV2Job{Template: jobTemplate("i")}).JobId("nightly").Do()
	assert.Equal(t, "Resource 'nightly' already exists.", googleError(t, err).Message)
	_, err = jobs.Create(location, &run.GoogleCloudRunV2Job{Template: jobTemplate("i")}).JobId("nightly").ValidateOnly(true).Do()
	assert.Equal(t, 409, googleError(t, err).Code)

	op, err := jobs.Create(location, &run.GoogleCloudRunV2Job{Template: jobTemplate("i")}).JobId("new").ValidateOnly(true).Do()
	require.NoError(t, err)
	assert.False(t, op.Done)
	_, err = svc.Projects.Locations.Operations.Get(op.Name).Do()
	assert.Equal(t, 404, googleError(t, err).Code, "the operation of a validation can't be fetched")
	_, err = jobs.Get(location + "/jobs/new").Do()
	assert.Equal(t, 404, googleError(t, err).Code)

	_, err = jobs.Patch(location+"/jobs/new", &run.GoogleCloudRunV2Job{Template: jobTemplate("i")}).Do()
	assert.Equal(t, 404, googleError(t, err).Code)
	_, err = jobs.Patch(location+"/jobs/new", &run.GoogleCloudRunV2Job{Template: jobTemplate("i")}).AllowMissing(true).Do()
	require.NoError(t, err)
	_, err = jobs.Get(location + "/jobs/new").Do()
	require.NoError(t, err)

	_, err = jobs.Delete(location + "/jobs/new").ValidateOnly(true).Do()
	require.NoError(t, err)
	_, err = jobs.Delete(location + "/jobs/new").Do()
	require.NoError(t, err)
	_, err = jobs.Get(location + "/jobs/new").Do()
	assert.Equal(t, 404, googleError(t, err).Code)
	list, err := jobs.List(location).Do()
	require.NoError(t, err)
	assert.Len(t, list.Jobs, 1)
	list, err = jobs.List(location).ShowDeleted(true).Do()
	require.NoError(t, err)
	assert.Len(t, list.Jobs, 2)
	_, err = jobs.Create(location, &run.GoogleCloudRunV2Job{Template: jobTemplate("i")}).JobId("new").Do()
	require.NoError(t, err, "a deleted job's name is free again")
}

func TestListPages(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	for i := range 25 {
		b.AddJob(&run.GoogleCloudRunV2Job{Name: fmt.Sprintf("%s/jobs/job-%02d", location, i), Template: jobTemplate("i")})
	}
	var names []string
	pages := 0
	err := svc.Projects.Locations.Jobs.List(location).PageSize(10).Pages(t.Context(), func(p *run.GoogleCloudRunV2ListJobsResponse) error {
		pages++
		for _, j := range p.Jobs {
			names = append(names, j.Name[len(location+"/jobs/"):])
		}
		if pages == 1 {
			// What is added before the page's end doesn't move what follows.
			b.AddJob(&run.GoogleCloudRunV2Job{Name: location + "/jobs/added", Template: jobTemplate("i")})
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, 3, pages)
	assert.Len(t, names, 26)
	assert.IsIncreasing(t, names)
	empty, err := svc.Projects.Locations.Jobs.List("projects/web-prod/locations/us-central1").Do()
	require.NoError(t, err)
	assert.Empty(t, empty.Jobs)
	_, body := call(t, b, http.MethodGet, api+"projects/web-prod/locations/us-central1/jobs?prettyPrint=false", "")
	assert.Equal(t, "{}", body)
}

func TestOperationsTakeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := started(t)
		b.SetOperationTime(50*time.Second, patchJob)
		ops := svc.Projects.Locations.Operations
		op, err := svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: jobTemplate("new")}).Do()
		require.NoError(t, err)
		read := func() *run.GoogleCloudRunV2Job {
			j, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
			require.NoError(t, err)
			return j
		}
		j := read()
		assert.True(t, j.Reconciling)
		assert.Equal(t, [2]int64{2, 1}, [2]int64{j.Generation, j.ObservedGeneration})
		assert.Equal(t, "CONDITION_PENDING", j.TerminalCondition.State)

		began := time.Now()
		op, err = ops.Wait(op.Name, &run.GoogleLongrunningWaitOperationRequest{Timeout: "20s"}).Do()
		require.NoError(t, err)
		assert.False(t, op.Done)
		assert.Equal(t, 20*time.Second, time.Since(began))
		_, err = ops.Delete(op.Name).Do()
		assert.Equal(t, 400, googleError(t, err).Code, "a running operation can't be deleted")

		// A second change overtakes the first, whose operation still ends.
		b.SetOperationTime(5*time.Second, patchJob)
		second, err := svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: jobTemplate("newer")}).Do()
		require.NoError(t, err)
		second, err = ops.Wait(second.Name, &run.GoogleLongrunningWaitOperationRequest{}).Do()
		require.NoError(t, err)
		assert.True(t, second.Done)
		assert.Equal(t, 25*time.Second, time.Since(began))
		assert.Equal(t, int64(3), read().ObservedGeneration)
		op, err = ops.Wait(op.Name, &run.GoogleLongrunningWaitOperationRequest{}).Do()
		require.NoError(t, err)
		assert.True(t, op.Done)
		assert.Equal(t, 50*time.Second, time.Since(began))
		j = read()
		assert.Equal(t, "newer", j.Template.Template.Containers[0].Image)
		assert.Equal(t, int64(3), j.ObservedGeneration)

		list, err := ops.List(location).Do()
		require.NoError(t, err)
		assert.Len(t, list.Operations, 2)
		_, err = ops.Delete(op.Name).Do()
		require.NoError(t, err)
		_, err = ops.Get(op.Name).Do()
		assert.Equal(t, 404, googleError(t, err).Code)
		_, err = ops.Wait(second.Name, &run.GoogleLongrunningWaitOperationRequest{Timeout: "soon"}).Do()
		assert.Equal(t, 400, googleError(t, err).Code)
	})
}

func TestEnforcedEtags(t *testing.T) {
	t.Parallel()
	for _, enforced := range []bool{false, true} {
		t.Run(strconv.FormatBool(enforced), func(t *testing.T) {
			t.Parallel()
			b, svc := started(t)
			if enforced {
				b.EnforceEtags()
			}
			jobs := svc.Projects.Locations.Jobs
			j, err := jobs.Get(jobName).Do()
			require.NoError(t, err)
			_, err = jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Etag: j.Etag, Template: jobTemplate("one")}).Do()
			require.NoError(t, err)
			refused := func(err error) {
				if !enforced {
					require.NoError(t, err)
					return
				}
				g := googleError(t, err)
				assert.Equal(t, 409, g.Code)
				assert.Contains(t, g.Body, "ABORTED")
				assert.Regexp(t, "^Conflict for resource 'nightly': version '.*' was specified but current version is '.*'.$", g.Message)
			}
			_, err = jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Etag: j.Etag, Template: jobTemplate("two")}).Do()
			refused(err)
			_, err = jobs.Run(jobName, &run.GoogleCloudRunV2RunJobRequest{Etag: j.Etag}).Do()
			refused(err)
			_, err = jobs.Delete(jobName).Etag(j.Etag).Do()
			refused(err)
		})
	}
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	name := location + "/services/shop"
	services := svc.Projects.Locations.Services
	template := func(revision, image string) *run.GoogleCloudRunV2RevisionTemplate {
		return &run.GoogleCloudRunV2RevisionTemplate{Revision: revision, Containers: []*run.GoogleCloudRunV2Container{{Image: image}}}
	}
	_, err := services.Create(location, &run.GoogleCloudRunV2Service{Template: template("", "one")}).ServiceId("shop").Do()
	require.NoError(t, err)
	get := func() *run.GoogleCloudRunV2Service {
		s, err := services.Get(name).Do()
		require.NoError(t, err)
		return s
	}
	first := get()
	assert.Regexp(t, "^"+name+"/revisions/shop-00001-[a-z0-9]{3}$", first.LatestCreatedRevision)
	assert.Equal(t, first.LatestCreatedRevision, first.LatestReadyRevision)
	assert.Equal(t, "https://shop-123456789012.europe-west1.run.app", first.Uri)

	_, err = services.Patch(name, &run.GoogleCloudRunV2Service{Labels: map[string]string{"a": "b"}}).UpdateMask("labels").Do()
	require.NoError(t, err)
	assert.Equal(t, first.LatestCreatedRevision, get().LatestCreatedRevision, "labels of the service need no revision")
	_, err = services.Patch(name, &run.GoogleCloudRunV2Service{}).UpdateMask("labels").ForceNewRevision(true).Do()
	require.NoError(t, err)
	forced := get()
	assert.NotEqual(t, first.LatestCreatedRevision, forced.LatestCreatedRevision)

	_, err = services.Patch(name, &run.GoogleCloudRunV2Service{Template: template("shop-blue", "two")}).UpdateMask("template").Do()
	require.NoError(t, err)
	assert.Equal(t, name+"/revisions/shop-blue", get().LatestReadyRevision)
	_, err = services.Patch(name, &run.GoogleCloudRunV2Service{Template: template("shop-blue", "three")}).UpdateMask("template").Do()
	assert.Equal(t, "Revision named 'shop-blue' with different configuration already exists.", googleError(t, err).Message)
	_, err = services.Patch(name, &run.GoogleCloudRunV2Service{Template: template("blue", "three")}).UpdateMask("template").Do()
	assert.Contains(t, googleError(t, err).Message, "must be prefixed by the name of the enclosing Service")

	revisions, err := services.Revisions.List(name).Do()
	require.NoError(t, err)
	assert.Len(t, revisions.Revisions, 3)
	revision, err := services.Revisions.Get(name + "/revisions/shop-blue").Do()
	require.NoError(t, err)
	assert.Equal(t, "two", revision.Containers[0].Image)
	assert.Equal(t, "123456789012-compute@developer.gserviceaccount.com", revision.ServiceAccount)
	_, err = services.Revisions.Delete(first.LatestReadyRevision).Do()
	require.NoError(t, err)
	_, err = services.Revisions.Get(first.LatestReadyRevision).Do()
	assert.Contains(t, googleError(t, err).Message, "of kind 'REVISION'")
	_ = b
}

func TestIngressOfANewServiceIsNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := started(t)
		b.SetOperationTime(time.Minute)
		name := location + "/services/shop"
		_, err := svc.Projects.Locations.Services.Create(location, &run.GoogleCloudRunV2Service{
			Ingress:  "INGRESS_TRAFFIC_INTERNAL_ONLY",
			Template: &run.GoogleCloudRunV2RevisionTemplate{Containers: []*run.GoogleCloudRunV2Container{{Image: "i"}}},
		}).ServiceId("shop").Do()
		require.NoError(t, err)
		assert.Nil(t, parse(t, b.RunJSON(name))["ingress"], "not shown yet")
		_, err = svc.Projects.Locations.Services.Patch(name, &run.GoogleCloudRunV2Service{Labels: map[string]string{"a": "b"}}).UpdateMask("labels").Do()
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, "INGRESS_TRAFFIC_INTERNAL_ONLY", parse(t, b.RunJSON(name))["ingress"])
	})
}

func TestTokensStartExecutions(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	_, err := svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{StartExecutionToken: "first", Template: jobTemplate("i")}).Do()
	require.NoError(t, err)
	executions, err := svc.Projects.Locations.Jobs.Executions.List(jobName).Do()
	require.NoError(t, err)
	require.Len(t, executions.Executions, 1)
	assert.Equal(t, jobName+"/executions/nightly-first", executions.Executions[0].Name)
	o := parse(t, b.RunJSON(jobName))
	assert.Equal(t, "nightly-first", field(o, "latestCreatedExecution.name"))
	assert.Equal(t, json.Number("1"), o["executionCount"])

	// A client that sends back what it read starts another one.
	j, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
	require.NoError(t, err)
	_, err = svc.Projects.Locations.Jobs.Patch(jobName, j).Do()
	require.NoError(t, err)
	assert.Equal(t, json.Number("2"), parse(t, b.RunJSON(jobName))["executionCount"])
}

func TestExecutions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := started(t)
		b.SetOperationTime(time.Minute, "run.projects.locations.jobs.run")
		jobs := svc.Projects.Locations.Jobs
		op, err := jobs.Run(jobName, &run.GoogleCloudRunV2RunJobRequest{Overrides: &run.GoogleCloudRunV2Overrides{
			TaskCount: 4, Timeout: "60s",
			ContainerOverrides: []*run.GoogleCloudRunV2ContainerOverride{{Args: []string{"--once"}, Env: []*run.GoogleCloudRunV2EnvVar{{Name: "A", Value: "1"}}}},
		}}).Do()
		require.NoError(t, err)
		var started run.GoogleCloudRunV2Execution
		require.NoError(t, json.Unmarshal(op.Metadata, &started))
		assert.Equal(t, int64(4), started.RunningCount)
		assert.Equal(t, "nightly", started.Job)
		assert.Equal(t, "EXECUTION_RUNNING", field(parse(t, b.RunJSON(jobName)), "latestCreatedExecution.completionStatus"))

		time.Sleep(time.Minute)
		done, err := jobs.Executions.Get(started.Name).Do()
		require.NoError(t, err)
		assert.Equal(t, [3]int64{4, 0, 0}, [3]int64{done.SucceededCount, done.FailedCount, done.RunningCount})
		assert.Equal(t, []string{"--once"}, done.Template.Containers[0].Args)
		assert.Equal(t, "A", done.Template.Containers[0].Env[0].Name)
		assert.Equal(t, "60s", done.Template.Timeout)
		assert.NotEmpty(t, done.CompletionTime)
		assert.Equal(t, "EXECUTION_SUCCEEDED", field(parse(t, b.RunJSON(jobName)), "latestCreatedExecution.completionStatus"))
		_, err = jobs.Executions.Cancel(started.Name, &run.GoogleCloudRunV2CancelExecutionRequest{}).Do()
		assert.Equal(t, 400, googleError(t, err).Code)

		op, err = jobs.Run(jobName, &run.GoogleCloudRunV2RunJobRequest{}).Do()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(op.Metadata, &started))
		_, err = jobs.Executions.Cancel(started.Name, &run.GoogleCloudRunV2CancelExecutionRequest{}).Do()
		require.NoError(t, err)
		cancelled, err := jobs.Executions.Get(started.Name).Do()
		require.NoError(t, err)
		assert.Equal(t, int64(1), cancelled.CancelledCount)
		assert.Equal(t, "EXECUTION_CANCELLED", field(parse(t, b.RunJSON(jobName)), "latestCreatedExecution.completionStatus"))

		_, err = jobs.Run(jobName, &run.GoogleCloudRunV2RunJobRequest{ValidateOnly: true}).Do()
		require.NoError(t, err)
		_, err = jobs.Executions.Delete(cancelled.Name).Do()
		require.NoError(t, err)
		list, err := jobs.Executions.List(jobName).Do()
		require.NoError(t, err)
		assert.Len(t, list.Executions, 1)
		_, err = jobs.Executions.Get(jobName + "/executions/none").Do()
		assert.Contains(t, googleError(t, err).Message, "Resource 'none' of kind 'EXECUTION'")
	})
}

func TestEnumsAsNumbers(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	const asNumbers = "%24alt=json%3Benum-encoding%3Dint"
	status, body := call(t, b, http.MethodPost, api+location+"/jobs?jobId=enums&"+asNumbers,
		`{"launchStage":4,"template":{"template":{"executionEnvironment":2,"containers":[{"image":"i"}]}}}`)
	require.Equal(t, http.StatusOK, status, body)
	o := parse(t, []byte(body))
	assert.Equal(t, json.Number("4"), field(o, "metadata.launchStage"))
	assert.Equal(t, json.Number("2"), field(o, "metadata.template.template.executionEnvironment"))
	assert.Equal(t, json.Number("1"), field(o, "metadata.terminalCondition.state"))
	stored := parse(t, b.RunJSON(location+"/jobs/enums"))
	assert.Equal(t, "GA", stored["launchStage"])
	_, body = call(t, b, http.MethodGet, api+location+"/jobs?"+asNumbers, "")
	jobs := parse(t, []byte(body))["jobs"].([]any)
	assert.Equal(t, json.Number("4"), jobs[1].(map[string]any)["terminalCondition"].(map[string]any)["state"])
}

func TestSeedingRefuses(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	valid := `{"template":{"template":{"containers":[{"image":"i"}]}}}`
	tests := map[string]struct{ name, raw, want string }{
		"no name":       {"", valid, "not of the form"},
		"a location":    {"projects/web-prod/locations/moon1/jobs/j", valid, `no Cloud Run in location "moon1"`},
		"a project":     {"projects/none/locations/europe-west1/jobs/j", valid, "AddProject first"},
		"there already": {jobName, valid, "there already"},
		"a kind":        {location + "/instances/i", valid, "none of jobs, services, workerPools"},
		"below a job":   {jobName + "/revisions/r", valid, "jobs have no revisions"},
		"an id":         {location + "/jobs/J", valid, "not one that Cloud Run takes"},
		"JSON":          {location + "/jobs/j", `{`, "Invalid JSON"},
		"a type":        {location + "/jobs/j", `{"labels":1}`, "Invalid value at 'labels'"},
		"a template":    {location + "/jobs/j", `{}`, "at least one container"},
	}
	for name, tt := range tests {
		assert.Panics(t, func() { b.AddRunJSON(tt.name, []byte(tt.raw)) }, name)
		func() {
			defer func() { assert.Contains(t, fmt.Sprint(recover()), tt.want, name) }()
			b.AddRunJSON(tt.name, []byte(tt.raw))
		}()
	}
	assert.Nil(t, b.RunJSON("nothing"))
	assert.Nil(t, b.RunJSON(location+"/jobs/none"))
}

func TestSeededOutputFieldsAreKept(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	name := location + "/services/shop"
	b.AddRunJSON(name, []byte(`{"uid":"u-1","createTime":"2024-04-25T01:58:35.886675Z","creator":"ann@example.com","generation":"9","etag":"\"e\"",
		"latestCreatedRevision":"`+name+`/revisions/shop-00009-abc","latestReadyRevision":"`+name+`/revisions/shop-00009-abc",
		"template":{"containers":[{"image":"i"}]}}`))
	s, err := svc.Projects.Locations.Services.Get(name).Do()
	require.NoError(t, err)
	assert.Equal(t, "u-1", s.Uid)
	assert.Equal(t, "ann@example.com", s.Creator)
	assert.Equal(t, int64(9), s.Generation)
	assert.Equal(t, `"e"`, s.Etag)
	assert.Empty(t, s.Template.Revision)
	_, err = svc.Projects.Locations.Services.Revisions.Get(s.LatestReadyRevision).Do()
	require.NoError(t, err, "the revision that it names is there")
	b.AddRunJSON(jobName+"/executions/nightly-old", []byte(`{"taskCount":1,"succeededCount":1}`))
	_, err = svc.Projects.Locations.Jobs.Executions.Get(jobName + "/executions/nightly-old").Do()
	require.NoError(t, err)
}

func TestAnswersAreCopies(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	raw := b.RunJSON(jobName)
	clear(raw)
	assert.NotEqual(t, raw, b.RunJSON(jobName))
	calls := b.Calls()
	clear(calls)
	job := &run.GoogleCloudRunV2Job{Name: location + "/jobs/copied", Labels: map[string]string{"a": "1"}, Template: jobTemplate("i")}
	b.AddJob(job)
	job.Labels["a"] = "2"
	assert.Equal(t, "1", field(parse(t, b.RunJSON(job.Name)), "labels.a"))
}
