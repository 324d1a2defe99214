package fake_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
)

// The versions of Cloud Run refuse the same things, each in its own words.
func TestEachVersionRefusesInItsOwnWords(t *testing.T) {
	t.Parallel()
	const (
		namespaces = "https://europe-west1-run.googleapis.com/apis/run.googleapis.com/v1/namespaces/"
		located    = "https://run.googleapis.com/v1/"
		weak       = "user:weak@example.com"
		suffix     = " (or resource may not exist)."
	)
	for name, c := range map[string]struct {
		member, verb, url, body string
		status                  int
		text, reason            string
	}{
		"v2, may not get":        {weak, "GET", api + jobName, "", 403, "Permission 'run.jobs.get' denied on resource '" + jobName + "'" + suffix, ""},
		"v1, may not get":        {weak, "GET", namespaces + "web-prod/jobs/nightly", "", 403, "Permission 'run.jobs.get' denied on resource 'namespaces/web-prod/jobs/nightly'" + suffix, "forbidden"},
		"v2, may not list":       {weak, "GET", api + location + "/jobs", "", 403, "Permission 'run.jobs.list' denied on resource '" + location + "'" + suffix, ""},
		"v1, may not list":       {weak, "GET", namespaces + "web-prod/jobs", "", 403, "Permission 'run.jobs.list' denied on resource 'namespaces/web-prod/jobs'" + suffix, "forbidden"},
		"v2, no such project":    {fake.Admin, "GET", api + "projects/Nowhere/locations/europe-west1/jobs/J", "", 403, "Permission 'run.jobs.get' denied on resource 'projects/Nowhere/locations/europe-west1/jobs/J'" + suffix, ""},
		"v1, no such project":    {fake.Admin, "GET", namespaces + "nowhere/jobs/j", "", 403, "Permission 'run.jobs.get' denied on resource 'namespaces/nowhere/jobs/j'" + suffix, "forbidden"},
		"v1, no such project of": {fake.Admin, "GET", located + "projects/nowhere/locations", "", 403, "Permission 'run.locations.list' denied on resource 'namespaces/nowhere'" + suffix, "forbidden"},
		"v2, no such execution":  {fake.Admin, "GET", api + jobName + "/executions/none", "", 404, "Resource 'none' of kind 'EXECUTION' in region 'europe-west1' in project 'web-prod' does not exist.", ""},
		"v1, no such execution":  {fake.Admin, "GET", namespaces + "web-prod/executions/none", "", 404, "Resource 'none' of kind 'EXECUTION' in region 'europe-west1' in project 'web-prod' does not exist.", "notFound"},
		"v2, there already":      {fake.Admin, "POST", api + location + "/jobs?jobId=nightly", `{"template":{"template":{"containers":[{"image":"i"}]}}}`, 409, "Resource 'nightly' already exists.", ""},
		"v1, there already":      {fake.Admin, "POST", namespaces + "web-prod/jobs", `{"metadata":{"name":"nightly","namespace":"web-prod"},"spec":{"template":{"spec":{"template":{"spec":{"containers":[{"image":"i"}]}}}}}}`, 409, "Resource 'nightly' already exists.", "alreadyExists"},
		"v2, an operation":       {weak, "GET", api + location + "/operations/None", "", 403, "Permission 'run.operations.get' denied on resource '" + location + "/operations/None'" + suffix, ""},
		"v1, an operation":       {weak, "GET", located + location + "/operations/None", "", 403, "Permission 'run.operations.get' denied on resource '" + location + "/operations/None'" + suffix, "forbidden"},
		"v1, a policy":           {weak, "GET", located + jobName + ":getIamPolicy", "", 403, "Permission 'run.jobs.getIamPolicy' denied on resource 'namespaces/web-prod/jobs/nightly'" + suffix, "forbidden"},
		"v2, a policy":           {weak, "GET", api + jobName + ":getIamPolicy", "", 403, "Permission 'run.jobs.getIamPolicy' denied on resource '" + jobName + "'" + suffix, ""},
		"v2, a worker pool":      {weak, "DELETE", api + location + "/workerPools/w", "", 403, "Permission 'run.workerpools.delete' denied on resource '" + location + "/workerPools/w'" + suffix, ""},
		"v1, a worker pool":      {weak, "DELETE", namespaces + "web-prod/workerpools/w", "", 403, "Permission 'run.workerpools.delete' denied on resource 'namespaces/web-prod/workerpools/w'" + suffix, "forbidden"},
		"v1, no region":          {fake.Admin, "GET", strings.Replace(namespaces, "europe-west1-", "", 1) + "web-prod/jobs/nightly", "", 400, "The host name has to begin with a region, as in us-central1-run.googleapis.com.", "badRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := started(t)
			status, body := ask(t, b, c.member, c.verb, c.url, c.body)
			var answer struct {
				Error struct {
					Message string
					Errors  []struct{ Reason string }
				}
			}
			require.NoError(t, json.Unmarshal([]byte(body), &answer))
			assert.Equal(t, c.status, status, body)
			assert.Equal(t, c.text, answer.Error.Message)
			if c.reason == "" {
				assert.Empty(t, answer.Error.Errors)
			} else if assert.Len(t, answer.Error.Errors, 1) {
				assert.Equal(t, c.reason, answer.Error.Errors[0].Reason)
			}
		})
	}
}

// An operation has its resource in the form of the version that asks.
func TestEachVersionAnswersOperationsInItsOwnForm(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	status, body := ask(t, b, fake.Admin, http.MethodPatch, api+jobName, `{"template":{"template":{"containers":[{"image":"j"}]}}}`)
	require.Equal(t, http.StatusOK, status, body)
	var op struct{ Name string }
	require.NoError(t, json.Unmarshal([]byte(body), &op))
	for version, want := range map[string]struct{ kind, image string }{
		"v1": {"google.cloud.run.v1.Job", "spec"}, "v2": {"google.cloud.run.v2.Job", "template"},
	} {
		status, body := ask(t, b, fake.Admin, http.MethodGet, "https://run.googleapis.com/"+version+"/"+op.Name, "")
		require.Equal(t, http.StatusOK, status, body)
		var answer struct{ Response map[string]any }
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		assert.Equal(t, "type.googleapis.com/"+want.kind, answer.Response["@type"])
		assert.Contains(t, answer.Response, want.image)
	}
}
