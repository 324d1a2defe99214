package fake_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
