package fake_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/internal/discovery"
)

// leaves are the values of a tree that are no objects or lists, by path.
func leaves(at string, v any) map[string]any {
	out := make(map[string]any)
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			maps.Copy(out, leaves(at+"/"+name, value))
		}
	case []any:
		for i, value := range v {
			maps.Copy(out, leaves(at+"/"+strconv.Itoa(i), value))
		}
	default:
		out[at] = v
	}
	return out
}

// writer makes up messages of an API's schemas, with fields that no schema
// knows among them.
type writer struct {
	*rand.Rand
	schemas map[string]discovery.Schema
	depth   int
}

func (w *writer) message(schema string) map[string]any {
	w.depth++
	defer func() { w.depth-- }()
	o := map[string]any{}
	fields := w.schemas[schema]
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if f := fields[name]; !f.Output && w.IntN(3) > 0 && w.depth < 9 {
			if v := w.value(schema, name, f); v != nil {
				o[name] = v
			}
		}
	}
	if strings.HasSuffix(schema, "RunV2Volume") { // a volume has one source
		chosen := w.IntN(5)
		for i, source := range []string{"cloudSqlInstance", "emptyDir", "gcs", "nfs", "secret"} {
			if i != chosen {
				delete(o, source)
			}
		}
		o["name"] = "v" + strconv.Itoa(w.IntN(1000))
	}
	if w.IntN(4) == 0 {
		o["ofTomorrow"] = map[string]any{"a": json.Number(strconv.Itoa(w.IntN(9)))}
	}
	return o
}

func (w *writer) value(schema, name string, f discovery.Field) any {
	word := func() string { return string(rune('a'+w.IntN(26))) + strconv.Itoa(w.IntN(100)) }
	switch {
	case f.List:
		f.List = false
		list := []any{}
		for range 1 + w.IntN(3) {
			list = append(list, w.value(schema, name, f))
		}
		return list
	case f.Map:
		return map[string]any{word(): word(), "client.knative.dev/x": word()}
	case f.Ref != "":
		return w.message(f.Ref)
	case len(f.Enum) > 0:
		return f.Enum[w.IntN(len(f.Enum))]
	case f.Type == "boolean":
		return true
	case f.Type == "int32", f.Type == "number":
		return json.Number(strconv.Itoa(w.IntN(100)))
	case f.Type == "int64":
		return strconv.Itoa(w.IntN(1000))
	case strings.HasSuffix(name, "imeout"), strings.HasSuffix(name, "Duration"):
		return strconv.Itoa(w.IntN(90000)) + "s"
	case name == "medium" && schema == "EmptyDirVolumeSource":
		return "Memory"
	case strings.HasSuffix(name, "Time"), strings.HasSuffix(name, "Timestamp"):
		return "2026-01-02T03:04:05Z"
	}
	return word()
}

// annotations are some that version 1 has, and some that no one knows.
func (w *writer) annotations() map[string]any {
	all := map[string]string{
		"run.googleapis.com/vpc-access-egress": "all", "run.googleapis.com/execution-environment": "gen1",
		"run.googleapis.com/cloudsql-instances": "a:b:c, d:e:f", "run.googleapis.com/secrets": "x:projects/p/secrets/s",
		"run.googleapis.com/network-interfaces": `[ {"network": "n"} ]`, "run.googleapis.com/cpu-throttling": "true",
		"run.googleapis.com/startup-cpu-boost": "true", "run.googleapis.com/sessionAffinity": "false",
		"run.googleapis.com/of-tomorrow": "x", "autoscaling.knative.dev/maxScale": "07", "example.com/mine": "y",
		"run.googleapis.com/launch-stage": "GA", "run.googleapis.com/minScale": "1", "run.googleapis.com/ingress": "internal",
		"run.googleapis.com/binary-authorization": "default", "client.knative.dev/user-image": "z",
	}
	for name := range all {
		if w.IntN(2) == 0 {
			delete(all, name)
		}
	}
	out := map[string]any{}
	for name, value := range all {
		out[name] = value
	}
	return out
}

// kindOfV1 is a kind of workload, as version 1 writes it.
type kindOfV1 struct{ name, plural, url, template, pod string }

func kindsOfV1() []kindOfV1 {
	return []kindOfV1{
		{"Job", "jobs", jobsV1, "spec/template", "spec/template/spec/template/spec"},
		{"Service", "services", servingV1, "spec/template", "spec/template/spec"},
		{"WorkerPool", "workerPools", poolsV1, "spec/template", "spec/template/spec"},
	}
}

// manifest makes up a workload of the kind.
func (w *writer) manifest(kind kindOfV1) map[string]any {
	out := w.message(kind.name)
	version := "run.googleapis.com/v1"
	if kind.name == "Service" {
		version = "serving.knative.dev/v1"
	}
	out["apiVersion"], out["kind"] = version, kind.name
	out["metadata"] = map[string]any{"name": "w", "namespace": "web-prod", "annotations": w.annotations()}
	delete(out, "status")
	at := func(path string) map[string]any {
		o := out
		for name := range strings.SplitSeq(path, "/") {
			next, ok := o[name].(map[string]any)
			if !ok {
				next = map[string]any{}
				o[name] = next
			}
			o = next
		}
		return o
	}
	delete(at("spec"), "runExecutionToken")
	delete(at("spec"), "startExecutionToken")
	at(kind.template)["metadata"] = map[string]any{"annotations": w.annotations()}
	pod := at(kind.pod)
	pod["serviceAccountName"] = account
	containers := []any{}
	for range 1 + w.IntN(2) {
		c := w.message("Container")
		c["image"] = "i"
		containers = append(containers, c)
	}
	pod["containers"] = containers
	return out
}

