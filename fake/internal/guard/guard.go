// Package guard keeps a value behind a lock that can't be forgotten. Code that
// holds a [Guard] reaches the value only within [Guard.Read] and [Guard.Write].
// Code that is handed the value has no way to the Guard, and can't lock it again.
//
// Two rules are left to reviewers and the race detector:
//   - A function given to Read changes nothing, unless it is safe for concurrent
//     use by itself.
//   - No pointer into the value is used after the function returned.
package guard

import "sync"

// A Guard holds a value of type T. The zero Guard holds the zero T.
type Guard[T any] struct {
	mu    sync.RWMutex
	value T
}

// Read calls read with the value, together with other readers.
func (g *Guard[T]) Read(read func(*T)) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	read(&g.value)
}

// Write calls write with the value, alone.
func (g *Guard[T]) Write(write func(*T)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	write(&g.value)
}
