package fake

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/api/option"
)

// Remote returns the options with which a generated client reaches, as a member,
// a backend that another process serves on a port, as examples/emulator does. The
// address is of the form "127.0.0.1:8089". Clients keep their endpoints: the
// address is used as a proxy, over plain HTTP. Remote panics on what is no
// member: see [Backend.ClientOptions].
func Remote(address, member string) []option.ClientOption {
	who, err := parseCaller(member)
	if err != nil {
		panic("fake: " + err.Error())
	}
	t := &http.Transport{
		Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: address}), MaxIdleConnsPerHost: 100, IdleConnTimeout: time.Minute,
	}
	return []option.ClientOption{option.WithHTTPClient(&http.Client{Transport: &remote{t, "Bearer " + who.member}})}
}

type remote struct {
	transport *http.Transport
	bearer    string
}

func (t *remote) RoundTrip(r *http.Request) (*http.Response, error) {
	inner := r.Clone(r.Context())
	inner.URL.Scheme = "http" // of which the proxy sees the host
	inner.Header.Set("Authorization", t.bearer)
	resp, err := t.transport.RoundTrip(inner)
	if err != nil {
		return nil, fmt.Errorf("fake: %w", err)
	}
	return resp, nil
}

// CloseIdleConnections lets http.Client do so.
func (t *remote) CloseIdleConnections() { t.transport.CloseIdleConnections() }
