package identity_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// A creation for the default identity whose answer got lost didn't make what is
// found to run as an account that someone chose.
func TestCreateFindsAnothersIdentity(t *testing.T) {
	t.Parallel()
	for name, tt := range creations() {
		for _, opts := range []*identity.CreateOptions{nil, {NoWait: true}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newCloud(t)
					c := newClient(t, b)
					_, err := tt.create(t.Context(), c, tt.workload, runner, "")
					require.NoError(t, err)
					b.Inject(tt.method, fake.Fault{Status: 503, Times: 1})
					change, err := createDefault(t, c, tt.workload, opts)
					require.ErrorIs(t, err, identity.ErrAlreadyExists)
					assert.False(t, change.Written)
					assert.False(t, change.Done)
				})
			})
		}
	}
}

// createDefault creates what creations create, without an account.
func createDefault(t *testing.T, c *identity.Client, w identity.Workload, opts *identity.CreateOptions) (identity.Change, error) {
	t.Helper()
	containers := []*run.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/hello"}}
	labels := map[string]string{"team": "web"}
	switch w.Kind {
	case identity.KindJob:
		return c.CreateJob(t.Context(), w, identity.ServiceAccount{}, &run.GoogleCloudRunV2Job{
			Labels: labels, Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{Containers: containers}},
		}, opts)
	case identity.KindService:
		return c.CreateService(t.Context(), w, identity.ServiceAccount{}, &run.GoogleCloudRunV2Service{
			Labels: labels, Template: &run.GoogleCloudRunV2RevisionTemplate{Containers: containers},
		}, opts)
	default:
		return c.CreateWorkerPool(t.Context(), w, identity.ServiceAccount{}, &run.GoogleCloudRunV2WorkerPool{
			Labels: labels, Template: &run.GoogleCloudRunV2WorkerPoolRevisionTemplate{Containers: containers},
		}, opts)
	}
}
