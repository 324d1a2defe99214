package outage

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A Fault is one way in which a call goes wrong.
type Fault struct {
	// Name tells it apart, such as "drop after" or "503 html".
	Name string

	effect  effect
	outcome outcome
	delay   time.Duration // before the effect
	status  int
	body    string
}

// effect says when the backend carries a call out, if it does.
type effect int

const (
	never effect = iota
	first        // before what the caller sees
	late         // some time after it
)

// outcome is what the caller sees of a call.
type outcome int

const (
	pass     outcome = iota // the backend's answer
	reply                   // an answer in its place
	drop                    // a broken connection
	truncate                // half of the backend's answer, and a broken connection
	garble                  // the backend's answer behind a page of HTML
	hang                    // nothing, until the caller gives up
	kill                    // nothing: the caller's context ends
	behind                  // of a read, the backend's first answer to it
)

// Answer is a fault that answers a call in the backend's place: it has no effect.
func Answer(name string, status int, body string) Fault {
	return Fault{Name: name, outcome: reply, status: status, body: body}
}

// AnswerAfter lets the backend carry the call out, and answers something else.
func AnswerAfter(name string, status int, body string) Fault {
	return Fault{Name: name, effect: first, outcome: reply, status: status, body: body}
}

// AnswerLate answers in the backend's place, which carries the call out a while
// later, as happens behind a gateway that stopped waiting.
func AnswerLate(name string, after time.Duration, status int, body string) Fault {
	return Fault{Name: name, effect: late, delay: after, outcome: reply, status: status, body: body}
}

// DropBefore breaks the connection; the call has no effect.
func DropBefore() Fault { return Fault{Name: "drop before", outcome: drop} }

// DropAfter breaks the connection once the call was carried out.
func DropAfter() Fault { return Fault{Name: "drop after", effect: first, outcome: drop} }

// DropLate breaks the connection, and the call is carried out a while later.
func DropLate(after time.Duration) Fault {
	return Fault{Name: fmt.Sprintf("drop, applied %s later", after), effect: late, delay: after, outcome: drop}
}

// Truncate carries the call out and breaks the connection halfway through the
// answer.
func Truncate() Fault { return Fault{Name: "truncate", effect: first, outcome: truncate} }

// Garble carries the call out and puts HTML in front of the answer.
func Garble() Fault { return Fault{Name: "garble", effect: first, outcome: garble} }

// Slow carries the call out after a delay, and answers as the backend does.
func Slow(delay time.Duration) Fault {
	return Fault{Name: fmt.Sprintf("slow %s", delay), effect: first, delay: delay}
}

// Hang keeps the caller waiting until it gives up; the call has no effect.
func Hang() Fault { return Fault{Name: "hang", outcome: hang} }

// HangAfter carries the call out, and then keeps the caller waiting until it
// gives up.
func HangAfter() Fault { return Fault{Name: "hang after", effect: first, outcome: hang} }

// KillBefore ends the context that [Weather.Begin] returned; the call has no
// effect.
func KillBefore() Fault { return Fault{Name: "kill before", outcome: kill} }

// KillAfter ends the context that [Weather.Begin] returned, once the call was
// carried out.
func KillAfter() Fault { return Fault{Name: "kill after", effect: first, outcome: kill} }

// Behind lets a read show what the same one showed first, as one of a replica does
// that is behind. Every other call passes.
func Behind() Fault { return Fault{Name: "behind", effect: first, outcome: behind} }

// Lasts reports whether the fault can hit each call from one on. After a kill
// there are no more calls.
func (f Fault) Lasts() bool { return f.outcome != kill }

// CarriesOut reports whether the backend carries out a call that it hits, now or
// later.
func (f Fault) CarriesOut() bool { return f.effect != never }

// String returns the name.
func (f Fault) String() string { return f.Name }

