package fake_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

// What an independent review found, where one part of the fake meets another.

const accountsURL = "https://iam.googleapis.com/v1/projects/-/serviceAccounts/"

func TestUndeleteNeedsPermission(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	const id = "123456789012345678901"
	b.AddServiceAccount(&iam.ServiceAccount{Email: "second@web-prod.iam.gserviceaccount.com", UniqueId: id})
	ask(t, b, fake.Admin, http.MethodDelete, accountsURL+id, "")
	for _, name := range []string{id, "999"} {
		status, body := ask(t, b, "user:eve@example.com", http.MethodPost, accountsURL+name+":undelete", "{}")
		assert.Equal(t, http.StatusForbidden, status, body)
	}
	b.Grant("projects/web-prod", "roles/iam.serviceAccountAdmin", "user:ann@example.com")
	status, body := ask(t, b, "user:ann@example.com", http.MethodPost, accountsURL+id+":undelete", "{}")
	assert.Equal(t, http.StatusOK, status, body)
}

func TestGrantsAtOnceAreAllKept(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() { b.Grant("projects/web-prod", "roles/viewer", fmt.Sprintf("user:u%d@example.com", i)) })
	}
	all.Wait()
	for _, binding := range b.Policy("projects/web-prod").Bindings {
		if binding.Role == "roles/viewer" {
			assert.Len(t, binding.Members, 64)
		}
	}
}

func TestMiddlewareMayUseTheBackend(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	b.Use(func(next http.Handler) http.Handler {
		_ = b.Calls()
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body) // never nil, as on a server
			if strings.HasSuffix(r.URL.Path, "/refused") {
				scratch := []byte(`{"error":{"code":503,"message":"first"}}`)
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = w.Write(scratch)
				clear(scratch) // a writer does not keep what it is given
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
	require.NoError(t, err)
	_, err = svc.Projects.Locations.Jobs.Get(location + "/jobs/refused").Do()
	assert.Equal(t, "first", googleError(t, err).Message)
}

func TestABodyThatIsNeverFinished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		defer b.Close()
		body, writer := io.Pipe()
		defer func() { _ = writer.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, api+location+"/jobs?jobId=x", body)
		require.NoError(t, err)
		began := time.Now()
		_, err = b.HTTPClient(fake.Admin).Do(req) //nolint:bodyclose // there is no answer
		require.Error(t, err)
		assert.Equal(t, time.Minute, time.Since(began))
	})
}

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

func TestMembersAndRolesThatAreNotThere(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "other"})
	b.AddRole(&iam.Role{Name: "projects/other/roles/star", IncludedPermissions: []string{"run.jobs.get"}})
	const policy = "https://cloudresourcemanager.googleapis.com/v3/projects/web-prod:setIamPolicy"
	for role, member := range map[string]string{
		"projects/other/roles/star": "user:d@example.com", // a role of another project
		"roles/viewer":              "serviceAccount:service-api@web-prod.iam.gserviceaccount.com",
		"roles/run.viewer":          "serviceAccount:ghost@developer.gserviceaccount.com",
		"roles/run.admin":           "serviceAccount:ghost@example.org",
		"roles/run.invoker":         "serviceAccount:service-999@serverless-robot-prod.iam.gserviceaccount.com",
	} {
		status, body := ask(t, b, fake.Admin, http.MethodPost, policy, fmt.Sprintf(`{"policy":{"bindings":[{"role":%q,"members":[%q]}]}}`, role, member))
		assert.Equal(t, http.StatusBadRequest, status, "%s %s: %s", role, member, body)
	}
	status, body := ask(t, b, fake.Admin, http.MethodPost, policy,
		`{"policy":{"bindings":[{"role":"roles/viewer","members":["serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com"]}]}}`)
	assert.Equal(t, http.StatusOK, status, body)
}

