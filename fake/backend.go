package fake

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runidentity/runidentity/internal/access"
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

// A Backend is a Google Cloud in memory. It is an [http.Handler] that tells
// the APIs apart by the request's Host; Go programs need no server, see
// [Backend.ClientOptions]. All of its methods may be called at any time, from
// several goroutines.
type Backend struct {
	tb      TB // nil unless started for a test
	handler atomic.Pointer[http.Handler]
	done    chan struct{}
	busy    sync.WaitGroup

	mu           sync.RWMutex // guards what follows
	closed       bool
	etags        bool                          // Cloud Run enforces them
	containers   map[string]*container         // by "organizations/1", "folders/2"
	projects     map[string]*project           // by id and by number
	accounts     map[string]*account           // by email and by unique id
	groups       map[string][]access.Member    // by email
	federated    map[string]*federatedIdentity // by principal://…
	roles        map[string]*role              // custom and seeded ones, by name
	orgPolicies  orgPolicyState
	recommender  recommenderState
	run          runState
	serviceUsage serviceUsageState
	serial       int64 // makes ids that differ
	lastWrite    time.Time
	calls        []Call
	weather      weather

	crossProjectText string
	observe          func(Call)

	// What follows is made from the above when it is needed, and forgotten
	// when that changes.
	compiler *access.Compiler
	roster   atomic.Pointer[access.Roster]
	subjects sync.Map // *access.Subject by member
}

// An Option changes how a [Backend] behaves.
type Option func(*Backend)

// EnforceEtags makes Cloud Run refuse a write whose etag is not that of the
// resource as it is, with 409 ABORTED. The real v2 API has been seen to accept
// any etag, which is the default; the refusal's text is that of the v1 API.
func EnforceEtags() Option { return func(b *Backend) { b.etags = true } }

// ObserveCalls hands each call to a function when it has ended, before it is
// answered, instead of keeping it for [Backend.Calls]: for backends that run for
// long. The function may be called by several goroutines at once.
func ObserveCalls(observe func(Call)) Option { return func(b *Backend) { b.observe = observe } }

// NewBackend returns an empty cloud: no projects, no callers. It holds no
// goroutine, file or port; Close only ends calls that are still under way.
func NewBackend(opts ...Option) *Backend {
	b := &Backend{
		done:       make(chan struct{}),
		containers: make(map[string]*container),
		projects:   make(map[string]*project),
		accounts:   make(map[string]*account),
		groups:     make(map[string][]access.Member),
		federated:  make(map[string]*federatedIdentity),
		roles:      make(map[string]*role),
		compiler:   access.NewCompiler(),
	}
	var serve http.Handler = http.HandlerFunc(b.serve)
	b.handler.Store(&serve)
	for _, opt := range opts {
		opt(b)
	}
	return b
}

// Use puts middleware around everything that the backend serves from then on,
// for what [Backend.Inject] can't do. Requests arrive as over a network, with
// the caller as bearer token; a panic with [http.ErrAbortHandler] breaks the
// connection. The middleware used last sees a request first.
func (b *Backend) Use(middleware func(http.Handler) http.Handler) {
	for {
		inner := b.handler.Load()
		wrapped := middleware(*inner)
		if b.handler.CompareAndSwap(inner, &wrapped) {
			return
		}
	}
}

// Start returns a new Backend that lives as long as the test. A call that the
// fake does not implement fails the test.
func Start(tb TB, opts ...Option) *Backend {
	tb.Helper()
	b := NewBackend(opts...)
	b.tb = tb
	tb.Cleanup(b.Close)
	return b
}

// Close ends calls that are still under way and waits for them. Later calls
// fail. Closing twice does nothing.
func (b *Backend) Close() {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if !closed {
		close(b.done)
	}
	b.busy.Wait()
}

// Calls returns what the backend was asked so far, in the order in which the
// calls ended.
func (b *Backend) Calls() []Call {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return append([]Call(nil), b.calls...)
}

// ResetCalls forgets the calls so far.
func (b *Backend) ResetCalls() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = nil
}

// enter counts a call in, unless the backend is closed.
func (b *Backend) enter() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return false
	}
	b.busy.Add(1)
	return true
}

// ServeHTTP answers one request. The caller is named by the bearer token: a
// member ("user:dev@example.com") or a bare email.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !b.enter() {
		panic(http.ErrAbortHandler)
	}
	defer b.busy.Done()
	(*b.handler.Load()).ServeHTTP(w, r)
}

// serve is ServeHTTP below the middleware.
func (b *Backend) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	entry := Call{Verb: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Time: start}
	answer, err := b.exchange(r.Context(), r, &entry)
	entry.Duration = time.Since(start)
	if err == nil {
		entry.Status = answer.status
	}
	if b.observe != nil {
		b.observe(entry)
	} else {
		b.mu.Lock()
		b.calls = append(b.calls, entry)
		b.mu.Unlock()
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer.write(w)
}

