package fake_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/discovery"
)

// What one version calls so, the other calls otherwise.
func TestV1Forms(t *testing.T) {
	t.Parallel()
	template := func(annotations, spec string) string {
		return `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"web","namespace":"web-prod"},"spec":{"template":{
			"metadata":{"annotations":{` + annotations + `}},"spec":{"containers":[{"image":"i"}],"serviceAccountName":"` + account + `"` + spec + `}}}}`
	}
	job := func(annotations, spec string) string {
		return `{"apiVersion":"run.googleapis.com/v1","kind":"Job","metadata":{"name":"web","namespace":"web-prod"},"spec":{"template":{
			"metadata":{"annotations":{` + annotations + `}},"spec":{"template":{"spec":{"containers":[{"image":"i"` + spec + `}],"serviceAccountName":"` + account + `"}}}}}}`
	}
	for _, tc := range []struct{ name, url, v1, path, v2 string }{
		{"ingress", servingV1, strings.Replace(template("", ""), `"name":"web"`, `"name":"web","annotations":{"run.googleapis.com/ingress":"internal"}`, 1), "ingress", `"INGRESS_TRAFFIC_INTERNAL_ONLY"`},
		{"launch stage", servingV1, strings.Replace(template("", ""), `"name":"web"`, `"name":"web","annotations":{"run.googleapis.com/launch-stage":"BETA"}`, 1), "launchStage", `"BETA"`},
		{"minimum of instances", servingV1, template(`"autoscaling.knative.dev/minScale":"2"`, ""), "template.scaling.minInstanceCount", `2`},
		{"throttled", servingV1, template("", ""), "template.containers.0.resources.cpuIdle", `true`},
		{"not throttled", servingV1, template(`"run.googleapis.com/cpu-throttling":"false"`, ""), "template.containers.0.resources.cpuIdle", `null`},
		{"not throttled, as gcloud writes it", servingV1, template(`"run.googleapis.com/cpu-throttling":"False"`, ""), "template.containers.0.resources.cpuIdle", `null`},
		{"boost", servingV1, template(`"run.googleapis.com/startup-cpu-boost":"True"`, ""), "template.containers.0.resources.startupCpuBoost", `true`},
		{"session affinity", servingV1, template(`"run.googleapis.com/sessionAffinity":"true"`, ""), "template.sessionAffinity", `true`},
		{"egress", servingV1, template(`"run.googleapis.com/vpc-access-egress":"all"`, ""), "template.vpcAccess.egress", `"ALL_TRAFFIC"`},
		{"interfaces", servingV1, template(`"run.googleapis.com/network-interfaces":"[{\"network\":\"n\",\"tags\":[\"t\"]}]"`, ""), "template.vpcAccess.networkInterfaces", `[{"network":"n","tags":["t"]}]`},
		{"shutdown hours", servingV1, template(`"run.googleapis.com/encryption-key-shutdown-hours":"2"`, ""), "template.encryptionKeyShutdownDuration", `"7200s"`},
		{"timeout", servingV1, template("", `,"timeoutSeconds":42`), "template.timeout", `"42s"`},
		{"concurrency", servingV1, template("", `,"containerConcurrency":7`), "template.maxInstanceRequestConcurrency", `7`},
		{"accelerator", servingV1, template("", `,"nodeSelector":{"run.googleapis.com/accelerator":"nvidia-l4"}`), "template.nodeSelector.accelerator", `"nvidia-l4"`},
		{"bucket", servingV1, template("", `,"volumes":[{"name":"v","csi":{"driver":"gcsfuse.run.googleapis.com","readOnly":true,"volumeAttributes":{"bucketName":"b","mountOptions":"x,y"}}}]`), "template.volumes.0.gcs", `{"bucket":"b","readOnly":true,"mountOptions":["x","y"]}`},
		{"memory", servingV1, template("", `,"volumes":[{"name":"v","emptyDir":{"medium":"Memory","sizeLimit":"1Gi"}}]`), "template.volumes.0.emptyDir", `{"medium":"MEMORY","sizeLimit":"1Gi"}`},
		{"secret volume", servingV1, template("", `,"volumes":[{"name":"v","secret":{"secretName":"s","items":[{"key":"3","path":"p","mode":256}]}}]`), "template.volumes.0.secret", `{"secret":"s","items":[{"version":"3","path":"p","mode":256}]}`},
		{"secret of another project", servingV1, template(`"run.googleapis.com/secrets":"mine:projects/1/secrets/s"`, `,"volumes":[{"name":"v","secret":{"secretName":"mine"}}]`), "template.volumes.0.secret", `{"secret":"projects/1/secrets/s"}`},
		{"databases", jobsV1, job(`"run.googleapis.com/cloudsql-instances":"a:b:c,d:e:f"`, ""), "template.template.volumes", `[{"name":"cloudsql","cloudSqlInstance":{"instances":["a:b:c","d:e:f"]}}]`},
		{"database mounts", jobsV1, job(`"run.googleapis.com/cloudsql-instances":"a:b:c"`, ""), "template.template.containers.0.volumeMounts", `[{"name":"cloudsql","mountPath":"/cloudsql"}]`},
		{"secret variable", jobsV1, job("", `,"env":[{"name":"S","valueFrom":{"secretKeyRef":{"name":"s","key":"1"}}}]`), "template.template.containers.0.env", `[{"name":"S","valueSource":{"secretKeyRef":{"secret":"s","version":"1"}}}]`},
		{"empty variable", jobsV1, job("", `,"env":[{"name":"E","value":""}]`), "template.template.containers.0.env", `[{"name":"E","value":""}]`},
		{"dependencies", jobsV1, job(`"run.googleapis.com/container-dependencies":"{\"a\":[\"b\"]}"`, `,"name":"a"`), "template.template.containers.0.dependsOn", `["b"]`},
		{"no retries", jobsV1, strings.Replace(job("", ""), `"serviceAccountName"`, `"maxRetries":0,"serviceAccountName"`, 1), "template.template.maxRetries", `0`},
		{"a job's timeout", jobsV1, strings.Replace(job("", ""), `"serviceAccountName"`, `"timeoutSeconds":"77","serviceAccountName"`, 1), "template.template.timeout", `"77s"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b, _ := started(t)
			status, body := call(t, b, http.MethodPost, tc.url, tc.v1)
			require.Equal(t, http.StatusOK, status, body)
			plural := tc.url[strings.LastIndexByte(tc.url, '/')+1:]
			stored := parse(t, b.RunJSON(location+"/"+plural+"/web"))
			var at any = stored
			for segment := range strings.SplitSeq(tc.path, ".") {
				if i, err := strconv.Atoi(segment); err == nil {
					at = at.([]any)[i]
				} else {
					at = at.(map[string]any)[segment]
				}
			}
			assert.JSONEq(t, tc.v2, string(must(json.Marshal(at))))

			_, body = call(t, b, http.MethodGet, tc.url+"/web", "")
			for path, value := range leaves("", parse(t, []byte(tc.v1))) {
				if path != "/metadata/namespace" {
					assert.Equal(t, value, leaves("", parse(t, []byte(body)))[path], path)
				}
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

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

// Whatever version 1 writes it reads again, also when version 2 has changed
// the identity meanwhile; and version 2 says what it said when version 1 has
// written back what it read.
func TestV1LosesNothing(t *testing.T) {
	t.Parallel()
	kinds := []struct{ v1, v2, url, template, pod string }{
		{"Job", "Job", jobsV1, "spec/template", "spec/template/spec/template/spec"},
		{"Service", "Service", servingV1, "spec/template", "spec/template/spec"},
		{"WorkerPool", "WorkerPool", poolsV1, "spec/template", "spec/template/spec"},
	}
	for seed := range uint64(300) {
		kind := kinds[seed%3]
		t.Run(fmt.Sprintf("%s %d", kind.v1, seed), func(t *testing.T) {
			t.Parallel()
			b, _ := started(t)
			w := &writer{Rand: rand.New(rand.NewPCG(seed, 0)), schemas: discovery.All()["run:v1"].Schemas}
			sent := w.message(kind.v1)
			version := "run.googleapis.com/v1"
			if kind.v1 == "Service" {
				version = "serving.knative.dev/v1"
			}
			sent["apiVersion"], sent["kind"] = version, kind.v1
			sent["metadata"] = map[string]any{"name": "w", "namespace": "web-prod", "annotations": w.annotations()}
			delete(sent, "status")
			at := func(o map[string]any, path string) map[string]any {
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
			delete(at(sent, "spec"), "runExecutionToken")
			delete(at(sent, "spec"), "startExecutionToken")
			at(sent, kind.template)["metadata"] = map[string]any{"annotations": w.annotations()}
			pod := at(sent, kind.pod)
			pod["serviceAccountName"] = account
			containers := []any{}
			for range 1 + w.IntN(2) {
				c := w.message("Container")
				c["image"] = "i"
				containers = append(containers, c)
			}
			pod["containers"] = containers

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

			name := location + "/" + map[string]string{"Job": "jobs", "Service": "services", "WorkerPool": "workerPools"}[kind.v1] + "/w"
			stored := parse(t, b.RunJSON(name))
			template := stored["template"].(map[string]any)
			if kind.v1 == "Job" {
				template = template["template"].(map[string]any)
			}
			template["serviceAccount"] = "123456789012-compute@developer.gserviceaccount.com"
			status, body = call(t, b, http.MethodPatch, api+name, string(must(json.Marshal(stored))))
			require.Equal(t, http.StatusOK, status, body)
			_, body = call(t, b, http.MethodGet, kind.url+"/w", "")
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

func FuzzV1Selector(f *testing.F) {
	for _, s := range []string{"a=b", "a == b, c != d", "a in (b,c)", "!a", "a notin ()", "client.knative.dev/nonce = x"} {
		f.Add(s)
	}
	b := newBackend()
	f.Cleanup(b.Close)
	f.Fuzz(func(t *testing.T, s string) {
		status, body := call(t, b, http.MethodGet, jobsV1+"?labelSelector="+url.QueryEscape(s), "")
		require.Contains(t, []int{200, 400}, status, body)
	})
}

// What only version 1 says of a template is also said of the revisions and
// executions that are made of it, and a change of it makes a new revision.
func TestV1OnlyFields(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	const service = `{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{"name":"web","namespace":"web-prod"},"spec":{"template":{
		"spec":{"runtimeClassName":"a","containers":[{"image":"i"}]}}}}`
	status, body := call(t, b, http.MethodPost, servingV1, service)
	require.Equal(t, http.StatusOK, status, body)
	for _, change := range []string{`"a"`, `"b"`} {
		status, body = call(t, b, http.MethodPut, servingV1+"/web", strings.Replace(service, `"a"`, change, 1))
		require.Equal(t, http.StatusOK, status, body)
		_, body = call(t, b, http.MethodGet, servingV1+"/web", "")
		assert.Contains(t, body, `"runtimeClassName": `+change)
	}
	const revisions = regional + "apis/serving.knative.dev/v1/namespaces/web-prod/revisions"
	_, body = call(t, b, http.MethodGet, revisions, "")
	items, _ := parse(t, []byte(body))["items"].([]any)
	require.Len(t, items, 2, "of the creation and of the change")
	assert.Equal(t, "a", field(items[0].(map[string]any), "spec.runtimeClassName"))
	assert.Equal(t, "b", field(items[1].(map[string]any), "spec.runtimeClassName"))

	status, body = call(t, b, http.MethodPost, jobsV1, `{"apiVersion":"run.googleapis.com/v1","kind":"Job","metadata":{"name":"odd","namespace":"web-prod"},
		"spec":{"template":{"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"image":"i"}]}}}}}}`)
	require.Equal(t, http.StatusOK, status, body)
	_, body = call(t, b, http.MethodPost, jobsV1+"/odd:run", "{}")
	assert.Equal(t, "Never", field(parse(t, []byte(body)), "spec.template.spec.restartPolicy"))
}

// gcloud takes a template without metadata for no template at all.
func TestV1TemplatesHaveMetadata(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	b.AddRunJSON(location+"/services/web", []byte(`{"template":{"containers":[{"image":"i"}]}}`))
	_, body := call(t, b, http.MethodGet, servingV1+"/web", "")
	assert.Equal(t, map[string]any{}, field(parse(t, []byte(body)), "spec.template.metadata"))
}

// A volume of Cloud SQL without an instance is one that version 1 can't say.
func TestV1EmptyDatabaseVolume(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	b.AddRunJSON(location+"/services/web", []byte(`{"template":{"volumes":[{"name":"v","cloudSqlInstance":{}}],
		"containers":[{"image":"i","volumeMounts":[{"name":"v","mountPath":"/v"}]}]}}`))
	before := b.RunJSON(location + "/services/web")
	_, body := call(t, b, http.MethodGet, servingV1+"/web", "")
	assert.NotContains(t, body, "cloudsql-instances")
	assert.Contains(t, body, `"/v"`)
	status, body := call(t, b, http.MethodPut, servingV1+"/web", body)
	require.Equal(t, http.StatusOK, status, body)
	assert.JSONEq(t, string(before), string(b.RunJSON(location+"/services/web")))
}

// Whatever version 1 takes can be read, and written back without a change.
func FuzzV1Write(f *testing.F) {
	f.Add(0, []byte(`{"apiVersion":"run.googleapis.com/v1","kind":"Job","metadata":{"name":"w","namespace":"web-prod"},
		"spec":{"template":{"spec":{"template":{"spec":{"containers":[{"image":"i"}]}}}}}}`))
	f.Add(1, []byte(`{"metadata":{"name":"w","namespace":"web-prod","annotations":{"run.googleapis.com/ingress":"internal"}},
		"spec":{"template":{"metadata":{"annotations":{"run.googleapis.com/cloudsql-instances":"a","run.googleapis.com/secrets":"a:b",
		"run.googleapis.com/container-dependencies":"{\"a\":[\"b\"]}"}},"spec":{"volumes":[{"name":"cloudsql"},{"secret":{"secretName":"a"}}],
		"containers":[{"image":"i","name":"a","env":[{"name":"x","valueFrom":{"secretKeyRef":{"name":"a"}}}]},{"image":"j"}]}}}}`))
	f.Add(2, []byte(`{"metadata":{"name":"w","namespace":"web-prod"},"spec":{"instanceSplits":[{"latestRevision":true}],
		"template":{"spec":{"nodeSelector":{"run.googleapis.com/accelerator":"l4"},"containers":[{"image":"i"}]}}}}`))
	f.Fuzz(func(t *testing.T, kind int, body []byte) {
		b := newBackend()
		defer b.Close()
		urls := []string{jobsV1, servingV1, poolsV1}
		at := urls[(kind%3+3)%3]
		status, answer := call(t, b, http.MethodPost, at, string(body))
		if status != http.StatusOK {
			require.Equal(t, 4, status/100, answer)
			return
		}
		name, _ := field(parse(t, []byte(answer)), "metadata.name").(string)
		status, read := call(t, b, http.MethodGet, at+"/"+name, "")
		require.Equal(t, http.StatusOK, status, read)
		generation := field(parse(t, []byte(read)), "metadata.generation")
		status, answer = call(t, b, http.MethodPut, at+"/"+name, read)
		require.Equal(t, http.StatusOK, status, "%s\n%s", answer, read)
		require.Equal(t, generation, field(parse(t, []byte(answer)), "metadata.generation"), "%s", read)
	})
}
