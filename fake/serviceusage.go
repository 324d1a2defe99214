package fake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake/internal/wire"
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

// SetService enables or disables a service in a project: s.Name is
// "projects/P/services/run.googleapis.com", s.State "ENABLED" or "DISABLED". A
// service that the fake does not know becomes known, with s.Config.Title.
// SetService panics if the project does not exist.
//
// Enabling run.googleapis.com creates the Cloud Run service agent and grants
// its role. Disabling it here removes both, as if it had never been enabled;
// disabling it through the API keeps both.
//
// SetService panics if the project is not there, and on any other state.
func (b *Backend) SetService(s *serviceusage.GoogleApiServiceusageV1Service) {
	b.write(time.Now(), func(st *state) {
		parts := strings.Split(s.Name, "/")
		if len(parts) != 4 || parts[0] != "projects" || parts[2] != "services" || parts[3] == "" {
			panic(fmt.Sprintf(`fake: SetService: Name %q is not of the form "projects/P/services/run.googleapis.com"`, s.Name))
		}
		if s.State != "ENABLED" && s.State != "DISABLED" {
			panic(fmt.Sprintf(`fake: SetService: State %q is none of "ENABLED", "DISABLED"`, s.State))
		}
		p := st.mustProject("SetService", parts[1])
		if st.serviceTitle(parts[3]) == "" {
			title := parts[3]
			if s.Config != nil && s.Config.Title != "" {
				title = s.Config.Title
			}
			if st.serviceUsage.titles == nil {
				st.serviceUsage.titles = make(map[string]string)
			}
			st.serviceUsage.titles[parts[3]] = title
		}
		now, on := time.Now(), s.State == "ENABLED"
		switch {
		case parts[3] != runService:
		case on:
			st.createAgent(p, now)
		default:
			st.removeAgent(p, now)
		}
		st.setService(p, parts[3], on, now, 0)
	})
}

// serviceEnabled reports whether a service is enabled in a project.
func (st *state) serviceEnabled(p *project, service string, now time.Time) bool {
	if s, ok := st.serviceUsage.switches[serviceOf{p, service}]; ok && !now.Before(s.at) {
		return s.on
	}
	return p.services[service]
}

// setService enables or disables a service, in force when the operation that
// does so ends.
func (st *state) setService(p *project, service string, on bool, now time.Time, takes time.Duration) {
	key := serviceOf{p, service}
	if takes <= 0 {
		delete(st.serviceUsage.switches, key)
		p.services[service] = on
		return
	}
	if st.serviceUsage.switches == nil {
		st.serviceUsage.switches = make(map[serviceOf]serviceSwitch)
	}
	p.services[service] = st.serviceEnabled(p, service, now)
	st.serviceUsage.switches[key] = serviceSwitch{now.Add(takes), on}
}

const runService = "run.googleapis.com"

// serviceTitle returns the title of a service, or "" if the fake knows none of
// that name.
func (st *state) serviceTitle(name string) string {
	if title := st.serviceUsage.titles[name]; title != "" {
		return title
	}
	return serviceCatalogue()[name]
}

// service answers a service as the API does, the project named by its number.
func (c *call) service(st *state, p *project, name string) wire.Object {
	state := "DISABLED"
	if st.serviceEnabled(p, name, c.now) {
		state = "ENABLED"
	}
	return c.serviceIn(st, p, name, state)
}

// serviceIn leaves out of config what the fake does not know of the service.
func (c *call) serviceIn(st *state, p *project, name, state string) wire.Object {
	return wire.Object{
		"name": p.resourceID() + "/services/" + name, "parent": p.resourceID(), "state": state,
		"config": wire.Object{"name": name, "title": st.serviceTitle(name)},
	}
}

// consumer returns the project that the path names.
func (c *call) consumer(st *state) (*project, error) {
	kind, id := c.params[0], c.params[1]
	reads := strings.HasSuffix(c.method.ID, ".get") || strings.HasSuffix(c.method.ID, ".list")
	switch {
	case (kind == "folders" || kind == "organizations") && reads:
		return nil, c.notImplemented("for " + kind)
	case kind != "projects":
		return nil, wire.Invalid("Invalid resource name: %s/%s. Only projects are supported.", kind, id).WithReason("badRequest")
	}
	p := st.projects[id]
	if p == nil || p.deleted {
		e := usageDenied(fmt.Sprintf("Project '%s' not found or permission denied.", id),
			"?error_code=210002&type=Project&resource_id="+id, "RESOURCES_NOT_FOUND", map[string]string{"type": "Project", "resource_id": id})
		return nil, e
	}
	return p, nil
}

// usageDenied returns a refusal of Service Usage. The real ones end with a help
// token, which is left out.
func usageDenied(message, subject, reason string, metadata map[string]string) *wire.Error {
	e := wire.Denied("%s", message).WithReason("forbidden")
	info := map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "serviceusage.googleapis.com",
	}
	if metadata != nil {
		info["metadata"] = metadata
	}
	e.Details = []any{
		map[string]any{
			"@type":      "type.googleapis.com/google.rpc.PreconditionFailure",
			"violations": []any{map[string]string{"type": "googleapis.com", "subject": subject}},
		},
		info,
	}
	return e
}

