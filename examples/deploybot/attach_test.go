package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runapi "google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// setUp is the demo's cloud, and a client for it.
func setUp(t *testing.T) (*fake.Backend, *identity.Client) {
	t.Helper()
	b := demo.NewBackend()
	t.Cleanup(b.Close)
	client, err := identity.NewClient(t.Context(), b.ClientOptions(demo.Deployer)...)
	require.NoError(t, err)
	return b, client
}

// attach attaches an account without checking before.
func attach(ctx context.Context, client *identity.Client, w identity.Workload, sa identity.ServiceAccount) (*result, error) {
	var r result
	err := r.attach(ctx, client, w, sa)
	return &r, err
}

func text(r *result) string {
	var out bytes.Buffer
	r.printText(&out, true)
	return out.String()
}

var (
	invoices = identity.MustParseWorkload(demo.Job)
	exporter = identity.MustParseServiceAccount(demo.ExportIdentity)
)

// Someone else changes a secret value after Attach has read the job.
func TestValuesOfOthersAreNotShown(t *testing.T) {
	t.Parallel()
	b, client := setUp(t)
	before := b.RunJSON(demo.Job)
	change, err := client.Attach(t.Context(), invoices, exporter, nil)
	require.NoError(t, err)

	differences, err := diff(before, bytes.Replace(change.After, []byte("data-prod-invoices"), []byte("hunter2"), 1))

	require.NoError(t, err)
	r := &result{Change: &change, Diff: differences}
	const path = "template.template.containers[0].env[7].value"
	assert.Equal(t, []difference{{Path: path, By: byOther}}, r.changed(byOther))
	assert.Contains(t, text(r), "\nAlso changed, not by this bot (values not shown)\n  "+path+"\n")
	assert.NotContains(t, text(r), "hunter2")
	var asJSON strings.Builder
	require.NoError(t, r.print(&asJSON, options{json: true}))
	assert.NotContains(t, asJSON.String(), "hunter2")
}

func TestAWrittenChangeThatFailsIsShown(t *testing.T) {
	t.Parallel()
	b, client := setUp(t)
	b.Inject("run.projects.locations.jobs.patch", fake.Fault{Condition: &runapi.GoogleCloudRunV2Condition{
		State: "CONDITION_FAILED", Reason: "SECRETS_ACCESS_CHECK_FAILED", Message: "Permission denied on secret.",
	}})

	r, err := attach(t.Context(), client, invoices, exporter)

	require.ErrorContains(t, err, "SECRETS_ACCESS_CHECK_FAILED")
	require.NotNil(t, r.Change)
	assert.Contains(t, text(r), "\nWritten, but not known to be in effect.\n")
	assert.Len(t, r.changed(byAttach), 1)
}

func TestServicesAndWorkerPools(t *testing.T) {
	t.Parallel()
	b, client := setUp(t)
	containers := []*runapi.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/hello"}}
	shop := identity.Service("web-prod", "europe-west1", "shop")
	b.AddService(&runapi.GoogleCloudRunV2Service{
		Name: shop.Name(),
		Template: &runapi.GoogleCloudRunV2RevisionTemplate{
			Containers: containers, Revision: "shop-v1", ServiceAccount: demo.JobIdentity,
		},
	})
	mailer := identity.WorkerPool("web-prod", "europe-west1", "mailer")
	b.AddWorkerPool(&runapi.GoogleCloudRunV2WorkerPool{
		Name:     mailer.Name(),
		Template: &runapi.GoogleCloudRunV2WorkerPoolRevisionTemplate{Containers: containers},
	})

	r, err := attach(t.Context(), client, shop, exporter)
	require.NoError(t, err)
	assert.Empty(t, r.changed(byOther))
	assert.Contains(t, text(r), `
A new revision runs as the new identity and receives traffic.

Changed in the service's JSON
  template.revision
    - "shop-v1"
    + (none)
  template.serviceAccount
    - "123456789012-compute@developer.gserviceaccount.com"
    + "invoice-export@data-prod.iam.gserviceaccount.com"

Everything else is unchanged, but for what Cloud Run itself records
`)

	r, err = attach(t.Context(), client, mailer, exporter)
	require.NoError(t, err)
	assert.Empty(t, r.changed(byOther))
	assert.Contains(t, text(r), "\nChanged in the worker pool's JSON\n  template.serviceAccount\n")
}

func TestTrafficThatIsPinned(t *testing.T) {
	t.Parallel()
	b, client := setUp(t)
	shop := identity.Service("web-prod", "europe-west1", "shop")
	b.AddService(&runapi.GoogleCloudRunV2Service{
		Name: shop.Name(),
		Template: &runapi.GoogleCloudRunV2RevisionTemplate{
			Containers: []*runapi.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/hello"}},
			Revision:   "shop-v1",
		},
		Traffic: []*runapi.GoogleCloudRunV2TrafficTarget{{
			Type: "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", Revision: "shop-v1", Percent: 100,
		}},
	})

	r, err := attach(t.Context(), client, shop, exporter)
	require.NoError(t, err)
	assert.Contains(t, text(r), "\nA new revision runs as the new identity, but receives no traffic:\n")

	r, err = attach(t.Context(), client, shop, exporter)
	require.NoError(t, err)
	assert.Contains(t, text(r), "\nBut its latest revision, which runs as it, receives no traffic.\n")
}
