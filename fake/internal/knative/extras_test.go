package knative_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake/internal/knative"
	"github.com/runidentity/runidentity/fake/internal/wire"
)

// A manifest that is written as version 2 and back is what it was, once its
// extras are restored.
func TestFormsAndExtrasLoseNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ plural, v1, v2, extras string }{
		"a job": {
			"jobs",
			`{"metadata":{"labels":{"team":"data"}},"spec":{"template":{"spec":{"taskCount":3,"template":{"spec":{"maxRetries":0,"timeoutSeconds":"600","serviceAccountName":"x@y","containers":[{"image":"i"}]}}}}}}`,
			`{"labels":{"team":"data"},"template":{"taskCount":3,"template":{"maxRetries":0,"timeout":"600s","serviceAccount":"x@y","containers":[{"image":"i"}]}}}`,
			`{}`,
		},
		"what only version 1 says": {
			"services",
			`{"metadata":{"annotations":{"run.googleapis.com/ingress":"internal","run.googleapis.com/future":"x"}},"spec":{"template":{"spec":{"runtimeClassName":"r","containers":[{"name":"a","image":"i","tty":true}]}}}}`,
			`{"ingress":"INGRESS_TRAFFIC_INTERNAL_ONLY","template":{"containers":[{"name":"a","image":"i","resources":{"cpuIdle":true}}]}}`,
			`{"/metadata/annotations/run.googleapis.com~1future":{"value":"x"},"/spec/template/spec/containers/a/tty":{"value":true},"/spec/template/spec/runtimeClassName":{"value":"r"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := knative.FormOf(c.plural)
			v2, err := form.ToV2(wire.MustDecode([]byte(c.v1)))
			require.NoError(t, err)
			assert.JSONEq(t, c.v2, string(wire.MustEncode(v2)))
			back := form.ToV1(v2)
			extras := knative.Lost(wire.MustDecode([]byte(c.v1)), back)
			stored, err := json.Marshal(extras)
			require.NoError(t, err)
			assert.JSONEq(t, c.extras, string(stored))
			extras.Restore(back)
			if metadata, ok := back["metadata"].(wire.Object); ok && len(metadata) == 0 {
				delete(back, "metadata")
			}
			assert.Empty(t, knative.Lost(wire.MustDecode([]byte(c.v1)), back))
			assert.Equal(t, len(extras.Below("/spec/template")) > 0, c.extras != "{}")
		})
	}
	assert.Nil(t, knative.FormOf("dogs"))
}

func TestSelectors(t *testing.T) {
	t.Parallel()
	labels := wire.Object{"app": "web", "tier": "front"}
	for selector, want := range map[string]bool{
		"": true, "app": true, "!app": false, "app=web": true, "app==web, tier = front": true, "app!=web": false,
		"app in (api,web)": true, "app notin (api, web)": false, "other!=x": true, "!other,app in (web)": true,
	} {
		holds, err := knative.ParseSelector(selector)
		require.NoError(t, err, selector)
		assert.Equal(t, want, holds(labels), selector)
	}
	for _, selector := range []string{",", "app=", "=web", "app in web", "app in (web", "a b"} {
		holds, err := knative.ParseSelector(selector)
		if selector == "app=" {
			require.NoError(t, err)
			assert.False(t, holds(labels))
			continue
		}
		assert.Error(t, err, selector)
	}
}
