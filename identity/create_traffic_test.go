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

func named() *run.GoogleCloudRunV2Service {
	return &run.GoogleCloudRunV2Service{
		Template: &run.GoogleCloudRunV2RevisionTemplate{
			Revision: "fresh-v1", Containers: []*run.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/hello"}},
		},
		Traffic: []*run.GoogleCloudRunV2TrafficTarget{{Type: "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", Revision: "fresh-v1", Percent: 100}},
	}
}

// Traffic that is pinned to the very revision that is created is not pinned to an
// older one.
func TestCreatePinnedToItsOwnRevision(t *testing.T) {
	t.Parallel()
	w := identity.Service("web-prod", "europe-west1", "fresh")
	for name, tt := range map[string]struct {
		opts *identity.CreateOptions
		lost bool
		want identity.Tristate
	}{
		"":                     {nil, false, identity.Yes},
		"not waited for":       {&identity.CreateOptions{NoWait: true}, false, identity.Unknown},
		"the answer gets lost": {nil, true, identity.Yes},
		"lost, no waiting":     {&identity.CreateOptions{NoWait: true}, true, identity.Unknown},
		"only validated":       {&identity.CreateOptions{ValidateOnly: true}, false, identity.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				if tt.lost {
					b.Inject("run.projects.locations.services.create", fake.Fault{DropAfter: true, Times: 1})
				}
				change, err := newClient(t, b).CreateService(t.Context(), w, runner, named(), tt.opts)
				require.NoError(t, err)
				assert.Equal(t, tt.want, change.ReceivesTraffic)
			})
		})
	}
}

// The name of a service's last build is not one of the new service.
func TestCreateLeavesTheBuildsNameOut(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	service := named()
	service.BuildConfig = &run.GoogleCloudRunV2BuildConfig{Name: "projects/1/locations/l/builds/b", FunctionTarget: "main"}
	_, err := newClient(t, b).CreateService(t.Context(), identity.Service("web-prod", "europe-west1", "fresh"), runner, service, &identity.CreateOptions{ValidateOnly: true})
	require.NoError(t, err)
	assert.Contains(t, string(b.Calls()[0].Body), `"buildConfig":{"functionTarget":"main"}`)
}
