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
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/option/internaloption"
	htransport "google.golang.org/api/transport/http"

	"github.com/runidentity/runidentity/internal/retry"
)

// A Client changes allow policies. It is safe for concurrent use.
type Client struct {
	apis map[string]api // by the service in full resource names
}

// An api is one that serves allow policies.
type api struct {
	http    *http.Client
	base    string // with the version
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
		all := append([]option.ClientOption{
			internaloption.WithDefaultScopes("https://www.googleapis.com/auth/cloud-platform"),
			internaloption.WithDefaultEndpointTemplate("https://" + a.service + ".UNIVERSE_DOMAIN/"),
			internaloption.WithDefaultMTLSEndpoint("https://" + a.service + ".mtls.googleapis.com/"),
			internaloption.EnableNewAuthLibrary(),
		}, opts...)
		client, base, err := htransport.NewClient(ctx, all...)
		if err != nil {
			return nil, fmt.Errorf("connect to %s.googleapis.com: %w", a.service, err)
		}
		c.apis[a.service+".googleapis.com"] = api{client, strings.TrimSuffix(base, "/") + "/" + a.version + "/", a.getVerb}
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

// maxConflicts is how often a change is made again because someone else wrote
// in between.
const maxConflicts = 40

// Edit makes changes to the allow policy of a resource, named in full
// ("//iam.googleapis.com/projects/p/serviceAccounts/e"). It returns those that
// made a difference; if none does, nothing is written. An error leaves the
// policy as it was, unless it wraps [retry.ErrGarbled], ctx has ended, or the
// connection broke on every attempt: then it may have been written.
func (c *Client) Edit(ctx context.Context, resource string, changes ...Change) ([]Change, error) {
	done, err := c.edit(ctx, resource, changes)
	if err != nil {
		return nil, fmt.Errorf("change the allow policy of %s: %w", resource, err)
	}
	return done, nil
}

func (c *Client) edit(ctx context.Context, resource string, changes []Change) ([]Change, error) {
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
	var failures, conflicts retry.Backoff
	for attempt := 1; ; attempt++ {
		p, err := a.get(ctx, name)
		if err != nil {
			return nil, err
		}
		made, err := p.apply(changes)
		if err != nil {
			return nil, err
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
	rest, _ := strings.CutPrefix(resource, "//")
	service, name, _ := strings.Cut(rest, "/")
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
	const version = "options.requestedPolicyVersion=3"
	return retry.Do(ctx, func() (*policy, error) {
		var body []byte
		query := "?" + version
		if a.getVerb == http.MethodPost && strings.HasSuffix(a.base, "/v3/") {
			query, body = "", []byte(`{"options":{"requestedPolicyVersion":3}}`)
		}
		raw, err := a.do(ctx, a.getVerb, name+":getIamPolicy"+query, body)
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
	_, err = a.do(ctx, http.MethodPost, name+":setIamPolicy", body)
	return err
}

func (a api) do(ctx context.Context, verb, path string, body []byte) ([]byte, error) {
	var content io.Reader = http.NoBody
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, verb, a.base+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", googleapi.UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := a.http.Do(req)
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

func hasCode(err error, code int) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	return ok && g.Code == code
}

// namesMissing says whether the server complains about a member of the changes.
func namesMissing(err error, changes []Change) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	if !ok || !strings.Contains(g.Message, "does not exist") {
		return false
	}
	for _, c := range changes {
		if _, id, _ := strings.Cut(c.Member, ":"); !c.Remove && strings.Contains(strings.ToLower(g.Message), strings.ToLower(id)) {
			return true
		}
	}
	return false
}
