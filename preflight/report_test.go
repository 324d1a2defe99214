package preflight_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

var update = flag.Bool("update", false, "write the golden files")

// golden holds text against a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// sample is a report with a finding of every sort.
func sample() preflight.Report {
	const (
		accountName = "//iam.googleapis.com/projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com"
		jobFull     = "//run.googleapis.com/projects/web-prod/locations/europe-west1/jobs/nightly"
		project     = "//cloudresourcemanager.googleapis.com/projects/data-prod"
	)
	return preflight.Report{
		Target:   preflight.Target{Workload: job, Identity: identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com"), Deployer: dev},
		Identity: identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com"), IdentityProject: "data-prod",
		ProjectNumber: "123456789012", Deployer: dev, Agent: agent,
		Findings: []preflight.Finding{
			{
				Code: preflight.CheckIdentity, Verdict: preflight.Pass, Resource: accountName, Evidence: preflight.Evidence{Method: preflight.ByRead},
				Message: "runner@data-prod.iam.gserviceaccount.com is there and enabled, in project data-prod",
			},
			{
				Code: preflight.CheckDeployerActAs, Verdict: preflight.Pass, Resource: accountName, Principal: dev, Permission: "iam.serviceAccounts.actAs",
				Message: "dev@example.com has iam.serviceAccounts.actAs on runner@data-prod.iam.gserviceaccount.com, by roles/iam.serviceAccountUser there, until 2027-01-01 00:00:00 UTC",
				Evidence: preflight.Evidence{Method: preflight.ByPolicies, Grant: &preflight.Grant{
					Resource: accountName, Role: "roles/iam.serviceAccountUser", Member: dev, Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
					Condition: &preflight.Condition{Title: "until 2027", Expression: `request.time < timestamp("2027-01-01T00:00:00Z")`},
				}},
			},
			{
				Code: preflight.CheckDeployerDeploy, Verdict: preflight.Fail, Resource: jobFull, Principal: dev, Permission: "run.jobs.update",
				Message:  "dev@example.com lacks run.jobs.update on projects/web-prod/locations/europe-west1/jobs/nightly: rule 1 of the deny policy freeze on folders/2 denies it",
				Evidence: preflight.Evidence{Method: preflight.ByPolicies, Denial: &preflight.Denial{Resource: "//cloudresourcemanager.googleapis.com/folders/2", Policy: "policies/cloudresourcemanager.googleapis.com%2Ffolders%2F2/denypolicies/freeze", Rule: 1, Principal: "allUsers"}},
				Fix:      &preflight.Fix{Kind: preflight.FixExemptFromDeny, Policy: "policies/cloudresourcemanager.googleapis.com%2Ffolders%2F2/denypolicies/freeze", Rule: 1, Member: dev},
			},
			{
				Code: preflight.CheckRunAPI, Verdict: preflight.Unknown, Resource: "//cloudresourcemanager.googleapis.com/projects/web-prod",
				Message:  "whether the Cloud Run API is enabled in project web-prod can't be read: to know, the caller needs serviceusage.services.get",
				Evidence: preflight.Evidence{Method: preflight.ByRead, Detail: "Permission denied | to get `service`\n<b>[run.googleapis.com]</b>"},
				Causes: []preflight.Cause{
					{Message: "the state of run.googleapis.com can't be read", Resource: "//cloudresourcemanager.googleapis.com/projects/web-prod", Permissions: []string{"serviceusage.services.get"}},
					{Message: "the members of group:deployers@example.com aren't known", Principal: "group:deployers@example.com"},
				},
			},
			{
				Code: preflight.CheckServiceAgent, Verdict: preflight.Fail, Resource: accountName, Principal: agent, Permission: "iam.serviceAccounts.getAccessToken",
				Message:  "the service agent service-123456789012@serverless-robot-prod.iam.gserviceaccount.com of project web-prod may not mint tokens for runner@data-prod.iam.gserviceaccount.com",
				Evidence: preflight.Evidence{Method: preflight.ByPolicies},
				Fix:      &preflight.Fix{Kind: preflight.FixGrantRole, Resource: accountName, Role: "roles/iam.serviceAccountTokenCreator", Member: agent},
			},
			{
				Code: preflight.CheckCrossProjectPolicy, Verdict: preflight.Fail, Resource: project,
				Message:  "iam.disableCrossProjectServiceAccountUsage is enforced on project data-prod, so that its accounts can't be attached in project web-prod",
				Evidence: preflight.Evidence{Method: preflight.ByRead}, Fix: &preflight.Fix{Kind: preflight.FixAllowCrossProject, Project: "data-prod"},
			},
		},
		Advice: []preflight.Advice{{
			Code: preflight.AdviceBasicRole, Resource: project, Principal: "serviceAccount:runner@data-prod.iam.gserviceaccount.com", Role: "roles/editor",
			Message: "runner@data-prod.iam.gserviceaccount.com has the basic role roles/editor on projects/data-prod, thousands of permissions",
		}},
	}
}

func TestRenderings(t *testing.T) {
	t.Parallel()
	r := sample()
	golden(t, "report.txt", r.String())
	golden(t, "report.md", r.Markdown())
	golden(t, "error.txt", r.Err().Error()+"\n\n"+r.ErrStrict().Error()+"\n")
	text, err := json.MarshalIndent(r, "", "  ")
	require.NoError(t, err)
	golden(t, "report.json", string(text)+"\n")

	var back preflight.Report
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, r, back)

	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})).Info("preflight", "report", r)
	golden(t, "report.log", out.String())
}

