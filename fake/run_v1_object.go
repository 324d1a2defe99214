package fake

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/knative"
	"github.com/runidentity/runidentity/fake/internal/wire"
)

// Resources as version 1 of Cloud Run reads and writes them: what users write
// comes from the forms, what the server says of it is added here.

// kindV1 is what version 1 calls a kind of resource.
type kindV1 struct {
	kind, version string // as in a manifest
	plural        string // in paths
	system        string // prefix of the annotations that say who wrote it
}

func (k *runKind) v1() kindV1 {
	const serving, run = "serving.knative.dev", "run.googleapis.com"
	out := kindV1{kind: k.typ, version: run + "/v1", plural: strings.ToLower(k.plural), system: run}
	switch k.plural {
	case "services", "revisions":
		out.version, out.system = serving+"/v1", serving
	case "workerPools":
		out.system = serving
	}
	return out
}

// namespace returns the form of a project in answers: its number.
func (p *project) namespace() string { return strconv.FormatInt(p.number, 10) }

const (
	locationLabel       = "cloud.googleapis.com/location"
	operationAnnotation = "run.googleapis.com/operation-id"
)

// serverOwned reports whether the server writes an annotation or label. What a
// message says of it has no effect.
func serverOwned(name string) bool {
	switch name {
	case locationLabel, operationAnnotation, "run.googleapis.com/ingress-status", "run.googleapis.com/urls",
		"run.googleapis.com/creator", "run.googleapis.com/lastModifier",
		"serving.knative.dev/creator", "serving.knative.dev/lastModifier":
		return true
	}
	return false
}

// desiredV1 returns the part of a message that its user decides on.
func (c *call) desiredV1(message wire.Object) wire.Object {
	out := wire.Clone(message)
	for _, name := range []string{"apiVersion", "kind", "status"} {
		delete(out, name)
	}
	metadata := wire.Child(out, "metadata")
	for name := range c.api.Schemas["ObjectMeta"] {
		if name != "annotations" && name != "labels" {
			delete(metadata, name)
		}
	}
	for _, field := range []string{"annotations", "labels"} {
		entries, _ := metadata[field].(wire.Object)
		for name := range entries {
			if serverOwned(name) {
				delete(entries, name)
			}
		}
	}
	tidy(metadata)
	if len(metadata) == 0 {
		delete(out, "metadata")
	}
	return out
}

// resourceV1 returns version 1 of a resource whose JSON of version 2 is o.
func (st *state) resourceV1(r *resource, o wire.Object, extras knative.Extras) wire.Object {
	k := r.kind.v1()
	if r.pending != nil {
		for name, value := range r.hidden {
			wire.SetDefault(o, name, value)
		}
	}
	out := r.kind.writtenV1(o, extras)
	out["apiVersion"], out["kind"] = k.version, k.kind
	metadata := wire.Child(out, "metadata")
	metadata["name"], metadata["namespace"] = r.id, r.key.project.namespace()
	metadata["selfLink"] = "/apis/" + k.version + "/namespaces/" + r.key.project.namespace() + "/" + k.plural + "/" + r.id
	metadata["uid"], metadata["generation"] = o["uid"], knative.Integer(o["generation"])
	metadata["creationTimestamp"] = o["createTime"]
	metadata["resourceVersion"] = resourceVersion(wire.Text(o, "updateTime"))
	wire.Child(metadata, "labels")[locationLabel] = r.key.location
	annotations := wire.Child(metadata, "annotations")
	for name, field := range map[string]string{"/creator": "creator", "/lastModifier": "lastModifier"} {
		if who := wire.Text(o, field); who != "" {
			annotations[k.system+name] = who
		}
	}
	if r.operation != "" {
		annotations[operationAnnotation] = r.operation
	}
	status := wire.Child(out, "status")
	status["observedGeneration"] = knative.Integer(o["observedGeneration"])
	if o["observedGeneration"] == nil {
		delete(status, "observedGeneration")
	}
	switch r.kind.plural {
	case "jobs":
		jobStatus(o, status)
	case "services":
		serviceStatus(r, o, status, annotations)
	case "workerPools":
		revisionedStatus(o, status, "instanceSplits")
	case "executions":
		st.executionStatus(r, o, metadata, status)
	case "revisions":
		revisionStatus(r, o, metadata, status)
	}
	if template, ok := wire.Lookup(out, "spec", "template").(wire.Object); ok {
		tidy(wire.Child(template, "metadata"))
	}
	return out
}

