package fake

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/wire"
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

func defaultService(p *project, service wire.Object) {
	wire.SetDefault(service, "launchStage", "GA")
	wire.SetDefault(service, "ingress", "INGRESS_TRAFFIC_ALL")
	wire.SetDefault(service, "traffic", []any{wire.Object{"type": latestTraffic, "percent": wire.Number(100)}})
	template := wire.Child(service, "template")
	wire.SetDefault(template, "timeout", "300s")
	wire.SetDefault(template, "maxInstanceRequestConcurrency", wire.Number(80))
	containers, _ := template["containers"].([]any)
	eachContainer(template, func(c wire.Object) {
		if _, given := c["resources"]; !given {
			wire.Child(c, "resources")["cpuIdle"] = true
		}
		if len(containers) == 1 {
			wire.SetDefault(c, "ports", []any{wire.Object{"name": "http1", "containerPort": wire.Number(8080)}})
		}
		ports, _ := c["ports"].([]any)
		if len(ports) == 0 {
			return
		}
		port, _ := ports[0].(wire.Object)
		wire.SetDefault(c, "startupProbe", wire.Object{
			"timeoutSeconds": wire.Number(240), "periodSeconds": wire.Number(240), "failureThreshold": wire.Number(1),
			"tcpSocket": wire.Object{"port": port["containerPort"]},
		})
	})
	defaultTemplate(p, template)
}

func defaultWorkerPool(p *project, pool wire.Object) {
	wire.SetDefault(pool, "launchStage", "GA")
	wire.SetDefault(pool, "instanceSplits", []any{wire.Object{"type": latestSplit, "percent": wire.Number(100)}})
	wire.SetDefault(wire.Child(pool, "scaling"), "manualInstanceCount", wire.Number(1))
	defaultTemplate(p, wire.Child(pool, "template"))
}

// checkRevisioned holds a service's or worker pool's message against the rules
// for revision names: a name belongs to the workload, and can't be used again
// for another template.
func checkRevisioned(st *state, r *resource, next wire.Object) error {
	template := wire.Child(next, "template")
	if err := checkContainers("template", template); err != nil {
		return err
	}
	name := wire.Text(template, "revision")
	if name == "" {
		return nil
	}
	if !strings.HasPrefix(name, r.id+"-") {
		return wire.Invalid("template.revision: Revision name %q must be prefixed by the name of the enclosing %s followed by a -.", name, r.kind.typ)
	}
	taken := st.run.find(revisionsOf(r), name)
	if taken == nil {
		return nil
	}
	if r.raw != nil && wire.Equal(template, wire.Child(wire.MustDecode(r.raw), "template")) {
		return nil
	}
	return wire.AlreadyExists("Revision named '%s' with different configuration already exists.", name)
}

func revisionsOf(r *resource) collectionKey {
	return collectionKey{project: r.key.project, location: r.key.location, parent: r.path(), plural: "revisions"}
}

// needsRevision reports whether a change asks for a new revision.
func needsRevision(before, next wire.Object, force bool) bool {
	return force || before == nil || !wire.Equal(before["template"], next["template"])
}

func beginService(c *call, _ *state, r *resource, before, next wire.Object, force bool) func(*state, wire.Object, time.Time) {
	ends, fresh, began := c.ends, needsRevision(before, next, force), c.now
	first := before == nil
	if first {
		// The real server does not show the ingress of a service that is not
		// ready yet.
		r.hidden = wire.Object{"ingress": next["ingress"]}
		delete(next, "ingress")
	}
	hidden := r.hidden
	return func(st *state, o wire.Object, at time.Time) {
		for name, value := range hidden {
			wire.SetDefault(o, name, value)
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
			wire.Object{"type": "RoutesReady", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": timestamp(at)},
			wire.Object{"type": "ConfigurationsReady", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": timestamp(configurations)},
		}
		wire.SetDefault(o, "uri", uriOf(r))
	}
}

func conditionTime(o wire.Object, kind string, otherwise time.Time) time.Time {
	conditions, _ := o["conditions"].([]any)
	for _, c := range conditions {
		if c, _ := c.(wire.Object); wire.Text(c, "type") == kind {
			if t, err := time.Parse(time.RFC3339Nano, wire.Text(c, "lastTransitionTime")); err == nil {
				return t
			}
		}
	}
	return otherwise
}

// uriOf returns the URL that Cloud Run gives a service, in its deterministic
// form.
func uriOf(r *resource) string {
	return fmt.Sprintf("https://%s-%d.%s.run.app", r.id, r.key.project.number, r.key.location)
}

func beginWorkerPool(c *call, _ *state, r *resource, before, next wire.Object, force bool) func(*state, wire.Object, time.Time) {
	ends, fresh := c.ends, needsRevision(before, next, force)
	next["terminalCondition"] = wire.Object{"type": "Ready", "state": "CONDITION_RECONCILING", "message": "Deploying Revision."}
	return func(st *state, o wire.Object, at time.Time) {
		st.settleRevision(r, o, fresh, ends, at)
		if ready(o, ends, at, false) {
			settleTraffic(o, "instanceSplits", "instanceSplitStatuses")
		}
	}
}

// settleRevision makes the revision that a change of the template asks for.
func (st *state) settleRevision(r *resource, o wire.Object, fresh bool, ends wire.Object, at time.Time) {
	if !fresh {
		return
	}
	template := wire.Clone(wire.Child(o, "template"))
	id := wire.Text(template, "revision")
	delete(template, "revision")
	if id == "" {
		generation, _ := strconv.Atoi(wire.Text(o, "generation"))
		id = fmt.Sprintf("%s-%05d-%s", r.id, generation, st.suffix(3))
	}
	rev := &resource{kind: revisionKind(), key: revisionsOf(r), id: id, knative: r.knative.Below("/spec/template")}
	revision := template
	maps.Copy(revision, wire.Object{
		"name": rev.name(), "uid": st.newUUID(), "generation": "1", "observedGeneration": "1",
		"createTime": timestamp(at), "updateTime": timestamp(at), "etag": etag(at, rev.name()),
		"service": r.id, "creator": o["lastModifier"], "launchStage": o["launchStage"],
	})
	condition := wire.Object{"type": "Ready", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": timestamp(at)}
	maps.Copy(condition, ends)
	revision["conditions"] = []any{condition}
	rev.raw = wire.MustEncode(revision)
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
func settleTraffic(o wire.Object, from, to string) {
	targets, _ := wire.Clone(o[from]).([]any)
	if len(targets) > 0 {
		o[to] = targets
	}
}

// revisionKind returns the kind of revisions. It is read-only: they are made by
// changes of their workload.
func revisionKind() *runKind {
	return &runKind{plural: "revisions", label: "REVISION", typ: "Revision"}
}
