package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// deployIn runs the bot in a demo that is changed before.
func deployIn(t *testing.T, change func(*fake.Backend), args ...string) (stdout string, err error) {
	t.Helper()
	b := demo.NewBackend()
	change(b)
	c, err := dialDemo(t.Context(), b)
	require.NoError(t, err)
	o, err := parseOptions(args)
	require.NoError(t, err)
	var out bytes.Buffer
	err = deploy(t.Context(), c, o, &out)
	return out.String(), err
}

func nothing(*fake.Backend) {}

// enforce forbids the use of data-prod's accounts elsewhere.
func enforce(b *fake.Backend) {
	b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{
		Name: "projects/" + demo.DataProject + "/policies/iam.disableCrossProjectServiceAccountUsage",
		Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{Enforce: true}}},
	})
}

func TestARefusedDeployChangesNothing(t *testing.T) {
	t.Parallel()
	b := demo.NewBackend()
	before := b.RunJSON(demo.Job)
	c, err := dialDemo(t.Context(), b)
	require.NoError(t, err)
	var out bytes.Buffer
	err = deploy(t.Context(), c, options{workload: invoices, identity: identity.MustParseServiceAccount(demo.ReportIdentity)}, &out)
	require.ErrorContains(t, err, "not attached: 2 of 7 checks failed (-fix applies their fixes)")
	assert.JSONEq(t, string(before), string(b.RunJSON(demo.Job)))
	assert.Contains(t, out.String(), "✗ deployer may act as it")
	assert.Contains(t, out.String(), "\n        gcloud iam service-accounts add-iam-policy-binding "+demo.ReportIdentity+
		" --member="+demo.Deployer+" --role=roles/iam.serviceAccountUser --project=data-prod --condition=None\n")
	assert.NotContains(t, out.String(), "identity after")
}

func TestFixesAreApplied(t *testing.T) {
	t.Parallel()
	stdout, err := deployIn(t, nothing, "-identity", demo.ReportIdentity, "-fix")
	require.NoError(t, err)
	assert.Contains(t, stdout, "\n  applied   grant roles/iam.serviceAccountUser to deploy-bot@")
	assert.Contains(t, stdout, ": 7 passed\n")
	assert.Contains(t, stdout, "  identity after   "+demo.ReportIdentity+"\n")
}

func TestGuardrails(t *testing.T) {
	t.Parallel()
	stdout, err := deployIn(t, enforce, "-fix")
	require.ErrorContains(t, err, "not attached: what is left is forbidden on purpose (-override changes that as well)")
	assert.Contains(t, stdout, "\n  left      stop enforcing iam.disableCrossProjectServiceAccountUsage on project data-prod\n")
	assert.Contains(t, stdout, "careful: every account of the project can then be attached")

	// The owner of a project may not: someone has to be given that right.
	_, err = deployIn(t, enforce, "-fix", "-override")
	require.ErrorContains(t, err, "stop enforcing iam.disableCrossProjectServiceAccountUsage on project data-prod: ")
	require.ErrorContains(t, err, "Error 403")

	_, err = deployIn(t, func(b *fake.Backend) {
		enforce(b)
		b.Grant("projects/"+demo.DataProject, "roles/orgpolicy.policyAdmin", demo.Administrator)
	}, "-fix", "-override")
	require.NoError(t, err)
}

func TestStrict(t *testing.T) {
	t.Parallel()
	blind := func(b *fake.Backend) {
		b.Inject("orgpolicy.projects.policies.getEffectivePolicy", fake.Fault{Status: 403})
	}
	_, err := deployIn(t, blind)
	require.NoError(t, err)
	_, err = deployIn(t, blind, "-strict")
	require.ErrorContains(t, err, "not attached: 1 of 7 checks can't be made (-strict)")
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "report.md")
	_, err := deployIn(t, nothing, "-identity", demo.ReportIdentity, "-markdown", file)
	require.ErrorContains(t, err, "not attached")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), "### Preflight ✗: `"+demo.Job+"` as `"+demo.ReportIdentity+"`\n"))
	assert.Contains(t, string(text), "```mermaid\ngraph LR\n")
}
