package identity_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// revisioned are a service and a worker pool, alike but for their kinds.
func revisioned(b *fake.Backend, revision string) []identity.Workload {
	shop := identity.Service("web-prod", "europe-west1", "shop")
	b.AddService(&run.GoogleCloudRunV2Service{
		Name: shop.Name(),
		Template: &run.GoogleCloudRunV2RevisionTemplate{
			Revision: name("shop-", revision), ServiceAccount: other.Email(),
			Containers: []*run.GoogleCloudRunV2Container{{Image: "shop", Env: []*run.GoogleCloudRunV2EnvVar{{Name: "A", Value: "1"}}}},
		},
	})
	worker := identity.WorkerPool("web-prod", "europe-west1", "worker")
	b.AddWorkerPool(&run.GoogleCloudRunV2WorkerPool{
		Name: worker.Name(),
		Template: &run.GoogleCloudRunV2WorkerPoolRevisionTemplate{
			Revision: name("worker-", revision), ServiceAccount: other.Email(),
			Containers: []*run.GoogleCloudRunV2Container{{Image: "worker"}},
		},
	})
	return []identity.Workload{shop, worker}
}

func name(prefix, suffix string) string {
	if suffix == "" {
		return ""
	}
	return prefix + suffix
}

func TestAttachToServicesAndWorkerPools(t *testing.T) {
	t.Parallel()
	for _, revision := range []string{"", "v1"} {
		b := newCloud(t)
		for _, w := range revisioned(b, revision) {
			t.Run(w.Kind.String()+" "+revision, func(t *testing.T) {
				b.ResetCalls()
				outputs := []string{"conditions", "latestCreatedRevision", "latestReadyRevision", "terminalCondition"}
				before := without(t, b.RunJSON(w.Name()), outputs...)
				created := decoded(t, b.RunJSON(w.Name()))["latestCreatedRevision"]

				change, err := newClient(t, b).Attach(t.Context(), w, runner, nil)

				require.NoError(t, err)
				template := before["template"].(map[string]any)
				template["serviceAccount"] = runnerEmail
				mask := "template.serviceAccount"
				if revision != "" {
					mask += "%2Ctemplate.revision"
					delete(template, "revision")
				}
				assert.Equal(t, before, without(t, b.RunJSON(w.Name()), outputs...))
				assert.Equal(t, []string{"get", "patch", "wait"}, methods(b))
				assert.Equal(t, "alt=json&prettyPrint=false&updateMask="+mask, b.Calls()[1].Query)
				body := decoded(t, b.Calls()[1].Body)
				assert.NotEmpty(t, body["etag"])
				delete(body, "etag")
				assert.Equal(t, map[string]any{"template": map[string]any{"serviceAccount": runnerEmail}}, body)
				assert.Equal(t, name(w.ID+"-", revision), change.ClearedRevision)
				assert.Equal(t, identity.Yes, change.ReceivesTraffic)
				assert.Equal(t, other, change.Old)
				assert.NotEqual(t, created, decoded(t, b.RunJSON(w.Name()))["latestCreatedRevision"], "a new revision")
			})
		}
	}
}

func TestDetachServicesAndWorkerPools(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	for _, w := range revisioned(b, "") {
		change, err := newClient(t, b).Detach(t.Context(), w, nil)
		require.NoError(t, err)
		assert.Equal(t, defaultEmail, change.New.Email())
	}
}

// pinTraffic sends all traffic to the revision that is the latest now.
func pinTraffic(t testing.TB, b *fake.Backend, w identity.Workload) (revision string) {
	t.Helper()
	var s run.GoogleCloudRunV2Service
	require.NoError(t, json.Unmarshal(b.RunJSON(w.Name()), &s))
	svc, err := run.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	short := s.LatestReadyRevision[len(w.Name()+"/revisions/"):]
	if w.Kind == identity.KindService {
		_, err = svc.Projects.Locations.Services.Patch(w.Name(), &run.GoogleCloudRunV2Service{
			Traffic: []*run.GoogleCloudRunV2TrafficTarget{{Type: "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", Revision: short, Percent: 100}},
		}).UpdateMask("traffic").Do()
	} else {
		_, err = svc.Projects.Locations.WorkerPools.Patch(w.Name(), &run.GoogleCloudRunV2WorkerPool{
			InstanceSplits: []*run.GoogleCloudRunV2InstanceSplit{{Type: "INSTANCE_SPLIT_ALLOCATION_TYPE_REVISION", Revision: short, Percent: 100}},
		}).UpdateMask("instanceSplits").Do()
	}
	require.NoError(t, err)
	return s.LatestReadyRevision
}

