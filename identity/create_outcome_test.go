package identity_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

func TestCreateJobWhoseNameIsTakenAndNotThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.Inject(createJob, fake.Fault{Status: 503, Times: 1})
		b.Inject(createJob, fake.Fault{Status: 409, Body: `{"error":{"code":409,"status":"ALREADY_EXISTS","message":"Resource 'fresh' already exists."}}`})
		_, err := newClient(t, b).CreateJob(t.Context(), fresh, runner, newJob(), nil)
		require.ErrorIs(t, err, identity.ErrAlreadyExists)
		assert.LessOrEqual(t, countCalls(b, createJob), 9)
	})
}

func TestCreateJobThatCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.Inject(createJob, fake.Fault{DropAfter: true, Times: 1})
		b.Inject(getJob, fake.Fault{Status: 403})
		_, err := newClient(t, b).CreateJob(t.Context(), fresh, runner, newJob(), nil)
		asError[*identity.UnfinishedError](t, err)
	})
}

// The server answers without what proto3 takes for absent.
func TestCreatedJobIsRecognised(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		job := newJob()
		job.Template.Template.Containers[0].Env = []*run.GoogleCloudRunV2EnvVar{{Name: "EMPTY", ForceSendFields: []string{"Value"}}}
		b.Inject(createJob, fake.Fault{DropAfter: true, Times: 1})
		c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			res, err := next.RoundTrip(r)
			if err == nil && r.Method == http.MethodGet {
				body, _ := io.ReadAll(res.Body)
				res.Body = io.NopCloser(strings.NewReader(strings.ReplaceAll(string(body), `,"value":""`, "")))
			}
			return res, err
		})
		change, err := c.CreateJob(t.Context(), fresh, runner, job, nil)
		require.NoError(t, err)
		assert.True(t, change.Written)
	})
}
