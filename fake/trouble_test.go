package fake_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

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
