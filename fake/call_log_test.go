package fake_test

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
)

// An observer sees each call once, and the backend keeps none meanwhile.
func TestObserveCalls(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	get := func() {
		_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
		require.NoError(t, err)
	}
	get()
	var seen atomic.Int32
	b.ObserveCalls(func(c fake.Call) {
		assert.Equal(t, getJob, c.Method)
		assert.Len(t, b.Calls(), 1, "an observer may ask for the calls")
		seen.Add(1)
	})
	get()
	get()
	assert.EqualValues(t, 2, seen.Load())
	b.ObserveCalls(nil)
	get()
	assert.EqualValues(t, 2, seen.Load())
	assert.Len(t, b.Calls(), 2)
}
