package identity

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// A Client reads and changes the service identities of Cloud Run workloads.
// It is safe for concurrent use and holds nothing that needs closing.
type Client struct {
	rest *rest.Client // of Cloud Run
	iam  *iam.Service
}

// NewClient returns a client that uses Application Default Credentials unless the
// options say otherwise. [option.WithEndpoint] sets the endpoint of Cloud Run,
// such as "https://europe-west1-run.googleapis.com/". It does not change that of
// IAM, which [Client.EnsureServiceAccount] calls.
func NewClient(ctx context.Context, opts ...option.ClientOption) (*Client, error) {
	// A job has to be sent as the very JSON that was read, which the generated
	// calls cannot do.
	client, err := rest.New(ctx, "run", opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to Cloud Run: %w", err)
	}
	iamOpts := append(append([]option.ClientOption{}, opts...), option.WithEndpoint(""))
	service, err := rest.Service("iam", iam.NewService)(ctx, iamOpts...)
	if err != nil {
		return nil, fmt.Errorf("connect to IAM: %w", err)
	}
	return &Client{rest: client, iam: service}, nil
}

// do sends one request to Cloud Run and returns the JSON of the answer. Its
// errors are those of the generated clients.
func (c *Client) do(ctx context.Context, verb, name string, query url.Values, body []byte) ([]byte, error) {
	return c.rest.Do(ctx, verb, "v2/"+name, query, body)
}

// get reads a resource, again as long as that may help.
func (c *Client) get(ctx context.Context, name string) ([]byte, error) {
	return retry.Do(ctx, func() ([]byte, error) {
		raw, err := c.do(ctx, http.MethodGet, name, nil, nil)
		if err == nil {
			err = checkName(raw, name)
		}
		return raw, err
	})
}
