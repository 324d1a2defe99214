package manifest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/retry"
)

// Export returns a live workload as YAML, as this command does:
//
//	gcloud run jobs describe nightly --format=export
//
// Services and worker pools work likewise. The YAML is in the form of version 1
// of the API, without the status and without what the server says of itself. It
// may hold the values of environment variables, secrets among them.
//
// The errors are those of [identity.Client.Get].
func (c *Client) Export(ctx context.Context, w identity.Workload) ([]byte, error) {
	out, err := c.export(ctx, w)
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", w, err)
	}
	return out, nil
}

func (c *Client) export(ctx context.Context, w identity.Workload) ([]byte, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	live, err := c.read(ctx, w)
	if err != nil {
		return nil, err
	}
	delete(live, "status")
	metadata := child(live, "metadata")
	for _, field := range []string{"creationTimestamp", "generation", "resourceVersion", "selfLink", "uid"} {
		delete(metadata, field)
	}
	if annotations, ok := metadata["annotations"].(object); ok {
		for _, name := range []string{
			"serving.knative.dev/creator", "serving.knative.dev/lastModifier", "run.googleapis.com/client-name",
			"run.googleapis.com/client-version", "run.googleapis.com/creatorEmail", "run.googleapis.com/lastModifierEmail",
			"run.googleapis.com/operation-id",
		} {
			delete(annotations, name)
		}
	}
	return toYAML(live)
}

// read gets a workload as version 1 of the API has it.
func (c *Client) read(ctx context.Context, w identity.Workload) (object, error) {
	return retry.Do(ctx, func() (object, error) { return c.do(ctx, http.MethodGet, w, w.ID, nil, nil) })
}