// Whatever version 1 writes it reads again, also when version 2 has changed
// the identity meanwhile; and version 2 says what it said when version 1 has
// written back what it read.
func TestV1LosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		kind := kindsOfV1()[seed%3]
		t.Run(fmt.Sprintf("%s %d", kind.name, seed), func(t *testing.T) {
			t.Parallel()
			b, _ := started(t)
			w := &writer{Rand: rand.New(rand.NewPCG(seed, 0)), schemas: discovery.All()["run:v1"].Schemas}
			read := checkReadAsWritten(t, b, kind, w.manifest(kind))
			name := location + "/" + kind.plural + "/w"
			changeIdentity(t, b, name)
			_, body := call(t, b, http.MethodGet, kind.url+"/w", "")
			after := leaves("", parse(t, []byte(body)))
			for path, value := range read {
				if strings.HasPrefix(path, "/spec") && !strings.HasSuffix(path, "/serviceAccountName") {
					assert.Equal(t, value, after[path], path)
				}
			}
			before := b.RunJSON(name)
			status, answer := call(t, b, http.MethodPut, kind.url+"/w", body)
			require.Equal(t, http.StatusOK, status, answer)
			assert.JSONEq(t, string(before), string(b.RunJSON(name)), "writing back what was read changes nothing")
		})
	}
}

// checkReadAsWritten creates a workload, holds that a read has all that was sent,
// and returns the leaves of what was read.
func checkReadAsWritten(t *testing.T, b *fake.Backend, kind kindOfV1, sent map[string]any) map[string]any {
	t.Helper()
	status, body := call(t, b, http.MethodPost, kind.url, string(must(json.Marshal(sent))))
	require.Equal(t, http.StatusOK, status, "%s\n%s", body, must(json.Marshal(sent)))
	_, body = call(t, b, http.MethodGet, kind.url+"/w", "")
	read := leaves("", parse(t, []byte(body)))
	for path, value := range leaves("", parse(t, must(json.Marshal(sent)))) {
		if path == "/metadata/namespace" || value == false || value == "" && !strings.HasSuffix(path, "/value") {
			continue
		}
		assert.Equal(t, value, read[path], "%s of %s", path, must(json.Marshal(sent)))
	}
	return read
}

// changeIdentity gives the workload another service account, by version 2.
func changeIdentity(t *testing.T, b *fake.Backend, name string) {
	t.Helper()
	stored := parse(t, b.RunJSON(name))
	template := stored["template"].(map[string]any)
	if strings.Contains(name, "/jobs/") {
		template = template["template"].(map[string]any)
	}
	template["serviceAccount"] = "123456789012-compute@developer.gserviceaccount.com"
	status, body := call(t, b, http.MethodPatch, api+name, string(must(json.Marshal(stored))))
	require.Equal(t, http.StatusOK, status, body)
}

// What only version 2 can say survives a replacement by version 1.
func TestV2LosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			b, _ := started(t)
			kind := []string{"Job", "Service", "WorkerPool"}[seed%3]
			w := &writer{Rand: rand.New(rand.NewPCG(seed, 1)), schemas: discovery.All()["run:v2"].Schemas}
			o := w.message("GoogleCloudRunV2" + kind)
			for _, name := range []string{"name", "etag", "startExecutionToken", "runExecutionToken"} {
				delete(o, name)
			}
			template := w.message("GoogleCloudRunV2" + map[string]string{
				"Job": "TaskTemplate", "Service": "RevisionTemplate", "WorkerPool": "WorkerPoolRevisionTemplate",
			}[kind])
			delete(template, "revision")
			c := w.message("GoogleCloudRunV2Container")
			c["image"] = "i"
			template["containers"], template["serviceAccount"] = []any{c}, account
			if o["template"] = any(template); kind == "Job" {
				o["template"] = map[string]any{"template": template, "taskCount": json.Number("3")}
			}
			plural := map[string]string{"Job": "jobs", "Service": "services", "WorkerPool": "workerPools"}[kind]
			name := location + "/" + plural + "/w"
			b.AddRunJSON(name, must(json.Marshal(o)))
			before := string(b.RunJSON(name))

			at := map[string]string{"Job": jobsV1, "Service": servingV1, "WorkerPool": poolsV1}[kind] + "/w"
			_, body := call(t, b, http.MethodGet, at, "")
			status, answer := call(t, b, http.MethodPut, at, body)
			require.Equal(t, http.StatusOK, status, "%s\n%s", answer, body)
			assert.Equal(t, leaves("", parse(t, []byte(before))), leaves("", parse(t, b.RunJSON(name))))
		})
	}
}
