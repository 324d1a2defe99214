package fake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

// A Call is one request that a [Backend] received.
type Call struct {
	// Method is the discovery ID, such as "run.projects.locations.jobs.patch". It
	// is "" for a request that no API of the fake has.
	Method string
	// Caller is the member that made it, such as "user:dev@example.com", or "" if the
	// credentials name none.
	Caller string
	// Verb, Path and Query are those of the HTTP request; Path is escaped.
	Verb, Path, Query string
	// Body is the request's body as it came.
	Body []byte
	// Status is the HTTP status of the answer. It is 0 if the connection was
	// dropped, or if the caller left before an answer.
	Status int
	// Time is when the request came. Duration is how long the answer took.
	Time     time.Time
	Duration time.Duration
}

// call is a request on its way through the fake. It has no way to the Backend: a
// handler finds what it needs of the cloud in the state.
type call struct {
	*route
	ctx    context.Context //nolint:containedctx // a call lasts as long as its context
	params []string        // of the path, in order
	query  url.Values
	// location is the region that the host name begins with, if any.
	location string
	caller   caller
	body     []byte
	// message and flaw are what object returns.
	message wire.Object
	flaw    error
	now     time.Time
	delays  delays
	// ends is set by a fault: the condition in which the call's operation
	// shall end.
	ends wire.Object
	// fails is set by a fault: the error with which it shall end.
	fails rawJSON
	// then and wait are set by a handler that answers later: then answers after
	// wait.
	then func(*call, *state) ([]byte, error)
	wait time.Duration
	// reports are failures of the backend's test. tested reports whether it has
	// one.
	reports []string
	tested  bool
}

// maxBody is the largest request body that is read.
const maxBody = 32 << 20

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= maxBody {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if n > maxBody {
		return nil, wire.Invalid("Request payload size exceeds the limit: %d bytes.", maxBody)
	}
	return buf.Bytes(), nil
}

// decodeMessage decodes the body, if there is one, and normalizes it by the
// method's request schema.
func (c *call) decodeMessage() {
	if len(c.body) == 0 {
		return
	}
	if c.message, c.flaw = wire.Decode(c.body); c.flaw == nil {
		c.flaw = c.check().Normalize(c.method.Request, c.message, "")
	}
}

// object returns the decoded message, which the handler may change, or the error
// for a malformed one. The handler decides when: what it refuses before it asks
// for the message comes first.
func (c *call) object() (wire.Object, error) {
	if c.message == nil && c.flaw == nil {
		c.message = wire.Object{}
	}
	return c.message, c.flaw
}

// report notes a failure of the test.
func (c *call) report(format string, args ...any) {
	if c.tested {
		c.reports = append(c.reports, fmt.Sprintf(format, args...))
	}
}

func (c *call) check() wire.Checker { return wire.Checker{Schemas: c.api.Schemas} }

// decode reads the body into one of the API's own types.
func (c *call) decode(v any) error {
	o, err := c.object()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(wire.MustEncode(o), v); err != nil {
		return wire.Invalid("Invalid JSON payload received. %s", wire.ParseFlaw(err))
	}
	return nil
}

// flag reads a boolean query parameter.
func (c *call) flag(name string) bool { return c.query.Get(name) == "true" }

// enumInt reports whether the caller wants enums as numbers.
func enumInt(query url.Values) bool {
	return strings.Contains(query.Get("$alt"), "enum-encoding=int") || strings.Contains(query.Get("alt"), "enum-encoding=int")
}

// render gives the answer the form that the query asks for.
func render(api *discovery.API, m *discovery.Method, query url.Values, body []byte) []byte {
	if enumInt(query) {
		o := wire.MustDecode(body)
		wire.Checker{Schemas: api.Schemas}.EnumNumbers(m.Response, o)
		body = wire.MustEncode(o)
	}
	if query.Get("prettyPrint") == "false" {
		return body
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		return body
	}
	pretty.WriteByte('\n')
	return pretty.Bytes()
}

// errDropped ends an exchange without an answer, as a broken connection does.
var errDropped = errors.New("connection dropped")
