package identity_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

const (
	createJob    = "run.projects.locations.jobs.create"
	runJob       = "run.projects.locations.jobs.run"
	getExecution = "run.projects.locations.jobs.executions.get"
)

var fresh = identity.Job("web-prod", "europe-west1", "fresh")

// newJob is a job to create, with a zero value that has to be sent.
func newJob() *run.GoogleCloudRunV2Job {
	return &run.GoogleCloudRunV2Job{
		Name:   "projects/elsewhere/locations/l/jobs/other",
		Labels: map[string]string{"team": "web"},
		Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{
			Containers:      []*run.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/job"}},
			ServiceAccount:  other.Email(),
			ForceSendFields: []string{"MaxRetries"},
		}},
	}
}

func TestCreateJob(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	job := newJob()

	change, err := newClient(t, b).CreateJob(t.Context(), fresh, runner, job, nil)

	require.NoError(t, err)
	assert.Equal(t, newJob(), job, "the caller's job is not changed")
	assert.Equal(t, []string{"create", "wait"}, methods(b))
	change.Operation, change.Before, change.After = "", nil, nil
	assert.Equal(t, identity.Change{
		Workload: fresh, New: runner, Written: true, Done: true, NewGeneration: 1, ReceivesTraffic: identity.Yes,
	}, change)
	assert.JSONEq(t, `{"labels":{"team":"web"},"template":{"template":{"containers":[{"image":"us-docker.pkg.dev/cloudrun/container/job"}],
		"maxRetries":0,"serviceAccount":"runner@data-prod.iam.gserviceaccount.com"}}}`, string(b.Calls()[0].Body))
	a, err := newClient(t, b).Get(t.Context(), fresh, nil)
	require.NoError(t, err)
	assert.Equal(t, runner, a.ServiceAccount)
}

func TestCreateJobThroughBadWeather(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		weather func(*fake.Backend)
		opts    *identity.CreateOptions
		calls   []string
		want    error
	}{
		"503, then success": {
			weather: func(b *fake.Backend) { b.Inject(createJob, fake.Fault{Status: 503, Times: 1}) },
			calls:   []string{"create", "get", "create", "wait"},
		},
		"dropped after it was created": {
			weather: func(b *fake.Backend) { b.Inject(createJob, fake.Fault{DropAfter: true, Times: 1}) },
			calls:   []string{"create", "get", "get"},
		},
		"dropped, and the read fails too": {
			weather: func(b *fake.Backend) {
				b.Inject(createJob, fake.Fault{DropAfter: true, Times: 1})
				b.Inject(getJob, fake.Fault{Status: 503, Times: 1})
			},
			calls: []string{"create", "get", "get", "get"},
		},
		"dropped after it was created, and not seen at first": {
			weather: func(b *fake.Backend) {
				b.Inject(createJob, fake.Fault{DropAfter: true, Times: 1})
				b.Inject(getJob, fake.Fault{Status: 404, Times: 1})
			},
			calls: []string{"create", "get", "create", "get", "get"}, // the second one conflicts with the first
		},
		"429": {
			weather: func(b *fake.Backend) { b.Inject(createJob, fake.Fault{Status: 429, Times: 1}) },
			calls:   []string{"create", "create", "wait"},
		},
		"someone else's job of that name": {
			weather: func(b *fake.Backend) {
				b.AddRunJSON(fresh.Name(), []byte(`{"template":{"template":{"containers":[{"image":"theirs"}]}}}`))
			},
			calls: []string{"create"},
			want:  identity.ErrAlreadyExists,
		},
		"the same, and the first answer got lost": {
			weather: func(b *fake.Backend) {
				b.AddRunJSON(fresh.Name(), []byte(`{"template":{"template":{"containers":[{"image":"theirs"}]}}}`))
				b.Inject(createJob, fake.Fault{DropBefore: true, Times: 1})
			},
			calls: []string{"create", "get"},
			want:  identity.ErrAlreadyExists,
		},
		"the account becomes visible": {
			weather: func(b *fake.Backend) { b.Inject(createJob, fake.Fault{Status: 403, Body: actAsBody, Times: 2}) },
			opts:    &identity.CreateOptions{WaitForAccount: time.Minute},
			calls:   []string{"create", "create", "create", "wait"},
		},
		"may not act as": {
			weather: func(b *fake.Backend) { b.Inject(createJob, fake.Fault{Status: 403, Body: actAsBody}) },
			calls:   []string{"create"},
			want:    identity.ErrActAsDenied,
		},
		"validate only": {
			weather: func(*fake.Backend) {},
			opts:    &identity.CreateOptions{ValidateOnly: true},
			calls:   []string{"create"},
		},
		"no wait": {
			weather: func(*fake.Backend) {},
			opts:    &identity.CreateOptions{NoWait: true},
			calls:   []string{"create"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				tt.weather(b)
				change, err := newClient(t, b).CreateJob(t.Context(), fresh, runner, newJob(), tt.opts)
				assert.Equal(t, tt.calls, methods(b))
				if tt.want != nil {
					require.ErrorIs(t, err, tt.want)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, runner, change.New)
				assert.Equal(t, name != "validate only", change.Written)
			})
		})
	}
}

