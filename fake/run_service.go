package fake

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

func services() *workloadKind {
	return &workloadKind{
		template: []string{"template"},
		runKind:  runKind{plural: "services", label: "SERVICE", typ: "Service", param: "serviceId"},
		defaults: defaultService,
		check:    checkRevisioned,
		begin:    beginService,
	}
}

func workerPools() *workloadKind {
	return &workloadKind{
		template: []string{"template"},
		runKind:  runKind{plural: "workerPools", label: "WORKER_POOL", typ: "WorkerPool", param: "workerPoolId"},
		defaults: defaultWorkerPool,
		check:    checkRevisioned,
		begin:    beginWorkerPool,
	}
}

const (
	latestTraffic = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
	latestSplit   = "INSTANCE_SPLIT_ALLOCATION_TYPE_LATEST"
)

func defaultService(p *project, service object) {
	setDefault(service, "launchStage", "GA")
	setDefault(service, "ingress", "INGRESS_TRAFFIC_ALL")
	setDefault(service, "traffic", []any{object{"type": latestTraffic, "percent": number(100)}})
	template := child(service, "template")
	setDefault(template, "timeout", "300s")
	setDefault(template, "maxInstanceRequestConcurrency", number(80))
	containers, _ := template["containers"].([]any)
	eachContainer(template, func(c object) {
		if _, given := c["resources"]; !given {
			child(c, "resources")["cpuIdle"] = true
		}
		if len(containers) == 1 {
			setDefault(c, "ports", []any{object{"name": "http1", "containerPort": number(8080)}})
		}
		ports, _ := c["ports"].([]any)
		if len(ports) == 0 {
			return
		}
		port, _ := ports[0].(object)
		setDefault(c, "startupProbe", object{
			"timeoutSeconds": number(240), "periodSeconds": number(240), "failureThreshold": number(1),
			"tcpSocket": object{"port": port["containerPort"]},
		})
	})
	defaultTemplate(p, template)
}

func defaultWorkerPool(p *project, pool object) {
	setDefault(pool, "launchStage", "GA")
	setDefault(pool, "instanceSplits", []any{object{"type": latestSplit, "percent": number(100)}})
	setDefault(child(pool, "scaling"), "manualInstanceCount", number(1))
	defaultTemplate(p, child(pool, "template"))
}

// checkRevisioned holds a service's or worker pool's message against the rules
// for revision names: a name belongs to the workload, and can't be used again
// for another template.
func checkRevisioned(c *call, st *state, r *resource, next object) error {
	template := child(next, "template")
	if err := checkContainers("template", template); err != nil {
		return err
	}
	name := text(template, "revision")
	if name == "" {
		return nil
	}
	if !strings.HasPrefix(name, r.id+"-") {
		return invalid("template.revision: Revision name %q must be prefixed by the name of the enclosing %s followed by a -.", name, r.kind.typ)
	}
	taken := st.run.find(revisionsOf(r), name)
	if taken == nil {
		return nil
	}
	if r.raw != nil && equal(template, child(mustDecode(r.raw), "template")) {
		return nil
	}
	return alreadyExists("Revision named '%s' with different configuration already exists.", name)
}

func revisionsOf(r *resource) collectionKey {
	return collectionKey{project: r.key.project, location: r.key.location, parent: r.path(), plural: "revisions"}
}

// needsRevision says whether a change asks for a new revision.
func needsRevision(before, next object, force bool) bool {
	return force || before == nil || !equal(before["template"], next["template"])
}

func beginService(c *call, st *state, r *resource, before, next object, force bool) func(*state, object, time.Time) {
	ends, fresh, began := c.ends, needsRevision(before, next, force), c.now
	first := before == nil
	if first {
		// The real server does not show the ingress of a service that is not
		// ready yet.
		r.hidden = object{"ingress": next["ingress"]}
		delete(next, "ingress")
	}
	hidden := r.hidden
	return func(st *state, o object, at time.Time) {
		for name, value := range hidden {
			setDefault(o, name, value)
		}
		st.settleRevision(r, o, fresh, ends, at)
		if !ready(o, ends, at, false) {
			return
		}
		settleTraffic(o, "traffic", "trafficStatuses")
		// The configuration is ready soon after the creation and stays so; the
		// routes follow every change.
		configurations := began
		if !first {
			configurations = conditionTime(o, "ConfigurationsReady", at)
		}
		o["conditions"] = []any{
			object{"type": "RoutesReady", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": timestamp(at)},
			object{"type": "ConfigurationsReady", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": timestamp(configurations)},
		}
		setDefault(o, "uri", uriOf(r))
	}
}

func conditionTime(o object, kind string, otherwise time.Time) time.Time {
	conditions, _ := o["conditions"].([]any)
	for _, c := range conditions {
		if c, _ := c.(object); text(c, "type") == kind {
			if t, err := time.Parse(time.RFC3339Nano, text(c, "lastTransitionTime")); err == nil {
				return t
			}
		}
	}
	return otherwise
}

// uriOf is the URL that Cloud Run gives a service, in its deterministic form.
func uriOf(r *resource) string {
	return fmt.Sprintf("https://%s-%d.%s.run.app", r.id, r.key.project.number, r.key.location)
}

func beginWorkerPool(c *call, st *state, r *resource, before, next object, force bool) func(*state, object, time.Time) {
	ends, fresh := c.ends, needsRevision(before, next, force)
	next["terminalCondition"] = object{"type": "Ready", "state": "CONDITION_RECONCILING", "message": "Deploying Revision."}
	return func(st *state, o object, at time.Time) {
		st.settleRevision(r, o, fresh, ends, at)
		if ready(o, ends, at, false) {
			settleTraffic(o, "instanceSplits", "instanceSplitStatuses")
		}
	}
}

// settleRevision makes the revision that a change of the template asks for.
func (st *state) settleRevision(r *resource, o object, fresh bool, ends object, at time.Time) {
	if !fresh {
		return
	}
	template := clone(child(o, "template"))
	id := text(template, "revision")
	delete(template, "revision")
	if id == "" {
		generation, _ := strconv.Atoi(text(o, "generation"))
		id = fmt.Sprintf("%s-%05d-%s", r.id, generation, st.suffix(3))
	}
	rev := &resource{kind: revisionKind(), key: revisionsOf(r), id: id, knative: r.knative.below("/spec/template")}
	revision := template
	maps.Copy(revision, object{
		"name": rev.name(), "uid": st.newUUID(), "generation": "1", "observedGeneration": "1",
		"createTime": timestamp(at), "updateTime": timestamp(at), "etag": etag(at, rev.name()),
		"service": r.id, "creator": o["lastModifier"], "launchStage": o["launchStage"],
	})
	condition := object{"type": "Ready", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": timestamp(at)}
	maps.Copy(condition, ends)
	revision["conditions"] = []any{condition}
	rev.raw = mustEncode(revision)
	if !r.deleted { // while this was under way
		st.run.put(rev)
	}
	o["latestCreatedRevision"] = rev.name()
	if condition["state"] == "CONDITION_SUCCEEDED" {
		o["latestReadyRevision"] = rev.name()
	}
}

// settleTraffic makes the traffic (or instance) statuses follow what is
// configured.
func settleTraffic(o object, from, to string) {
	targets, _ := clone(o[from]).([]any)
	if len(targets) > 0 {
		o[to] = targets
	}
}

// revisionKind is read-only: revisions are made by changes of their workload.
func revisionKind() *runKind {
	return &runKind{plural: "revisions", label: "REVISION", typ: "Revision"}
}
