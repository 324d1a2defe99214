package fake

import (
	"context"
	"net/http"
	"slices"
	"time"

	"google.golang.org/api/run/v2"
)

// A Fault is what goes wrong with calls of a method, see [Backend.Inject].
// Faults are counted, never random.
type Fault struct {
	// Skip is how many calls pass before the fault begins; Times how many it
	// then hits, 0 meaning all.
	Skip, Times int
	// Delay is waited before anything else happens.
	Delay time.Duration
	// Hang keeps the caller waiting until it gives up.
	Hang bool
	// DropBefore breaks the connection and the call has no effect; DropAfter
	// breaks it when the call has been carried out.
	DropBefore, DropAfter bool
	// Garble puts what is no JSON in front of the answer of a call that has been
	// carried out; Truncate breaks the connection halfway through it.
	Garble, Truncate bool
	// Status, where set, is answered instead of carrying the call out, with
	// Header and Body. An empty Body becomes an error as Google writes it.
	Status int
	Header http.Header
	Body   string
	// Condition, where set, is the terminal condition in which the operation
	// that the call starts leaves the workload or execution.
	Condition *run.GoogleCloudRunV2Condition
	// Failure, where set, is the error with which the operation that the call
	// starts ends. What the call changed stays changed.
	Failure *run.GoogleRpcStatus
}

// QuotaExhausted is the refusal of a call beyond a quota: 429
// RESOURCE_EXHAUSTED with google.rpc.ErrorInfo and QuotaFailure, as Google's
// APIs answer it.
// https://cloud.google.com/docs/quotas/troubleshoot
func QuotaExhausted() Fault {
	const text = "Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute' of the service for consumer 'project_number:0'."
	e := newError(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", "%s", text)
	e.details = []any{
		map[string]any{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED", "domain": "googleapis.com",
			"metadata": map[string]string{"quota_limit": "ReadRequestsPerMinutePerProject", "consumer": "projects/0"},
		},
		map[string]any{
			"@type":      "type.googleapis.com/google.rpc.QuotaFailure",
			"violations": []any{map[string]string{"subject": "project_number:0", "description": text}},
		},
	}
	return Fault{Status: http.StatusTooManyRequests, Body: string(e.body())}
}

// weather is what happens to calls before they are carried out.
type weather struct {
	faults     map[string][]*Fault
	latency    map[string]time.Duration
	operations map[string]time.Duration
	// accounts and grants are how long new ones take to be seen everywhere.
	accounts, grants time.Duration
}

// everyMethod stands for methods that have no setting of their own.
const everyMethod = ""

// Inject makes calls of a method go wrong. Of several faults, the first that
// has not run out hits. The method is its discovery ID, such as
// "run.projects.locations.jobs.patch"; Inject panics if there is none.
func (b *Backend) Inject(method string, f Fault) {
	mustKnow(method)
	f.Header = f.Header.Clone()
	if f.Condition != nil {
		f.Condition = &[]run.GoogleCloudRunV2Condition{*f.Condition}[0]
	}
	if f.Failure != nil {
		f.Failure = &[]run.GoogleRpcStatus{*f.Failure}[0]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.weather.faults == nil {
		b.weather.faults = make(map[string][]*Fault)
	}
	b.weather.faults[method] = append(b.weather.faults[method], &f)
}

// SetLatency makes every call of the methods take that long, or of all methods
// when none is named.
func (b *Backend) SetLatency(d time.Duration, methods ...string) {
	b.set(&b.weather.latency, d, methods)
}

// SetOperationTime makes the operations that the methods start take that
// long, or those of all methods when none is named: 0, the default, means
// that an operation is done when it is next looked at.
func (b *Backend) SetOperationTime(d time.Duration, methods ...string) {
	b.set(&b.weather.operations, d, methods)
}

// SetPropagation makes accounts and grants that are made from now on take
// that long to be seen. Until then, reads of the account alternate between 200
// and 404, beginning with 200, and Cloud Run answers as if it were not there.
// Seeding is not delayed.
func (b *Backend) SetPropagation(accounts, grants time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.weather.accounts, b.weather.grants = accounts, grants
}

func (b *Backend) set(times *map[string]time.Duration, d time.Duration, methods []string) {
	if len(methods) == 0 {
		methods = []string{everyMethod}
	} else {
		mustKnow(methods...)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if *times == nil {
		*times = make(map[string]time.Duration)
	}
	for _, m := range methods {
		(*times)[m] = d
	}
}

func mustKnow(methods ...string) {
	for _, id := range methods {
		if allRoutes().byID[id] == nil {
			panic("fake: no API has a method " + id + `; methods are named by discovery ID, such as "run.projects.locations.jobs.patch"`)
		}
	}
}

// weatherFor takes the fault that hits this call, if any.
func (b *Backend) weatherFor(method string) (fault Fault, faulty bool, latency time.Duration) {
	b.mu.RLock()
	latency = setting(b.weather.latency, method)
	calm := len(b.weather.faults[method]) == 0
	b.mu.RUnlock()
	if calm {
		return Fault{}, false, latency
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	faults := b.weather.faults[method]
	for i, f := range faults {
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		hit := *f
		if f.Times == 1 {
			b.weather.faults[method] = slices.Delete(slices.Clone(faults), i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return hit, true, latency
	}
	return Fault{}, false, latency
}

func setting(times map[string]time.Duration, method string) time.Duration {
	if d, ok := times[method]; ok {
		return d
	}
	return times[everyMethod]
}

// operationTime is how long an operation that the call starts takes. The
// backend is locked.
func (c *call) operationTime() time.Duration { return setting(c.b.weather.operations, c.method.ID) }

// before applies the part of a fault that comes before the call is carried
// out. It returns the answer or the error with which the call ends, or
// neither.
func (b *Backend) before(c *call, f Fault) (*answer, error) {
	if err := b.pause(c.ctx, f.Delay); err != nil {
		return nil, err
	}
	if f.Condition != nil {
		c.ends = mustDecode(mustEncode(f.Condition))
	}
	if f.Failure != nil {
		c.fails = mustEncode(f.Failure)
	}
	switch {
	case f.Hang:
		select {
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		case <-b.done:
			return nil, errDropped
		}
	case f.DropBefore:
		return nil, errDropped
	case f.Status != 0:
		body := []byte(f.Body)
		if f.Body == "" {
			body = newError(f.Status, statusName(f.Status), "%s", http.StatusText(f.Status)).body()
		}
		return &answer{status: f.Status, header: f.Header, body: body}, nil
	}
	return nil, nil
}

// pause waits, or ends early with the caller or the backend.
func (b *Backend) pause(ctx context.Context, d time.Duration) error {
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
	case <-b.done:
		return errDropped
	}
}