// A report that is stored says its version, and one that isn't known is no report.
func TestReportVersion(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(sample())
	require.NoError(t, err)
	assert.True(t, bytes.HasPrefix(text, []byte(`{"version":1,"verdict":`)), "%.40s", text)
	kept := sample()
	for name, tt := range map[string]struct{ text, want string }{
		"none":        {`{"findings": []}`, "preflight report: version: missing; 1 is the one that is known"},
		"null":        {`{"version": null}`, "preflight report: version: missing"},
		"of tomorrow": {`{"version": 2, "findings": "not a list"}`, "preflight report: version: 2 is not a version that is known: 1 is"},
		"zero":        {`{"version": 0}`, "version: 0 is not a version"},
		"a string":    {`{"version": "1"}`, "cannot unmarshal string"},
		"no object":   {`[]`, "cannot unmarshal array"},
		"bad field":   {`{"version": 1, "findings": 1}`, "cannot unmarshal number"},
	} {
		report := sample()
		require.ErrorContains(t, json.Unmarshal([]byte(tt.text), &report), tt.want, name)
		assert.Equal(t, kept, report, "%s: what isn't read changes nothing", name)
	}
	// What is read replaces all.
	report := sample()
	require.NoError(t, json.Unmarshal([]byte(`{"version": 1, "findings": [], "of tomorrow": true}`), &report))
	assert.Equal(t, preflight.Report{Findings: []preflight.Finding{}}, report)
}

func TestVerdictOfReports(t *testing.T) {
	t.Parallel()
	of := func(verdicts ...preflight.Verdict) preflight.Report {
		var r preflight.Report
		for _, v := range verdicts {
			r.Findings = append(r.Findings, preflight.Finding{Verdict: v, Code: preflight.CheckRunAPI})
		}
		return r
	}
	for _, tt := range []struct {
		name   string
		report preflight.Report
		want   preflight.Verdict
		err    bool
		strict bool
	}{
		{"nothing", of(), preflight.Unknown, true, true},
		{"pass", of(preflight.Pass, preflight.Pass), preflight.Pass, false, false},
		{"unknown", of(preflight.Pass, preflight.Unknown), preflight.Unknown, false, true},
		{"fail", of(preflight.Unknown, preflight.Fail, preflight.Pass), preflight.Fail, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, tt.report.Verdict())
			assert.Equal(t, tt.err, tt.report.Err() != nil)
			assert.Equal(t, tt.strict, tt.report.ErrStrict() != nil)
		})
	}
	var v preflight.Verdict
	require.ErrorContains(t, v.UnmarshalText([]byte("ok")), `verdict "ok"`)
	_, err := preflight.Verdict(9).MarshalText()
	require.Error(t, err)
}

// Whatever a server says, a table row stays one, and a fence is closed.
func FuzzRenderings(f *testing.F) {
	f.Add("a|b\n`c`", "gcloud \"x\"")
	f.Add("```\n| |", "\u2028<script>")
	f.Fuzz(func(t *testing.T, text, name string) {
		r := sample()
		for i := range r.Findings {
			r.Findings[i].Message, r.Findings[i].Evidence.Detail, r.Findings[i].Principal = text, text, name
		}
		md := r.Markdown()
		rows := 0
		for l := range strings.SplitSeq(md, "\n") {
			if strings.HasPrefix(l, "| ") && !strings.HasPrefix(l, "| | check") {
				rows++
				plain := strings.ReplaceAll(strings.ReplaceAll(l, `\\`, ""), `\|`, "")
				assert.Equal(t, 5, strings.Count(plain, "|"), "%q", l)
			}
		}
		assert.Equal(t, len(r.Findings), rows)
		assert.Zero(t, strings.Count(md, "\n```")%2)
		for l := range strings.SplitSeq(r.String(), "\n") {
			assert.NotContains(t, l, "\r")
		}
	})
}

func FuzzReportJSON(f *testing.F) {
	text, err := json.Marshal(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version": 1, "findings": [{"fix": {"type": "grant-role", "resource": 1}}]}`))
	f.Add([]byte(`{"version": 1, "findings": [{"fix": {"type": "exempt-from-deny", "rule": -1, "policy": "/"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r preflight.Report
		if json.Unmarshal(text, &r) != nil {
			return
		}
		again, err := json.Marshal(r)
		require.NoError(t, err)
		_ = r.String() + r.Markdown()
		var back preflight.Report
		require.NoError(t, json.Unmarshal(again, &back))
	})
}

func FuzzTarget(f *testing.F) {
	f.Add("user:dev@example.com", "//storage.googleapis.com/projects/_/buckets/b", "roles/viewer", "run.jobs.get")
	f.Add("principal://x", "projects/p/serviceAccounts/e@p.iam.gserviceaccount.com", "", "")
	c := &preflight.Checker{}
	f.Fuzz(func(t *testing.T, deployer, resource, role, permission string) {
		target := preflight.Target{Workload: job, Deployer: deployer, Needs: []preflight.Need{{Resource: resource, Role: role}}}
		if permission != "" {
			target.Needs[0].Permissions = []string{permission}
		}
		report, err := c.Check(t.Context(), target, nil) // which has no services
		if err == nil {
			assert.NotEqual(t, preflight.Pass, report.Verdict())
		}
	})
}
