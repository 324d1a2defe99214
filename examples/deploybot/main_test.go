package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/preflight"
	"github.com/runidentity/runidentity/recommend"
)

const otherJob = "projects/web-prod/locations/europe-west1/jobs/other"

// program runs the bot with these arguments.
func program(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestDemo(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := program(t.Context())
	assert.Equal(t, exitDone, code)
	assert.Empty(t, stderr)
	assert.Equal(t, `Demo on a Google Cloud in memory. To work on the real one: -live

preflight of projects/web-prod/locations/europe-west1/jobs/nightly-invoices
  as invoice-export@data-prod.iam.gserviceaccount.com: 7 passed

  ✓ identity exists
  ✓ deployer may act as it (iam.serviceAccounts.actAs, testIamPermissions)
  ✓ deployer may deploy (run.jobs.update, testIamPermissions)
  ✓ deployer may deploy (run.jobs.get, testIamPermissions)
  ✓ Cloud Run API enabled
  ✓ service agent may use it (iam.serviceAccounts.getAccessToken, by
      roles/iam.serviceAccountTokenCreator on
      invoice-export@data-prod.iam.gserviceaccount.com)
  ✓ cross-project use allowed

projects/web-prod/locations/europe-west1/jobs/nightly-invoices
  identity before  123456789012-compute@developer.gserviceaccount.com
  identity after   invoice-export@data-prod.iam.gserviceaccount.com

Executions that start from now on run as the new identity.

Changed in the job's JSON
  template.template.serviceAccount
    - "123456789012-compute@developer.gserviceaccount.com"
    + "invoice-export@data-prod.iam.gserviceaccount.com"

Everything else is unchanged, but for what Cloud Run itself records
  etag, generation, lastModifier, observedGeneration, updateTime

API calls that the change took, with their HTTP status
  200  run.projects.locations.jobs.get
  200  run.projects.locations.jobs.patch
  200  run.projects.locations.operations.wait
The checks before took 16, none of which writes.

Less access would do, says Recommender (examples/leastprivilege applies it)
  roles/run.viewer on projects/210987654321 isn't used
`, stdout)
}

// The README shows what a reader will see.
func TestReadmeShowsTheOutput(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, stdout, _ := program(t.Context())
	assert.Contains(t, string(readme), "```\n"+stdout+"```\n")
	_, stdout, _ = program(t.Context(), "-identity", demo.ReportIdentity)
	_, failure, _ := strings.Cut(stdout, "  ✗ ")
	failure, _, _ = strings.Cut(failure, "  ✓ ")
	assert.Contains(t, string(readme), "```\n  ✗ "+failure+"```\n")
}

func TestNothingToChange(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := program(t.Context(), "-identity", demo.JobIdentity)
	assert.Equal(t, exitDone, code)
	assert.Empty(t, stderr)
	assert.Contains(t, stdout, `
  Advice
  - 123456789012-compute@developer.gserviceaccount.com is a default account,
    which whatever has no identity of its own runs as: an account for this
    workload alone can have fewer rights
  - 123456789012-compute@developer.gserviceaccount.com has the basic role
    roles/editor on projects/web-prod, thousands of permissions

projects/web-prod/locations/europe-west1/jobs/nightly-invoices
  identity before  123456789012-compute@developer.gserviceaccount.com
  identity after   123456789012-compute@developer.gserviceaccount.com

Nothing to change: the job has this identity already.

API calls that the change took, with their HTTP status
  200  run.projects.locations.jobs.get
`)
	assert.Contains(t, stdout, "  roles/editor on projects/123456789012; enough would be\n    roles/run.invoker, roles/run.viewer\n")
}

func TestJSON(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := program(t.Context(), "-json")
	assert.Equal(t, exitDone, code)
	assert.Empty(t, stderr)
	for field, pattern := range map[string]string{
		"operation": `operations/[0-9a-f-]{36}"`,
		"etag":      `"new": "\\"[^"]+\\""`,
		"time":      `"new": "[0-9-]{10}T[0-9:.]+Z"`,
	} {
		at := regexp.MustCompile(pattern)
		assert.Len(t, at.FindAllString(stdout, -1), 1, field)
		masked := `"new": "` + field + `"`
		if field == "operation" {
			masked = `operations/ID"`
		}
		stdout = at.ReplaceAllLiteralString(stdout, masked)
	}
	var whole map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(stdout), &whole))
	var report preflight.Report
	require.NoError(t, json.Unmarshal(whole["preflight"], &report))
	assert.Equal(t, preflight.Pass, report.Verdict())
	assert.Contains(t, string(whole["preflight"]), `"verdict": "pass"`)
	delete(whole, "preflight")
	var recs []recommend.Recommendation
	require.NoError(t, json.Unmarshal(whole["recommendations"], &recs))
	require.Len(t, recs, 1)
	assert.Equal(t, recommend.ActionRemoveRole, recs[0].Action)
	delete(whole, "recommendations")
	rest, err := json.Marshal(whole)
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"checks": 16,
		"change": {
			"workload": "projects/web-prod/locations/europe-west1/jobs/nightly-invoices",
			"old": "123456789012-compute@developer.gserviceaccount.com",
			"new": "invoice-export@data-prod.iam.gserviceaccount.com",
			"written": true,
			"done": true,
			"oldGeneration": 17,
			"newGeneration": 18,
			"operation": "projects/web-prod/locations/europe-west1/operations/ID",
			"receivesTraffic": "yes"
		},
		"diff": [
			{"path": "etag", "by": "server", "old": `+etagOf(t)+`, "new": "etag"},
			{"path": "generation", "by": "server", "old": "17", "new": "18"},
			{"path": "lastModifier", "by": "server",
				"old": "alice@example.com", "new": "deploy-bot@web-prod.iam.gserviceaccount.com"},
			{"path": "observedGeneration", "by": "server", "old": "17", "new": "18"},
			{"path": "template.template.serviceAccount", "by": "attach",
				"old": "123456789012-compute@developer.gserviceaccount.com",
				"new": "invoice-export@data-prod.iam.gserviceaccount.com"},
			{"path": "updateTime", "by": "server", "old": "2026-11-03T09:41:27.318422Z", "new": "time"}
		],
		"calls": [
			{"method": "run.projects.locations.jobs.get", "status": 200},
			{"method": "run.projects.locations.jobs.patch", "status": 200},
			{"method": "run.projects.locations.operations.wait", "status": 200}
		]
	}`, string(rest))

	code, stdout, _ = program(t.Context(), "-json", "-identity", demo.JobIdentity)
	assert.Equal(t, exitDone, code)
	assert.Contains(t, stdout, `"written": false`)
	assert.Contains(t, stdout, `"diff": []`)
}

// etagOf is the etag of the demo's job before, as JSON.
func etagOf(t *testing.T) string {
	t.Helper()
	b := demo.NewBackend()
	defer b.Close()
	var job struct {
		Etag json.RawMessage `json:"etag"`
	}
	require.NoError(t, json.Unmarshal(b.RunJSON(demo.Job), &job))
	return string(job.Etag)
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args   string
		code   int
		stderr string // contains; nothing is written to stderr if it is empty
	}{
		{"", exitDone, ""},
		{"-h", exitDone, ""},
		{"-workload //run.googleapis.com/" + demo.Job, exitDone, ""},
		{"-identity serviceAccount:" + demo.ExportIdentity, exitDone, ""},
		{"-identity projects/-/serviceAccounts/" + demo.ExportIdentity, exitDone, ""},

		{"-workload " + otherJob, exitFailed, "attach " + otherJob + " as " + demo.ExportIdentity + ": not found: "},
		{"-json -workload " + otherJob, exitFailed, "not found"},
		{"-workload projects/elsewhere/locations/europe-west1/jobs/other", exitFailed, "Error 403"},
		{"-identity " + demo.ReportIdentity, exitFailed, "not attached: 2 of 7 checks failed (-fix applies their fixes)"},
		{"-identity " + demo.ReportIdentity + " -fix", exitDone, ""},
		{"-identity " + demo.ReportIdentity + " -json", exitFailed, "not attached: 2 of 7"},

		{"-identity runner", exitUsage, `invalid value "runner" for flag -identity: `},
		{"-identity dev@example.com", exitUsage, `invalid service account "dev@example.com"`},
		{"-identity=", exitUsage, "-identity is empty"},
		{"-workload nightly", exitUsage, `invalid value "nightly" for flag -workload: `},
		{"-workload=", exitUsage, "-workload is empty"},
		{"-force", exitUsage, "flag provided but not defined: -force"},
		{"-json=perhaps", exitUsage, "invalid boolean value"},
		{"nightly", exitUsage, `unexpected argument "nightly"`},
		{"-live", exitUsage, "-live needs -workload and -identity"},
		{"-live -workload " + otherJob, exitUsage, "-live needs -workload and -identity"},
		{"-live -identity " + demo.ExportIdentity, exitUsage, "-live needs -workload and -identity"},
		{"-write", exitUsage, "-write puts -identity into the files of -manifest"},
		{"-manifest x -workload " + demo.Job, exitUsage, "-manifest tells the workloads"},
		{"-manifest /nowhere.yaml", exitFailed, "can't be read or told"},
		{"-override", exitUsage, "-override says how -fix works"},
		{"-live -identity= -workload=", exitUsage, "-workload is empty"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := program(t.Context(), strings.Fields(tt.args)...)
			assert.Equal(t, tt.code, code)
			if tt.stderr == "" {
				assert.NotEmpty(t, stdout)
				assert.Empty(t, stderr)
				return
			}
			if tt.code == exitUsage {
				assert.Empty(t, stdout)
			}
			assert.Regexp(t, "^deploybot: .+\n$", stderr, "one line")
			assert.Contains(t, stderr, tt.stderr)
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, stdout, stderr := program(ctx)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "context canceled")
}

func TestLiveWithoutCredentials(t *testing.T) {
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "none.json"))
	code, stdout, stderr := program(t.Context(), "-live", "-workload", otherJob, "-identity", demo.ExportIdentity)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "deploybot: connect to Cloud Run: ")
}

func TestTextFitsIntoATerminal(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "-h", "-identity=" + demo.JobIdentity} {
		_, stdout, _ := program(t.Context(), strings.Fields(args)...)
		for line := range strings.Lines(stdout) {
			assert.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), 80, line)
		}
	}
}
