package outage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Strike is a fault that hits one call of a run, or each from that on.
type Strike struct {
	// Call is the call's number: the first is 1.
	Call    int
	Fault   Fault
	Forever bool
}

// String says which call it hits and how.
func (s Strike) String() string {
	if s.Forever {
		return fmt.Sprintf("%s from call %d on", s.Fault, s.Call)
	}
	return fmt.Sprintf("%s at call %d", s.Fault, s.Call)
}

// A Call is one that was made.
type Call struct {
	// Number is its place among the calls: the first is 1.
	Number int
	// Verb, Host and Path are those of the request.
	Verb, Host, Path string
	// Fault is the name of what hit it, or "".
	Fault string
	// Status is what the backend answered, whatever the caller saw of it; 0 if it
	// wasn't asked or broke the connection.
	Status int
	// CarriedOut reports whether the backend carried it out, by now.
	CarriedOut bool
}

// Writes reports whether the method is one that changes something.
func (c Call) Writes() bool {
	if c.Verb == http.MethodGet {
		return false
	}
	_, verb, custom := strings.Cut(c.Path, ":")
	return !custom || !slices.Contains([]string{
		"wait", "getIamPolicy", "testIamPermissions", "search", "troubleshoot", "getEffectiveOrgPolicy", "queryAuditableServices", "lintPolicy",
	}, verb)
}

// String is one line about the call.
func (c Call) String() string {
	line := fmt.Sprintf("%d %s %s%s", c.Number, c.Verb, c.Host, c.Path)
	if c.Fault != "" {
		line += " (" + c.Fault + ")"
	}
	if c.CarriedOut {
		line += fmt.Sprintf(" -> %d", c.Status)
	}
	return line
}

// Weather is what happens to the calls of a run. It is safe for concurrent use.
type Weather struct {
	late sync.WaitGroup // effects that are still to land

	mu      sync.Mutex // guards what follows
	strikes []Strike
	calls   []Call
	shown   map[string]recorded // the first answer to each read
	end     context.CancelFunc
}

// New returns weather with these faults. Of several that hit one call, the first
// counts.
func New(strikes ...Strike) *Weather { return &Weather{strikes: slices.Clone(strikes)} }

// Begin returns the context of a run, which a kill ends.
func (w *Weather) Begin(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = cancel
	return ctx, cancel
}

// Clear ends the weather: calls from now on pass. They are still numbered and
// recorded.
func (w *Weather) Clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.strikes = nil
}

// Close waits until the effects that come late have landed.
func (w *Weather) Close() { w.late.Wait() }

// Calls returns the calls so far in the order in which they came.
func (w *Weather) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

// Over puts the weather over a backend. Calls of it are numbered as they arrive.
func (w *Weather) Over(backend http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		at, f, hit := w.arrive(r)
		if !hit {
			w.carryOut(backend, at, r).write(out)
			return
		}
		if f.effect == late {
			w.carryOutLate(backend, at, r, f.delay)
		} else if pause(r.Context(), f.delay) != nil {
			panic(http.ErrAbortHandler)
		}
		var answer *recorded
		if f.effect == first {
			answer = w.carryOut(backend, at, r)
		}
		w.show(out, r, f, answer)
	})
}

// arrive numbers a call, and says what hits it.
func (w *Weather) arrive(r *http.Request) (at int, f Fault, hit bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at = len(w.calls)
	for _, s := range w.strikes {
		if s.Call == at+1 || s.Forever && s.Call <= at {
			f, hit = s.Fault, true
			break
		}
	}
	w.calls = append(w.calls, Call{Number: at + 1, Verb: r.Method, Host: cmp.Or(r.Host, r.URL.Host), Path: r.URL.Path, Fault: f.Name})
	return at, f, hit
}

// carryOut lets the backend answer a call, and notes that it did.
func (w *Weather) carryOut(backend http.Handler, at int, r *http.Request) *recorded {
	answer := record(backend, r)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, seen := w.shown[r.Method+r.URL.String()]; !seen && !w.calls[at].Writes() {
		if w.shown == nil {
			w.shown = make(map[string]recorded)
		}
		w.shown[r.Method+r.URL.String()] = *answer
	}
	w.calls[at].CarriedOut = true
	if !answer.broken {
		w.calls[at].Status = answer.status
	}
	return answer
}

// carryOutLate does so after a while, whatever becomes of the caller.
func (w *Weather) carryOutLate(backend http.Handler, at int, r *http.Request, after time.Duration) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // what did not arrive has no effect
	}
	ctx := context.WithoutCancel(r.Context())
	w.late.Go(func() {
		if pause(ctx, after) != nil {
			return
		}
		again := r.Clone(ctx)
		again.Body = io.NopCloser(bytes.NewReader(body))
		w.carryOut(backend, at, again)
	})
}

// show lets the caller see what a fault leaves of a call.
func (w *Weather) show(out http.ResponseWriter, r *http.Request, f Fault, answer *recorded) {
	switch f.outcome {
	case pass:
		answer.write(out)
		return
	case behind:
		w.mu.Lock()
		earlier, seen := w.shown[r.Method+r.URL.String()]
		w.mu.Unlock()
		if seen {
			answer = &earlier
		}
		answer.write(out)
		return
	case reply:
		kind := "text/html; charset=utf-8"
		if json.Valid([]byte(f.body)) {
			kind = "application/json; charset=UTF-8"
		}
		out.Header().Set("Content-Type", kind)
		out.WriteHeader(f.status)
		_, _ = io.WriteString(out, f.body)
		return
	case truncate:
		answer.body, answer.broken = answer.body[:len(answer.body)/2], true
		answer.write(out)
	case garble:
		answer.header.Del("Content-Length")
		answer.body = append([]byte(page), answer.body...)
		answer.write(out)
		return
	case hang:
		<-r.Context().Done()
	case kill:
		w.mu.Lock()
		end := w.end
		w.mu.Unlock()
		if end == nil {
			panic("outage: a kill needs the context of Weather.Begin")
		}
		end()
	case drop:
	}
	panic(http.ErrAbortHandler)
}

// pause waits, or ends early with ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// recorded is a backend's answer.
type recorded struct {
	header http.Header
	status int
	wrote  bool
	body   []byte
	broken bool // the connection breaks behind it
}

// record lets a backend answer a request.
func record(backend http.Handler, r *http.Request) (answer *recorded) {
	answer = &recorded{header: make(http.Header), status: http.StatusOK}
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			answer.broken = true
		}
	}()
	backend.ServeHTTP(answer, r)
	return answer
}

// Header implements [http.ResponseWriter].
func (a *recorded) Header() http.Header { return a.header }

// WriteHeader implements [http.ResponseWriter]. As with a server, the first counts.
func (a *recorded) WriteHeader(status int) {
	if !a.wrote {
		a.status, a.wrote = status, true
	}
}

// Write implements [http.ResponseWriter].
func (a *recorded) Write(p []byte) (int, error) {
	a.wrote = true
	a.body = append(a.body, p...)
	return len(p), nil
}

// Flush implements [http.Flusher], for a backend that breaks off in the middle.
func (a *recorded) Flush() {}

// write answers so.
func (a *recorded) write(out http.ResponseWriter) {
	if a.wrote {
		maps.Copy(out.Header(), a.header)
		out.WriteHeader(a.status)
		_, _ = out.Write(a.body)
	}
	if a.broken {
		_ = http.NewResponseController(out).Flush()
		panic(http.ErrAbortHandler)
	}
}
