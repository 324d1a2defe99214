package recommend_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/recommend"
)

// A step in JSON that says more than is understood is not the step without it: what
// isn't known may be what narrows it. Of the plan itself, fields may be added.
func TestStepJSONOfUnknownFields(t *testing.T) {
	t.Parallel()
	p := replacePlan(t, newClient(t, newCloud(t)))
	p.Kept = []recommend.Step{{Kind: recommend.StepRemoveRole, Role: "roles/viewer", Member: "user:x@example.com", Resource: webProject}}
	text, err := json.Marshal(p)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		old, added string
		want       string
	}{
		"a step":       {`{"kind":"remove-role",`, `{"kind":"remove-role","expression":"false",`, "expression"},
		"another kind": {`{"kind":"grant-role",`, `{"kind":"grant-role","until":"2026-06-01",`, "until"},
		"the plan":     {`{"version":1,`, `{"version":1,"ticket":"T-1",`, ""},
		"as it is":     {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(text), tt.old, tt.added, 1)
			var read recommend.Plan
			err := json.Unmarshal([]byte(changed), &read)
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, p, read)
				return
			}
			require.NotEqual(t, string(text), changed)
			require.ErrorContains(t, err, tt.want)
			assert.Zero(t, read)
		})
	}
}
