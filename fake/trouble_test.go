package fake_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// One fault at most hits a call, and a fault counts only the calls that those before it
// let pass.
func TestSeveralFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		faults []fake.Fault
		want   []string // of four reads
	}{
		"one after the other": {[]fake.Fault{{Status: 500, Times: 1}, {Status: 429, Skip: 1, Times: 1}}, []string{"500", "ok", "429", "ok"}},
		"one skips":           {[]fake.Fault{{Status: 500, Skip: 1, Times: 1}, {Status: 429, Times: 1}}, []string{"429", "500", "ok", "ok"}},
		"an empty one":        {[]fake.Fault{{}, {Status: 500}}, []string{"ok", "ok", "ok", "ok"}},
		"in one":              {[]fake.Fault{{DropBefore: true, DropAfter: true, Status: 500, Times: 1}}, []string{"dropped", "ok", "ok", "ok"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, svc := started(t)
			for _, f := range tt.faults {
				b.Inject(getJob, f)
			}
			var got []string
			for range 4 {
				_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
				got = append(got, outcome(err))
			}
			assert.Equal(t, tt.want, got)
		})
	}
}

// A latency for all methods leaves those alone that have their own.
func TestLatencyOfAllMethods(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := started(t)
		took := func(call func() error) time.Duration {
			began := time.Now()
			require.NoError(t, call())
			return time.Since(began)
		}
		get := func() error { _, err := svc.Projects.Locations.Jobs.Get(jobName).Do(); return err }
		list := func() error { _, err := svc.Projects.Locations.Jobs.List(location).Do(); return err }
		b.SetLatency(time.Second, getJob)
		b.SetLatency(time.Minute)
		assert.Equal(t, []time.Duration{time.Second, time.Minute}, []time.Duration{took(get), took(list)})
		b.SetLatency(0)
		assert.Equal(t, []time.Duration{time.Second, 0}, []time.Duration{took(get), took(list)})
		assert.Panics(t, func() { b.SetLatency(time.Second, "run.jobs.none") })
	})
}
