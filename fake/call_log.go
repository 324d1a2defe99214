package fake

import "sync"

// callLog keeps the calls that have ended, or hands them on.
type callLog struct {
	mu      sync.Mutex // guards the rest
	observe func(Call) // instead of keeping them, if not nil
	ended   []Call
}

func (l *callLog) observeWith(observe func(Call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.observe = observe
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	observe := l.observe
	if observe == nil {
		l.ended = append(l.ended, c)
	}
	l.mu.Unlock()
	if observe != nil { // which may take its time, and ask for the calls
		observe(c)
	}
}

func (l *callLog) all() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Call(nil), l.ended...)
}

func (l *callLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = nil
}
