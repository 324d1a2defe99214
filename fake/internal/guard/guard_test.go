package guard_test

import (
	"sync"
	"testing"

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
	var g guard.Guard[string]
	inside, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			g.Read(func(s *string) {
				inside <- struct{}{}
				<-release
				assert.Empty(t, *s)
			})
		})
	}
	<-inside
	<-inside // both at once
	all.Go(func() { g.Write(func(s *string) { *s = "written" }) })
	close(release)
	all.Wait()
	g.Read(func(s *string) { assert.Equal(t, "written", *s) })
}

func TestPanicUnlocks(t *testing.T) {
	t.Parallel()
	var g guard.Guard[int]
	assert.Panics(t, func() { g.Write(func(*int) { panic("seeding refused") }) })
	assert.Panics(t, func() { g.Read(func(*int) { panic("seeding refused") }) })
	g.Write(func(n *int) { *n = 1 })
	g.Read(func(n *int) { assert.Equal(t, 1, *n) })
}
