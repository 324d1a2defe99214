package wire_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

func TestNormalize(t *testing.T) {
	t.Parallel()
	const job = "GoogleCloudRunV2Job"
	for name, c := range map[string]struct{ in, out, flaw string }{
		"output-only fields go":           {`{"uid":"u","labels":{"a":"b"}}`, `{"labels":{"a":"b"}}`, ""},
		"absent is not kept":              {`{"client":"","labels":{},"annotations":null}`, `{}`, ""},
		"zero is kept where it counts":    {`{"template":{"template":{"maxRetries":0}}}`, `{"template":{"template":{"maxRetries":0}}}`, ""},
		"numbers keep their literals":     {`{"template":{"taskCount":3.0}}`, `{"template":{"taskCount":3.0}}`, ""},
		"numbers deep inside do too":      {`{"template":{"template":{"volumes":[{"name":"v","secret":{"defaultMode":420}}]}}}`, `{"template":{"template":{"volumes":[{"name":"v","secret":{"defaultMode":420}}]}}}`, ""},
		"an enum's number is its name":    {`{"launchStage":4}`, `{"launchStage":"GA"}`, ""},
		"what nobody knows stays":         {`{"future":{"deep":[1]}}`, `{"future":{"deep":[1]}}`, ""},
		"an object for text":              {`{"client":{}}`, "", "'client'"},
		"text for a number":               {`{"template":{"taskCount":"many"}}`, "", "'template.taskCount' (TYPE_INT32)"},
		"a place in a list":               {`{"template":{"template":{"containers":[{"image":1}]}}}`, "", "'template.template.containers[0].image' (TYPE_STRING)"},
		"a name that is none of the enum": {`{"launchStage":"SOON"}`, "", "'launchStage'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := wire.Decode([]byte(c.in))
			require.NoError(t, err)
			err = wire.Checker{Schemas: discovery.All()["run:v2"].Schemas}.Normalize(job, o, "")
			if c.flaw != "" {
				var refused *wire.Error
				require.ErrorAs(t, err, &refused)
				assert.Equal(t, http.StatusBadRequest, refused.Code)
				assert.Contains(t, refused.Message, c.flaw)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.out, string(wire.MustEncode(o)))
		})
	}
}
