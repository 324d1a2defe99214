package preflight

import (
	"container/list"
	"context"
	"sync"
)

// A memo reads each thing once, however many ask for it at a time, and keeps
// the most recently used.
type memo[V any] struct {
	max int // entries that are kept; 0 is all

	mu      sync.Mutex
	entries map[string]*memoEntry[V]
	recent  list.List // of keys, the most recently used first
}

type memoEntry[V any] struct {
	done  chan struct{} // closed when value and err are set
	value V
	err   error
	at    *list.Element
}

// get returns what read returned for the key, errors included.
func (m *memo[V]) get(ctx context.Context, key string, read func(context.Context) (V, error)) (V, error) {
	m.mu.Lock()
	e, ok := m.entries[key]
	if ok {
		m.recent.MoveToFront(e.at)
		m.mu.Unlock()
		select {
		case <-e.done:
			return e.value, e.err
		case <-ctx.Done():
			var zero V
			return zero, ctx.Err()
		}
	}
	if m.entries == nil {
		m.entries = make(map[string]*memoEntry[V])
	}
	e = &memoEntry[V]{done: make(chan struct{}), at: m.recent.PushFront(key)}
	m.entries[key] = e
	if m.max > 0 && m.recent.Len() > m.max {
		last := m.recent.Back()
		m.recent.Remove(last)
		delete(m.entries, last.Value.(string)) //nolint:errcheck // recent holds nothing else
	}
	m.mu.Unlock()

	e.value, e.err = read(ctx)
	close(e.done)
	return e.value, e.err
}
