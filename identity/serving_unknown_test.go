package identity_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// A share of which Cloud Run doesn't tell the revision may be of one that runs as
// another account: that the others don't is no answer.
func TestShareOfAnUntoldRevision(t *testing.T) {
	t.Parallel()
	shop := identity.Service("web-prod", "europe-west1", "shop")
	pool := identity.WorkerPool("web-prod", "europe-west1", "mailer")
	revision := func(w identity.Workload, sa string) fake.Fault {
		return fake.Fault{Status: 200, Body: `{"name":"` + w.Name() + `/revisions/r2","serviceAccount":"` + sa + `"}`}
	}
	for name, tt := range map[string]struct {
		workload      identity.Workload
		shares, runAs string
		want          identity.Tristate
	}{
		"the latest ready one, which isn't told": {shop, `"trafficStatuses":[
			{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST","percent":50},
			{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION","revision":"r2","percent":50}]`, runnerEmail, identity.Unknown},
		"one without a name": {shop, `"trafficStatuses":[
			{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION","percent":50},
			{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION","revision":"r2","percent":50}]`, runnerEmail, identity.Unknown},
		"of a worker pool": {pool, `"instanceSplitStatuses":[
			{"type":"INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST","percent":50},
			{"type":"INSTANCE_SPLIT_ALLOCATION_TYPE_REVISION","revision":"r2","percent":50}]`, runnerEmail, identity.Unknown},
		"and another runs as another account": {shop, `"trafficStatuses":[
			{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST","percent":50},
			{"type":"TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION","revision":"r2","percent":50}]`, other.Email(), identity.Yes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			collection := map[identity.Kind]string{identity.KindService: "services", identity.KindWorkerPool: "workerPools"}[tt.workload.Kind]
			method := "run.projects.locations." + collection
			b.Inject(method+".get", fake.Fault{Status: 200, Body: `{"name":"` + tt.workload.Name() + `","template":{"serviceAccount":"` + runnerEmail + `"},` + tt.shares + `}`})
			b.Inject(method+".revisions.get", revision(tt.workload, tt.runAs))
			a, err := newClient(t, b).Get(t.Context(), tt.workload, &identity.GetOptions{ReadRevisions: true})
			require.NoError(t, err)
			assert.Equal(t, tt.want, a.ServingOther)
		})
	}
}
