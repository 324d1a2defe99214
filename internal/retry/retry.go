// Package retry decides which failed calls of a Google API may be made again,
// and when.
package retry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/googleapi"
)

// attempts is how often a call is made before its error is final: with the
// pauses of a Backoff, about a minute.
const attempts = 8

// maxPause is the longest Retry-After that is honoured.
const maxPause = 10 * time.Minute

// ErrGarbled is wrapped by errors about an answer that arrived but can't be
// read: what was asked for may have been done.
var ErrGarbled = errors.New("the answer can't be read")

// A Backoff paces the attempts of one call: full jitter, exponentially growing,
// the server's Retry-After where it sends one. Its zero value is ready.
type Backoff struct {
	made    int
	backoff gax.Backoff
}

// Wait pauses after a failed attempt. It returns an error that wraps err when
// there is to be no other attempt: err is not transient, attempts have run
// out, or ctx ends first.
func (b *Backoff) Wait(ctx context.Context, err error) error {
	if !Transient(ctx, err) {
		return err
	}
	return b.WaitFor(ctx, err)
}

// WaitFor is Wait for an error that the caller knows to be worth another
// attempt.
func (b *Backoff) WaitFor(ctx context.Context, err error) error {
	b.made++
	if b.made >= attempts {
		return fmt.Errorf("gave up after %d attempts: %w", b.made, err)
	}
	return b.Pause(ctx, err)
}

// Pause waits as Wait does, but whatever err is, and however often.
func (b *Backoff) Pause(ctx context.Context, err error) error {
	if b.backoff.Initial == 0 {
		b.backoff = gax.Backoff{Initial: time.Second, Max: 30 * time.Second, Multiplier: 2}
	}
	pause := b.backoff.Pause()
	if after, ok := retryAfter(err); ok {
		pause = after
	}
	if pause > maxPause {
		return fmt.Errorf("gave up, as the server asks for a pause of %s: %w", pause, err)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return fmt.Errorf("%w before the next attempt: %w", context.DeadlineExceeded, err)
	}
	if ctxErr := gax.Sleep(ctx, pause); ctxErr != nil {
		return fmt.Errorf("%w before the next attempt: %w", ctxErr, err)
	}
	return nil
}

// PauseUntil is Pause with a time after which err is final.
func (b *Backoff) PauseUntil(ctx context.Context, last time.Time, err error) error {
	bounded, cancel := context.WithDeadline(ctx, last)
	defer cancel()
	pauseErr := b.Pause(bounded, err)
	if pauseErr == nil {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ctx.Err() != nil || ok && deadline.Before(last) {
		return pauseErr
	}
	return err
}

// Do makes a call that may be repeated until it succeeds, fails for good, or
// ctx ends.
func Do[T any](ctx context.Context, call func() (T, error)) (T, error) {
	var b Backoff
	for {
		v, err := call()
		if err == nil {
			return v, nil
		}
		if err := b.Wait(ctx, err); err != nil {
			var zero T
			return zero, err
		}
	}
}

// Transient reports whether the same call may succeed later: 429, 500, 502, 503,
// 504, and connections that broke.
func Transient(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	if g, ok := errors.AsType[*googleapi.Error](err); ok {
		switch g.Code {
		case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	return errors.Is(err, ErrGarbled) || broken(err)
}

// Ambiguous reports whether a call that failed so may have had its effect all
// the same.
func Ambiguous(err error) bool {
	if err == nil {
		return false
	}
	if g, ok := errors.AsType[*googleapi.Error](err); ok {
		return g.Code >= http.StatusInternalServerError && g.Code != http.StatusNotImplemented
	}
	if errors.Is(err, ErrGarbled) {
		return true
	}
	// Whatever else went wrong with a request, it may have been received,
	// unless it is known not to have been sent.
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Op != "parse" && !unsent(u.Err)
	}
	// The generated clients return the end of the context alone.
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// unsent reports whether a request failed before it was sent: there was no
// connection, or no token.
func unsent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	// The errors of token sources are of no common type.
	text := err.Error()
	for _, part := range []string{"oauth2: ", "auth: ", "credentials: ", "unsupported protocol scheme", "no Host in request URL"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// broken reports whether a connection failed in a way that another may not.
func broken(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound
	}
	if _, ok := errors.AsType[net.Error](err); ok && !isURLErrorAlone(err) {
		return true
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	// net/http does not export the errors of broken connections.
	text := err.Error()
	for _, part := range []string{
		"http2: ", "stream error: ", "connection error: ", "transport connection broken", "server closed idle connection",
	} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// isURLErrorAlone reports whether the only net.Error in the chain is the
// *url.Error that wraps every failed request, and it tells of no timeout.
func isURLErrorAlone(err error) bool {
	u, ok := errors.AsType[*url.Error](err)
	if !ok || u.Timeout() {
		return false
	}
	_, inner := errors.AsType[net.Error](u.Err)
	return !inner
}

// retryAfter reads the header of that name: seconds or a date, which is by the
// server's clock, not by the one here.
func retryAfter(err error) (time.Duration, bool) {
	g, ok := errors.AsType[*googleapi.Error](err)
	if !ok {
		return 0, false
	}
	value := g.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1e9)) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		now, err := http.ParseTime(g.Header.Get("Date"))
		if err != nil {
			now = time.Now()
		}
		return max(date.Sub(now), 0), true
	}
	return 0, false
}
