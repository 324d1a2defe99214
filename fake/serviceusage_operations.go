package fake

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// usageOperation is an operation of Service Usage.
type usageOperation struct {
	name     string
	at       time.Time // when it ends
	metadata wire.Object
	response func() wire.Object
	failure  rawJSON
}

// enable enables a service that is not, and does what Google then does.
func (c *call) enable(st *state, p *project, service string) {
	if service == runService {
		// Service agents are granted their roles as their services are enabled;
		// that enabling a service again does so again is inferred.
		st.addAgent(p)
		st.grantAgent(p, c.now, c.now.Add(c.delays.operation+c.delays.grants))
	}
	st.setService(p, service, true, c.now, c.delays.operation)
}

func (c *call) enableService(st *state) ([]byte, error) {
	if _, err := c.object(); err != nil {
		return nil, err
	}
	name := c.params[2]
	p, err := c.usageServices(st, "enable", name)
	if err != nil {
		return nil, err
	}
	response := func() wire.Object {
		return wire.Object{"@type": usageType + "EnableServiceResponse", "service": c.serviceIn(st, p, name, "ENABLED")}
	}
	if st.serviceEnabled(p, name, c.now) {
		return c.usageDone("operations/noop.DONE_OPERATION", response()), nil
	}
	c.enable(st, p, name)
	return c.usageStarted(st, p, response, name), nil
}

const usageType = "type.googleapis.com/google.api.serviceusage.v1."

// batchEnableServices enables all services or none.
func (c *call) batchEnableServices(st *state) ([]byte, error) {
	var req serviceusage.BatchEnableServicesRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if n := len(req.ServiceIds); n < 2 || n > 20 {
		return nil, wire.Invalid("2 to 20 services can be enabled at a time, not %d.", n).WithReason("badRequest")
	}
	p, err := c.usageServices(st, "enable", req.ServiceIds...)
	if err != nil {
		return nil, err
	}
	changed := false
	for _, name := range req.ServiceIds {
		if !st.serviceEnabled(p, name, c.now) {
			changed = true
			c.enable(st, p, name)
		}
	}
	response := func() wire.Object {
		var services []wire.Object
		for _, name := range req.ServiceIds {
			services = append(services, c.serviceIn(st, p, name, "ENABLED"))
		}
		return wire.Object{"@type": usageType + "BatchEnableServicesResponse", "services": services}
	}
	if !changed {
		return c.usageDone("operations/noop.DONE_OPERATION", response()), nil
	}
	return c.usageStarted(st, p, response, req.ServiceIds...), nil
}

// disableService refuses, as documented, a service that is not enabled; the
// text is the fake's own.
func (c *call) disableService(st *state) ([]byte, error) {
	if _, err := c.object(); err != nil {
		return nil, err
	}
	name := c.params[2]
	p, err := c.usageServices(st, "disable", name)
	if err != nil {
		return nil, err
	}
	if !st.serviceEnabled(p, name, c.now) {
		return nil, wire.NewError(http.StatusBadRequest, "FAILED_PRECONDITION", "The service %s is not enabled for %s.", name, p.resourceID()).
			WithReason("failedPrecondition")
	}
	st.setService(p, name, false, c.now, c.delays.operation)
	return c.usageStarted(st, p, func() wire.Object {
		return wire.Object{"@type": usageType + "DisableServiceResponse", "service": c.serviceIn(st, p, name, "DISABLED")}
	}, name), nil
}

// generateServiceIdentity makes a service agent. It is documented to need no
// permission and to grant the agent no role.
// https://cloud.google.com/iam/docs/create-service-agents
func (c *call) generateServiceIdentity(st *state) ([]byte, error) {
	name := c.params[2]
	p, err := c.consumer(st)
	switch {
	case err != nil:
		return nil, err
	case st.serviceTitle(name) == "":
		e := wire.Invalid("Invalid service producer: %s Code: INVALID_ARGUMENT", name).WithReason("badRequest")
		e.Details = usageDenied("", "908020", "SU_INTERNAL_GENERATE_SERVICE_IDENTITY", nil).Details
		return nil, e
	case name != runService:
		return nil, c.notImplemented("for " + name + ": of service agents it has only Cloud Run's")
	}
	st.addAgent(p)
	response := wire.Object{
		"@type": "type.googleapis.com/google.api.serviceusage.v1beta1.ServiceIdentity",
		"email": p.runAgent(), "uniqueId": agentID(p.runAgent()),
	}
	if c.delays.operation > 0 || c.fails != nil {
		return c.usageStarted(st, p, func() wire.Object { return response }, name), nil
	}
	return c.usageDone("operations/finished.DONE_OPERATION", response), nil
}

// agentID returns the unique id of a service agent.
func agentID(email string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(email))
	return fmt.Sprintf("1%020d", h.Sum64()%1e19)
}

// usageDone answers an operation that is over before it began. There is no
// such operation to be read.
func (c *call) usageDone(name string, response wire.Object) []byte {
	return wire.MustEncode(wire.Object{"name": name, "done": true, "response": response})
}

// usageStarted starts an operation on services.
func (c *call) usageStarted(st *state, p *project, response func() wire.Object, services ...string) []byte {
	names := make([]string, 0, len(services))
	for _, s := range services {
		names = append(names, p.resourceID()+"/services/"+s)
	}
	op := &usageOperation{
		name:     fmt.Sprintf("operations/acf.p2-%d-%s", p.number, st.newUUID()),
		at:       c.now.Add(c.delays.operation),
		metadata: wire.Object{"@type": usageType + "OperationMetadata", "resourceNames": names},
		response: response, failure: c.fails,
	}
	if st.serviceUsage.operations == nil {
		st.serviceUsage.operations = make(map[string]*usageOperation)
	}
	st.serviceUsage.operations[op.name] = op
	return wire.MustEncode(wire.Object{"name": op.name, "metadata": op.metadata})
}

// getUsageOperation needs no permission but to know the name: the
// documentation lists none.
func (c *call) getUsageOperation(st *state) ([]byte, error) {
	name := "operations/" + c.params[0]
	op := st.serviceUsage.operations[name]
	switch {
	case strings.HasSuffix(name, ".DONE_OPERATION"):
		// It has been seen to be refused, with which text is not known.
		return nil, wire.Invalid("Invalid operation name: %s.", name).WithReason("badRequest")
	case op == nil:
		return nil, wire.NotFound("Requested entity was not found.").WithReason("notFound")
	}
	out := wire.Object{"name": op.name, "metadata": op.metadata}
	if !c.now.Before(op.at) {
		out["done"] = true
		if op.failure != nil {
			out["error"] = json.RawMessage(op.failure)
		} else {
			out["response"] = op.response()
		}
	}
	return wire.MustEncode(out), nil
}
