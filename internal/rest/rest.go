// Package rest calls a Google API with JSON as it is, where the generated
// clients would lose what they do not know: a job, a policy, a recommendation
// goes back as it came. Credentials, endpoints and errors are those of the
// generated clients.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/option/internaloption"
	htransport "google.golang.org/api/transport/http"

	"github.com/runidentity/runidentity/internal/retry"
)

// A Client calls one API. It is safe for concurrent use.
type Client struct {
	HTTP *http.Client
	Base string // such as "https://run.googleapis.com/"
}

// New returns a client for the API of that name, such as "run", made of the
// options as a generated client is.
func New(ctx context.Context, api string, opts ...option.ClientOption) (*Client, error) {
	all := append([]option.ClientOption{
		internaloption.WithDefaultScopes("https://www.googleapis.com/auth/cloud-platform"),
		internaloption.WithDefaultEndpointTemplate("https://" + api + ".UNIVERSE_DOMAIN/"),
		internaloption.WithDefaultMTLSEndpoint("https://" + api + ".mtls.googleapis.com/"),
		internaloption.EnableNewAuthLibrary(),
	}, opts...)
	client, base, err := htransport.NewClient(ctx, all...)
	if err != nil {
		return nil, err
	}
	return &Client{HTTP: client, Base: strings.TrimSuffix(base, "/") + "/"}, nil
}

// Do sends one request to a path below the base, with its version, and returns
// the JSON of the answer. Its errors are those of the generated clients; one that
// wraps [retry.ErrGarbled] is about an answer that can't be read.
func (c *Client) Do(ctx context.Context, verb, path string, query url.Values, body []byte) ([]byte, error) {
	all := url.Values{"alt": {"json"}, "prettyPrint": {"false"}}
	maps.Copy(all, query)
	var content io.Reader = http.NoBody
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, verb, c.Base+path+"?"+all.Encode(), content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", googleapi.UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if err := googleapi.CheckResponse(res); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	if err == nil && !json.Valid(answer) {
		err = errors.New("it is no JSON")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	return answer, nil
}
