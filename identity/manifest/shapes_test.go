package manifest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/identity/manifest"
)

const head = "apiVersion: run.googleapis.com/v1\nkind: Job\nmetadata: {name: j}\n"

// Whoever else has a mapping above the identity keeps the one that they have.
func TestSharedAncestor(t *testing.T) {
	t.Parallel()
	f, err := manifest.Parse("m.yaml", []byte(head+"spec:\n  template: &t\n    spec:\n      template:\n        spec:\n"+
		"          containers: [{image: i}]\n          serviceAccountName: "+oldIdentity+"\nx-copy: *t\n"))
	require.NoError(t, err)
	_, err = f.Set(next)
	require.ErrorContains(t, err, "m.yaml:5:13: other values refer to &t, which has the identity")
}

func TestJSONStaysJSON(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{
		"null":       `{"serviceAccountName": null, "containers": [{"image": "i"}]}`,
		"empty":      `{}`,
		"tabs":       "{\n\t\"containers\": [\n\t\t{\"image\": \"i\"}\n\t]\n}",
		"surrogates": `{"containers": [{"image": "i", "args": ["\ud83d\ude00"]}]}`,
		"slash":      `{"containers": [{"image": "a\/b", "args": ["\\/"]}]}`,
		"del":        "{\"containers\": [{\"image\": \"\x7f\"}]}",
		"crlf":       "{\r\n  \"containers\": [\r\n   {\"image\": \"i\"}\r\n  ]\r\n}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := manifest.Parse("m.json", []byte(`{"apiVersion": "run.googleapis.com/v1", "kind": "Job", "metadata": {"name": "j"},
				"spec": {"template": {"spec": {"template": {"spec": `+spec+`}}}}}`))
			require.NoError(t, err)
			e, err := f.Set(next)
			require.NoError(t, err)
			var before, after map[string]any
			require.NoError(t, json.Unmarshal(f.Bytes(), &before))
			require.NoError(t, json.Unmarshal(e.Bytes(), &after), "%s", e.Bytes())
			pod := func(o any) map[string]any {
				for _, name := range []string{"spec", "template", "spec", "template", "spec"} {
					o = o.(map[string]any)[name]
				}
				return o.(map[string]any)
			}
			assert.Equal(t, newIdentity, pod(after)["serviceAccountName"])
			pod(before)["serviceAccountName"] = newIdentity
			assert.Equal(t, before, after)
			if name == "crlf" {
				assert.Equal(t, bytes.Count(f.Bytes(), []byte("\r\n"))+1, bytes.Count(e.Bytes(), []byte("\r\n")))
			}
		})
	}
}

// Comments below the identity are about what follows.
func TestUnsetKeepsComments(t *testing.T) {
	t.Parallel()
	f, err := manifest.Parse("m.yaml", []byte(head+spec+"          serviceAccountName: "+oldIdentity+"\n            # about the timeout\n          timeoutSeconds: 600\n"))
	require.NoError(t, err)
	e, err := f.Unset()
	require.NoError(t, err)
	assert.Equal(t, head+spec+"            # about the timeout\n          timeoutSeconds: 600\n", string(e.Bytes()))
}

// An empty value may have a comment behind it.
func TestSetBeforeAComment(t *testing.T) {
	t.Parallel()
	f, err := manifest.Parse("m.yaml", []byte(head+spec+"          serviceAccountName: # later\n"))
	require.NoError(t, err)
	e, err := f.Set(next, 0, 0)
	require.NoError(t, err)
	assert.Equal(t, head+spec+"          serviceAccountName: "+newIdentity+" # later\n", string(e.Bytes()))
}

// The time that a file takes grows with its size, whatever is in it: four times
// the size takes less than sixteen times as long, which a square would.
//
//nolint:paralleltest // it measures
func TestTimeIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures")
	}
	merged := func(n int) string {
		var b strings.Builder
		b.WriteString("base: &a {")
		for i := range n {
			fmt.Fprintf(&b, "k%d: ,", i)
		}
		return b.String() + "}\n" + head + spec + "<<: [" + strings.Repeat("*a,", n) + "]\n"
	}
	documents := func(n int) string { return strings.Repeat("---\n"+head+spec, n) }
	for name, text := range map[string]func(int) string{"merges": merged, "documents": documents} {
		t.Run(name, func(t *testing.T) {
			took := func(source []byte) time.Duration {
				began := time.Now()
				f, err := manifest.Parse("m.yaml", source)
				require.NoError(t, err)
				_, err = f.Set(next)
				require.NoError(t, err)
				return time.Since(began)
			}
			few, many := []byte(text(1000)), []byte(text(4000))
			small, large := time.Hour, time.Hour
			// The best of three each, and of more where other work on the machine
			// gets in the way.
			for round := 0; round < 3 || round < 30 && large >= 10*small; round++ {
				small, large = min(small, took(few)), min(large, took(many))
			}
			t.Logf("%s at 1,000, %s at 4,000", small, large)
			assert.Less(t, large, 10*small)
		})
	}
}
