package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/runidentity/runidentity/internal/retry"
)

const (
	// MaxAnswer is the longest answer that is read. Cloud Run limits a resource
	// to a fraction of that, and a policy is not longer.
	MaxAnswer = 32 << 20
	// maxError is how much is read of an answer that tells an error.
	maxError = 1 << 20
)

// ErrForeign is wrapped by errors about an answer that none of Google's APIs
// gives: a captive portal, a gateway or a proxy answered in its place. What was
// asked for may have been done all the same.
var ErrForeign = errors.New("the answer is not one of Google's API")

// guard is a transport that returns answers of Google's APIs and nothing else:
// a JSON object for success, Google's form of an error else, neither longer
// than is read. It is below the redirects of http.Client, which it lets follow
// none that would show the credentials to someone else.
type guard struct{ next http.RoundTripper }

// guarded returns a copy of a client whose answers are checked.
func guarded(client *http.Client) *http.Client {
	c := *client
	if c.Transport == nil {
		c.Transport = http.DefaultTransport //nolint:forbidigo // what a client of the caller's without one uses
	}
	c.Transport = guard{c.Transport}
	return &c
}

func (g guard) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	switch {
	case isRedirect(res):
		return checkRedirect(req, res)
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return checkAnswer(res)
	}
	return checkError(res)
}

func isRedirect(res *http.Response) bool {
	switch res.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return res.Header.Get("Location") != ""
	}
	return false
}

// checkRedirect lets http.Client follow what leads to the same server with the
// same method. The transports that add a token add it to each request, whatever
// its host.
func checkRedirect(req *http.Request, res *http.Response) (*http.Response, error) {
	to, err := req.URL.Parse(res.Header.Get("Location"))
	keepsMethod := req.Method == http.MethodGet || req.Method == http.MethodHead ||
		res.StatusCode == http.StatusTemporaryRedirect || res.StatusCode == http.StatusPermanentRedirect
	if err == nil && keepsMethod && origin(to) == origin(req.URL) {
		return res, nil
	}
	_ = res.Body.Close()
	where := "elsewhere"
	if err == nil && to.Host != "" {
		where = "to " + cut(Harmless(to.Host), 100)
	}
	return nil, fmt.Errorf("%w: %d, a redirect %s, which is not followed", ErrForeign, res.StatusCode, where)
}

// origin is the scheme and the host with its port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
}

// checkAnswer reads an answer that tells success.
func checkAnswer(res *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswer+1))
	err = errors.Join(err, res.Body.Close())
	if err == nil {
		err = isAnswer(body)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	return withBody(res, body), nil
}

// isAnswer says what is wrong with an answer that tells success.
func isAnswer(body []byte) error {
	if len(body) > MaxAnswer {
		return fmt.Errorf("it is longer than %d MiB", MaxAnswer>>20)
	}
	body = bytes.TrimLeft(body, " \t\r\n")
	switch {
	case !json.Valid(body):
		return errors.New("it is no JSON")
	case body[0] != '{':
		return errors.New("it is no JSON object")
	case !bytes.HasPrefix(bytes.TrimLeft(body[1:], " \t\r\n"), []byte(`"error"`)):
		return nil
	}
	// An operation that failed has an error, too, beside its name.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return err
	}
	if len(members) == 1 {
		return errors.New("it is an error, and its status is success")
	}
	return nil
}

// checkError reads an answer that tells an error. One that isn't in Google's form
// says nothing about what was asked for: that a gateway knows no such page
// doesn't mean that there is no such resource. Those that may pass, with
// which Google's own front ends answer in any form, keep their status.
func checkError(res *http.Response) (*http.Response, error) {
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxError)) // the status is known anyway
	_ = res.Body.Close()
	if told, ok := errorOf(res.StatusCode, body); ok {
		return withBody(res, told), nil
	}
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= http.StatusInternalServerError {
		return withBody(res, []byte(cut(Harmless(string(body)), maxForeign))), nil
	}
	return nil, fmt.Errorf("%w: status %d, in another form than Google's errors have", ErrForeign, res.StatusCode)
}

func withBody(res *http.Response, body []byte) *http.Response {
	res.Body = io.NopCloser(bytes.NewReader(body))
	res.ContentLength = int64(len(body))
	return res
}
