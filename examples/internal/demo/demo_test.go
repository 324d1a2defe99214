package demo_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/examples/internal/demo"
)

func TestTheJobIsInTheFormThatTheAPIReturns(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile("nightly-invoices.json")
	require.NoError(t, err)
	b := demo.NewBackend()
	defer b.Close()
	assert.JSONEq(t, string(shipped), string(b.RunJSON(demo.Job)), "the server has nothing to add or to normalize")

	var job run.GoogleCloudRunV2Job
	dec := json.NewDecoder(bytes.NewReader(shipped))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&job))
	assert.Equal(t, demo.Job, job.Name)
	assert.Equal(t, demo.JobIdentity, job.Template.Template.ServiceAccount)
}
