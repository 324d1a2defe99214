package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/fake"
)

// What was refused before it began is told as an error only.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"a role that -remove doesn't name": "-apply " + demo.SmallerRole,
		"a name that the API can't keep":   "-owner a@b -apply " + demo.OwnIdentity,
	} {
		for _, form := range []string{"", " -json", " -dry-run"} {
			t.Run(name+form, func(t *testing.T) {
				t.Parallel()
				code, stdout, stderr := call(t, args+form)
				assert.Equal(t, exitFailed, code)
				assert.NotContains(t, stdout, "applied")
				assert.NotContains(t, stdout, `"result"`)
				assert.Contains(t, stderr, "leastprivilege: apply projects/123456789012/")
			})
		}
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	b := demo.NewBackend()
	defer b.Close()
	var before, after bytes.Buffer
	require.NoError(t, b.Dump(&before))
	code, stdout, stderr := callOn(t, b, "-dry-run -apply "+demo.OwnIdentity)
	require.NoError(t, b.Dump(&after))
	assert.Equal(t, exitDone, code, stderr)
	assert.Equal(t, before.String(), after.String())
	assert.Contains(t, stdout, "\ndry run, nothing was changed: projects/123456789012/")
	assert.Contains(t, stdout, "  would       create the account storefront@web-prod.iam.gserviceaccount.com\n")
	assert.NotContains(t, stdout, "applied")
	_, stdout, _ = callOn(t, b, "-json -dry-run -apply "+demo.OwnIdentity)
	assert.Contains(t, stdout, `"dryRun": true`)
}

// What failed says so, and which command takes back what was left.
func TestFailed(t *testing.T) {
	t.Parallel()
	b := demo.NewBackend()
	defer b.Close()
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch && !strings.Contains(r.URL.RawQuery, "validateOnly=true") {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(`{"error":{"code":403,"status":"PERMISSION_DENIED","message":"denied"}}`))
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	code, stdout, stderr := callOn(t, b, "-apply "+demo.OwnIdentity)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "denied")
	assert.Contains(t, stdout, "\nfailed: projects/123456789012/")
	assert.Contains(t, stdout, "  left        grant roles/run.invoker")
	assert.Contains(t, stdout, "to take it back: gcloud projects remove-iam-policy-binding web-prod ")
	assert.NotContains(t, stdout, "applied")
}

// A plan that was cut short goes on from its file, and from nothing else.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"the same owner":     "-resume ",
		"another takes over": "-owner ci/42 -take-over -resume ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := demo.NewBackend()
			defer b.Close()
			b.Inject("recommender.projects.locations.recommenders.recommendations.markSucceeded",
				fake.Fault{Status: http.StatusForbidden, Times: 1})
			file := filepath.Join(t.TempDir(), "plan.json")
			code, stdout, stderr := callOn(t, b, "-save "+file+" -apply "+demo.OwnIdentity)
			require.Equal(t, exitFailed, code)
			assert.Contains(t, stdout, "\nnot finished: projects/123456789012/")
			assert.Contains(t, stderr, "the plan is in "+file+", for -resume")

			code, _, stderr = callOn(t, b, "-apply "+demo.OwnIdentity)
			assert.Equal(t, exitFailed, code)
			assert.Contains(t, stderr, "-resume goes on with what was begun")
			code, stdout, stderr = callOn(t, b, "-owner ci/42 -resume "+file)
			assert.Equal(t, exitFailed, code)
			assert.Contains(t, stderr, "is being applied by leastprivilege")
			assert.NotContains(t, stdout, "applied")

			code, stdout, stderr = callOn(t, b, args+file)
			assert.Equal(t, exitDone, code, stderr)
			assert.Contains(t, stdout, "\napplied projects/123456789012/")
			assert.NotContains(t, stdout, "No recommendations")
		})
	}
}

// A reviewed plan is the one that is applied.
func TestSaveAndReview(t *testing.T) {
	t.Parallel()
	b := demo.NewBackend()
	defer b.Close()
	file := filepath.Join(t.TempDir(), "plan.json")
	code, _, stderr := callOn(t, b, "-dry-run -save "+file+" -apply "+demo.OwnIdentity)
	require.Equal(t, exitDone, code, stderr)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	code, stdout, stderr := callOn(t, b, "-save "+file+" -apply "+demo.OwnIdentity)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "nothing was changed: open "+file)
	assert.Contains(t, stderr, "-save needs a new file")
	assert.NotContains(t, stdout, "applied")

	code, stdout, stderr = callOn(t, b, "-resume "+file)
	assert.Equal(t, exitDone, code, stderr)
	assert.Contains(t, stdout, "  done        create the account storefront@web-prod.iam.gserviceaccount.com\n")
}

// A plan that isn't in a file before it begins is not begun.
func TestSaveFails(t *testing.T) {
	t.Parallel()
	b := demo.NewBackend()
	defer b.Close()
	code, _, stderr := callOn(t, b, "-save "+filepath.Join(t.TempDir(), "no", "plan.json")+" -apply "+demo.OwnIdentity)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, stderr, "nothing was changed: open ")
	for _, call := range b.Calls() {
		assert.Equal(t, http.MethodGet, call.Verb, call.Method)
	}
}
