package recommend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/allowpolicy"
	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
	"github.com/runidentity/runidentity/internal/settings"
)

// A Client reads recommendations and applies them. It is safe for concurrent use
// and holds nothing that needs closing.
type Client struct {
	rest     *rest.Client // of Recommender
	identity *identity.Client
	policies *allowpolicy.Client
	iam      *iam.Service
}

// NewClient returns a client that uses Application Default Credentials unless the
// options say otherwise. It returns an error if they have [option.WithEndpoint],
// as the client calls several APIs.
func NewClient(ctx context.Context, opts ...option.ClientOption) (*Client, error) {
	if err := settings.RefuseEndpoint(opts...); err != nil {
		return nil, fmt.Errorf("new client: %w", err)
	}
	c := new(Client)
	var err error
	if c.rest, err = rest.New(ctx, "recommender", opts...); err != nil {
		return nil, fmt.Errorf("connect to Recommender: %w", err)
	}
	if c.identity, err = identity.NewClient(ctx, opts...); err != nil {
		return nil, err
	}
	if c.policies, err = allowpolicy.New(ctx, opts...); err != nil {
		return nil, err
	}
	if c.iam, err = rest.Service("iam", iam.NewService)(ctx, opts...); err != nil {
		return nil, fmt.Errorf("connect to IAM: %w", err)
	}
	return c, nil
}

// Errors that a program can tell apart with errors.Is. They are about calls of
// Recommender: listings, [Client.Get], [Client.Claim] and the like. If the server
// answered with an error, errors.As finds it as a *googleapi.Error.
var (
	// ErrAPIDisabled means that the Recommender API is off in the project.
	ErrAPIDisabled = errors.New("the Recommender API is disabled")
	// ErrDenied means that the caller lacks a permission in the project, or perhaps
	// that there is no such project: most Google APIs answer both alike.
	ErrDenied = errors.New("permission denied")
	// ErrChanged means that a recommendation changed since it was read: it has
	// another etag.
	ErrChanged = errors.New("the recommendation changed meanwhile")
)

// told wraps a server's error with what it means.
func told(err error) error {
	g, ok := errors.AsType[*googleapi.Error](err)
	switch {
	case !ok:
		return err
	case g.Code == http.StatusForbidden && strings.Contains(g.Body, `"SERVICE_DISABLED"`):
		return fmt.Errorf("%w: %w", ErrAPIDisabled, err)
	case g.Code == http.StatusForbidden:
		return fmt.Errorf("%w: %w", ErrDenied, err)
	case g.Code == http.StatusConflict:
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return err
}

// do makes one call of Recommender.
func (c *Client) do(ctx context.Context, verb, name string, query url.Values, body []byte) ([]byte, error) {
	return c.rest.Do(ctx, verb, "v1/"+name, query, body)
}

// Get reads a recommendation by its full name. If there is none, the error is the
// server's *googleapi.Error, with code 404.
func (c *Client) Get(ctx context.Context, name string) (Recommendation, error) {
	if err := checkName(name); err != nil {
		return Recommendation{}, fmt.Errorf("get %q: %w", name, err)
	}
	r, err := retry.Do(ctx, func() (Recommendation, error) { return c.answer(ctx, http.MethodGet, name, "", nil) })
	if err != nil {
		return Recommendation{}, fmt.Errorf("get %s: %w", name, err)
	}
	return r, nil
}

// answer makes a call about a recommendation, whose answer has to be it.
func (c *Client) answer(ctx context.Context, verb, name, method string, body []byte) (Recommendation, error) {
	path := name
	if method != "" {
		path += ":" + method
	}
	raw, err := c.do(ctx, verb, path, nil, body)
	if err != nil {
		return Recommendation{}, told(err)
	}
	r, err := DecodeRecommendation(raw)
	switch {
	case err != nil:
		return r, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	case !names.Same(r.Name, name), r.Etag == "", r.State == "":
		return r, fmt.Errorf("%w: it isn't %s", retry.ErrGarbled, name)
	}
	return r, nil
}

var recommendationName = regexp.MustCompile(`^[a-zA-Z]+/[^/?#%\s]+/locations/[^/?#%\s]+/recommenders/[^/?#%\s]+/recommendations/[^/?#%\s]+$`)

// checkName refuses what is no full name of a recommendation.
func checkName(name string) error {
	if recommendationName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("it is no full name of a recommendation, such as %q",
		"projects/123456789012/locations/global/recommenders/google.iam.policy.Recommender/recommendations/a1b2")
}
