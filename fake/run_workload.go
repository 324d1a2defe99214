package fake

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/knative"
	"github.com/runidentity/runidentity/fake/internal/wire"
)

// workloadKind is a kind of resource that runs as a service account: jobs,
// services and worker pools are created, patched and deleted alike.
type workloadKind struct {
	runKind
	// template is the path of the object that names the service account.
	template []string
	// defaults fills in what the server does when a message leaves it out.
	defaults func(p *project, o wire.Object)
	// check refuses a message that the API refuses.
	check func(st *state, r *resource, next wire.Object) error
	// begin returns what a change of the resource leads to when its operation
	// ends. first says that it is its creation; force asks for a revision
	// where the template did not change.
	begin func(c *call, st *state, r *resource, before, next wire.Object, force bool) func(st *state, o wire.Object, at time.Time)
}

func runHandlers() map[string]handler {
	all := make(map[string]handler)
	const prefix = "run.projects.locations."
	for _, k := range []*workloadKind{jobs(), services(), workerPools()} {
		base := prefix + k.plural + "."
		all[base+"create"] = writes(k.create)
		all[base+"get"] = reads(k.get)
		all[base+"list"] = writes(k.list)
		all[base+"patch"] = writes(k.patch)
		all[base+"delete"] = writes(k.delete)
		all[base+"getIamPolicy"] = reads(k.getPolicy)
		all[base+"setIamPolicy"] = writes(k.setPolicy)
		all[base+"testIamPermissions"] = reads(k.testPermissions)
	}
	for parent, k := range map[string]*runKind{
		"jobs.executions": executionKind(), "services.revisions": revisionKind(), "workerPools.revisions": revisionKind(),
	} {
		base := prefix + parent + "."
		all[base+"get"] = reads(k.get)
		all[base+"list"] = writes(k.list)
		all[base+"delete"] = writes(k.delete)
	}
	all[prefix+"jobs.run"] = writes((*call).runJob)
	all[prefix+"jobs.executions.cancel"] = writes((*call).cancelExecution)
	all[prefix+"operations.get"] = reads((*call).getOperation)
	all[prefix+"operations.list"] = reads((*call).listOperations)
	all[prefix+"operations.wait"] = reads((*call).waitOperation)
	all[prefix+"operations.delete"] = writes((*call).deleteOperation)
	addRunV1(all)
	for name, h := range all {
		all[name] = refusing(h)
	}
	return all
}

func (k *workloadKind) create(c *call, st *state) ([]byte, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	key, _, err := k.locate(c, st, "create")
	if err != nil {
		return nil, err
	}
	if err := k.mayCreate(c, st, key); err != nil {
		return nil, err
	}
	id := c.query.Get(k.param)
	if err := k.checkID(id); err != nil {
		return nil, err
	}
	op, err := k.insert(c, st, key, id, body, nil)
	if err != nil {
		return nil, err
	}
	return op.json(), nil
}

// checkID refuses an id that Cloud Run does not take.
func (k *workloadKind) checkID(id string) error {
	if validRunID(id) {
		return nil
	}
	return wire.Invalid("Violation in Create%sRequest.%s: must be up to 63 lower-case letters, digits and hyphens, "+
		"begin with a letter and not end with a hyphen.", k.typ, k.param)
}

func isNotFound(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == http.StatusNotFound
}

// mayCreate checks the permission to create, which is one on the project.
func (k *workloadKind) mayCreate(c *call, st *state, key collectionKey) error {
	return c.require(st, k.permission("create"), &key.project.node, c.dialect.named(key, ""))
}

