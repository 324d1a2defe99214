// Package rest calls a Google API with JSON as it is, where the generated
// clients would lose what they do not know: a job, a policy, a recommendation
// goes back as it came. Credentials, endpoints and errors are those of the
// generated clients.
package rest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/option/internaloption"
	htransport "google.golang.org/api/transport/http"
)

// A Client calls one API. It is safe for concurrent use.
type Client struct {
	HTTP *http.Client
	Base string // such as "https://run.googleapis.com/"
}

// New returns a client for the API of that name, such as "run", made of the
// options as a generated client is. All clients of this library's are made by it.
// It changes a copy of the caller's http.Client.
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
	return &Client{HTTP: guarded(client), Base: strings.TrimSuffix(base, "/") + "/"}, nil
}

// Service returns the constructor of a generated client for the API of that name,
// with the HTTP client that [New] makes: option.WithHTTPClient is used as it is
// by the generated ones, and without it they make one that follows any redirect.
func Service[S any](api string, dial func(context.Context, ...option.ClientOption) (*S, error)) func(context.Context, ...option.ClientOption) (*S, error) {
	return func(ctx context.Context, opts ...option.ClientOption) (*S, error) {
		client, err := New(ctx, api, opts...)
		if err != nil {
			return nil, err
		}
		return dial(ctx, option.WithHTTPClient(client.HTTP), option.WithEndpoint(client.Base))
	}
}

// Do sends one request to a path below the base, with its version, and returns
// the answer, a JSON object. Its errors are those of the generated clients; one that
// wraps [retry.ErrGarbled] or [ErrForeign] is about an answer that says nothing.
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
	return io.ReadAll(res.Body)
}
