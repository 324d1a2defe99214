package fake

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// findOperation returns the operation that the path names.
func (c *call) findOperation(st *state) (*operation, error) {
	verb := c.method.ID[strings.LastIndexByte(c.method.ID, '.')+1:]
	p, location, err := c.runParent(st, "run.operations."+verb, "/operations/"+c.params[2])
	if err != nil {
		return nil, err
	}
	name := "projects/" + p.id + "/locations/" + location + "/operations/" + c.params[2]
	if verb == "wait" {
		verb = "get"
	}
	if err := c.require(st, "run.operations."+verb, &p.node, name); err != nil {
		return nil, err
	}
	op := st.run.operations[name]
	if op == nil {
		return nil, wire.NotFound("Requested entity was not found.")
	}
	return op, nil
}

func (c *call) getOperation(st *state) ([]byte, error) {
	op, err := c.findOperation(st)
	if err != nil {
		return nil, err
	}
	return c.dialect.operation(st, op), nil
}

// waitOperation answers when the operation is done, or as it is when the
// request's timeout ends first.
func (c *call) waitOperation(st *state) ([]byte, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	timeout := 30 * time.Second
	if s := wire.Text(body, "timeout"); s != "" {
		if timeout, err = time.ParseDuration(s); err != nil || timeout < 0 || !strings.HasSuffix(s, "s") {
			return nil, wire.Invalid("Invalid value at 'timeout' (type.googleapis.com/google.protobuf.Duration), %q", s)
		}
	}
	op, err := c.findOperation(st)
	if err != nil {
		return nil, err
	}
	if op.final == nil {
		c.wait = min(op.at.Sub(c.now), timeout)
		c.then = func(c *call, st *state) ([]byte, error) { return c.dialect.operation(st, op), nil }
		return nil, nil
	}
	return c.dialect.operation(st, op), nil
}

func (c *call) listOperations(st *state) ([]byte, error) {
	p, location, err := c.runParent(st, "run.operations.list", "")
	if err != nil {
		return nil, err
	}
	if err := c.require(st, "run.operations.list", &p.node, "projects/"+p.id+"/locations/"+location); err != nil {
		return nil, err
	}
	prefix := "projects/" + p.id + "/locations/" + location + "/operations/"
	var names []string
	for name := range st.run.operations {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	page, next, err := c.page(names, 100, 100)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	var items []rawJSON
	for _, name := range page {
		items = append(items, c.dialect.operation(st, st.run.operations[name]))
	}
	if len(items) > 0 {
		out["operations"] = items
	}
	if next != "" {
		out["nextPageToken"] = next
	}
	return wire.MustEncode(out), nil
}

func (c *call) deleteOperation(st *state) ([]byte, error) {
	op, err := c.findOperation(st)
	if err != nil {
		return nil, err
	}
	if op.final == nil {
		return nil, wire.NewError(http.StatusBadRequest, "FAILED_PRECONDITION", "The operation is still running.")
	}
	delete(st.run.operations, op.name)
	return []byte("{}"), nil
}
