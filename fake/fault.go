package fake

import (
	"net/http"
	"time"

	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// A Fault is what goes wrong with calls of a method, see [Backend.Inject].
// Faults are counted, never random.
//
// If several fields are set, the call is delayed first. Then it hangs, is dropped or is
// answered with Status, the first of these that is set. What remains is for calls that
// are carried out. A fault that hits a call comes before the caller's permissions are
// asked for.
type Fault struct {
	// Skip is how many calls pass before the fault begins. Times is how many it then
	// hits; 0 or less means all, for good.
	Skip, Times int
	// Delay is how long the call waits before anything else happens.
	Delay time.Duration
	// Hang keeps the caller waiting until it gives up or the backend is closed.
	Hang bool
	// DropBefore breaks the connection and the call has no effect; DropAfter
	// breaks it when the call has been carried out. A refused call is answered.
	DropBefore, DropAfter bool
	// Garble and Truncate spoil the answer of a call that has been carried out.
	// Garble makes it invalid JSON; Truncate breaks the connection halfway
	// through it.
	Garble, Truncate bool
	// Status, if not 0, is answered with Header and Body, and the call is not
	// carried out. An empty Body becomes an error as Google writes it.
	Status int
	Header http.Header
	Body   string
	// Condition, where set, is the terminal condition in which the operation
	// that the call starts leaves the workload or execution. The operation itself ends
	// without an error, unless Failure is set.
	Condition *run.GoogleCloudRunV2Condition
	// Failure, if not nil, is the error with which the operation that the call
	// starts ends. What the call changed stays changed.
	Failure *run.GoogleRpcStatus
}

// QuotaExhausted returns the refusal of a call beyond a quota: 429
// RESOURCE_EXHAUSTED with google.rpc.ErrorInfo and QuotaFailure, as Google's
// APIs answer it. Its Times is 0: it hits all calls.
//
// https://cloud.google.com/docs/quotas/troubleshoot
func QuotaExhausted() Fault {
	const text = "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of the service for consumer 'project_number:0'."
	e := wire.NewError(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", "%s", text)
	e.Details = []any{
		map[string]any{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com",
			"metadata": map[string]string{"quota_limit": "ReadRequestsPerMinutePerProject", "consumer": "projects/0"},
		},
		map[string]any{
			"@type":      "type.googleapis.com/google.rpc.QuotaFailure",
			"violations": []any{map[string]string{"subject": "project_number:0", "description": text}},
		},
	}
	return Fault{Status: http.StatusTooManyRequests, Body: string(e.Body())}
}

// Inject makes calls of a method go wrong. The method is its discovery ID, such as
// "run.projects.locations.jobs.patch"; Inject panics if there is none. A fault ends when
// it has hit [Fault.Times] calls; it can't be taken back.
//
// One fault at most hits a call: of those injected, the first that has not run out and
// doesn't skip the call. A fault counts only the calls that those before it let pass.
func (b *Backend) Inject(method string, f Fault) {
	mustKnow(method)
	f.Header = f.Header.Clone()
	if f.Condition != nil {
		f.Condition = new(*f.Condition)
	}
	if f.Failure != nil {
		f.Failure = new(*f.Failure)
	}
	b.weather.inject(method, &f)
}

// SetLatency makes every call of the methods take that long, by their discovery IDs.
// If none is named, it is for all methods that have no latency of their own. 0 is none.
// SetLatency panics if there is no such method.
func (b *Backend) SetLatency(d time.Duration, methods ...string) {
	b.weather.set(&b.weather.latency, d, methods)
}

// SetOperationTime makes the operations that the methods start take that long. The
// methods are named as in [Backend.SetLatency]. 0, the default, means that an operation
// is done when it is next looked at.
func (b *Backend) SetOperationTime(d time.Duration, methods ...string) {
	b.weather.set(&b.weather.operations, d, methods)
}

// SetPropagation makes accounts and grants that are made from now on take that
// long to be seen. Until then, reads of the account alternate between 200 and
// 404, beginning with 200, and Cloud Run answers as if the account did not exist.
// What is seeded is seen at once.
func (b *Backend) SetPropagation(accounts, grants time.Duration) {
	b.weather.propagate(accounts, grants)
}

func mustKnow(methods ...string) {
	for _, id := range methods {
		if allRoutes().byID[id] == nil {
			panic("fake: no API has a method " + id + `; methods are named by discovery ID, such as "run.projects.locations.jobs.patch"`)
		}
	}
}

// before applies the part of a fault that comes before the call is carried
// out. It returns the answer or the error with which the call ends, or
// neither.
func (b *Backend) before(c *call, f Fault) (*answer, error) {
	if err := b.lifetime.pause(c.ctx, f.Delay); err != nil {
		return nil, err
	}
	if f.Condition != nil {
		c.ends = wire.MustDecode(wire.MustEncode(f.Condition))
	}
	if f.Failure != nil {
		c.fails = wire.MustEncode(f.Failure)
	}
	switch {
	case f.Hang:
		return nil, b.lifetime.hang(c.ctx)
	case f.DropBefore:
		return nil, errDropped
	case f.Status != 0:
		body := []byte(f.Body)
		if f.Body == "" {
			body = wire.NewError(f.Status, wire.StatusName(f.Status), "%s", http.StatusText(f.Status)).Body()
		}
		return &answer{status: f.Status, header: f.Header, body: body}, nil
	}
	return nil, nil
}
