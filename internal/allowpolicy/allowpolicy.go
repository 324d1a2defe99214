// Package allowpolicy changes IAM allow policies: it reads one, adds and
// removes bindings, and writes it back, and does so again if someone else wrote
// in between.
//
// Policies are asked for and written in version 3, so that conditions are kept,
// and always with the etag, without which a write would undo those of others.
// They stay JSON: fields that no client knows, audit configurations and members
// that were deleted go back as they came.
//
// https://cloud.google.com/iam/docs/policies#read-modify-write
package allowpolicy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// A Client changes allow policies. It is safe for concurrent use.
type Client struct {
	apis map[string]api // by the service in full resource names
}

// An api is one that serves allow policies.
type api struct {
	rest    *rest.Client
	version string
	getVerb string // Cloud Run reads policies with GET, the others with POST
}

// New returns a client for the policies of projects, folders, organizations,
// service accounts and Cloud Run's resources. The options must not name an
// endpoint.
func New(ctx context.Context, opts ...option.ClientOption) (*Client, error) {
	c := &Client{apis: make(map[string]api)}
	for _, a := range []struct{ service, version, getVerb string }{
		{"cloudresourcemanager", "v3", http.MethodPost}, {"iam", "v1", http.MethodPost}, {"run", "v2", http.MethodGet},
	} {
		client, err := rest.New(ctx, a.service, opts...)
		if err != nil {
			return nil, fmt.Errorf("connect to %s.googleapis.com: %w", a.service, err)
		}
		c.apis[a.service+".googleapis.com"] = api{client, a.version + "/", a.getVerb}
	}
	return c, nil
}

// A Condition is the condition of a binding.
type Condition struct {
	Title, Description, Expression string
}

// A Change adds a member to a role, or removes it.
type Change struct {
	Remove       bool
	Role, Member string
	// Condition is that of the binding; without an expression there is none. A
	// binding is found by its role and condition, as IAM tells them apart; to
	// remove a member, its title may be left out.
	Condition Condition
}

// Pending returns those of the changes that the allow policy of a resource
// doesn't show: bindings to add that it lacks, and bindings to remove that it
// has.
func (c *Client) Pending(ctx context.Context, resource string, changes ...Change) ([]Change, error) {
	a, name, err := c.find(resource)
	if err != nil {
		return nil, err
	}
	p, err := a.get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read the allow policy of %s: %w", resource, err)
	}
	return slices.DeleteFunc(slices.Clone(changes), p.shows), nil
}

// Etag returns the etag of a resource's allow policy.
func (c *Client) Etag(ctx context.Context, resource string) (string, error) {
	a, name, err := c.find(resource)
	if err != nil {
		return "", err
	}
	p, err := a.get(ctx, name)
	if err != nil {
		return "", fmt.Errorf("read the allow policy of %s: %w", resource, err)
	}
	return p.etag, nil
}

// Supports reports whether a resource, named in full, is one whose allow policy a
// Client can change.
func Supports(resource string) bool {
	_, _, err := (&Client{apis: map[string]api{"cloudresourcemanager.googleapis.com": {}, "iam.googleapis.com": {}, "run.googleapis.com": {}}}).find(resource)
	return err == nil
}

// find returns the API of a resource and its relative name.
func (c *Client) find(resource string) (api, string, error) {
	service, name, _ := strings.Cut(strings.TrimPrefix(resource, "//"), "/")
	a, ok := c.apis[service]
	parts := strings.Split(name, "/")
	switch {
	case !ok:
	case service == "cloudresourcemanager.googleapis.com" && len(parts) == 2,
		service == "iam.googleapis.com" && len(parts) == 4 && parts[2] == "serviceAccounts",
		service == "run.googleapis.com" && len(parts) == 6 && parts[2] == "locations":
		if !strings.ContainsAny(name, "?#% ") {
			return a, name, nil
		}
	}
	return api{}, "", fmt.Errorf("resource %q: it must be the full name of a project, folder, organization, service account or "+
		"Cloud Run workload, such as %q", resource, "//iam.googleapis.com/projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com")
}

// get reads the policy of a resource.
func (a api) get(ctx context.Context, name string) (*policy, error) {
	return retry.Do(ctx, func() (*policy, error) {
		var body []byte
		query := url.Values{"options.requestedPolicyVersion": {"3"}}
		if a.version == "v3/" { // Resource Manager reads it from the body
			query, body = nil, []byte(`{"options":{"requestedPolicyVersion":3}}`)
		}
		raw, err := a.rest.Do(ctx, a.getVerb, a.version+name+":getIamPolicy", query, body)
		if err != nil {
			return nil, err
		}
		p, err := parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", retry.ErrGarbled, err)
		}
		return p, nil
	})
}

// set writes the policy of a resource. The answer has to be the policy with the
// changes: anything else leaves open whether it was written.
func (a api) set(ctx context.Context, name string, p *policy, changes []Change) error {
	body, err := p.request()
	if err != nil {
		return err
	}
	raw, err := a.rest.Do(ctx, http.MethodPost, a.version+name+":setIamPolicy", nil, body)
	if err != nil {
		return err
	}
	answer, err := parse(raw)
	if err == nil && !containsAll(changes, answer.shows) {
		err = errors.New("it isn't the policy that was sent")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	return nil
}

func containsAll[T any](all []T, is func(T) bool) bool {
	return !slices.ContainsFunc(all, func(v T) bool { return !is(v) })
}

// names reports whether a message has an id, and not as a part of a longer one.
func names(message, id string) bool {
	part := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '@'
	}
	message, id = strings.ToLower(message), strings.ToLower(id)
	for from := 0; id != ""; {
		i := strings.Index(message[from:], id)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(id)
		if (i == 0 || !part(message[i-1]) && message[i-1] != '.') && (end == len(message) || !part(message[end])) {
			return true
		}
		from = i + 1
	}
	return false
}

// namesMissing reports whether the server complains about a member of the changes.
func namesMissing(err error, changes []Change) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	if !ok || !strings.Contains(g.Message, "does not exist") {
		return false
	}
	for _, c := range changes {
		if _, id, _ := strings.Cut(c.Member, ":"); !c.Remove && names(g.Message, id) {
			return true
		}
	}
	return false
}