// answer is a response that is ready to be written.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	truncated bool // the connection breaks halfway through the body
}

func (a *answer) write(w http.ResponseWriter) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Server"] = serverName
	h["Vary"] = vary
	h["X-Content-Type-Options"] = nosniff
	h["X-Frame-Options"] = frameOptions
	h["X-Xss-Protection"] = xssProtection
	maps.Copy(h, a.header)
	h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	w.WriteHeader(a.status)
	if rec, ok := w.(*recorder); ok && !a.truncated {
		if rec.body == nil {
			rec.body = a.body // which the fake never changes afterwards
			return
		}
		_, _ = rec.Write(a.body)
		return
	}
	if a.truncated {
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush() // a server would keep so little back
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(a.body)
}

// The headers that the real servers send. They are shared by all answers and
// never changed.
var (
	contentType = []string{"application/json; charset=UTF-8"}
	serverName  = []string{"ESF"}
	vary        = []string{"Origin", "X-Origin", "Referer"}

	nosniff       = []string{"nosniff"}
	frameOptions  = []string{"SAMEORIGIN"}
	xssProtection = []string{"0"}
)

// exchange finds the method, applies the weather and carries the method out.
// An error means that there is no answer: the connection breaks.
func (b *Backend) exchange(ctx context.Context, r *http.Request, entry *Call) (*answer, error) {
	body, err := readBody(r)
	var refused *statusError
	if err != nil && !errors.As(err, &refused) {
		return nil, err
	}
	entry.Body = body
	query, queryErr := url.ParseQuery(r.URL.RawQuery)
	who, authErr := callerOf(r)
	entry.Caller = who.member

	rt, params, err := b.route(r)
	if err != nil {
		return fail(err), nil
	}
	entry.Method = rt.method.ID
	switch {
	case refused != nil:
		return fail(refused), nil //nolint:nilerr // an error of the API is an answer
	case queryErr != nil:
		return fail(invalid("Invalid query string: %v", queryErr)), nil
	case authErr != nil:
		return fail(authErr), nil
	}
	c := &call{
		route: rt, b: b, ctx: ctx, params: params, query: query, location: hostLocation(r.Host), caller: who, body: body,
	}
	return b.carryOut(c)
}

func (b *Backend) carryOut(c *call) (*answer, error) {
	fault, faulty, latency := b.weatherFor(c.method.ID)
	if err := b.pause(c.ctx, latency); err != nil {
		return nil, err
	}
	if faulty {
		if a, err := b.before(c, fault); a != nil || err != nil {
			return a, err
		}
	}
	if c.callerIsDead() {
		return fail(unauthenticated()), nil
	}
	if c.handle == nil {
		err := newError(http.StatusNotImplemented, "UNIMPLEMENTED", "The fake does not implement %s.", c.method.ID)
		b.reportUnimplemented(err.message)
		return fail(err), nil
	}
	c.now = time.Now()
	out, err := c.handle(c)
	var refused *statusError
	switch {
	case errors.As(err, &refused):
		return fail(refused), nil
	case err != nil:
		return nil, err
	case faulty && fault.DropAfter:
		return nil, errDropped
	}
	body := render(c.api, c.method, c.query, out)
	if fault.Garble {
		body = append([]byte("<!DOCTYPE html>"), body...)
	}
	return &answer{status: http.StatusOK, body: body, truncated: fault.Truncate}, nil
}

func fail(err error) *answer {
	var refused *statusError
	if !errors.As(err, &refused) {
		refused = newError(http.StatusInternalServerError, "INTERNAL", "Internal error encountered.")
	}
	return &answer{status: refused.code, body: refused.body()}
}

// route finds the method that a request means.
func (b *Backend) route(r *http.Request) (rt *route, params []string, err error) {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	all := allRoutes()
	root := all.host(host)
	if root == nil {
		err := newError(http.StatusNotImplemented, "UNIMPLEMENTED", "The fake has no API at host %q.", host)
		b.reportUnimplemented(err.message)
		return nil, nil, err
	}
	path := r.URL.EscapedPath()
	if rt, params = root.find(r.Method, path); rt != nil {
		return rt, params, nil
	}
	if !root.hasVersion(path) {
		err := newError(http.StatusNotImplemented, "UNIMPLEMENTED", "The fake has no API at %q of host %q.", path, host)
		b.reportUnimplemented(err.message)
		return nil, nil, err
	}
	return nil, nil, notFound("The requested URL %s was not found on this server.", path)
}

func (b *Backend) reportUnimplemented(message string) {
	if b.tb != nil {
		b.tb.Errorf("fake: %s", message)
	}
}

// newSerial returns a number that no earlier call returned. The backend is
// locked.
func (b *Backend) newSerial() int64 {
	b.serial++
	return b.serial
}
