package fake

import (
	"net/http"
	"slices"

	"github.com/runidentity/runidentity/fake/internal/knative"
	"github.com/runidentity/runidentity/fake/internal/wire"
)

// Cloud Run v1: the API of gcloud and of manifests, after Knative's. It works
// on the resources of version 2, with the same checks; the region is that of
// the host name.
// https://docs.cloud.google.com/run/docs/reference/rest#rest-resource:-v1.namespaces.jobs

// addRunV1 adds what version 1 has to the handlers of version 2.
func addRunV1(all map[string]handler) {
	for _, k := range []*workloadKind{jobs(), services(), workerPools()} {
		base := "run.namespaces." + k.v1().plural + "."
		all[base+"create"] = writes(k.createV1)
		all[base+"get"] = reads(k.getV1)
		all[base+"list"] = reads(k.listV1)
		all[base+"delete"] = writes(k.deleteV1)
		all[base+"replace"+k.typ] = writes(k.replaceV1)
		policies := "run.projects.locations." + k.v1().plural + "."
		all[policies+"getIamPolicy"] = reads(k.getPolicy)
		all[policies+"setIamPolicy"] = writes(k.setPolicy)
		all[policies+"testIamPermissions"] = reads(k.testPermissions)
	}
	for _, k := range []*runKind{executionKind(), revisionKind()} {
		base := "run.namespaces." + k.plural + "."
		all[base+"get"] = reads(k.getV1)
		all[base+"list"] = reads(k.listV1)
		all[base+"delete"] = writes(k.deleteV1)
	}
	all["run.namespaces.jobs.run"] = writes((*call).runJobV1)
	all["run.namespaces.executions.cancel"] = writes((*call).cancelExecutionV1)

	const located = "run.projects.locations."
	service := services()
	for verb, h := range map[string]handler{
		"create": writes(service.createV1), "get": reads(service.getV1), "list": reads(service.listV1), "delete": writes(service.deleteV1),
	} {
		all[inVersion("run:v1", located+"services."+verb)] = h
	}
	all[located+"services.replaceService"] = writes(service.replaceV1)
	all[located+"revisions.get"] = reads(revisionKind().getV1)
	all[located+"revisions.list"] = reads(revisionKind().listV1)
	all[located+"revisions.delete"] = writes(revisionKind().deleteV1)
	all[located+"list"] = reads((*call).listRunLocations)
}

func (k *runKind) getV1(c *call, st *state) ([]byte, error) {
	r, err := k.existing(c, st, "get")
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(st.resourceV1(r, wire.MustDecode(r.raw), r.knative)), nil
}

func (k *runKind) deleteV1(c *call, st *state) ([]byte, error) {
	if err := c.checkDryRun(); err != nil {
		return nil, err
	}
	if _, err := k.delete(c, st); err != nil {
		return nil, err
	}
	return wire.MustEncode(wire.Object{"apiVersion": "v1", "kind": "Status", "metadata": wire.Object{}, "status": "Success"}), nil
}

func (c *call) checkDryRun() error {
	if v := c.query.Get("dryRun"); v != "" && v != "all" {
		return wire.Invalid("dryRun: Invalid value %q: the only one is \"all\".", v)
	}
	return nil
}

// manifest reads the message of a write: who is to be written, and its desired
// state in version 2 with what only version 1 can say. An empty id is taken
// from the message.
func (k *workloadKind) manifest(c *call, st *state, id string) (name string, next wire.Object, extras knative.Extras, version string, err error) {
	refuse := func(err error) (string, wire.Object, knative.Extras, string, error) { return "", nil, nil, "", err }
	if err := c.checkDryRun(); err != nil {
		return refuse(err)
	}
	body, err := c.object()
	if err != nil {
		return refuse(err)
	}
	if given := wire.Text(body, "kind"); given != "" && given != k.v1().kind {
		return refuse(wire.Invalid("kind: Expected value '%s' obtained '%s'.", k.v1().kind, given))
	}
	if given := wire.Text(body, "apiVersion"); given != "" && given != k.v1().version {
		return refuse(wire.Invalid("apiVersion: Expected value '%s' obtained '%s'.", k.v1().version, given))
	}
	name = wire.Text(body, "metadata", "name")
	if id != "" && name != id {
		return refuse(wire.Invalid("metadata.name: Expected value '%s' obtained '%s'.", id, name))
	}
	project, _, _ := c.place()
	if given := wire.Text(body, "metadata", "namespace"); given != project && !st.sameProject(given, project) {
		return refuse(wire.Invalid("metadata.namespace: Expected value '%s' obtained '%s'.", project, given))
	}
	desired := c.desiredV1(body)
	f := knative.FormOf(k.plural)
	if next, err = f.ToV2(desired); err != nil {
		return refuse(err)
	}
	return name, next, knative.Lost(desired, f.ToV1(next)), wire.Text(body, "metadata", "resourceVersion"), nil
}

// sameProject reports whether an id and a number, or two ids, are of one project.
func (st *state) sameProject(one, other string) bool {
	p := st.projects[one]
	return p != nil && p == st.projects[other]
}

func (k *workloadKind) createV1(c *call, st *state) ([]byte, error) {
	id, next, extras, _, err := k.manifest(c, st, "")
	if err != nil {
		return nil, err
	}
	key, _, err := k.locate(c, st, "create")
	if err != nil {
		return nil, err
	}
	if err := c.require(st, k.permission("create"), &key.project.node, c.dialect.named(key, id)); err != nil {
		return nil, err
	}
	if !validRunID(id) {
		return nil, wire.Invalid("metadata.name: Resource name must use only lowercase alphanumeric characters and '-', cannot begin or end "+
			"with a '-', and must be less than 64 characters: '%s'.", id)
	}
	op, err := k.insert(c, st, key, id, next, extras)
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(st.resourceV1(op.resource, wire.MustDecode(op.running), extras)), nil
}

