package guard_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/runidentity/runidentity/fake/internal/guard"
)

func TestWritesExcludeEachOther(t *testing.T) {
	t.Parallel()
	var g guard.Guard[int]
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { g.Write(func(n *int) { *n++ }) })
	}
	all.Wait()
	g.Read(func(n *int) { assert.Equal(t, 100, *n) })
}

func TestReadersShareAndKeepWritersOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g guard.Guard[string]
		inside, release := make(chan struct{}, 2), make(chan struct{})
		for range 2 {
			go g.Read(func(s *string) {
				inside <- struct{}{}
				<-release
				assert.Empty(t, *s)
			})
		}
		<-inside
		<-inside // both at once
		written := make(chan struct{})
		go func() {
			g.Write(func(s *string) { *s = "written" })
			close(written)
		}()
		// A goroutine that waits for a mutex is never durably blocked, so that
		// synctest.Wait can't be used: the readers' own assertion holds the order.
		close(release)
		<-written
		g.Read(func(s *string) { assert.Equal(t, "written", *s) })
	})
}

func TestPanicUnlocks(t *testing.T) {
	t.Parallel()
	var g guard.Guard[int]
	assert.Panics(t, func() { g.Write(func(*int) { panic("seeding refused") }) })
	assert.Panics(t, func() { g.Read(func(*int) { panic("seeding refused") }) })
	g.Write(func(n *int) { *n = 1 })
	g.Read(func(n *int) { assert.Equal(t, 1, *n) })
}
