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

func TestServing(t *testing.T) {
	t.Parallel()
	shop := identity.Service("web-prod", "europe-west1", "shop")
	const getService, getRevision = "run.projects.locations.services.get", "run.projects.locations.services.revisions.get"
	latest := `"latestReadyRevision":"` + shop.Name() + `/revisions/r1","trafficStatuses":[{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST","percent":100}]}`
	t.Run("the default by another name", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.Inject(getService, fake.Fault{Status: 200, Body: `{"name":"` + shop.Name() + `","template":{},` + latest})
		b.Inject(getRevision, fake.Fault{Status: 200, Body: `{"name":"` + shop.Name() + `/revisions/r1","serviceAccount":"` + defaultEmail + `"}`})
		c := newClient(t, b)
		a, err := c.Get(t.Context(), shop, &identity.GetOptions{ReadRevisions: true, ProjectNumber: 123456789012})
		require.NoError(t, err)
		assert.Equal(t, identity.No, a.ServingOther)
		a, err = c.Get(t.Context(), shop, &identity.GetOptions{ReadRevisions: true})
		require.NoError(t, err)
		assert.Equal(t, identity.Unknown, a.ServingOther)
	})
	t.Run("no traffic is told of", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.Inject(getService, fake.Fault{Status: 200, Body: `{"name":"` + shop.Name() + `","template":{"serviceAccount":"` + runnerEmail + `"},"latestReadyRevision":"r","latestCreatedRevision":"r"}`})
		c := newClient(t, b)
		change, err := c.Attach(t.Context(), shop, runner, nil)
		require.NoError(t, err)
		assert.Equal(t, identity.Unknown, change.ReceivesTraffic)
		a, err := c.Get(t.Context(), shop, &identity.GetOptions{ReadRevisions: true})
		require.NoError(t, err)
		assert.Equal(t, identity.Unknown, a.ServingOther)
	})
	t.Run("a missing revision is no missing service", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		revisioned(b, "")
		b.Inject(getRevision, fake.Fault{Status: 404})
		_, err := newClient(t, b).Get(t.Context(), shop, &identity.GetOptions{ReadRevisions: true})
		require.Error(t, err)
		assert.NotErrorIs(t, err, identity.ErrNotFound)
	})
	t.Run("a project by its number", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		w := revisioned(b, "")[0]
		pinTraffic(t, b, w) // to the latest revision, by name
		for _, project := range []string{"web-prod", "123456789012"} {
			change, err := newClient(t, b).Attach(t.Context(), identity.Service(project, w.Location, w.ID), other, nil)
			require.NoError(t, err)
			assert.Equal(t, identity.Yes, change.ReceivesTraffic)
		}
	})
}
