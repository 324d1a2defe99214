package preflight_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

// targets are n jobs, some of them for a deployer that is none.
func targets(n int) func(func(preflight.Target) bool) {
	return func(yield func(preflight.Target) bool) {
		for i := range n {
			target := preflight.Target{Workload: identity.Job("web-prod", "europe-west1", fmt.Sprintf("job-%d", i)), Identity: identity.MustParseServiceAccount(local)}
			if i%10 == 3 {
				target.Deployer = "nobody"
			}
			if !yield(target) {
				return
			}
		}
	}
}

func TestBadTargetIsOneError(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	good, bad, last := 0, 0, 0
	for report, err := range newChecker(t, b, dev).CheckAll(t.Context(), targets(40), &preflight.CheckAllOptions{Progress: func(n int) { last = n }}) {
		if err != nil {
			assert.Equal(t, "nobody", report.Target.Deployer)
			bad++
			continue
		}
		assert.NotEmpty(t, report.Findings)
		good++
	}
	assert.Equal(t, []int{36, 4, 40}, []int{good, bad, last})
}

func TestLeavingTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine stays behind
		b := newCloud(t)
		b.SetLatency(time.Second)
		for range newChecker(t, b, dev).CheckAll(t.Context(), targets(1000), &preflight.CheckAllOptions{Concurrency: 4}) {
			break
		}
		n := len(b.Calls())
		time.Sleep(time.Hour)
		assert.Len(t, b.Calls(), n)
	})
}

func TestLoopEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.SetLatency(time.Second)
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		why := errors.New("enough")
		var errs []error
		for _, err := range newChecker(t, b, dev).CheckAll(ctx, targets(1000), &preflight.CheckAllOptions{Concurrency: 2}) {
			errs = append(errs, err)
			cancel(why)
		}
		require.NotEmpty(t, errs)
		require.ErrorIs(t, errs[len(errs)-1], why)
		assert.Less(t, len(errs), 10)
	})
}

func TestRateIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		began := time.Now()
		for range newChecker(t, b, dev).CheckAll(t.Context(), targets(300), &preflight.CheckAllOptions{Check: preflight.CheckOptions{NoAdvice: true, CallsPerSecond: 10}}) {
		}
		var run int
		for _, c := range b.Calls() {
			if strings.HasPrefix(c.Method, "run.") {
				run++
			}
		}
		assert.Greater(t, run, 250, "workloads that have to be asked for")
		assert.GreaterOrEqual(t, time.Since(began), time.Duration(run/10-2)*time.Second)
	})
}
