package fake

import (
	"strconv"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// What is the same for all kinds of resources of Cloud Run.

// place returns the project and location that a call's path and host name, and
// what the path names below them.
func (c *call) place() (project, location string, below []string) {
	if strings.HasPrefix(c.method.ID, "run.namespaces.") {
		return c.params[0], c.location, c.params[1:]
	}
	return c.params[0], c.params[1], c.params[2:]
}

// dry reports whether a write shall be checked only.
func (c *call) dry() bool { return c.flag("validateOnly") || c.query.Get("dryRun") == "all" }

// locate returns the key and the id that the path's parameters name.
func (k *runKind) locate(c *call, st *state, verb string) (key collectionKey, id string, err error) {
	_, _, below := c.place()
	name := ""
	if parent, ok := parentOf(c.method.ID); ok {
		key.parent = parent + "/" + below[0]
		name, below = "/"+key.parent, below[1:]
	}
	if len(below) > 0 {
		id = below[0]
		name += "/" + k.plural + "/" + id
	}
	key.plural = k.plural
	key.project, key.location, err = c.runParent(st, k.permission(verb), c.dialect.spelled(name))
	if err == nil && k.param == "" {
		key = c.dialect.complete(&st.run, key, id)
	}
	return key, id, err
}

// parentOf returns the collection above the one of a method on executions or
// revisions.
func parentOf(method string) (plural string, ok bool) {
	parts := strings.Split(method, ".")
	if len(parts) != 6 {
		return "", false
	}
	return parts[3], true
}

// existing returns the resource that the path names, if the caller may do that
// to it, or the API's error.
func (k *runKind) existing(c *call, st *state, verb string) (*resource, error) {
	key, id, err := k.locate(c, st, verb)
	if err != nil {
		return nil, err
	}
	r := st.run.find(key, id)
	if err := c.require(st, k.permission(verb), st.run.holder(key, id), c.dialect.named(key, id)); err != nil {
		return nil, err
	}
	if r == nil {
		return nil, k.missing(key, id)
	}
	return r, nil
}

// holder returns the node that decides on a resource: its own or, for an
// execution or revision, its workload's. Where there is none yet, it is the
// project.
func (s *runState) holder(key collectionKey, id string) *node {
	at := key
	if plural, parent, ok := strings.Cut(key.parent, "/"); ok {
		at.parent, at.plural, id = "", plural, parent
	}
	if r := s.find(at, id); r != nil {
		return &r.node
	}
	return &key.project.node
}

func (k *runKind) get(c *call, st *state) ([]byte, error) {
	r, err := k.existing(c, st, "get")
	if err != nil {
		return nil, err
	}
	return r.raw, nil
}

// list makes the sorted ids on the way, and so writes.
func (k *runKind) list(c *call, st *state) ([]byte, error) {
	key, _, err := k.locate(c, st, "list")
	if err != nil {
		return nil, err
	}
	if err := c.require(st, k.permission("list"), st.run.holder(key, ""), c.dialect.named(key, "")); err != nil {
		return nil, err
	}
	out := map[string]any{}
	col := st.run.collections[key]
	if strings.HasSuffix(key.parent, "/-") {
		col = st.run.ofAllParents(key)
	}
	if col == nil {
		return wire.MustEncode(out), nil
	}
	page, next, err := c.page(col.ids(), 100, 1000)
	if err != nil {
		return nil, err
	}
	items := make([]rawJSON, 0, len(page))
	for _, id := range page {
		if r := col.byID[id]; !r.deleted || c.flag("showDeleted") {
			items = append(items, r.raw)
		}
	}
	if len(items) > 0 {
		out[k.plural] = items
	}
	if next != "" {
		out["nextPageToken"] = next
	}
	return wire.MustEncode(out), nil
}

// delete marks a resource deleted; it stays listed with showDeleted.
func (k *runKind) delete(c *call, st *state) ([]byte, error) {
	r, err := k.existing(c, st, "delete")
	if err != nil {
		return nil, err
	}
	o := wire.MustDecode(r.raw)
	if err := c.checkEtag(st, r, o, c.query.Get("etag")); err != nil {
		return nil, err
	}
	generation, _ := strconv.ParseInt(wire.Text(o, "generation"), 10, 64)
	o["generation"] = strconv.FormatInt(generation+1, 10)
	deleted := c.stamp(st, r, o)
	o["deleteTime"] = timestamp(deleted)
	o["expireTime"] = timestamp(deleted.Add(30 * 24 * time.Hour))
	o["reconciling"] = true
	if _, ok := o["terminalCondition"]; ok {
		wire.Child(o, "terminalCondition")["state"] = "CONDITION_PENDING"
	}
	if c.dry() {
		return c.newOperation(st, r, o).json(), nil
	}
	r.deleted = true
	for _, plural := range []string{"executions", "revisions"} { // they go with their workload
		delete(st.run.collections, collectionKey{project: r.key.project, location: r.key.location, parent: r.path(), plural: plural})
	}
	return c.start(st, r, o, func(st *state, o wire.Object, at time.Time) {
		o["observedGeneration"] = o["generation"]
		finished := st.tick(at)
		o["updateTime"] = timestamp(finished)
		o["etag"] = etag(finished, r.name())
		delete(o, "reconciling")
		if condition, ok := o["terminalCondition"].(wire.Object); ok {
			condition["state"] = "CONDITION_SUCCEEDED"
			if k.label == "SERVICE" {
				condition["lastTransitionTime"] = timestamp(finished)
			}
		}
	}).json(), nil
}
