// Package guard keeps a value that several goroutines use behind a lock that
// can't be forgotten: who holds a Guard reaches the value only within [Guard.Read]
// and [Guard.Write], and who is handed the value has no way to the Guard, and so
// none to lock it a second time.
//
// The compiler does not hold two rules: a function given to Read changes nothing
// but what is safe for concurrent use by itself, and no pointer into the value
// outlives the function that it was given to. The race detector finds what
// breaks them.
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
