package preflight_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/preflight"
)

// send makes a request as whoever may do everything, and returns the answer's body.
func send(t *testing.T, b *fake.Backend, verb, url, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), verb, url, strings.NewReader(body))
	require.NoError(t, err)
	answer, err := b.HTTPClient(fake.Admin).Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s", text)
	return string(text)
}

// Allowing accounts in other projects changes what is enforced, and keeps the rest of
// the policy: the server replaces it as a whole.
func TestOrgPolicyIsKept(t *testing.T) {
	t.Parallel()
	const policy = "projects/data-prod/policies/iam.disableCrossProjectServiceAccountUsage"
	const url = "https://orgpolicy.googleapis.com/v2/" + policy
	fix := preflight.Fix{Kind: preflight.FixAllowCrossProject, Project: "data-prod"}
	for name, tt := range map[string]struct{ stored, dryRun string }{
		"only a dry run": {`{"dryRunSpec": {"rules": [{"enforce": true}]}}`, `[{"enforce":true}]`},
		"a dry run that doesn't enforce": {
			`{"spec": {"rules": [{"enforce": true}]}, "dryRunSpec": {"rules": [{"enforce": false, "ofTomorrow": {"a": 1.50}}]}}`,
			`[{"enforce":false,"ofTomorrow":{"a":1.50}}]`,
		},
		"no dry run":      {`{"spec": {"rules": [{"enforce": true}]}}`, ""},
		"it is inherited": {`{"spec": {"reset": true}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{Name: policy, Spec: crossProject(ownProject, true).Spec})
			send(t, b, http.MethodPatch, url, tt.stored)
			b.ResetCalls()
			steps, err := newFixer(t, b).Apply(t.Context(), []preflight.Fix{fix}, applyAll)
			require.NoError(t, err)
			assert.Equal(t, preflight.OutcomeApplied, steps[0].Outcome)
			_, by := count(b.Calls())
			assert.Equal(t, 1, by["orgpolicy.projects.policies.patch"])
			var now struct {
				Spec struct {
					Rules []map[string]any
					Reset bool
				}
				DryRunSpec struct{ Rules json.RawMessage }
			}
			require.NoError(t, json.Unmarshal([]byte(send(t, b, http.MethodGet, url, "")), &now))
			assert.Equal(t, []map[string]any{{"enforce": false}}, now.Spec.Rules)
			assert.False(t, now.Spec.Reset)
			var dryRun bytes.Buffer
			if len(now.DryRunSpec.Rules) > 0 {
				require.NoError(t, json.Compact(&dryRun, now.DryRunSpec.Rules))
			}
			assert.Equal(t, tt.dryRun, dryRun.String())
		})
	}
}

// An exemption adds a principal to one rule, and keeps the rest of the deny policy.
func TestDenyPolicyIsKept(t *testing.T) {
	t.Parallel()
	const policy = "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fdata-prod/denypolicies/freeze"
	b := newCloud(t)
	b.AddDenyPolicy("projects/data-prod", &iamv2.GoogleIamV2Policy{Name: "freeze", Rules: []*iamv2.GoogleIamV2PolicyRule{{
		DenyRule: &iamv2.GoogleIamV2DenyRule{
			DeniedPrincipals: []string{"principalSet://goog/public:all"}, DeniedPermissions: []string{"iam.googleapis.com/serviceAccounts.actAs"},
		},
	}}})
	var sent string
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPut:
				text, err := io.ReadAll(r.Body)
				assert.NoError(t, err)
				sent = string(text)
				r.Body = io.NopCloser(strings.NewReader(sent))
			case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/freeze"):
				answer := httptest.NewRecorder()
				next.ServeHTTP(answer, r)
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, strings.Replace(answer.Body.String(), `"denyRule":{`, `"ofTomorrow":{"enforce":false},"denyRule":{`, 1))
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := newFixer(t, b).Apply(t.Context(), []preflight.Fix{{
		Kind: preflight.FixExemptFromDeny, Policy: policy, Permission: "iam.serviceAccounts.actAs", Member: dev,
	}}, applyAll)
	require.NoError(t, err)
	assert.Contains(t, sent, `"ofTomorrow":{"enforce":false}`)
	assert.Contains(t, sent, `"exceptionPrincipals":["principal://goog/subject/dev@example.com"]`)
	assert.Contains(t, sent, `"deniedPrincipals":["principalSet://goog/public:all"]`)
}
