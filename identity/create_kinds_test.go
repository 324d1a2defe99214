package identity_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/hold"
)

// A creation is of one kind, and of an identity that the template may name, too.
type creation struct {
	workload identity.Workload
	create   func(ctx context.Context, c *identity.Client, w identity.Workload, sa identity.ServiceAccount, named string) (identity.Change, error)
	method   string
}

func creations() map[string]creation {
	containers := []*run.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/hello"}}
	return map[string]creation{
		"job": {
			identity.Job("web-prod", "europe-west1", "fresh"),
			func(ctx context.Context, c *identity.Client, w identity.Workload, sa identity.ServiceAccount, named string) (identity.Change, error) {
				return c.CreateJob(ctx, w, sa, &run.GoogleCloudRunV2Job{
					Name: "projects/p/locations/l/jobs/other", Uid: "u", Labels: map[string]string{"team": "web"},
					Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{Containers: containers, ServiceAccount: named}},
				}, nil)
			}, "run.projects.locations.jobs.create",
		},
		"service": {
			identity.Service("web-prod", "europe-west1", "fresh"),
			func(ctx context.Context, c *identity.Client, w identity.Workload, sa identity.ServiceAccount, named string) (identity.Change, error) {
				return c.CreateService(ctx, w, sa, &run.GoogleCloudRunV2Service{
					Name: "projects/p/locations/l/services/other", Uri: "https://other.example.com", Labels: map[string]string{"team": "web"},
					Template: &run.GoogleCloudRunV2RevisionTemplate{Containers: containers, ServiceAccount: named},
				}, nil)
			}, "run.projects.locations.services.create",
		},
		"worker pool": {
			identity.WorkerPool("web-prod", "europe-west1", "fresh"),
			func(ctx context.Context, c *identity.Client, w identity.Workload, sa identity.ServiceAccount, named string) (identity.Change, error) {
				return c.CreateWorkerPool(ctx, w, sa, &run.GoogleCloudRunV2WorkerPool{
					Name: "projects/p/locations/l/workerPools/other", LatestReadyRevision: "r", Labels: map[string]string{"team": "web"},
					Template: &run.GoogleCloudRunV2WorkerPoolRevisionTemplate{Containers: containers, ServiceAccount: named},
				}, nil)
			}, "run.projects.locations.workerPools.create",
		},
	}
}

// Of each kind: the first revision runs as the account, what only the server sets
// isn't sent, and what fails is told as of jobs.
func TestCreateOfEachKind(t *testing.T) {
	t.Parallel()
	for name, tt := range creations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			change, err := tt.create(t.Context(), c, tt.workload, runner, other.Email())
			require.NoError(t, err)
			assert.Equal(t, runner, change.New)
			assert.True(t, change.Written)
			assert.True(t, change.Done)
			assert.Equal(t, identity.Yes, change.ReceivesTraffic)
			assert.Equal(t, []string{"create", "wait"}, methods(b))
			var sent map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(b.Calls()[0].Body, &sent))
			for field := range sent {
				assert.Contains(t, []string{"labels", "template"}, field)
			}
			a, err := c.Get(t.Context(), tt.workload, nil)
			require.NoError(t, err)
			assert.Equal(t, runner, a.ServiceAccount)

			_, err = tt.create(t.Context(), c, tt.workload, runner, "")
			require.ErrorIs(t, err, identity.ErrAlreadyExists)
			_, err = tt.create(t.Context(), c, identity.Workload{Kind: tt.workload.Kind, Project: "web-prod", Location: "europe-west1", ID: "second"},
				identity.MustParseServiceAccount("nobody@data-prod.iam.gserviceaccount.com"), "")
			require.ErrorIs(t, err, identity.ErrActAsDenied)
		})
		t.Run(name+", the answer gets lost", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.Inject(tt.method, fake.Fault{DropAfter: true, Times: 1})
				change, err := tt.create(t.Context(), newClient(t, b), tt.workload, runner, "")
				require.NoError(t, err)
				assert.True(t, change.Done)
				assert.Equal(t, 1, countCalls(b, tt.method))
			})
		})
	}
}

// Without an account the workload names none, and runs as the project's default.
func TestCreateWithoutAnAccount(t *testing.T) {
	t.Parallel()
	for name, tt := range creations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			change, err := tt.create(t.Context(), c, tt.workload, identity.ServiceAccount{}, "")
			require.NoError(t, err)
			assert.True(t, change.Done)
			a, err := c.Get(t.Context(), tt.workload, &identity.GetOptions{ProjectNumber: 123456789012})
			require.NoError(t, err)
			assert.Equal(t, identity.Yes, a.Default)

			b.ResetCalls()
			for _, named := range []string{runnerEmail, "no account"} {
				_, err = tt.create(t.Context(), c, tt.workload, identity.ServiceAccount{}, named)
				require.ErrorContains(t, err, "no service account is given, and the template names")
			}
			assert.Empty(t, b.Calls(), "what would run as the default account by mistake is refused")
		})
	}
}

func TestCreateRefusesOtherKinds(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	for name, tt := range creations() {
		for of, another := range creations() {
			if of == name {
				continue
			}
			_, err := tt.create(t.Context(), c, another.workload, runner, "")
			require.ErrorContains(t, err, "is a "+of+", where a "+name+" is wanted: use identity.")
		}
	}
	_, err := c.CreateService(t.Context(), identity.Service("web-prod", "europe-west1", "s"), runner, nil, nil)
	require.ErrorContains(t, err, "the service has no template: it needs a container with an image at least")
	_, err = c.CreateWorkerPool(t.Context(), identity.WorkerPool("web-prod", "europe-west1", "s"), runner, &run.GoogleCloudRunV2WorkerPool{}, nil)
	require.ErrorContains(t, err, "the worker pool has no template")
	assert.Empty(t, b.Calls())
}

// A creation is repeated only by who still holds what has to be held for it.
func TestCreateIsHeld(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for name, tt := range creations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.Inject(tt.method, fake.Fault{Status: 503})
				held := 0
				ctx := hold.With(t.Context(), func(context.Context) error {
					held++
					if held == 2 {
						return gone
					}
					return nil
				})
				_, err := tt.create(ctx, newClient(t, b), tt.workload, runner, "")
				require.ErrorIs(t, err, gone)
				asError[*identity.UnfinishedError](t, err)
				assert.Equal(t, 2, countCalls(b, tt.method), "the first, and one for each time that it was held")
			})
		})
	}
}
