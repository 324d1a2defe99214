package manifest

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/refusal"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
	"github.com/runidentity/runidentity/internal/settings"
)

// A Client exports and applies manifests. It is safe for concurrent use and
// holds nothing that needs closing.
type Client struct{ run *rest.Client }

// NewClient returns a client that uses Application Default Credentials unless the
// options say otherwise. It returns an error if they have [option.WithEndpoint],
// as each region has an endpoint of its own.
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

// A form is how version 1 of the API calls a kind, in paths and in objects.
type form struct{ version, collection, kind string }

var forms = map[identity.Kind]form{
	identity.KindJob:        {"run.googleapis.com/v1", "jobs", "Job"},
	identity.KindService:    {"serving.knative.dev/v1", "services", "Service"},
	identity.KindWorkerPool: {"run.googleapis.com/v1", "workerpools", "WorkerPool"},
}

// do calls version 1 of the API in the workload's region, which is named by
// the host alone. The path is that of its collection if id is empty. The answer is
// the workload.
func (c *Client) do(ctx context.Context, verb string, w identity.Workload, id string, query url.Values, body []byte) (object, error) {
	regional := *c.run
	regional.Base = strings.Replace(c.run.Base, "://run.", "://"+w.Location+"-run.", 1)
	at := forms[w.Kind]
	path := "apis/" + at.version + "/namespaces/" + url.PathEscape(w.Project) + "/" + at.collection
	if id != "" {
		path += "/" + id
	}
	answer, err := regional.Do(ctx, verb, path, query, body)
	if err != nil {
		return nil, refusal.Wrap(err)
	}
	o, err := decode(answer)
	if err == nil {
		err = checkWorkload(o, w)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	return o, nil
}

// checkWorkload refuses JSON that isn't the workload's: what is between here and
// Google may answer, too. Only the name was seen to be always there, but what is
// there has to fit.
func checkWorkload(o object, w identity.Workload) error {
	project := textAt(o, "metadata", "namespace")
	if names.IsNumber(project) != names.IsNumber(w.Project) { // the server answers with the number
		project = w.Project
	}
	for _, field := range []struct{ name, told, want string }{
		{"kind", textAt(o, "kind"), forms[w.Kind].kind},
		{"apiVersion", textAt(o, "apiVersion"), forms[w.Kind].version},
		{"metadata.namespace", project, w.Project},
		{"region", textAt(o, "metadata", "labels", "cloud.googleapis.com/location"), w.Location},
	} {
		if field.told != "" && field.told != field.want {
			return fmt.Errorf("its %s is %q, not %q", field.name, rest.Harmless(field.told), field.want)
		}
	}
	if name := textAt(o, "metadata", "name"); name != w.ID {
		return fmt.Errorf("its metadata.name is %q, not %q", rest.Harmless(name), w.ID)
	}
	return nil
}
