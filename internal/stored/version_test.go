package stored_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/stored"
)

func TestCheckVersion(t *testing.T) {
	t.Parallel()
	require.NoError(t, stored.CheckVersion("plan", []byte(`{"version": 1, "steps": 7}`), 1))
	for text, want := range map[string]string{
		`{}`:                "plan: version: missing; 1 is the one that is known",
		`{"version": null}`: "plan: version: missing",
		`{"version": 2}`:    "plan: version: 2 is not a version that is known: 1 is",
		`{"version": 0}`:    "plan: version: 0 is not a version",
		`{"version": "1"}`:  "plan: json: cannot unmarshal string",
		`[]`:                "plan: json: cannot unmarshal array",
	} {
		assert.ErrorContains(t, stored.CheckVersion("plan", []byte(text), 1), want, text)
	}
}

func TestDecodeStrictly(t *testing.T) {
	t.Parallel()
	var v struct{ A int }
	require.NoError(t, stored.DecodeStrictly([]byte(`{"a": 1}`), &v))
	assert.Equal(t, 1, v.A)
	require.ErrorContains(t, stored.DecodeStrictly([]byte(`{"a": 1, "b": 2}`), &v), `unknown field "b"`)
}
