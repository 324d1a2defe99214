package fake

import (
	"container/heap"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/knative"
	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

// Cloud Run v2. Resources are kept as the JSON that a read answers, so that a
// field of which neither the fake nor the generated clients know comes back
// as it was written; it is decoded only to be changed.

// runState is what Cloud Run holds.
type runState struct {
	collections map[collectionKey]*collection
	operations  map[string]*operation
	pending     pendingOperations
}

// collectionKey names the resources of one kind below one parent: a
// project's location, or a workload in it.
type collectionKey struct {
	project  *project
	location string
	parent   string // "jobs/nightly" for executions, "" for workloads
	plural   string // "jobs", "executions"
}

type collection struct {
	byID   map[string]*resource
	sorted []string // ids in order, nil after a change
}

func (col *collection) ids() []string {
	if col.sorted == nil {
		col.sorted = make([]string, 0, len(col.byID))
		for id := range col.byID {
			col.sorted = append(col.sorted, id)
		}
		slices.Sort(col.sorted)
	}
	return col.sorted
}

// resource is a job, service, worker pool, execution or revision.
type resource struct {
	node
	kind    *runKind
	key     collectionKey
	id      string
	raw     []byte // as a read answers it
	pending *operation
	deleted bool
	// knative is what only version 1 of the API says of it.
	knative knative.Extras
	// operation is the id of the latest operation on it.
	operation string
	// hidden are fields that reads do not show until the pending operation is
	// done.
	hidden wire.Object
}

// runKind is what differs between the kinds of resources.
type runKind struct {
	plural string // in paths, and in the answers of list
	label  string // in error texts
	typ    string // message name, as in "google.cloud.run.v2.Job"
	param  string // query parameter with the id on create
}

func (k *runKind) schema() string { return "GoogleCloudRunV2" + k.typ }

// runSchemas returns the messages of version 2.
func runSchemas() map[string]discovery.Schema { return discovery.All()["run:v2"].Schemas }

func (k *runKind) typeURL() string { return "type.googleapis.com/google.cloud.run.v2." + k.typ }

// permission returns the IAM permission for a verb on the kind.
func (k *runKind) permission(verb string) string {
	return "run." + strings.ToLower(k.plural) + "." + verb
}

// edit changes the resource's JSON, also that in which a pending operation
// will leave it.
func (r *resource) edit(change func(wire.Object)) {
	o := wire.MustDecode(r.raw)
	change(o)
	r.raw = wire.MustEncode(o)
	if r.pending != nil {
		r.pending.running = r.raw
	}
}

func (r *resource) name() string { return r.key.name() + "/" + r.id }

// path returns the part of the name below the location.
func (r *resource) path() string { return r.kind.plural + "/" + r.id }

func (k collectionKey) name() string {
	name := "projects/" + k.project.id + "/locations/" + k.location
	if k.parent != "" {
		name += "/" + k.parent
	}
	return name + "/" + k.plural
}

// ofAllParents returns the executions of all jobs, or the revisions of all
// workloads of a kind. A "-" in place of the parent's id asks for them.
func (s *runState) ofAllParents(key collectionKey) *collection {
	kind := strings.TrimSuffix(key.parent, "-")
	all := &collection{byID: make(map[string]*resource)}
	for k, col := range s.collections {
		if k.project == key.project && k.location == key.location && k.plural == key.plural && strings.HasPrefix(k.parent, kind) {
			for id, r := range col.byID {
				all.byID[k.parent+"/"+id] = r
			}
		}
	}
	return all
}

// find returns a resource that is there, or nil.
func (s *runState) find(key collectionKey, id string) *resource {
	col := s.collections[key]
	if col == nil {
		return nil
	}
	r := col.byID[id]
	if r == nil || r.deleted {
		return nil
	}
	return r
}

func (s *runState) put(r *resource) {
	r.full, r.parent = "//run.googleapis.com/"+r.name(), &r.key.project.node
	if s.collections == nil {
		s.collections = make(map[collectionKey]*collection)
	}
	col := s.collections[r.key]
	if col == nil {
		col = &collection{byID: make(map[string]*resource)}
		s.collections[r.key] = col
	}
	if _, there := col.byID[r.id]; !there {
		col.sorted = nil
	}
	col.byID[r.id] = r
}

// operation is a long-running operation. Its metadata is the resource, as the
// real ones' is.
type operation struct {
	name     string
	resource *resource
	at       time.Time // when it is done
	running  []byte    // the resource until then
	final    []byte    // the resource from then on, nil until settled
	settle   func(st *state, o wire.Object, at time.Time)
	// after is done with the settled resource, unless another operation has
	// overtaken this one.
	after   func(o wire.Object, at time.Time)
	failure rawJSON // of an operation that ends with an error
}

// settleNow brings the operation to its end.
func (op *operation) settleNow(st *state) {
	if op.final != nil {
		return
	}
	o := wire.MustDecode(op.running)
	op.settle(st, o, op.at)
	op.final = wire.MustEncode(o)
	if op.resource.pending == op {
		op.resource.raw = op.final
		op.resource.pending = nil
		if op.after != nil {
			op.after(o, op.at)
		}
	}
}

// json returns the operation as version 2 of the API answers it.
func (op *operation) json() []byte {
	return op.encode(withType(op.resource.kind.typeURL(), op.state()))
}

// state returns the resource as the operation has left it so far.
func (op *operation) state() []byte {
	if op.final != nil {
		return op.final
	}
	return op.running
}

func (op *operation) encode(typed rawJSON) []byte {
	answer := map[string]any{"name": op.name, "metadata": typed}
	if op.final != nil {
		answer["done"] = true
		if op.failure != nil {
			answer["error"] = op.failure
			return wire.MustEncode(answer)
		}
		answer["response"] = typed
	}
	return wire.MustEncode(answer)
}

// pendingOperations is a heap of operations by the time when they are done.
type pendingOperations []*operation

func (p pendingOperations) Len() int           { return len(p) }
func (p pendingOperations) Less(i, j int) bool { return p[i].at.Before(p[j].at) }
func (p pendingOperations) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *pendingOperations) Push(x any)        { *p = append(*p, x.(*operation)) } //nolint:errcheck // heap.Push is called with operations alone
func (p *pendingOperations) Pop() any {
	old := *p
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*p = old[:len(old)-1]
	return last
}