func TestTrafficPinnedToAnOldRevision(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	for _, w := range revisioned(b, "") {
		t.Run(w.Kind.String(), func(t *testing.T) {
			old := pinTraffic(t, b, w)

			change, err := c.Attach(t.Context(), w, runner, nil)
			require.NoError(t, err)
			assert.Equal(t, identity.No, change.ReceivesTraffic)

			a, err := c.Get(t.Context(), w, &identity.GetOptions{ReadRevisions: true})
			require.NoError(t, err)
			assert.Equal(t, runner, a.ServiceAccount)
			assert.Equal(t, []identity.ServingRevision{{Name: old, Percent: 100, ServiceAccount: other}}, a.Serving)
			assert.Equal(t, identity.Yes, a.ServingOther)

			again, err := c.Attach(t.Context(), w, other, &identity.AttachOptions{NoWait: true})
			require.NoError(t, err)
			assert.Equal(t, identity.No, again.ReceivesTraffic, "pinned traffic tells without waiting")
		})
	}
}

func TestNewRevisionThatDoesNotBecomeReady(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	w := revisioned(b, "")[0]
	c := newClient(t, b)
	b.Inject("run.projects.locations.services.patch", fake.Fault{Condition: &run.GoogleCloudRunV2Condition{
		State: "CONDITION_FAILED", RevisionReason: "HEALTH_CHECK_CONTAINER_ERROR", Message: "The user-provided container failed to start.",
	}})
	_, err := c.Attach(t.Context(), w, runner, nil)
	require.ErrorContains(t, err, "failed with HEALTH_CHECK_CONTAINER_ERROR: The user-provided container failed to start.")

	a, err := c.Get(t.Context(), w, &identity.GetOptions{ReadRevisions: true})
	require.NoError(t, err)
	assert.Equal(t, runner, a.ServiceAccount)
	assert.Equal(t, identity.Yes, a.ServingOther, "the last ready revision still serves, as the old identity")
}

func TestGet(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	def := identity.DefaultServiceAccount(123456789012)
	b.AddRunJSON("projects/web-prod/locations/europe-west1/jobs/plain", []byte(`{"template":{"template":{"containers":[{"image":"i"}]}}}`))
	byID, byNumber := identity.Job("web-prod", "europe-west1", "plain"), identity.Job("123456789012", "europe-west1", "plain")
	tests := map[string]struct {
		workload identity.Workload
		opts     *identity.GetOptions
		account  identity.ServiceAccount
		isIt     identity.Tristate
	}{
		"a user-managed account is not the default": {nightly, nil, other, identity.No},
		"the form of the default, number not known": {byID, nil, def, identity.Unknown},
		"the number is in the workload":             {byNumber, nil, def, identity.Yes},
		"the number is given":                       {byID, &identity.GetOptions{ProjectNumber: 123456789012}, def, identity.Yes},
		"the default account of another project":    {byID, &identity.GetOptions{ProjectNumber: 99}, def, identity.No},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := c.Get(t.Context(), tt.workload, tt.opts)
			require.NoError(t, err)
			assert.Equal(t, tt.account, a.ServiceAccount)
			assert.Equal(t, tt.isIt, a.Default)
			assert.Equal(t, identity.No, a.ServingOther)
		})
	}
	t.Run("services are asked for their revisions only on request", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		c := newClient(t, b)
		w := revisioned(b, "")[0]
		a, err := c.Get(t.Context(), w, nil)
		require.NoError(t, err)
		assert.Equal(t, identity.Unknown, a.ServingOther)
		assert.Equal(t, []string{"get"}, methods(b))
		b.ResetCalls()
		a, err = c.Get(t.Context(), w, &identity.GetOptions{ReadRevisions: true})
		require.NoError(t, err)
		assert.Equal(t, identity.No, a.ServingOther)
		assert.Len(t, a.Serving, 1)
		assert.Equal(t, []string{"get", "get"}, methods(b))
	})
}

func TestAttachmentAsJSON(t *testing.T) {
	t.Parallel()
	a := identity.Attachment{Workload: nightly, ServiceAccount: runner, Default: identity.No, Generation: 4}
	got, err := json.Marshal(a)
	require.NoError(t, err)
	assert.JSONEq(t, `{"workload":"projects/web-prod/locations/europe-west1/jobs/nightly",
		"serviceAccount":"runner@data-prod.iam.gserviceaccount.com","default":"no","generation":4,"servingOther":"unknown"}`, string(got))
	var back identity.Attachment
	require.NoError(t, json.Unmarshal(got, &back))
	assert.Equal(t, a, back)
	assert.Error(t, json.Unmarshal([]byte(`{"default":"maybe"}`), &back))
}
