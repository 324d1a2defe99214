package preflight_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/preflight"
)

// JSON that lacks a field which its kind always has is not a fix: a rule that isn't
// told is not the first one.
func TestFixJSONLacksAField(t *testing.T) {
	t.Parallel()
	for kind, fix := range sampleFixes() {
		text, err := json.Marshal(fix)
		require.NoError(t, err)
		var fields map[string]any
		require.NoError(t, json.Unmarshal(text, &fields))
		for name := range fields {
			if name == "type" || name == "gcloud" || name == "condition" || name == "permission" || name == "principal" {
				continue
			}
			for _, is := range []any{"missing", nil} {
				less := maps.Clone(fields)
				if less[name] = is; is != nil {
					delete(less, name)
				}
				text, err := json.Marshal(less)
				require.NoError(t, err)
				var read preflight.Fix
				require.ErrorContains(t, json.Unmarshal(text, &read), name, "%s without %s: %s", kind, name, text)
				assert.Zero(t, read)
			}
		}
	}
}

// A condition that says nothing is no condition: the grant would hold always.
func TestConditionWithoutAnExpression(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"type":"grant-role","resource":"` + remoteFull + `","role":"roles/iam.serviceAccountUser","member":"` + dev + `","condition":{"title":"until June"}}`,
		`{"type":"grant-role","resource":"` + remoteFull + `","role":"roles/iam.serviceAccountUser","member":"` + dev + `","condition":{"description":"until June"}}`,
	} {
		b := newCloud(t)
		var fix preflight.Fix
		err := json.Unmarshal([]byte(text), &fix)
		if err == nil {
			_, err = newFixer(t, b).Apply(t.Context(), []preflight.Fix{fix}, nil)
		}
		require.ErrorContains(t, err, "expression", text)
		assert.Empty(t, b.Calls())
	}
}

// A fix with a field that its kind doesn't have is an error when it is written, as
// it is when it is applied: read again, it would be another fix.
func TestFixJSONOfAForeignField(t *testing.T) {
	t.Parallel()
	stray := preflight.Fix{Kind: preflight.FixEnableAPI, Project: "web-prod", Service: "run.googleapis.com", Role: "roles/owner"}
	text, err := json.Marshal(stray)
	require.ErrorContains(t, err, "has no field but project, service", string(text))
}

// What a fix in JSON says and isn't read is not left out of it: a condition under
// another name would be no condition.
func TestFixJSONOfUnknownFields(t *testing.T) {
	t.Parallel()
	const grant = `"type":"grant-role","resource":"` + remoteFull + `","role":"roles/iam.serviceAccountUser","member":"` + dev + `"`
	for _, text := range []string{
		`{` + grant + `,"Condition":{"title":"t","expression":"false"}}`,
		`{` + grant + `,"conditions":[{"title":"t","expression":"false"}]}`,
		`{` + grant + `,"project":"web-prod"}`,
		`{` + grant + `,"condition":{"title":"t","expression":"true","expires":"2026-06-01T00:00:00Z"}}`,
	} {
		var fix preflight.Fix
		require.ErrorContains(t, json.Unmarshal([]byte(text), &fix), `of a fix of type "grant-role"`, text)
		assert.Zero(t, fix)
	}
}
