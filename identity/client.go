package identity

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/option/internaloption"
	"google.golang.org/api/run/v2"
	htransport "google.golang.org/api/transport/http"

	"github.com/runidentity/runidentity/internal/retry"
)

// A Client reads and changes the service identities of Cloud Run workloads.
// It is safe for concurrent use and holds nothing that needs closing.
type Client struct {
	http *http.Client
	base string // such as "https://run.googleapis.com/"
	iam  *iam.Service
}

// NewClient returns a client that uses Application Default Credentials unless
// the options say otherwise. [option.WithEndpoint] names the endpoint of Cloud
// Run, such as "https://europe-west1-run.googleapis.com/"; IAM, which
// [Client.EnsureServiceAccount] asks, keeps its own.
func NewClient(ctx context.Context, opts ...option.ClientOption) (*Client, error) {
	// The defaults are those of run.NewService: a job has to be sent as the
	// very JSON that was read, which the generated calls cannot do.
	runOpts := append([]option.ClientOption{
		internaloption.WithDefaultScopes(run.CloudPlatformScope),
		internaloption.WithDefaultEndpointTemplate("https://run.UNIVERSE_DOMAIN/"),
		internaloption.WithDefaultMTLSEndpoint("https://run.mtls.googleapis.com/"),
		internaloption.EnableNewAuthLibrary(),
	}, opts...)
	client, base, err := htransport.NewClient(ctx, runOpts...)
	if err != nil {
		return nil, fmt.Errorf("connect to Cloud Run: %w", err)
	}
	iamOpts := append(append([]option.ClientOption{}, opts...), option.WithEndpoint(""))
	service, err := iam.NewService(ctx, iamOpts...)
	if err != nil {
		return nil, fmt.Errorf("connect to IAM: %w", err)
	}
	return &Client{http: client, base: strings.TrimSuffix(base, "/") + "/", iam: service}, nil
}

// do sends one request to Cloud Run and returns the JSON of the answer. Its
// errors are those of the generated clients.
func (c *Client) do(ctx context.Context, verb, name string, query url.Values, body []byte) ([]byte, error) {
	if query == nil {
		query = url.Values{}
	}
	query.Set("alt", "json")
	query.Set("prettyPrint", "false")
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, verb, c.base+"v2/"+name+"?"+query.Encode(), content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", googleapi.UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if err := googleapi.CheckResponse(res); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	return answer, nil
}

// get reads a resource, again as long as that may help.
func (c *Client) get(ctx context.Context, name string) ([]byte, error) {
	return retry.Do(ctx, func() ([]byte, error) {
		return c.do(ctx, http.MethodGet, name, nil, nil)
	})
}
