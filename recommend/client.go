package recommend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/option/internaloption"
	htransport "google.golang.org/api/transport/http"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/allowpolicy"
	"github.com/runidentity/runidentity/internal/retry"
)

// A Client reads recommendations and applies them. It is safe for concurrent use
// and holds nothing that needs closing.
type Client struct {
	http     *http.Client
	base     string // of Recommender, such as "https://recommender.googleapis.com/v1/"
	identity *identity.Client
	policies *allowpolicy.Client
	iam      *iam.Service
}

// NewClient returns a client that uses Application Default Credentials unless the
// options say otherwise. It refuses [option.WithEndpoint], as it asks several
// APIs.
func NewClient(ctx context.Context, opts ...option.ClientOption) (*Client, error) {
	c := new(Client)
	const standard = "https://recommender.googleapis.com/"
	var base string
	var err error
	// As the generated client is made: the JSON has to stay as it came.
	c.http, base, err = htransport.NewClient(ctx, append([]option.ClientOption{
		internaloption.WithDefaultScopes("https://www.googleapis.com/auth/cloud-platform"),
		internaloption.WithDefaultEndpointTemplate("https://recommender.UNIVERSE_DOMAIN/"),
		internaloption.WithDefaultMTLSEndpoint("https://recommender.mtls.googleapis.com/"),
		internaloption.EnableNewAuthLibrary(),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to Recommender: %w", err)
	}
	if base = strings.TrimSuffix(base, "/") + "/"; !strings.HasPrefix(base, "https://recommender.") {
		return nil, fmt.Errorf("connect to Recommender: option.WithEndpoint(%q): several APIs are asked, which have an endpoint each, "+
			"this one %q: leave it out", base, standard)
	}
	c.base = base + "v1/"
	if c.identity, err = identity.NewClient(ctx, opts...); err != nil {
		return nil, err
	}
	if c.policies, err = allowpolicy.New(ctx, opts...); err != nil {
		return nil, err
	}
	if c.iam, err = iam.NewService(ctx, opts...); err != nil {
		return nil, fmt.Errorf("connect to IAM: %w", err)
	}
	return c, nil
}

// Errors of this package; they wrap the server's.
var (
	// ErrAPIDisabled means that the Recommender API is off in the project.
	ErrAPIDisabled = errors.New("the Recommender API is disabled")
	// ErrDenied means that the caller lacks a permission there.
	ErrDenied = errors.New("permission denied")
	// ErrConflict means that a recommendation changed since it was read: its etag
	// is another.
	ErrConflict = errors.New("the recommendation changed meanwhile")
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
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return err
}

// do makes one call of Recommender.
func (c *Client) do(ctx context.Context, verb, name string, query url.Values, body []byte) ([]byte, error) {
	address := c.base + name
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	var content io.Reader = http.NoBody
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, verb, address, content)
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
	if err == nil && !json.Valid(answer) {
		err = errors.New("it is no JSON")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	return answer, nil
}

// Get reads a recommendation by its full name.
func (c *Client) Get(ctx context.Context, name string) (Recommendation, error) {
	raw, err := retry.Do(ctx, func() ([]byte, error) { return c.do(ctx, http.MethodGet, name, nil, nil) })
	if err != nil {
		return Recommendation{}, fmt.Errorf("get %s: %w", name, told(err))
	}
	return DecodeRecommendation(raw)
}

func failedFor(err error, code int) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	return ok && g.Code == code
}