// usageConsumer returns what consumer does, for a caller that has the
// permission. What about returns completes the refusal, "Permission denied to
// …". Seen in public are "get service [S]", "enable service [S]" and "list
// services for consumer container [projects/1]"; that disabling reads likewise
// is inferred.
func (c *call) usageConsumer(st *state, permission string, about func(*project) string) (*project, error) {
	p, err := c.consumer(st)
	if err != nil {
		return nil, err
	}
	if !c.may(st, permission, &p.node) {
		return nil, usageDenied("Permission denied to "+about(p), "110002", "AUTH_PERMISSION_DENIED", nil)
	}
	return p, nil
}

// usageServices returns what usageConsumer does, for a method on services. It
// refuses those that do not exist.
func (c *call) usageServices(st *state, verb string, services ...string) (*project, error) {
	p, err := c.usageConsumer(st, "serviceusage.services."+verb, func(*project) string {
		return verb + " service [" + strings.Join(services, ", ") + "]"
	})
	if err != nil {
		return nil, err
	}
	var unknown []string
	for _, s := range services {
		if st.serviceTitle(s) == "" && !slices.Contains(unknown, s) {
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
		prefix + "get":                     reads((*call).getService),
		prefix + "list":                    reads((*call).listServices),
		prefix + "batchGet":                reads((*call).batchGetServices),
		prefix + "enable":                  onlyServiceUsageV1(writes((*call).enableService)),
		prefix + "batchEnable":             onlyServiceUsageV1(writes((*call).batchEnableServices)),
		prefix + "disable":                 onlyServiceUsageV1(writes((*call).disableService)),
		prefix + "generateServiceIdentity": writes((*call).generateServiceIdentity),
		"serviceusage.operations.get":      reads((*call).getUsageOperation),
	}
}

// onlyServiceUsageV1 keeps a handler from answering for v1beta1, where the
// method has the same ID and other answers.
func onlyServiceUsageV1(h handler) handler {
	handle := h.handle
	h.handle = func(c *call, st *state) ([]byte, error) {
		if c.api.ID != "serviceusage:v1" {
			return nil, c.notImplemented("of " + c.api.ID)
		}
		return handle(c, st)
	}
	return h
}

func (c *call) getService(st *state) ([]byte, error) {
	p, err := c.usageServices(st, "get", c.params[2])
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(c.service(st, p, c.params[2])), nil
}

func (c *call) listServices(st *state) ([]byte, error) {
	p, err := c.usageConsumer(st, "serviceusage.services.list", func(p *project) string {
		return "list services for consumer container [" + p.resourceID() + "]"
	})
	if err != nil {
		return nil, err
	}
	filter := c.query.Get("filter")
	if filter != "" && filter != "state:ENABLED" && filter != "state:DISABLED" {
		return nil, wire.Invalid("Invalid filter %q: the allowed ones are state:ENABLED and state:DISABLED.", filter).WithReason("badRequest")
	}
	var names []string
	for _, titles := range []map[string]string{serviceCatalogue(), st.serviceUsage.titles} {
		for name := range maps.Keys(titles) {
			if filter == "" || (filter == "state:ENABLED") == st.serviceEnabled(p, name, c.now) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	page, next, err := c.page(names, 50, 200)
	if err != nil {
		return nil, err
	}
	out := wire.Object{}
	if len(page) > 0 {
		out["services"] = c.services(st, p, page)
	}
	if next != "" {
		out["nextPageToken"] = next
	}
	return wire.MustEncode(out), nil
}

func (c *call) services(st *state, p *project, names []string) []wire.Object {
	services := make([]wire.Object, 0, len(names))
	for _, name := range names {
		services = append(services, c.service(st, p, name))
	}
	return services
}

func (c *call) batchGetServices(st *state) ([]byte, error) {
	names := c.query["names"]
	switch {
	case len(names) == 0:
		e := wire.Invalid("At least one service name is required.").WithReason("badRequest")
		e.Details = []any{map[string]any{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SU_MISSING_NAMES", "domain": "serviceusage.googleapis.com",
		}}
		return nil, e
	case len(names) > 30:
		return nil, wire.Invalid("At most 30 services can be got at a time, not %d.", len(names)).WithReason("badRequest")
	}
	services := make([]string, 0, len(names))
	for _, name := range names {
		parent, service, _ := strings.Cut(name, "/services/")
		if id := strings.TrimPrefix(parent, "projects/"); id == parent || st.projects[id] != st.projects[c.params[1]] {
			return nil, wire.Invalid("The parent of %q is not %s/%s.", name, c.params[0], c.params[1]).WithReason("badRequest")
		}
		services = append(services, service)
	}
	p, err := c.usageServices(st, "get", services...)
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(wire.Object{"services": c.services(st, p, services)}), nil
}
