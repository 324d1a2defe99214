package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/examples/internal/demo"
)

// jobManifest is one of the demo's job, with an identity.
func jobManifest(account string) string {
	return `apiVersion: run.googleapis.com/v1
kind: Job
metadata:
  name: nightly-invoices  # in web-prod
  namespace: web-prod
  labels: {cloud.googleapis.com/location: europe-west1}
spec:
  template:
    spec:
      template:
        spec:
          containers: [{image: invoices}]
          serviceAccountName: ` + account + `
`
}

func manifestFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "job.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o640))
	return file
}

func TestManifestIsChecked(t *testing.T) {
	t.Parallel()
	file := manifestFile(t, jobManifest(demo.ExportIdentity))
	code, stdout, stderr := program(t.Context(), "-manifest", file)
	assert.Equal(t, exitDone, code, stderr)
	assert.Equal(t, file+":13: "+demo.Job+" as "+demo.ExportIdentity+": pass\n", stdout)

	file = manifestFile(t, jobManifest(demo.ReportIdentity))
	code, stdout, stderr = program(t.Context(), "-manifest", filepath.Dir(file))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stdout, file+":13: "+demo.Job+" as "+demo.ReportIdentity+": fail\n  fail: deployer-act-as: ")
	assert.Contains(t, stdout, "\n    fix: grant roles/iam.serviceAccountUser to deploy-bot@")
	assert.Contains(t, stderr, "1 of 1 workloads in manifests fail their checks")
}

func TestManifestIsWritten(t *testing.T) {
	t.Parallel()
	file := manifestFile(t, jobManifest(demo.JobIdentity))
	code, stdout, stderr := program(t.Context(), "-manifest", file, "-identity", demo.ExportIdentity, "-write", "-json")
	assert.Equal(t, exitDone, code, stderr)
	var out struct{ Manifests []declared }
	require.NoError(t, json.Unmarshal([]byte(stdout), &out))
	require.Len(t, out.Manifests, 1)
	assert.Equal(t, 13, out.Manifests[0].Line)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, jobManifest(demo.ExportIdentity), string(text))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
	left, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	assert.Len(t, left, 1)

	// Not if the checks fail.
	code, _, _ = program(t.Context(), "-manifest", file, "-identity", demo.ReportIdentity, "-write")
	assert.Equal(t, exitFailed, code)
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, jobManifest(demo.ExportIdentity), string(text))

	bad := manifestFile(t, strings.Replace(jobManifest(demo.ExportIdentity), "  labels", "\tlabels", 1))
	code, stdout, _ = program(t.Context(), "-manifest", bad)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stdout, "job.yaml:6: ")
}

func TestManifestIsApplied(t *testing.T) {
	t.Parallel()
	file := manifestFile(t, jobManifest(demo.JobIdentity))
	code, stdout, stderr := program(t.Context(), "-manifest", file, "-identity", demo.ExportIdentity, "-apply")
	assert.Equal(t, exitDone, code, stderr)
	assert.Equal(t, file+":13: "+demo.Job+" as "+demo.ExportIdentity+": pass\n"+
		"  replaced, ready in generation 18: "+demo.JobIdentity+" -> "+demo.ExportIdentity+"\n", stdout)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, jobManifest(demo.JobIdentity), string(text), "only -write writes")

	// Several in a folder, one of them new; the JSON tells of each.
	another := strings.Replace(jobManifest(demo.ExportIdentity), "nightly-invoices", "hourly", 1)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "more.yaml"), []byte("a: b\n---\n"+another), 0o600))
	code, stdout, stderr = program(t.Context(), "-manifest", filepath.Dir(file), "-apply", "-write", "-identity", demo.ExportIdentity, "-json")
	var out struct{ Manifests []declared }
	require.NoError(t, json.Unmarshal([]byte(stdout), &out), stderr)
	require.Len(t, out.Manifests, 2)
	assert.Equal(t, exitDone, code, stderr)
	for _, d := range out.Manifests {
		require.NotNil(t, d.Applied, d.File)
		assert.True(t, d.Applied.Done)
		assert.Equal(t, demo.ExportIdentity, d.Applied.New.Email())
	}
	assert.True(t, out.Manifests[1].Applied.Created)

	// Not if the checks fail.
	code, stdout, stderr = program(t.Context(), "-manifest", file, "-identity", demo.ReportIdentity, "-apply")
	assert.Equal(t, exitFailed, code)
	assert.NotContains(t, stdout, "ready")
	assert.Contains(t, stderr, "nothing is written")

	// Nor, with -strict, if one can't be made: of this account's project, the bot
	// can read nothing.
	stranger := manifestFile(t, jobManifest("someone@elsewhere-proj.iam.gserviceaccount.com"))
	code, _, stderr = program(t.Context(), "-manifest", stranger, "-apply", "-strict")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "nothing is written")
	code, _, stderr = program(t.Context(), "-manifest", stranger, "-fix")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, stderr, "-manifest is for many workloads")

	// What Cloud Run refuses all the same.
	odd := manifestFile(t, strings.Replace(jobManifest(demo.ExportIdentity), "image: invoices", "image: 7", 1))
	code, stdout, stderr = program(t.Context(), "-manifest", odd, "-apply")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stdout, "  not applied: apply "+demo.Job+": ")
	assert.Contains(t, stderr, "0 of 1 workloads were applied: ")
}