// Faults returns the faults that any call can meet. Each has its own name.
func Faults() []Fault {
	faults := []Fault{
		DropBefore(), DropAfter(), DropLate(2 * time.Second), DropLate(5 * time.Minute),
		Truncate(), Garble(), Slow(20 * time.Second), Behind(), Hang(), HangAfter(), KillBefore(), KillAfter(),
		// What something that isn't Google answers: a captive portal, a gateway.
		Answer("200 html", http.StatusOK, page), Answer("200 {}", http.StatusOK, "{}"), Answer("200 null", http.StatusOK, "null"),
		Answer("200 []", http.StatusOK, "[]"), Answer("200 empty", http.StatusOK, ""),
		Answer("200 error", http.StatusOK, google(http.StatusServiceUnavailable, "UNAVAILABLE", "Try again.")),
		Answer("204", http.StatusNoContent, ""),
		// The number of the gRPC code where the HTTP status belongs, and the like.
		Answer("503 says 14", http.StatusServiceUnavailable, google(14, "UNAVAILABLE", "Try again.")),
		Answer("503 says 403", http.StatusServiceUnavailable, google(http.StatusForbidden, "PERMISSION_DENIED", "Not you.")),
		Answer("403 says 503", http.StatusForbidden, google(http.StatusServiceUnavailable, "UNAVAILABLE", "Try again.")),
		Answer("404 says 200", http.StatusNotFound, google(http.StatusOK, "OK", "Fine.")),
		AnswerAfter("503 says 7, after", http.StatusServiceUnavailable, google(7, "PERMISSION_DENIED", "Not you.")),
		AnswerLate("504, applied 2s later", 2*time.Second, http.StatusGatewayTimeout, google(http.StatusGatewayTimeout, "DEADLINE_EXCEEDED", "Deadline exceeded.")),
		AnswerLate("504 html, applied 5m later", 5*time.Minute, http.StatusGatewayTimeout, page),
		Answer("409 exists", http.StatusConflict, google(http.StatusConflict, "ALREADY_EXISTS", "Requested entity already exists")),
	}
	for _, s := range statuses() {
		faults = append(faults, Answer(strconv.Itoa(s.code), s.code, google(s.code, s.name, http.StatusText(s.code))))
		if s.code >= http.StatusInternalServerError && s.code != http.StatusNotImplemented {
			faults = append(faults, AnswerAfter(fmt.Sprint(s.code, " after"), s.code, google(s.code, s.name, http.StatusText(s.code))))
		}
	}
	for _, code := range []int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusProxyAuthRequired, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusNetworkAuthenticationRequired,
	} {
		faults = append(faults, Answer(fmt.Sprint(code, " html"), code, page))
	}
	return faults
}

// Representatives returns one of each kind of [Faults]: for combinations of them.
func Representatives() []Fault {
	names := []string{
		"behind", "drop before", "drop after", "drop, applied 2s later", "drop, applied 5m0s later", "truncate", "hang", "hang after", "kill before", "kill after",
		"200 {}", "200 html", "401", "403", "404", "409", "429", "503", "503 after", "504, applied 2s later", "502 html",
	}
	return slices.DeleteFunc(Faults(), func(f Fault) bool { return !slices.Contains(names, f.Name) })
}

type status struct {
	code int
	name string
}

// statuses are those that Google's APIs answer, with their canonical codes.
func statuses() []status {
	return []status{
		{http.StatusBadRequest, "INVALID_ARGUMENT"},
		{http.StatusUnauthorized, "UNAUTHENTICATED"},
		{http.StatusForbidden, "PERMISSION_DENIED"},
		{http.StatusNotFound, "NOT_FOUND"},
		{http.StatusConflict, "ABORTED"},
		{http.StatusPreconditionFailed, "FAILED_PRECONDITION"},
		{http.StatusTooManyRequests, "RESOURCE_EXHAUSTED"},
		{499, "CANCELLED"},
		{http.StatusInternalServerError, "INTERNAL"},
		{http.StatusNotImplemented, "UNIMPLEMENTED"},
		{http.StatusBadGateway, "UNAVAILABLE"},
		{http.StatusServiceUnavailable, "UNAVAILABLE"},
		{http.StatusGatewayTimeout, "DEADLINE_EXCEEDED"},
	}
}

// google is an error as Google's APIs write it.
func google(code int, status, message string) string {
	return fmt.Sprintf(`{"error": {"code": %d, "message": %q, "status": %q}}`, code, message, status)
}

// page is what a captive portal shows.
const page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to use this network.</body></html>"