// due reports whether an operation has reached its end by now.
func (s *runState) due(now time.Time) bool {
	return len(s.pending) > 0 && !s.pending[0].at.After(now)
}

// settle ends the operations that are due.
func (st *state) settle(now time.Time) {
	for st.run.due(now) {
		next := st.run.pending[0]
		heap.Pop(&st.run.pending)
		next.settleNow(st)
	}
}

// start begins an operation that leaves the resource in the state that settle
// makes of o.
func (c *call) start(st *state, r *resource, o wire.Object, settle func(st *state, o wire.Object, at time.Time)) *operation {
	op := c.newOperation(st, r, o)
	op.settle = settle
	r.raw = op.running
	r.pending = op
	r.operation = op.name[strings.LastIndexByte(op.name, '/')+1:]
	st.run.keep(op)
	heap.Push(&st.run.pending, op)
	return op
}

// finishedOperation returns an operation that has nothing to do.
func (c *call) finishedOperation(st *state, r *resource, o wire.Object) *operation {
	op := c.newOperation(st, r, o)
	op.at, op.final = c.now, op.running
	st.run.keep(op)
	return op
}

func (s *runState) keep(op *operation) {
	if s.operations == nil {
		s.operations = make(map[string]*operation)
	}
	s.operations[op.name] = op
}

// newOperation makes an operation that no one can look up.
func (c *call) newOperation(st *state, r *resource, o wire.Object) *operation {
	return &operation{
		name:     "projects/" + r.key.project.id + "/locations/" + r.key.location + "/operations/" + st.newUUID(),
		resource: r,
		at:       c.now.Add(c.delays.operation),
		running:  wire.MustEncode(o),
		failure:  c.fails,
	}
}

// withType puts "@type" in front of an object's JSON.
func withType(typeURL string, raw []byte) rawJSON {
	out := make([]byte, 0, len(raw)+len(typeURL)+16)
	out = append(out, `{"@type":"`...)
	out = append(out, typeURL...)
	out = append(out, '"')
	if len(raw) > 2 {
		out = append(out, ',')
	}
	return append(out, raw[1:]...)
}

// rawJSON is JSON that is taken as it is.
type rawJSON []byte

func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }

// runParent finds the project and location of a call. The rest is the name
// below them of what is asked for.
func (c *call) runParent(st *state, permission, rest string) (*project, string, error) {
	id, location, _ := c.place()
	if location == "" {
		return nil, "", wire.Invalid("The host name has to begin with a region, as in us-central1-run.googleapis.com.")
	}
	if !slices.Contains(c.api.Locations, location) {
		return nil, "", wire.NewError(http.StatusNotImplemented, "UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled.")
	}
	p, err := c.runProject(st, id, permission, c.dialect.in(location, rest))
	return p, location, err
}

// runProject finds a project in which Cloud Run is on.
func (c *call) runProject(st *state, id, permission, rest string) (*project, error) {
	p := st.projects[id]
	if p == nil || p.deleted {
		return nil, wire.Denied("Permission '%s' denied on resource '%s%s' (or resource may not exist).", permission, c.dialect.project(id), rest)
	}
	return p, c.checkEnabled(st, p)
}

// require refuses a call whose caller lacks the permission. The resource is
// named as Cloud Run names it.
func (c *call) require(st *state, permission string, n *node, name string) error {
	if c.may(st, permission, n) {
		return nil
	}
	return wire.Denied("Permission '%s' denied on resource '%s' (or resource may not exist).", permission, name)
}

// missing returns the error for a resource that is not there.
func (k *runKind) missing(key collectionKey, id string) *wire.Error {
	return wire.NotFound("Resource '%s' of kind '%s' in region '%s' in project '%s' does not exist.", id, k.label, key.location, key.project.id)
}
