package main

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runv2 "google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// The identity's update by this library is compared with gcloud's, on the same
// emulator in the same run.
//
//nolint:paralleltest // it measures
func TestFasterThanGcloud(t *testing.T) {
	e := startEmulator(t)
	g := newGcloud(t, e, owner)
	client, err := identity.NewClient(t.Context(), fake.Remote(e.address, owner)...)
	require.NoError(t, err)
	job, err := identity.ParseWorkload(nightly)
	require.NoError(t, err)
	accounts := []string{runner, bot}
	attach := func(i int) {
		account, err := identity.ParseServiceAccount(accounts[i%2])
		require.NoError(t, err)
		change, err := client.Attach(t.Context(), job, account, nil)
		require.NoError(t, err)
		require.True(t, change.Written && change.Done)
	}
	attach(1)
	g.ok("run jobs update nightly --service-account=" + runner)

	const ours, theirs = 100, 3
	begin := time.Now()
	for i := range ours {
		attach(i + 1)
	}
	attached := time.Since(begin) / ours
	begin = time.Now()
	for i := range theirs {
		g.ok("run jobs update nightly --service-account=" + accounts[(i+1)%2])
	}
	updated := time.Since(begin) / theirs
	t.Logf("Attach %s, gcloud run jobs update %s: %.0f times", attached, updated, float64(updated)/float64(attached))
	assert.Greater(t, updated, 100*attached)
}

// BenchmarkJobsGet is the emulator's speed over loopback, with its clients on
// the same processors.
func BenchmarkJobsGet(b *testing.B) {
	e := startEmulator(b)
	svc, err := runv2.NewService(b.Context(), fake.Remote(e.address, owner)...)
	require.NoError(b, err)
	var left atomic.Int64
	b.ResetTimer()
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := svc.Projects.Locations.Jobs.Get(nightly).Do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
