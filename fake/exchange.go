package fake

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// ServeHTTP answers one request. The caller is named by the bearer token: [Admin], a
// member as for [Backend.ClientOptions], or, as it is typed by hand, a bare email.
// Without one the answer is 401.
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !b.lifetime.enter() {
		panic(http.ErrAbortHandler)
	}
	defer b.lifetime.leave()
	(*b.handler.Load()).ServeHTTP(w, r)
}

// serve answers a request, below the middleware.
func (b *Backend) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	entry := Call{Verb: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Time: start}
	answer, err := b.exchange(r.Context(), r, &entry)
	entry.Duration = time.Since(start)
	if err == nil {
		entry.Status = answer.status
	}
	b.log.add(entry)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer.write(w)
}

// exchange finds the method, applies the weather and carries the method out.
// An error means that there is no answer: the connection breaks.
func (b *Backend) exchange(ctx context.Context, r *http.Request, entry *Call) (*answer, error) {
	body, err := readBody(r)
	var refused *wire.Error
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
		return fail(wire.Invalid("Invalid query string: %v", queryErr)), nil
	case authErr != nil:
		return fail(authErr), nil
	}
	c := &call{
		route: rt, ctx: ctx, params: params, query: query, location: hostLocation(r.Host), caller: who, body: body,
		tested: b.tb != nil,
	}
	return b.carryOut(c)
}

// carryOut applies the weather, calls the handler, and renders its answer as the
// caller asked for.
func (b *Backend) carryOut(c *call) (*answer, error) {
	fault, faulty, latency := b.weather.next(c.method.ID)
	if err := b.lifetime.pause(c.ctx, latency); err != nil {
		return nil, err
	}
	if faulty {
		if a, err := b.before(c, fault); a != nil || err != nil {
			return a, err
		}
	}
	out, err := b.perform(c)
	for _, message := range c.reports {
		b.report(message)
	}
	var refused *wire.Error
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

// perform decodes the message and calls the handler with the state, which it takes
// once, for reading or writing as the route says. For a handler that waits it takes
// it once more, after the wait.
func (b *Backend) perform(c *call) (out []byte, err error) {
	c.now = time.Now()
	c.delays = b.weather.delays(c.method.ID)
	c.decodeMessage()
	b.hand(c, func(st *state) {
		if c.callerIsDead(st) {
			err = unauthenticated()
			return
		}
		out, err = c.handle(c, st)
	})
	if c.then == nil {
		return out, err
	}
	if err := b.lifetime.pause(c.ctx, c.wait); err != nil {
		return nil, err
	}
	c.now = time.Now()
	b.hand(c, func(st *state) { out, err = c.then(c, st) })
	return out, err
}

// hand calls a step with the state.
func (b *Backend) hand(c *call, step func(*state)) {
	if c.writes {
		b.write(c.now, step)
	} else {
		b.read(c.now, step)
	}
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
		err := wire.NewError(http.StatusNotImplemented, "UNIMPLEMENTED", "The fake has no API at host %q.", host)
		b.report(err.Message)
		return nil, nil, err
	}
	path := r.URL.EscapedPath()
	if rt, params = root.find(r.Method, path); rt != nil {
		return rt, params, nil
	}
	if !root.hasVersion(path) {
		err := wire.NewError(http.StatusNotImplemented, "UNIMPLEMENTED", "The fake has no API at %q of host %q.", path, host)
		b.report(err.Message)
		return nil, nil, err
	}
	return nil, nil, wire.NotFound("The requested URL %s was not found on this server.", path)
}

// report fails the backend's test, if it has one.
func (b *Backend) report(message string) {
	if b.tb != nil {
		b.tb.Errorf("fake: %s", message)
	}
}