func TestPermissionsThatAreNone(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	for url, permission := range map[string]string{
		api + jobName: "run.jobs.frobnicate", accountsURL + "x@web-prod.iam.gserviceaccount.com": "iam.serviceAccounts.frobnicate",
		"https://cloudresourcemanager.googleapis.com/v3/projects/web-prod": "run.jobs.*",
	} {
		status, body := ask(t, b, "user:dev@example.com", http.MethodPost, url+":testIamPermissions", `{"permissions":["`+permission+`"]}`)
		assert.Equal(t, http.StatusBadRequest, status, "%s: %s", permission, body)
	}
}

func TestAnAccountThatIsGoneCallsNoMore(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	const member = "serviceAccount:x@web-prod.iam.gserviceaccount.com"
	b.AddGroup("bots@example.com", member)
	b.Grant("projects/web-prod", "roles/run.viewer", "group:bots@example.com")
	url := accountsURL + "x@web-prod.iam.gserviceaccount.com"
	get := func() int { status, _ := ask(t, b, member, http.MethodGet, api+jobName, ""); return status }
	assert.Equal(t, http.StatusOK, get())
	ask(t, b, fake.Admin, http.MethodPost, url+":disable", "{}")
	assert.Equal(t, http.StatusUnauthorized, get())
	ask(t, b, fake.Admin, http.MethodPost, url+":enable", "{}")
	assert.Equal(t, http.StatusOK, get())
	ask(t, b, fake.Admin, http.MethodDelete, url, "")
	assert.Equal(t, http.StatusUnauthorized, get())
}

func TestAnIdentityIsNamedByItsEmail(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	b.AddServiceAccount(&iam.ServiceAccount{Email: "second@web-prod.iam.gserviceaccount.com", UniqueId: "123456789012345678901"})
	status, body := ask(t, b, "user:dev@example.com", http.MethodPost, api+location+"/jobs?jobId=n",
		`{"template":{"template":{"serviceAccount":"123456789012345678901","containers":[{"image":"i"}]}}}`)
	assert.Equal(t, http.StatusForbidden, status, body)
}

func TestInjectedFaultsAreCopies(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	condition := &run.GoogleCloudRunV2Condition{State: "CONDITION_FAILED", Message: "one"}
	b.Inject("run.projects.locations.jobs.run", fake.Fault{Condition: condition})
	condition.Message = "two"
	_, err := svc.Projects.Locations.Jobs.Run(jobName, &run.GoogleCloudRunV2RunJobRequest{}).Do()
	require.NoError(t, err)
	list, err := svc.Projects.Locations.Jobs.Executions.List(jobName).Do()
	require.NoError(t, err)
	assert.Equal(t, "one", list.Executions[0].Conditions[0].Message)
}

func TestGrantsThatAreSeededDoNotHurryOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := started(t)
		b.SetPropagation(0, time.Minute)
		const late, seeded = "user:late@example.com", "user:seeded@example.com"
		status, body := ask(t, b, fake.Admin, http.MethodPost, "https://cloudresourcemanager.googleapis.com/v3/projects/web-prod:setIamPolicy",
			`{"policy":{"bindings":[{"role":"roles/run.viewer","members":["`+late+`"]}]}}`)
		require.Equal(t, http.StatusOK, status, body)
		b.Grant("projects/web-prod", "roles/run.viewer", seeded)
		get := func(member string) int {
			status, _ := ask(t, b, member, http.MethodGet, api+jobName, "")
			return status
		}
		assert.Equal(t, [2]int{403, 200}, [2]int{get(late), get(seeded)})
		time.Sleep(time.Minute)
		assert.Equal(t, [2]int{200, 200}, [2]int{get(late), get(seeded)})
		assert.Len(t, b.Policy("projects/web-prod").Bindings[0].Members, 2)
	})
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

func TestExplainTakesCallers(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	assert.Equal(t, "granted: admin may do everything", b.Explain(fake.Admin, "run.jobs.get", "projects/web-prod"))
	assert.Contains(t, b.Explain("user:Dev@example.com", "run.jobs.get", "projects/web-prod"), "granted: user:dev@example.com")
	for _, member := range []string{"usr:dev@example.com", "dev@example.com"} {
		assert.Panics(t, func() { b.Explain(member, "run.jobs.get", "projects/web-prod") }, member)
	}
}
