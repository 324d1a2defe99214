package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/discovery"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, before, after string
		want                []difference
	}{
		{"nothing", `{"a": [1, {"b": null}], "c": "x"}`, `{"c": "x", "a": [1, {"b": null}]}`, []difference{}},
		{
			"the identity", `{"template": {"serviceAccount": "a", "timeout": "1s"}}`, `{"template": {"serviceAccount": "b", "timeout": "1s"}}`,
			[]difference{{Path: "template.serviceAccount", By: byAttach, Old: "a", New: "b"}},
		},
		{
			"where there was none", `{"template": {"template": {}}}`, `{"template": {"template": {"serviceAccount": "b"}}}`,
			[]difference{{Path: "template.template.serviceAccount", By: byAttach, New: "b"}},
		},
		{
			"the server's", `{"generation": 1.0, "conditions": [{"state": "A"}]}`, `{"generation": 1, "conditions": [{"state": "B"}]}`,
			[]difference{
				{Path: "conditions[0].state", By: byServer, Old: "A", New: "B"},
				{Path: "generation", By: byServer, Old: json.Number("1.0"), New: json.Number("1")},
			},
		},
		{
			"others'", `{"labels": {"a.example/b": "x"}, "l": [1], "o": {"p": 1}, "serviceAccount": "a"}`,
			`{"labels": {"a.example/b": "y", "c": ""}, "l": [1, 2], "o": [], "serviceAccount": "b"}`,
			[]difference{
				{Path: "l", By: byOther}, {Path: `labels["a.example/b"]`, By: byOther},
				{Path: "labels.c", By: byOther}, {Path: "o", By: byOther}, {Path: "serviceAccount", By: byOther},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := diff([]byte(tt.before), []byte(tt.after))
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
	_, err := diff([]byte(`{}`), []byte(`<html>`))
	require.ErrorContains(t, err, "read JSON")
}

func TestServerFieldsAreThoseOfTheAPI(t *testing.T) {
	t.Parallel()
	schemas := discovery.All()["run:v2"].Schemas
	for _, kind := range []string{"Job", "Service", "WorkerPool"} {
		fields := schemas["GoogleCloudRunV2"+kind]
		require.NotEmpty(t, fields)
		for name, f := range fields {
			assert.Equal(t, f.Output || name == "etag", changedBy(name) == byServer, "%s.%s", kind, name)
		}
	}
}
