package fake

import (
	"context"
	"sync"
	"time"
)

// lifetime counts the calls under way and ends them on Close.
type lifetime struct {
	done chan struct{} // closed by end
	busy sync.WaitGroup

	mu     sync.RWMutex // guards closed
	closed bool
}

// enter counts a call in and reports whether the backend is still open. Each call
// that entered ends with leave.
func (l *lifetime) enter() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return false
	}
	l.busy.Add(1)
	return true
}

func (l *lifetime) leave() { l.busy.Done() }

// end breaks off the calls that are under way and waits for them.
func (l *lifetime) end() {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if !closed {
		close(l.done)
	}
	l.busy.Wait()
}

// pause waits, or ends early with the caller or the backend.
func (l *lifetime) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return errDropped
	}
}

// hang waits until the caller gives up or the backend ends.
func (l *lifetime) hang(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return errDropped
	}
}
