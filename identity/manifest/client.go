package manifest

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/refusal"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/settings"
)

// A Client exports and applies manifests. It is safe for concurrent use and
// holds nothing that needs closing.
type Client struct{ run *rest.Client }

// NewClient returns a client that uses Application Default Credentials unless the
// options say otherwise. It refuses [option.WithEndpoint], as each region has an
// endpoint of its own.
func NewClient(ctx context.Context, opts ...option.ClientOption) (*Client, error) {
	if err := settings.RefuseEndpoint(opts...); err != nil {
		return nil, fmt.Errorf("new client: %w", err)
	}
	run, err := rest.New(ctx, "run", opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to Cloud Run: %w", err)
	}
	return &Client{run}, nil
}

// collections are the paths of the kinds in version 1 of the API.
var collections = map[identity.Kind][2]string{
	identity.KindJob:        {"run.googleapis.com/v1", "jobs"},
	identity.KindService:    {"serving.knative.dev/v1", "services"},
	identity.KindWorkerPool: {"run.googleapis.com/v1", "workerpools"},
}

// do calls version 1 of the API in the workload's region, which is named by
// the host alone. The path is that of its collection if id is empty.
func (c *Client) do(ctx context.Context, verb string, w identity.Workload, id string, query url.Values, body []byte) ([]byte, error) {
	regional := *c.run
	regional.Base = strings.Replace(c.run.Base, "://run.", "://"+w.Location+"-run.", 1)
	at := collections[w.Kind]
	path := "apis/" + at[0] + "/namespaces/" + url.PathEscape(w.Project) + "/" + at[1]
	if id != "" {
		path += "/" + id
	}
	answer, err := regional.Do(ctx, verb, path, query, body)
	return answer, refusal.Wrap(err)
}
