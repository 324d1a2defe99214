package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runapi "google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/fake"
)

// What is printed of a manifest that was sent is what became of it.
func TestManifestThatIsNotKnownToBeReady(t *testing.T) {
	t.Parallel()
	const put = "run.namespaces.jobs.replaceJob"
	for name, tt := range map[string]struct {
		weather  fake.Fault
		stdout   string
		stderr   string
		isAmong  string // the member of the JSON that tells
		accepted bool
	}{
		"it doesn't become ready": {
			fake.Fault{Condition: &runapi.GoogleCloudRunV2Condition{State: "CONDITION_FAILED", Reason: "CONTAINER_MISSING", Message: "Image not found."}},
			"  replaced in generation 18, not known to be ready: " + demo.JobIdentity + " -> " + demo.ExportIdentity + ": apply ",
			"1 of 1 workloads were applied, of which the last isn't known to be ready: ", "notReady", true,
		},
		"its answers are all lost": {
			fake.Fault{DropBefore: true}, "  perhaps applied: apply ", "0 of 1 workloads were applied, and perhaps one more: ", "notReady", false,
		},
		"it is refused": {
			fake.Fault{Status: 400}, "  not applied: apply ", "0 of 1 workloads were applied: ", "notApplied", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for _, asJSON := range []bool{false, true} {
					b := demo.NewBackend()
					c, err := dialDemo(t.Context(), b)
					require.NoError(t, err)
					b.Inject(put, tt.weather)
					var out bytes.Buffer
					err = deploy(t.Context(), c, options{manifest: manifestFile(t, jobManifest(demo.ExportIdentity)), apply: true, json: asJSON}, &out)
					require.ErrorContains(t, err, tt.stderr)
					if !asJSON {
						assert.Contains(t, out.String(), tt.stdout)
						continue
					}
					var printed struct{ Manifests []map[string]any }
					require.NoError(t, json.Unmarshal(out.Bytes(), &printed))
					assert.Contains(t, printed.Manifests[0], tt.isAmong)
					assert.Equal(t, tt.accepted, printed.Manifests[0]["applied"] != nil)
				}
			})
		})
	}
}