// validRunID holds an id against the rule for names of Cloud Run resources.
func validRunID(id string) bool {
	if id == "" || len(id) > 63 || id[0] < 'a' || id[0] > 'z' || id[len(id)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// insert creates the resource.
func (k *workloadKind) insert(c *call, st *state, key collectionKey, id string, body wire.Object, extras knative.Extras) (*operation, error) {
	if st.run.find(key, id) != nil {
		return nil, wire.AlreadyExists("Resource '%s' already exists.", id)
	}
	r := &resource{kind: &k.runKind, key: key, id: id, knative: extras}
	dropIdentifiers(body)
	k.defaults(key.project, body)
	if err := k.check(st, r, body); err != nil {
		return nil, err
	}
	if err := c.checkIdentity(st, key.project, k.account(body)); err != nil {
		return nil, err
	}
	next := wire.Clone(body)
	next["name"] = r.name()
	next["uid"] = st.newUUID()
	next["generation"] = "1"
	next["creator"] = c.caller.email()
	next["reconciling"] = true
	next["terminalCondition"] = wire.Object{"state": "CONDITION_PENDING"}
	next["createTime"] = timestamp(c.stamp(st, r, next))
	if c.dry() {
		return c.newOperation(st, r, next), nil
	}
	settle := k.begin(c, st, r, nil, next, false)
	st.run.put(r)
	return c.start(st, r, next, settle), nil
}

// stamp records who changed the resource, and when, and returns the time.
func (c *call) stamp(st *state, r *resource, o wire.Object) time.Time {
	updated := st.tick(c.now)
	o["updateTime"] = timestamp(updated)
	o["lastModifier"] = c.caller.email()
	o["etag"] = etag(updated, r.name())
	return updated
}

// dropIdentifiers removes what a message says of itself rather than of the
// desired state.
func dropIdentifiers(o wire.Object) {
	delete(o, "name")
	delete(o, "etag")
}

// desired returns the part of a stored resource that its users write.
func (k *workloadKind) desired(r *resource, o wire.Object) wire.Object {
	fields := runSchemas()[k.schema()]
	out := wire.Object{}
	if r.pending != nil {
		maps.Copy(out, r.hidden)
	}
	for name, value := range o {
		if !fields[name].Output {
			out[name] = wire.CloneValue(value)
		}
	}
	dropIdentifiers(out)
	return out
}

func (k *workloadKind) patch(c *call, st *state) ([]byte, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	mask := wire.ParseMask(c.query.Get("updateMask"))
	if err := c.check().CheckMask(k.schema(), mask); err != nil {
		return nil, err
	}
	key, id, err := k.locate(c, st, "update")
	if err != nil {
		return nil, err
	}
	r := st.run.find(key, id)
	if c.flag("allowMissing") {
		// As documented, this takes both permissions, whether the resource is
		// there or not.
		if err := k.mayCreate(c, st, key); err != nil {
			return nil, err
		}
	}
	existing, err := k.existing(c, st, "update")
	switch {
	case r == nil && c.flag("allowMissing") && isNotFound(err):
		if err := k.checkID(id); err != nil {
			return nil, err
		}
		op, err := k.insert(c, st, key, id, body, nil)
		if err != nil {
			return nil, err
		}
		return op.json(), nil
	case err != nil:
		return nil, err
	}
	r = existing
	before := wire.MustDecode(r.raw)
	if err := c.checkEtag(st, r, before, wire.Text(body, "etag")); err != nil {
		return nil, err
	}
	had := k.desired(r, before)
	next := body
	if mask != nil {
		next = wire.Clone(had)
		wire.ApplyMask(next, body, mask)
	}
	op, err := k.apply(c, st, r, before, had, next, r.knative)
	if err != nil {
		return nil, err
	}
	return op.json(), nil
}

// apply gives the resource its new desired state, if it may have it.
func (k *workloadKind) apply(c *call, st *state, r *resource, before, had, next wire.Object, extras knative.Extras) (*operation, error) {
	dropIdentifiers(next)
	k.defaults(r.key.project, next)
	if err := k.check(st, r, next); err != nil {
		return nil, err
	}
	if err := c.checkIdentity(st, r.key.project, k.account(next)); err != nil {
		return nil, err
	}
	force := c.flag("forceNewRevision")
	unchanged := wire.Equal(had, next)
	if unchanged {
		unchanged, force = c.dialect.unchanged(k, written{had, r.knative}, written{next, extras}, force)
	}
	unchanged = unchanged && !force
	after := wire.Clone(next)
	for name, value := range before {
		if _, set := had[name]; !set {
			after[name] = value
		}
	}
	if !unchanged {
		generation, _ := strconv.ParseInt(wire.Text(before, "generation"), 10, 64)
		after["generation"] = strconv.FormatInt(generation+1, 10)
		after["reconciling"] = true
		condition := wire.Clone(wire.Child(wire.Clone(before), "terminalCondition"))
		condition["state"] = "CONDITION_PENDING"
		delete(condition, "message")
		delete(condition, "reason")
		after["terminalCondition"] = condition
		c.stamp(st, r, after)
	}
	if c.dry() {
		return c.newOperation(st, r, after), nil
	}
	if unchanged && !startsExecution(next) {
		return c.finishedOperation(st, r, after), nil
	}
	r.knative = extras
	settle := k.begin(c, st, r, had, after, force)
	return c.start(st, r, after, settle), nil
}

// account returns the email of the service account in a message.
func (k *workloadKind) account(o wire.Object) string {
	return wire.Text(wire.Child(o, k.template...), "serviceAccount")
}

// startsExecution reports whether a job's message asks for an execution.
func startsExecution(o wire.Object) bool {
	return wire.Text(o, "startExecutionToken") != "" || wire.Text(o, "runExecutionToken") != ""
}

// checkEtag refuses a stale etag where the backend enforces them.
func (c *call) checkEtag(st *state, r *resource, stored wire.Object, given string) error {
	current := wire.Text(stored, "etag")
	if !st.etags || given == "" || given == current {
		return nil
	}
	return wire.Aborted("Conflict for resource '%s': version '%s' was specified but current version is '%s'.",
		r.id, strings.Trim(given, `"`), strings.Trim(current, `"`))
}

// ready sets the terminal condition that a finished operation leaves: a
// fault's, or success.
func ready(o, ends wire.Object, at time.Time, keepTime bool) (succeeded bool) {
	condition := wire.Child(o, "terminalCondition")
	condition["type"] = "Ready"
	condition["state"] = "CONDITION_SUCCEEDED"
	delete(condition, "message")
	if _, had := condition["lastTransitionTime"]; !had || !keepTime {
		condition["lastTransitionTime"] = timestamp(at)
	}
	maps.Copy(condition, ends)
	if ends != nil {
		condition["lastTransitionTime"] = timestamp(at)
	}
	o["observedGeneration"] = o["generation"]
	delete(o, "reconciling")
	return condition["state"] == "CONDITION_SUCCEEDED"
}

var _ http.Handler = (*Backend)(nil)
