package retry_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/internal/retry"
)

func sent(err error) error {
	return &url.Error{Op: "Patch", URL: "https://run.googleapis.com/", Err: err}
}

func code(c int) error { return &googleapi.Error{Code: c} }

func TestTransientAndAmbiguous(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	tests := map[string]struct {
		err                  error
		transient, ambiguous bool
	}{
		"429":                     {code(429), true, false},
		"500":                     {code(500), true, true},
		"502":                     {code(502), true, true},
		"503":                     {code(503), true, true},
		"504":                     {fmt.Errorf("wrapped: %w", code(504)), true, true},
		"501":                     {code(501), false, false},
		"400":                     {code(400), false, false},
		"403":                     {code(403), false, false},
		"409":                     {code(409), false, false},
		"connection reset":        {sent(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), true, true},
		"connection refused":      {sent(refused), true, false},
		"no such host":            {sent(&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}), false, false},
		"DNS server trouble":      {sent(&net.OpError{Op: "dial", Err: &net.DNSError{IsTemporary: true}}), true, false},
		"end of file":             {sent(io.EOF), true, true},
		"cut short":               {sent(io.ErrUnexpectedEOF), true, true},
		"broken pipe":             {sent(syscall.EPIPE), true, true},
		"client's own timeout":    {sent(timeout{}), true, true},
		"HTTP/2 connection":       {sent(errors.New("connection error: PROTOCOL_ERROR")), true, true},
		"malformed answer":        {sent(errors.New("net/http: HTTP/1.x transport connection broken: malformed HTTP response")), true, true},
		"an error nobody knows":   {sent(errors.New("transport: something new")), false, true},
		"HTTP/2 stream":           {sent(errors.New("stream error: stream ID 1; INTERNAL_ERROR")), true, true},
		"unreadable answer":       {fmt.Errorf("%w: bad JSON", retry.ErrGarbled), true, true},
		"a certificate":           {sent(x509.UnknownAuthorityError{}), false, false},
		"credentials":             {sent(errors.New("auth: cannot fetch token: 400")), false, false},
		"no URL":                  {&url.Error{Op: "parse", URL: "https://%zz/", Err: errors.New("invalid URL escape")}, false, false},
		"unsupported scheme":      {sent(errors.New("unsupported protocol scheme")), false, false},
		"anything else":           {errors.New("bad input"), false, false},
		"the context's own end":   {sent(context.Canceled), false, true},
		"the context's own limit": {sent(context.DeadlineExceeded), true, true},
		"the context's end alone": {context.Canceled, false, true}, // of a generated client
		"the limit alone":         {context.DeadlineExceeded, true, true},
		"not connected in time":   {sent(&net.OpError{Op: "dial", Err: context.DeadlineExceeded}), true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.transient, retry.Transient(t.Context(), tt.err))
			assert.Equal(t, tt.ambiguous, retry.Ambiguous(tt.err))
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.False(t, retry.Transient(ended, code(503)), "nothing is tried again when ctx has ended")
	assert.False(t, retry.Ambiguous(nil))
}

type timeout struct{}

