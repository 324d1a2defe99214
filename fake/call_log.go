package fake

import "sync"

// callLog keeps the calls that have ended, or hands them on.
type callLog struct {
	observe func(Call) // instead of keeping them, if not nil

	mu    sync.Mutex // guards ended
	ended []Call
}

func (l *callLog) add(c Call) {
	if l.observe != nil {
		l.observe(c)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, c)
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
