package fake

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/runidentity/runidentity/fake/internal/guard"
)

// Admin is the caller that may do everything. It stands for whoever set the
// cloud up and is no member of any policy.
const Admin = "admin"

// TB is what [Start] needs of a *testing.T, *testing.B or *testing.F.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
}

// A Backend is a Google Cloud in memory. [Start] and [NewBackend] make one; a zero
// Backend can't be used. It is an [http.Handler] that tells the APIs apart by the
// request's Host; Go programs need no server, see [Backend.ClientOptions]. All of its
// methods may be called at any time, from several goroutines.
type Backend struct {
	tb       TB // nil unless started for a test
	handler  atomic.Pointer[http.Handler]
	lifetime lifetime
	weather  weather
	log      callLog
	cloud    guard.Guard[state] // see read and write
}

// NewBackend returns an empty cloud: no projects, no callers. It holds no
// goroutine, file or port; Close only ends calls that are still under way. What the
// fake does not implement is answered 501, and no test fails, see [Start].
func NewBackend() *Backend {
	b := &Backend{lifetime: lifetime{done: make(chan struct{})}}
	b.cloud.Write((*state).init)
	var serve http.Handler = http.HandlerFunc(b.serve)
	b.handler.Store(&serve)
	return b
}

// EnforceEtags makes Cloud Run refuse a write whose etag is not that of the
// resource as it is, with 409 ABORTED. The real v2 API has been seen to accept
// any etag, which is the default; the refusal's text is that of the v1 API. It can't
// be undone.
func (b *Backend) EnforceEtags() {
	b.write(time.Now(), func(st *state) { st.etags = true })
}

// Use puts middleware around everything that the backend serves from then on,
// for what [Backend.Inject] can't do. Requests arrive as over a network, with
// the caller as bearer token; a panic with [http.ErrAbortHandler] breaks the
// connection. The middleware used last sees a request first. What it answers itself
// is not among [Backend.Calls].
func (b *Backend) Use(middleware func(http.Handler) http.Handler) {
	for {
		inner := b.handler.Load()
		wrapped := middleware(*inner)
		if b.handler.CompareAndSwap(inner, &wrapped) {
			return
		}
	}
}

// Start returns a new Backend that is closed when the test ends. A call that the fake
// does not implement fails the test, and so does a decision that it can't make.
func Start(tb TB) *Backend {
	tb.Helper()
	b := NewBackend()
	b.tb = tb
	tb.Cleanup(b.Close)
	return b
}

// Close ends calls that are still under way and waits for them. Later calls fail.
// Closing twice does nothing.
func (b *Backend) Close() { b.lifetime.end() }

// Calls returns what the backend was asked so far, refused calls included, in the
// order in which the calls ended.
func (b *Backend) Calls() []Call { return b.log.all() }

// ObserveCalls hands each call to a function when it has ended, before it is
// answered, instead of keeping it for [Backend.Calls]: for backends that run for
// long. What was kept before stays. The function may be called by several goroutines
// at once; nil keeps the calls again.
func (b *Backend) ObserveCalls(observe func(Call)) { b.log.observeWith(observe) }

// ResetCalls forgets the calls so far.
func (b *Backend) ResetCalls() { b.log.reset() }