// writtenV1 returns what users of version 1 write in a resource.
func (k *runKind) writtenV1(o wire.Object, extras knative.Extras) wire.Object {
	out := knative.FormOf(k.plural).ToV1(o)
	extras.Restore(out)
	return out
}

// tidy drops empty annotations and labels. A template's metadata stays, even
// empty: gcloud takes a template without it for no template at all.
func tidy(metadata wire.Object) {
	for _, field := range []string{"annotations", "labels"} {
		if entries, ok := metadata[field].(wire.Object); ok && len(entries) == 0 {
			delete(metadata, field)
		}
	}
}

// resourceVersion returns the update time in microseconds, in the form that was
// seen: eight bytes in base64.
func resourceVersion(updated string) string {
	t, err := time.Parse(time.RFC3339Nano, updated)
	if err != nil {
		return ""
	}
	return base64.RawStdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(t.UnixMicro())))
}

// micros reads a resourceVersion.
func micros(version string) (uint64, bool) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(version, "="))
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

func jobStatus(o, status wire.Object) {
	status["conditions"] = []any{conditionV1(o["terminalCondition"], "Ready")}
	if count := o["executionCount"]; count != nil {
		status["executionCount"] = count
	}
	latest, _ := o["latestCreatedExecution"].(wire.Object)
	if wire.Text(latest, "name") == "" {
		return
	}
	reference := wire.Object{"name": latest["name"]}
	for v1, v2 := range map[string]string{
		"creationTimestamp": "createTime", "completionTimestamp": "completionTime",
		"deletionTimestamp": "deleteTime", "completionStatus": "completionStatus",
	} {
		if value := latest[v2]; value != nil {
			reference[v1] = value
		}
	}
	status["latestCreatedExecution"] = reference
}

// revisionedStatus fills in the status that services and worker pools have in
// common.
func revisionedStatus(o, status wire.Object, allocations string) {
	conditions := []any{conditionV1(o["terminalCondition"], "Ready")}
	more, _ := o["conditions"].([]any)
	for _, c := range slices.Backward(more) {
		conditions = append(conditions, conditionV1(c, ""))
	}
	status["conditions"] = conditions
	for v1, v2 := range map[string]string{
		"latestCreatedRevisionName": "latestCreatedRevision", "latestReadyRevisionName": "latestReadyRevision",
	} {
		if name := wire.Text(o, v2); name != "" {
			status[v1] = name[strings.LastIndexByte(name, '/')+1:]
		}
	}
	list, _ := o[map[string]string{"traffic": "trafficStatuses", "instanceSplits": "instanceSplitStatuses"}[allocations]].([]any)
	var out []any
	for _, item := range list {
		target, _ := item.(wire.Object)
		entry := wire.Object{}
		for v1, v2 := range map[string]string{"percent": "percent", "tag": "tag", "revisionName": "revision", "url": "uri"} {
			if value := target[v2]; value != nil {
				entry[v1] = value
			}
		}
		if target["type"] == latestTraffic || target["type"] == latestSplit {
			entry["latestRevision"], entry["revisionName"] = true, status["latestReadyRevisionName"]
		}
		out = append(out, entry)
	}
	if len(out) > 0 {
		status[allocations] = out
	}
}

