package identity

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/discovery"
	"github.com/runidentity/runidentity/internal/message"
)

// The fields that jobBody leaves out are those of which the discovery document
// says that only the server sets them.
func TestOutputOnlyFieldsAreThoseOfTheAPI(t *testing.T) {
	t.Parallel()
	schemas := discovery.All()["run:v2"].Schemas
	for kind, schema := range map[Kind]string{KindJob: "Job", KindService: "Service", KindWorkerPool: "WorkerPool"} {
		var top []string
		for name, f := range schemas["GoogleCloudRunV2"+schema] {
			if f.Output {
				top = append(top, name)
			}
		}
		assert.ElementsMatch(t, top, outputOnly(kind), schema)
	}

	var nested []string
	var walk func(schema, path string, seen []string)
	walk = func(schema, path string, seen []string) {
		if slices.Contains(seen, schema) {
			return
		}
		for name, f := range schemas[schema] {
			switch {
			case f.Output:
				nested = append(nested, path+"."+name)
			case f.Ref != "":
				walk(f.Ref, path+"."+name, append(seen, schema))
			}
		}
	}
	walk("GoogleCloudRunV2ExecutionTemplate", "template", nil)
	assert.Equal(t, []string{"template.template.containers.buildInfo"}, nested)
	nested = nil
	walk("GoogleCloudRunV2RevisionTemplate", "template", nil)
	walk("GoogleCloudRunV2WorkerPoolRevisionTemplate", "template", nil)
	assert.Equal(t, []string{"template.containers.buildInfo", "template.containers.buildInfo"}, nested)
	for _, token := range jobTokens() {
		assert.Contains(t, schemas["GoogleCloudRunV2Job"], token)
	}
}

func TestJobBody(t *testing.T) {
	t.Parallel()
	sa := MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")
	tests := map[string]struct{ raw, want, flaw string }{
		"the identity is replaced": {
			raw:  `{"uid":"u","name":"n","template":{"template":{"serviceAccount":"a","containers":[{"image":"i"}]}}}`,
			want: `{"name":"n","template":{"template":{"containers":[{"image":"i"}],"serviceAccount":"runner@data-prod.iam.gserviceaccount.com"}}}`,
		},
		"build info is the server's": {
			raw: `{"template":{"template":{"containers":[{"image":"i","buildInfo":{"x":1}},{"image":"j","n":1.0}]}}}`,
			want: `{"template":{"template":{"containers":[{"image":"i"},{"image":"j","n":1.0}],` +
				`"serviceAccount":"runner@data-prod.iam.gserviceaccount.com"}}}`,
		},
		"strings and numbers stay to the letter": {
			raw: `{"a":"\ud800 \u003c<\u2028","b":1E+02,"template":{"template":{"c":-0.0}}}`,
			want: `{"a":"\ud800 \u003c<\u2028","b":1E+02,"template":{"template":{"c":-0.0,` +
				`"serviceAccount":"runner@data-prod.iam.gserviceaccount.com"}}}`,
		},
		"containers in a form not known": {
			raw:  `{"template":{"template":{"containers":{"odd":1}}}}`,
			want: `{"template":{"template":{"containers":{"odd":1},"serviceAccount":"runner@data-prod.iam.gserviceaccount.com"}}}`,
		},
		"no template":   {raw: `{"name":"n"}`, flaw: "has no template"},
		"null template": {raw: `{"template":null}`, flaw: "null where an object is due"},
		"no object":     {raw: `[]`, flaw: "the answer can't be read"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := jobBody([]byte(tt.raw), sa)
			if tt.flaw != "" {
				require.ErrorContains(t, err, tt.flaw)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(got))
		})
	}
}

// Whatever the API answers: jobBody does not panic, and what it returns
// differs from what it was given in the identity and the fields left out.
func FuzzJobBody(f *testing.F) {
	f.Add([]byte(`{"template":{"template":{"containers":[{"image":"i","buildInfo":{}}]}}}`))
	f.Add([]byte(`{"uid":"u","x":[1.0,null],"template":{"y":"\u003c","template":{"serviceAccount":"a"}}}`))
	sa := MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := jobBody(raw, sa)
		if err != nil {
			return
		}
		var before, after map[string]any
		require.NoError(t, message.Decode(raw, &before))
		require.NoError(t, message.Decode(body, &after))
		for _, name := range slices.Concat(outputOnly(KindJob), jobTokens()) {
			delete(before, name)
		}
		task := before["template"].(map[string]any)["template"].(map[string]any)
		task["serviceAccount"] = sa.Email()
		containers, _ := task["containers"].([]any)
		isObject := func(v any) bool { _, ok := v.(map[string]any); return ok || v == nil }
		if !slices.ContainsFunc(containers, func(v any) bool { return !isObject(v) }) {
			for _, c := range containers {
				if c, ok := c.(map[string]any); ok {
					delete(c, "buildInfo")
				}
			}
		}
		assert.Equal(t, before, after)
	})
}
