package preflight_test

import (
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/preflight"
)

// No sequence of targets is an error, and no panic that nobody can recover.
func TestCheckAllOfNoSequence(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	n := 0
	for _, err := range newChecker(t, b, dev).CheckAll(t.Context(), nil, nil) {
		require.ErrorContains(t, err, "targets")
		n++
	}
	assert.Equal(t, 1, n)
	assert.Empty(t, b.Calls())
}

// Concurrency has no bound of its own.
func TestConcurrencyWithoutBound(t *testing.T) {
	t.Parallel()
	n := 0
	for _, err := range newChecker(t, newCloud(t), dev).CheckAll(t.Context(), targets(3), &preflight.CheckAllOptions{Concurrency: math.MaxInt}) {
		require.NoError(t, err)
		n++
	}
	assert.Equal(t, 3, n)
}

// However many targets may be checked side by side, there are no more goroutines
// than targets need.
func TestConcurrencyBeyondTheTargets(t *testing.T) {
	t.Parallel()
	const many = 200_000
	most := 0
	for _, err := range newChecker(t, newCloud(t), dev).CheckAll(t.Context(), targets(2), &preflight.CheckAllOptions{
		Concurrency: many, Progress: func(int) { most = max(most, runtime.NumGoroutine()) },
	}) {
		require.NoError(t, err)
	}
	assert.Less(t, most, many/2)
}