func serviceStatus(r *resource, o, status, annotations wire.Object) {
	revisionedStatus(o, status, "traffic")
	url := wire.Text(o, "uri")
	if url == "" {
		return
	}
	status["url"], status["address"] = url, wire.Object{"url": url}
	annotations["run.googleapis.com/urls"] = string(wire.MustEncode([]string{url}))
	if ingress := annotations["run.googleapis.com/ingress"]; ingress != nil && r.pending == nil {
		annotations["run.googleapis.com/ingress-status"] = ingress
	}
	targets, _ := status["traffic"].([]any)
	for _, item := range targets {
		target, _ := item.(wire.Object)
		if tag := wire.Text(target, "tag"); tag != "" {
			target["url"] = strings.Replace(url, "https://", "https://"+tag+"---", 1)
		}
	}
}

func (st *state) executionStatus(r *resource, o, metadata, status wire.Object) {
	labels := wire.Child(metadata, "labels")
	plural, job, _ := strings.Cut(r.key.parent, "/")
	labels["run.googleapis.com/job"] = job
	parent := st.run.find(collectionKey{project: r.key.project, location: r.key.location, plural: plural}, job)
	if parent != nil {
		j := wire.MustDecode(parent.raw)
		labels["run.googleapis.com/jobUid"] = j["uid"]
		labels["run.googleapis.com/jobGeneration"] = j["generation"]
		metadata["ownerReferences"] = []any{wire.Object{
			"apiVersion": "run.googleapis.com/v1", "kind": "Job", "name": job, "uid": j["uid"],
			"controller": true, "blockOwnerDeletion": true,
		}}
	}
	var conditions []any
	list, _ := o["conditions"].([]any)
	for _, c := range list {
		conditions = append(conditions, conditionV1(c, ""))
	}
	status["conditions"] = conditions
	for _, field := range []string{
		"startTime", "completionTime", "runningCount", "succeededCount", "failedCount", "cancelledCount", "retriedCount", "logUri",
	} {
		if value := o[field]; value != nil {
			status[field] = value
		}
	}
}

func revisionStatus(r *resource, o, metadata, status wire.Object) {
	labels := wire.Child(metadata, "labels")
	plural, owner, _ := strings.Cut(r.key.parent, "/")
	if plural == "services" {
		labels["serving.knative.dev/service"] = owner
		labels["serving.knative.dev/configuration"] = owner
		labels["serving.knative.dev/route"] = owner
		status["serviceName"] = owner
	} else {
		labels["run.googleapis.com/workerPool"] = owner
	}
	var conditions []any
	list, _ := o["conditions"].([]any)
	for _, c := range list {
		conditions = append(conditions, conditionV1(c, ""))
	}
	status["conditions"] = conditions
	// The fake pulls no image, and knows the digest of those alone that are
	// named by it.
	containers, _ := o["containers"].([]any)
	if len(containers) > 0 {
		c, _ := containers[0].(wire.Object)
		if image := wire.Text(c, "image"); strings.Contains(image, "@sha256:") {
			status["imageDigest"] = image
		}
	}
}

// conditionV1 returns a condition as version 1 writes it: always with a status.
func conditionV1(v any, otherwise string) wire.Object {
	c, _ := v.(wire.Object)
	out := wire.Object{"type": c["type"], "status": "Unknown"}
	if out["type"] == nil {
		out["type"] = otherwise
	}
	switch c["state"] {
	case "CONDITION_SUCCEEDED":
		out["status"] = "True"
	case "CONDITION_FAILED":
		out["status"] = "False"
	}
	for _, field := range []string{"lastTransitionTime", "message"} {
		if value := c[field]; value != nil {
			out[field] = value
		}
	}
	for _, field := range []string{"reason", "revisionReason", "executionReason"} {
		if reason := wire.Text(c, field); reason != "" {
			out["reason"] = wire.CamelCase(strings.ToLower("_" + reason))
		}
	}
	if severity := wire.Text(c, "severity"); severity == "INFO" || severity == "WARNING" {
		out["severity"] = severity[:1] + strings.ToLower(severity[1:])
	}
	return out
}
