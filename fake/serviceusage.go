package fake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/serviceusage/v1"
)

// Service Usage: which APIs a project may be used with. Only Cloud Run looks
// at it, see checkEnabled: most other APIs look at the project that the client
// names for quota, which the fake does not have. The fake knows no
// dependencies between services, so that enabling or disabling one leaves the
// others alone, and nothing that was made with a service goes when it is
// disabled.

// serviceUsageState is what Service Usage keeps beside the services in the
// projects.
type serviceUsageState struct {
	operations map[string]*usageOperation
	// switches are the changes that operations make when they end.
	switches map[serviceOf]serviceSwitch
	titles   map[string]string // of services that are seeded
}

type serviceOf struct {
	project *project
	service string
}

type serviceSwitch struct {
	at time.Time
	on bool
}

// SetService says whether a service is enabled in a project: s.Name is
// "projects/P/services/run.googleapis.com", s.State "ENABLED" or "DISABLED". A
// service that the fake does not know becomes known, with s.Config.Title.
// Where run.googleapis.com is enabled, the Cloud Run service agent is there and
// has its role; where it is disabled, the project is as if it had never been
// enabled and has no agent, while one that the API disables keeps it.
// SetService panics if the project is not there.
func (b *Backend) SetService(s *serviceusage.GoogleApiServiceusageV1Service) {
	b.mu.Lock()
	defer b.mu.Unlock()
	parts := strings.Split(s.Name, "/")
	if len(parts) != 4 || parts[0] != "projects" || parts[2] != "services" || parts[3] == "" {
		panic(fmt.Sprintf(`fake: SetService: Name %q is not of the form "projects/P/services/run.googleapis.com"`, s.Name))
	}
	if s.State != "ENABLED" && s.State != "DISABLED" {
		panic(fmt.Sprintf(`fake: SetService: State %q is none of "ENABLED", "DISABLED"`, s.State))
	}
	p := b.mustProject("SetService", parts[1])
	if b.serviceTitle(parts[3]) == "" {
		title := parts[3]
		if s.Config != nil && s.Config.Title != "" {
			title = s.Config.Title
		}
		if b.serviceUsage.titles == nil {
			b.serviceUsage.titles = make(map[string]string)
		}
		b.serviceUsage.titles[parts[3]] = title
	}
	now, on := time.Now(), s.State == "ENABLED"
	switch {
	case parts[3] != runService:
	case on:
		b.createAgent(p, now)
	default:
		b.removeAgent(p, now)
	}
	b.setService(p, parts[3], on, now, 0)
}

// serviceEnabled says whether a service is enabled in a project. The backend
// is locked.
func (b *Backend) serviceEnabled(p *project, service string, now time.Time) bool {
	if s, ok := b.serviceUsage.switches[serviceOf{p, service}]; ok && !now.Before(s.at) {
		return s.on
	}
	return p.services[service]
}

// setService enables or disables a service, in force when the operation that
// does so ends. The backend is locked.
func (b *Backend) setService(p *project, service string, on bool, now time.Time, takes time.Duration) {
	key := serviceOf{p, service}
	if takes <= 0 {
		delete(b.serviceUsage.switches, key)
		p.services[service] = on
		return
	}
	if b.serviceUsage.switches == nil {
		b.serviceUsage.switches = make(map[serviceOf]serviceSwitch)
	}
	p.services[service] = b.serviceEnabled(p, service, now)
	b.serviceUsage.switches[key] = serviceSwitch{now.Add(takes), on}
}

const runService = "run.googleapis.com"

// serviceTitle is the title of a service, or "" if the fake knows none of that
// name. The backend is locked.
func (b *Backend) serviceTitle(name string) string {
	if title := b.serviceUsage.titles[name]; title != "" {
		return title
	}
	return serviceCatalogue()[name]
}

// service answers a service as the API does, the project named by its number.
func (c *call) service(p *project, name string) object {
	state := "DISABLED"
	if c.b.serviceEnabled(p, name, c.now) {
		state = "ENABLED"
	}
	return c.serviceIn(p, name, state)
}

// serviceIn leaves out of config what the fake does not know of the service.
func (c *call) serviceIn(p *project, name, state string) object {
	return object{
		"name": p.resourceID() + "/services/" + name, "parent": p.resourceID(), "state": state,
		"config": object{"name": name, "title": c.b.serviceTitle(name)},
	}
}

// consumer returns the project that the path names. The backend is locked.
func (c *call) consumer() (*project, error) {
	kind, id := c.params[0], c.params[1]
	reads := strings.HasSuffix(c.method.ID, ".get") || strings.HasSuffix(c.method.ID, ".list")
	switch {
	case (kind == "folders" || kind == "organizations") && reads:
		return nil, c.notImplemented("for " + kind)
	case kind != "projects":
		return nil, invalid("Invalid resource name: %s/%s. Only projects are supported.", kind, id).withReason("badRequest")
	}
	p := c.b.projects[id]
	if p == nil || p.deleted {
		e := usageDenied(fmt.Sprintf("Project '%s' not found or permission denied.", id),
			"?error_code=210002&type=Project&resource_id="+id, "RESOURCES_NOT_FOUND", map[string]string{"type": "Project", "resource_id": id})
		return nil, e
	}
	return p, nil
}

// notImplemented refuses a part of a method that the fake does not have.
func (c *call) notImplemented(what string) *statusError {
	err := newError(http.StatusNotImplemented, "UNIMPLEMENTED", "The fake does not implement %s %s.", c.method.ID, what)
	c.b.reportUnimplemented(err.message)
	return err
}

