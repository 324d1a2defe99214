package identity_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// What serves is what has a share: a revision that is only tagged has none, and
// one with several shares is one revision.
func TestSharesOfRevisions(t *testing.T) {
	t.Parallel()
	shop := identity.Service("web-prod", "europe-west1", "shop")
	const getService, getRevision = "run.projects.locations.services.get", "run.projects.locations.services.revisions.get"
	b := newCloud(t)
	b.Inject(getService, fake.Fault{Status: 200, Body: `{"name":"` + shop.Name() + `","template":{"serviceAccount":"` + runnerEmail + `"},
		"latestReadyRevision":"` + shop.Name() + `/revisions/r2","trafficStatuses":[
			{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION","revision":"r1","tag":"old"},
			{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST","percent":60},
			{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION","revision":"r2","percent":40,"tag":"new"}]}`})
	b.Inject(getRevision, fake.Fault{Status: 200, Body: `{"name":"` + shop.Name() + `/revisions/r2","serviceAccount":"` + runnerEmail + `"}`})
	a, err := newClient(t, b).Get(t.Context(), shop, &identity.GetOptions{ReadRevisions: true})
	require.NoError(t, err)
	assert.Equal(t, []identity.ServingRevision{{Name: shop.Name() + "/revisions/r2", Percent: 100, ServiceAccount: runner}}, a.Serving)
	assert.Equal(t, identity.No, a.ServingOther)
}
