package fake_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

func TestAllowMissingNeedsBothPermissions(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	for member, permission := range map[string]string{"user:c@example.com": "create", "user:u@example.com": "update"} {
		b.AddRole(&iam.Role{Name: "projects/web-prod/roles/" + permission, IncludedPermissions: []string{"run.jobs." + permission}})
		b.Grant("projects/web-prod", "projects/web-prod/roles/"+permission, member)
		b.Grant("projects/web-prod", "roles/iam.serviceAccountUser", member)
		for _, name := range []string{jobName, location + "/jobs/new"} {
			status, body := ask(t, b, member, http.MethodPatch, api+name+"?allowMissing=true", `{"template":{"template":{"containers":[{"image":"i"}]}}}`)
			assert.Equal(t, http.StatusForbidden, status, body)
		}
	}
	status, body := ask(t, b, fake.Admin, http.MethodPatch, api+location+"/jobs/Not..Valid?allowMissing=true", `{"template":{"template":{"containers":[{"image":"i"}]}}}`)
	assert.Equal(t, http.StatusBadRequest, status, body)
}

func TestACancelledExecutionStaysCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := started(t)
		b.SetOperationTime(time.Hour, "run.projects.locations.jobs.run")
		jobs := svc.Projects.Locations.Jobs
		_, err := jobs.Run(jobName, &run.GoogleCloudRunV2RunJobRequest{}).Do()
		require.NoError(t, err)
		list, err := jobs.Executions.List(jobName).Do()
		require.NoError(t, err)
		_, err = jobs.Executions.Cancel(list.Executions[0].Name, &run.GoogleCloudRunV2CancelExecutionRequest{}).Do()
		require.NoError(t, err)
		ops, err := svc.Projects.Locations.Operations.List(location).Do()
		require.NoError(t, err)
		assert.Len(t, ops.Operations, 2)
		for _, op := range ops.Operations {
			assert.True(t, op.Done, "the run ends when it is cancelled")
			assert.Contains(t, string(op.Response), "cancelledCount")
		}
		time.Sleep(2 * time.Hour)
		assert.Equal(t, "EXECUTION_CANCELLED", field(parse(t, b.RunJSON(jobName)), "latestCreatedExecution.completionStatus"))
	})
}

func TestADeletedWorkloadTakesItsChildrenAlong(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	jobs := svc.Projects.Locations.Jobs
	_, err := jobs.Run(jobName, &run.GoogleCloudRunV2RunJobRequest{}).Do()
	require.NoError(t, err)
	list, err := jobs.Executions.List(location + "/jobs/-").Do()
	require.NoError(t, err)
	assert.Len(t, list.Executions, 1, "- stands for all jobs")
	_, err = jobs.Delete(jobName).Do()
	require.NoError(t, err)
	_, err = jobs.Create(location, &run.GoogleCloudRunV2Job{Template: jobTemplate("i")}).JobId("nightly").Do()
	require.NoError(t, err)
	list, err = jobs.Executions.List(jobName).Do()
	require.NoError(t, err)
	assert.Empty(t, list.Executions)
	assert.Panics(t, func() { b.AddRunJSON(location+"/jobs/none/executions/e", []byte(`{}`)) })
}

func TestADeletedServiceLeavesNoRevision(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := started(t)
		b.SetOperationTime(time.Hour, "run.projects.locations.services.create")
		create := func(image string) (int, string) {
			return ask(t, b, fake.Admin, http.MethodPost, api+location+"/services?serviceId=web",
				`{"template":{"revision":"web-v1","containers":[{"image":"`+image+`"}]}}`)
		}
		create("one")
		ask(t, b, fake.Admin, http.MethodDelete, api+location+"/services/web", "")
		time.Sleep(2 * time.Hour)
		status, body := create("two")
		assert.Equal(t, http.StatusOK, status, body)
	})
}