func (k *workloadKind) replaceV1(c *call, st *state) ([]byte, error) {
	_, _, below := c.place()
	_, next, extras, version, err := k.manifest(c, st, below[0])
	if err != nil {
		return nil, err
	}
	r, err := k.existing(c, st, "update")
	if err != nil {
		return nil, err
	}
	before := wire.MustDecode(r.raw)
	if err := checkVersion(r, before, version); err != nil {
		return nil, err
	}
	had := k.desired(r, before)
	f := knative.FormOf(k.plural)
	back, err := f.ToV2(f.ToV1(had))
	if err != nil {
		return nil, err
	}
	knative.Lost(had, back).Restore(next)
	op, err := k.apply(c, st, r, before, had, next, extras)
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(st.resourceV1(r, wire.MustDecode(op.running), extras)), nil
}

// checkVersion refuses a write that was made from an older state.
func checkVersion(r *resource, stored wire.Object, given string) error {
	if given == "" {
		return nil
	}
	current, _ := micros(resourceVersion(wire.Text(stored, "updateTime")))
	specified, ok := micros(given)
	switch {
	case !ok:
		return wire.Invalid("metadata.resourceVersion: Invalid value '%s'.", given)
	case specified != current:
		return wire.Aborted("Conflict for resource '%s': version '%d' was specified but current version is '%d'.", r.id, specified, current)
	}
	return nil
}

// listV1 lists the resources of a region, or of all regions where neither host
// nor path name one.
func (k *runKind) listV1(c *call, st *state) ([]byte, error) {
	selected, err := knative.ParseSelector(c.query.Get("labelSelector"))
	if err != nil {
		return nil, err
	}
	if c.query.Get("fieldSelector") != "" || c.flag("watch") {
		return nil, wire.NewError(http.StatusNotImplemented, "UNIMPLEMENTED", "fieldSelector and watch are not supported.")
	}
	namespace, location, _ := c.place()
	p, err := c.runProject(st, namespace, k.permission("list"), "/"+k.v1().plural)
	if err != nil {
		return nil, err
	}
	key := collectionKey{project: p, location: location, plural: k.plural}
	if err := c.require(st, k.permission("list"), &p.node, c.dialect.named(key, "")); err != nil {
		return nil, err
	}
	found := make(map[string]*resource)
	for at, col := range st.run.collections {
		if at.project != p || at.plural != k.plural || location != "" && location != "-" && at.location != location {
			continue
		}
		for id, r := range col.byID {
			if !r.deleted {
				found[at.location+"/"+id+"/"+at.parent] = r
			}
		}
	}
	var names []string
	items := make(map[string]wire.Object)
	for name, r := range found {
		item := st.resourceV1(r, wire.MustDecode(r.raw), r.knative)
		labels, _ := wire.Lookup(item, "metadata", "labels").(wire.Object)
		if selected(labels) {
			names = append(names, name)
			items[name] = item
		}
	}
	slices.Sort(names)
	// Version 1 has other names for the parameters of a page.
	c.query.Set("pageSize", c.query.Get("limit"))
	c.query.Set("pageToken", c.query.Get("continue"))
	page, next, err := c.page(names, 500, 1000)
	if err != nil {
		return nil, err
	}
	list := make([]wire.Object, 0, len(page))
	for _, name := range page {
		list = append(list, items[name])
	}
	metadata := wire.Object{}
	if next != "" {
		metadata["continue"] = next
	}
	out := wire.Object{"apiVersion": k.v1().version, "kind": k.v1().kind + "List", "metadata": metadata}
	if len(list) > 0 {
		out["items"] = list
	}
	return wire.MustEncode(out), nil
}

// runJobV1 starts an execution.
func (c *call) runJobV1(st *state) ([]byte, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	written, _ := body["overrides"].(wire.Object)
	if written != nil {
		if written, err = knative.Overrides().ToV2(written); err != nil {
			return nil, err
		}
	}
	op, err := c.execute(st, written, "", false)
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(st.resourceV1(op.resource, wire.MustDecode(op.running), op.resource.knative)), nil
}

func (c *call) cancelExecutionV1(st *state) ([]byte, error) {
	if _, err := c.object(); err != nil {
		return nil, err
	}
	op, err := c.cancel(st)
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(st.resourceV1(op.resource, wire.MustDecode(op.running), op.resource.knative)), nil
}

// listRunLocations lists the regions of Cloud Run.
func (c *call) listRunLocations(st *state) ([]byte, error) {
	p, err := c.runProject(st, c.params[0], "run.locations.list", "")
	if err != nil {
		return nil, err
	}
	if err := c.require(st, "run.locations.list", &p.node, "projects/"+p.id); err != nil {
		return nil, err
	}
	page, next, err := c.page(c.api.Locations, 100, 500)
	if err != nil {
		return nil, err
	}
	list := make([]wire.Object, 0, len(page))
	for _, location := range page {
		list = append(list, wire.Object{"name": "projects/" + p.id + "/locations/" + location, "locationId": location})
	}
	out := wire.Object{"locations": list}
	if next != "" {
		out["nextPageToken"] = next
	}
	return wire.MustEncode(out), nil
}
