package discovery_test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/discovery"
	"github.com/runidentity/runidentity/internal/discovery/compact"
)

func TestTableIsThatOfTheModule(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command, which finds the google.golang.org/api module, is not on PATH")
	}
	want, err := compact.FromModule(t.Context())
	require.NoError(t, err)
	got, err := os.ReadFile("apis.json")
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, got), "apis.json is not what the module's discovery documents say: run go generate ./...")
}

func TestAll(t *testing.T) {
	t.Parallel()
	run := discovery.All()["run:v2"]
	require.NotNil(t, run)
	assert.Equal(t, "run.googleapis.com", run.Host)
	assert.Contains(t, run.Locations, "europe-west1")
	assert.Equal(t, "int64", run.Schemas["GoogleCloudRunV2Job"]["generation"].Type)
	assert.True(t, run.Schemas["GoogleCloudRunV2Job"]["generation"].Output)
	assert.Equal(t, "CONDITION_SUCCEEDED", run.Schemas["GoogleCloudRunV2Condition"]["state"].Enum[4])
}
