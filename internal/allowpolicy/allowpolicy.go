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
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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

// ErrNoSuchMember is wrapped when the server says that the member of a change
// does not exist, which may also mean: not yet.
var ErrNoSuchMember = errors.New("the member doesn't exist, or isn't visible yet")

var (
	// ErrOpen is wrapped when it is not known whether the policy was written.
	ErrOpen = errors.New("the policy may have been written all the same")
	// ErrImpossible is wrapped when a change can't be made, whatever the server
	// says.
	ErrImpossible = errors.New("the policy can't be changed so")
)

// maxConflicts is how often a change is made again because someone else wrote
// in between.
const maxConflicts = 40

// Edit makes changes to the allow policy of a resource, named in full
// ("//iam.googleapis.com/projects/p/serviceAccounts/e"). It returns those that
// made a difference; if none does, nothing is written. An error leaves the
// policy as it was, unless it wraps [ErrOpen].
func (c *Client) Edit(ctx context.Context, resource string, changes ...Change) ([]Change, error) {
	done, err := c.edit(ctx, resource, changes)
	if err != nil {
		return nil, fmt.Errorf("change the allow policy of %s: %w", resource, err)
	}
	return done, nil
}

func (c *Client) edit(ctx context.Context, resource string, changes []Change) (done []Change, err error) {
	a, name, err := c.find(resource)
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		if change.Role == "" || !strings.Contains(change.Member, ":") && !strings.HasPrefix(change.Member, "all") {
			return nil, fmt.Errorf(`role %q, member %q: a change needs both, such as "roles/run.invoker" and "user:dev@example.com"`, change.Role, change.Member)
		}
	}
	var tried []Change // what an attempt whose outcome is open would have changed
	defer func() {
		if err != nil && tried != nil {
			err = fmt.Errorf("%w: %w", ErrOpen, err)
		}
	}()
	var failures, conflicts retry.Backoff
	for attempt := 1; ; attempt++ {
		p, err := a.get(ctx, name)
		if err != nil {
			return nil, err
		}
		made, err := p.apply(changes)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrImpossible, err)
		}
		if len(made) == 0 {
			return tried, nil
		}
		err = a.set(ctx, name, p)
		switch {
		case err == nil:
			return made, nil
		case hasCode(err, http.StatusConflict), p.isOutdated(err, made):
			if attempt >= maxConflicts {
				return nil, fmt.Errorf("others wrote it %d times in between: %w", attempt, err)
			}
			err = conflicts.Pause(ctx, err)
		case hasCode(err, http.StatusBadRequest) && namesMissing(err, made):
			return nil, fmt.Errorf("%w: %w", ErrNoSuchMember, err)
		default:
			if retry.Ambiguous(err) {
				tried = made
			}
			err = failures.Wait(ctx, err)
		}
		if err != nil {
			return nil, err
		}
	}
}

// Has says whether the allow policy of a resource has the binding that a change
// is about.
func (c *Client) Has(ctx context.Context, resource string, change Change) (bool, error) {
	a, name, err := c.find(resource)
	if err != nil {
		return false, err
	}
	p, err := a.get(ctx, name)
	if err != nil {
		return false, fmt.Errorf("read the allow policy of %s: %w", resource, err)
	}
	return p.has(change), nil
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
	var etag string
	err = json.Unmarshal(p.fields["etag"], &etag)
	return etag, err
}

// Supports says whether a resource, named in full, is one whose allow policy a
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

// set writes the policy of a resource.
func (a api) set(ctx context.Context, name string, p *policy) error {
	body, err := p.request()
	if err != nil {
		return err
	}
	_, err = a.rest.Do(ctx, http.MethodPost, a.version+name+":setIamPolicy", nil, body)
	return err
}

func hasCode(err error, code int) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	return ok && g.Code == code
}

// names says whether a message has an id, and not as a part of a longer one.
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

// namesMissing says whether the server complains about a member of the changes.
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
