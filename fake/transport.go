package fake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"google.golang.org/api/option"
)

// ClientOptions returns what a generated client needs to reach the backend as
// a member: "user:dev@example.com", "serviceAccount:EMAIL",
// "principal://iam.googleapis.com/…" or [Admin]. ClientOptions panics on anything else,
// bare emails and groups included. Clients keep their endpoints; nothing is sent over a
// network.
//
// The member need not have been added: it has what is granted to it. Calls of a service
// account that is disabled or was deleted are answered 401.
func (b *Backend) ClientOptions(member string) []option.ClientOption {
	return []option.ClientOption{option.WithHTTPClient(b.HTTPClient(member))}
}

// HTTPClient returns a client whose requests reach the backend as a member: see
// [Backend.ClientOptions]. No request leaves the process, whatever its host.
func (b *Backend) HTTPClient(member string) *http.Client {
	who, err := parseCaller(member)
	if err != nil {
		panic("fake: " + err.Error())
	}
	return &http.Client{Transport: &transport{b, []string{"Bearer " + who.member}}}
}

// transport carries requests to the backend by calling it. It does in the
// caller's goroutine what a server does in another: every wait of the backend
// ends with the request's context, so cancelling works as over a network.
type transport struct {
	backend *Backend
	bearer  []string
}

func (t *transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	inner := *r
	inner.Header = r.Header.Clone()
	if inner.Header == nil {
		inner.Header = make(http.Header)
	}
	inner.Header["Authorization"] = t.bearer
	if inner.Body == nil {
		inner.Body = http.NoBody
	} else {
		// A body that is never finished must not keep the caller longer than
		// its context, if closing it ends its reads.
		defer context.AfterFunc(r.Context(), func() { _ = r.Body.Close() })()
	}
	w := &recorder{header: make(http.Header, 8), status: http.StatusOK}
	defer func() {
		if p := recover(); p != nil {
			if abort, ok := p.(error); !ok || !errors.Is(abort, http.ErrAbortHandler) {
				panic(p)
			}
			if w.body != nil {
				resp = w.response(r, io.ErrUnexpectedEOF) //nolint:bodyclose // the caller closes it
				return
			}
			if resp, err = nil, r.Context().Err(); err == nil {
				err = fmt.Errorf("fake: %w: %w", errDropped, io.ErrUnexpectedEOF)
			}
		}
	}()
	t.backend.ServeHTTP(w, &inner)
	return w.response(r, io.EOF), nil
}

// recorder keeps what a handler writes.
type recorder struct {
	header http.Header
	status int
	wrote  bool
	body   []byte
}

func (w *recorder) Header() http.Header { return w.header }

// WriteHeader keeps the first status, as a server does.
func (w *recorder) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.wrote = true
	w.body = append(slices.Clip(w.body), p...)
	return len(p), nil
}

// response returns what was written. Its body ends with that error.
func (w *recorder) response(r *http.Request, end error) *http.Response {
	var body io.Reader = bytes.NewReader(w.body)
	if !errors.Is(end, io.EOF) {
		body = io.MultiReader(body, broken{end})
	}
	length, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64)
	if err != nil {
		length = int64(len(w.body))
	}
	return &http.Response{
		Status:     strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode: w.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        w.header,
		Body:          io.NopCloser(body),
		ContentLength: length,
		Request:       r,
	}
}

// broken is a connection that ends too early.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }
