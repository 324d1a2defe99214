package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/recommend"
)

// call runs the program on a cloud of its own.
func call(t *testing.T, args string) (code int, stdout, stderr string) {
	t.Helper()
	b := demo.NewBackend()
	defer b.Close()
	return callOn(t, b, args)
}

func callOn(t *testing.T, b *fake.Backend, args string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), b.ClientOptions(demo.Administrator), strings.Fields(args), &out, &errs)
	return code, out.String(), errs.String()
}

func TestPlans(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := call(t, "")
	assert.Equal(t, exitDone, code)
	assert.Empty(t, stderr)
	for _, part := range []string{
		"Demo on a Google Cloud in memory.", "/recommendations/" + demo.OwnIdentity + "\n  new-identity\n  1. create the account storefront@web-prod.iam.gserviceaccount.com\n",
		"/recommendations/" + demo.SmallerRole + "\n  replace-role\n", "  blocked: it takes roles/editor away, which PlanOptions.Remove doesn't name\n",
	} {
		assert.Contains(t, stdout, part)
	}
	_, stdout, _ = call(t, "-workload "+demo.Job)
	assert.Contains(t, stdout, demo.SmallerRole)
	assert.NotContains(t, stdout, demo.OwnIdentity, "that is about the service")
}

func TestApply(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-apply " + demo.OwnIdentity:                                                            "  done        make " + demo.Service + " run as storefront@web-prod.iam.gserviceaccount.com\n",
		"-apply " + demo.SmallerRole + " -remove roles/editor":                                  "  done        take roles/editor from serviceAccount:" + demo.JobIdentity,
		"-apply " + demo.OwnIdentity + " -account another-one@web-prod.iam.gserviceaccount.com": "  done        create the account another-one@web-prod",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := call(t, args)
			assert.Equal(t, exitDone, code, stderr)
			assert.Contains(t, stdout, want)
			assert.Contains(t, stdout, "\napplied projects/123456789012/")
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	code, stdout, _ := call(t, "-json -apply "+demo.OwnIdentity)
	assert.Equal(t, exitDone, code)
	var a answer
	require.NoError(t, json.Unmarshal([]byte(stdout), &a))
	assert.Len(t, a.Plans, 2)
	assert.Equal(t, recommend.StateSucceeded, a.Result.Recommendation.State)
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct {
		code   int
		stderr string
	}{
		"-h":                          {exitDone, ""},
		"-apply nothing":              {exitFailed, `no active recommendation for ` + demo.Service + ` has a name that ends in "nothing"`},
		"-apply " + demo.SmallerRole:  {exitFailed, "the plan must not be applied: it takes roles/editor away"},
		"-workload " + demo.Job + "x": {exitFailed, "not found"},
		"-workload x":                 {exitUsage, `invalid value "x" for flag -workload`},
		"-live":                       {exitUsage, "-live needs -workload"},
		"-live -workload " + demo.Job + " -apply x": {exitUsage, "-live -apply needs -save"},
		"-dry-run":                       {exitUsage, "name what to apply"},
		"-save f":                        {exitUsage, "name what to apply"},
		"-apply x -take-over":            {exitUsage, "-resume has it"},
		"-resume f -remove roles/editor": {exitUsage, "-remove is for making a plan"},
		"-resume testdata/nothing":       {exitFailed, "no such file"},
		"-resume main.go":                {exitFailed, "read the plan in main.go"},
		"more":                           {exitUsage, `unexpected argument "more"`},
		"-apply x -owner a@b -nothing":   {exitUsage, "flag provided but not defined"},
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := call(t, args)
			assert.Equal(t, want.code, code)
			assert.Contains(t, stderr, want.stderr)
		})
	}
}