// usageDenied is a refusal of Service Usage. The real ones end with a help
// token, which is left out.
func usageDenied(message, subject, reason string, metadata map[string]string) *statusError {
	e := denied("%s", message).withReason("forbidden")
	info := map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "serviceusage.googleapis.com",
	}
	if metadata != nil {
		info["metadata"] = metadata
	}
	e.details = []any{
		map[string]any{
			"@type":      "type.googleapis.com/google.rpc.PreconditionFailure",
			"violations": []any{map[string]string{"type": "googleapis.com", "subject": subject}},
		},
		info,
	}
	return e
}

// usageConsumer is consumer for a caller that has the permission. What it is
// about completes the refusal, "Permission denied to …": seen in public are
// "get service [S]", "enable service [S]" and "list services for consumer
// container [projects/1]"; that disabling reads likewise is inferred.
func (c *call) usageConsumer(permission string, about func(*project) string) (*project, error) {
	p, err := c.consumer()
	if err != nil {
		return nil, err
	}
	if !c.may(permission, &p.node) {
		return nil, usageDenied("Permission denied to "+about(p), "110002", "AUTH_PERMISSION_DENIED", nil)
	}
	return p, nil
}

// usageServices is usageConsumer for a method on services. Those that do not
// exist are refused.
func (c *call) usageServices(verb string, services ...string) (*project, error) {
	p, err := c.usageConsumer("serviceusage.services."+verb, func(*project) string {
		return verb + " service [" + strings.Join(services, ", ") + "]"
	})
	if err != nil {
		return nil, err
	}
	var unknown []string
	for _, s := range services {
		if c.b.serviceTitle(s) == "" && !slices.Contains(unknown, s) {
			unknown = append(unknown, s)
		}
	}
	if len(unknown) == 0 {
		return p, nil
	}
	return nil, usageDenied("Not found or permission denied for service(s): "+strings.Join(unknown, ",")+".",
		"?error_code=220002&services="+strings.Join(unknown, "&services="), "SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
		map[string]string{"services": strings.Join(unknown, ",")})
}

func serviceUsageHandlers() map[string]handler {
	const prefix = "serviceusage.services."
	return map[string]handler{
		prefix + "get":                     (*call).getService,
		prefix + "list":                    (*call).listServices,
		prefix + "batchGet":                (*call).batchGetServices,
		prefix + "enable":                  onlyServiceUsageV1((*call).enableService),
		prefix + "batchEnable":             onlyServiceUsageV1((*call).batchEnableServices),
		prefix + "disable":                 onlyServiceUsageV1((*call).disableService),
		prefix + "generateServiceIdentity": (*call).generateServiceIdentity,
		"serviceusage.operations.get":      (*call).getUsageOperation,
	}
}

// onlyServiceUsageV1 keeps a handler from answering for v1beta1, where the
// method has the same ID and other answers.
func onlyServiceUsageV1(h handler) handler {
	return func(c *call) ([]byte, error) {
		if c.api.ID != "serviceusage:v1" {
			return nil, c.notImplemented("of " + c.api.ID)
		}
		return h(c)
	}
}

func (c *call) getService() ([]byte, error) {
	c.b.mu.RLock()
	defer c.b.mu.RUnlock()
	p, err := c.usageServices("get", c.params[2])
	if err != nil {
		return nil, err
	}
	return mustEncode(c.service(p, c.params[2])), nil
}

func (c *call) listServices() ([]byte, error) {
	c.b.mu.RLock()
	defer c.b.mu.RUnlock()
	p, err := c.usageConsumer("serviceusage.services.list", func(p *project) string {
		return "list services for consumer container [" + p.resourceID() + "]"
	})
	if err != nil {
		return nil, err
	}
	filter := c.query.Get("filter")
	if filter != "" && filter != "state:ENABLED" && filter != "state:DISABLED" {
		return nil, invalid("Invalid filter %q: the allowed ones are state:ENABLED and state:DISABLED.", filter).withReason("badRequest")
	}
	var names []string
	for _, titles := range []map[string]string{serviceCatalogue(), c.b.serviceUsage.titles} {
		for name := range maps.Keys(titles) {
			if filter == "" || (filter == "state:ENABLED") == c.b.serviceEnabled(p, name, c.now) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	page, next, err := c.page(names, 50, 200)
	if err != nil {
		return nil, err
	}
	out := object{}
	if len(page) > 0 {
		out["services"] = c.services(p, page)
	}
	if next != "" {
		out["nextPageToken"] = next
	}
	return mustEncode(out), nil
}

func (c *call) services(p *project, names []string) []object {
	services := make([]object, 0, len(names))
	for _, name := range names {
		services = append(services, c.service(p, name))
	}
	return services
}

func (c *call) batchGetServices() ([]byte, error) {
	names := c.query["names"]
	switch {
	case len(names) == 0:
		e := invalid("At least one service name is required.").withReason("badRequest")
		e.details = []any{map[string]any{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SU_MISSING_NAMES", "domain": "serviceusage.googleapis.com",
		}}
		return nil, e
	case len(names) > 30:
		return nil, invalid("At most 30 services can be got at a time, not %d.", len(names)).withReason("badRequest")
	}
	c.b.mu.RLock()
	defer c.b.mu.RUnlock()
	services := make([]string, 0, len(names))
	for _, name := range names {
		parent, service, _ := strings.Cut(name, "/services/")
		if id := strings.TrimPrefix(parent, "projects/"); id == parent || c.b.projects[id] != c.b.projects[c.params[1]] {
			return nil, invalid("The parent of %q is not %s/%s.", name, c.params[0], c.params[1]).withReason("badRequest")
		}
		services = append(services, service)
	}
	p, err := c.usageServices("get", services...)
	if err != nil {
		return nil, err
	}
	return mustEncode(object{"services": c.services(p, services)}), nil
}
