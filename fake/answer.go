package fake

import (
	"errors"
	"maps"
	"net/http"
	"strconv"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

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

func fail(err error) *answer {
	var refused *wire.Error
	if !errors.As(err, &refused) {
		refused = wire.NewError(http.StatusInternalServerError, "INTERNAL", "Internal error encountered.")
	}
	return &answer{status: refused.Code, body: refused.Body()}
}