func (timeout) Error() string   { return "timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// failing is a call that fails a number of times.
func failing(times int, err error) (call func() (string, error), made *int) {
	made = new(int)
	return func() (string, error) {
		*made++
		if *made <= times {
			return "", err
		}
		return "done", nil
	}, made
}

func TestDo(t *testing.T) {
	t.Parallel()
	t.Run("until it succeeds", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			call, made := failing(7, code(503))
			got, err := retry.Do(t.Context(), call)
			require.NoError(t, err)
			assert.Equal(t, "done", got)
			assert.Equal(t, 8, *made)
		})
	})
	t.Run("not for ever", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			call, made := failing(100, code(503))
			_, err := retry.Do(t.Context(), call)
			require.EqualError(t, err, "gave up after 8 attempts: googleapi: got HTTP response code 503 with body: ")
			assert.Equal(t, 8, *made)
			assert.LessOrEqual(t, time.Since(began), 91*time.Second, "1+2+4+8+16+30+30 seconds at the most")
		})
	})
	t.Run("not for an error that stays", func(t *testing.T) {
		t.Parallel()
		call, made := failing(1, code(400))
		_, err := retry.Do(t.Context(), call)
		require.Error(t, err)
		assert.Equal(t, 1, *made)
	})
	t.Run("not beyond ctx", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(3*time.Second, cancel)
			call, _ := failing(100, &googleapi.Error{Code: 503, Header: http.Header{"Retry-After": {"2"}}})
			began := time.Now()
			_, err := retry.Do(ctx, call)
			require.ErrorIs(t, err, context.Canceled)
			_, ok := errors.AsType[*googleapi.Error](err)
			assert.True(t, ok, "the server's error is still told")
			assert.Equal(t, 3*time.Second, time.Since(began))
		})
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"7":                             7 * time.Second,
		"0":                             0,
		"Sat, 01 Jan 2000 00:00:20 GMT": 20 * time.Second,
		"Fri, 31 Dec 1999 00:00:00 GMT": 0,
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var b retry.Backoff
				require.NoError(t, b.Wait(t.Context(), &googleapi.Error{Code: 429, Header: http.Header{"Retry-After": {value}}}))
				assert.Equal(t, want, time.Since(began))
			})
		})
	}
}

// What can't be a pause is none: the usual one is made, or none that ends.
func TestRetryAfterOfNoUse(t *testing.T) {
	t.Parallel()
	asking := func(value string) error {
		return &googleapi.Error{Code: 429, Header: http.Header{"Retry-After": {value}}}
	}
	synctest.Test(t, func(t *testing.T) {
		for _, value := range []string{"-5", "-9223372036854775808", "soon", ""} {
			began := time.Now()
			var b retry.Backoff
			require.NoError(t, b.Wait(t.Context(), asking(value)))
			assert.Positive(t, time.Since(began), value)
			assert.LessOrEqual(t, time.Since(began), time.Second, value)
		}
		began := time.Now()
		var b retry.Backoff
		// As nanoseconds, it would be a third of a second beyond 64 bits.
		require.ErrorContains(t, b.Wait(t.Context(), asking("18446744074")), "gave up, as the server asks for a pause of")
		assert.Zero(t, time.Since(began))
	})
}

// A clock that is wrong here doesn't make the pause longer or shorter.
func TestRetryAfterByTheServersClock(t *testing.T) {
	t.Parallel()
	for date, want := range map[string]time.Duration{
		"Sat, 01 Jan 2000 00:05:00 GMT": 30 * time.Second, // five minutes ahead of the clock here
		"Fri, 31 Dec 1999 23:55:00 GMT": 30 * time.Second,
		"yesterday":                     5*time.Minute + 30*time.Second,
	} {
		t.Run(date, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				until := began.Add(5*time.Minute + 30*time.Second)
				if sent, err := http.ParseTime(date); err == nil {
					until = sent.Add(30 * time.Second)
				}
				var b retry.Backoff
				require.NoError(t, b.Wait(t.Context(), &googleapi.Error{Code: 503, Header: http.Header{
					"Retry-After": {until.UTC().Format(http.TimeFormat)}, "Date": {date},
				}}))
				assert.Equal(t, want, time.Since(began))
			})
		})
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deadline, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		var b retry.Backoff
		long := &googleapi.Error{Code: 429, Header: http.Header{"Retry-After": {"5"}}}
		require.ErrorIs(t, b.Wait(deadline, long), context.DeadlineExceeded)
		assert.Zero(t, time.Since(began), "a pause that would outlast the deadline is not begun")

		last := began.Add(3 * time.Second)
		assert.Equal(t, error(long), b.PauseUntil(t.Context(), last, long), "out of time, the error is what it was")
		require.NoError(t, b.PauseUntil(t.Context(), began.Add(time.Minute), long))
		require.ErrorIs(t, b.PauseUntil(deadline, began.Add(time.Hour), long), context.DeadlineExceeded)
		require.NoError(t, b.WaitFor(t.Context(), errors.New("not transient, but the caller knows better")))
	})
}