func TestExecute(t *testing.T) {
	t.Parallel()
	t.Run("started", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.SetOperationTime(time.Hour, runJob)
		e, err := newClient(t, b).Execute(t.Context(), nightly, nil)
		require.NoError(t, err)
		assert.Equal(t, []string{"run"}, methods(b))
		assert.Equal(t, other, e.ServiceAccount)
		assert.Regexp(t, "^"+nightly.Name()+"/executions/nightly-[a-z0-9]{5}$", e.Name)
		assert.False(t, e.Done)
	})
	t.Run("waited for, after the job got another identity", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			c := newClient(t, b)
			_, err := c.Attach(t.Context(), nightly, runner, nil)
			require.NoError(t, err)
			b.ResetCalls()
			b.SetOperationTime(45*time.Second, runJob)
			began := time.Now()

			e, err := c.Execute(t.Context(), nightly, &identity.ExecuteOptions{WaitForCompletion: true, Overrides: &run.GoogleCloudRunV2Overrides{TaskCount: 5}})

			require.NoError(t, err)
			assert.Equal(t, 45*time.Second, time.Since(began))
			assert.Equal(t, []string{"run", "wait", "wait"}, methods(b))
			assert.Equal(t, runner, e.ServiceAccount)
			assert.True(t, e.Done)
			assert.Equal(t, [4]int64{5, 5, 0, 0}, [4]int64{e.Tasks, e.Succeeded, e.Failed, e.Cancelled})
		})
	})
	t.Run("the execution fails", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.Inject(runJob, fake.Fault{Condition: &run.GoogleCloudRunV2Condition{
			State: "CONDITION_FAILED", ExecutionReason: "NON_ZERO_EXIT_CODE", Message: "Task nightly-x-task0 failed with exit code: 1.",
		}})
		e, err := newClient(t, b).Execute(t.Context(), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
		failed := asError[*identity.OperationError](t, err)
		assert.Equal(t, "NON_ZERO_EXIT_CODE", failed.Reason)
		assert.Equal(t, e.Operation, failed.Operation)
		assert.True(t, e.Done)
		assert.Equal(t, int64(1), e.Failed)
	})
	t.Run("operations can't be waited for", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.SetOperationTime(5*time.Minute, runJob)
			b.Inject(waitMethod, fake.Fault{Status: http.StatusForbidden})
			e, err := newClient(t, b).Execute(t.Context(), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
			require.NoError(t, err)
			assert.True(t, e.Done)
			assert.Equal(t, int64(1), e.Succeeded)
			assert.Equal(t, 1, countCalls(b, waitMethod))
			assert.Greater(t, countCalls(b, getExecution), 5)
		})
	})
	t.Run("ctx ends", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.SetOperationTime(time.Hour, runJob)
			e, err := newClient(t, b).Execute(bounded(t, time.Minute), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
			unfinished := asError[*identity.UnfinishedError](t, err)
			assert.Equal(t, e.Operation, unfinished.Operation)
			assert.NotEmpty(t, e.Name)
			assert.False(t, e.Done)
		})
	})
	t.Run("no such job", func(t *testing.T) {
		t.Parallel()
		_, err := newClient(t, newCloud(t)).Execute(t.Context(), fresh, nil)
		require.ErrorIs(t, err, identity.ErrNotFound)
	})
}

func TestExecuteIsNotRepeatedUnlessItCertainlyDidNotStart(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault    fake.Fault
		runs     int
		mayHave  bool
		executed int
	}{
		"429":                    {fake.Fault{Status: 429, Times: 2}, 3, false, 1},
		"503":                    {fake.Fault{Status: 503, Times: 1}, 1, true, 0},
		"dropped before":         {fake.Fault{DropBefore: true, Times: 1}, 1, true, 0},
		"dropped after":          {fake.Fault{DropAfter: true, Times: 1}, 1, true, 1},
		"an answer of no use":    {fake.Fault{Status: 200, Body: "<html>", Times: 1}, 1, true, 0},
		"hangs until ctx ends":   {fake.Fault{Hang: true}, 1, true, 0},
		"refused":                {fake.Fault{Status: 403}, 1, false, 0},
		"a request of no method": {fake.Fault{Status: 501}, 1, false, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.Inject(runJob, tt.fault)
				_, err := newClient(t, b).Execute(bounded(t, time.Hour), nightly, nil)
				assert.Equal(t, tt.mayHave, errors.Is(err, identity.ErrMayHaveStarted), "%v", err)
				assert.Equal(t, tt.runs, countCalls(b, runJob))
				count, _ := decoded(t, b.RunJSON(nightly.Name()))["executionCount"].(float64)
				assert.InDelta(t, tt.executed, count, 0)
			})
		})
	}
}
