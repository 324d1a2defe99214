package preflight_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

const remoteFull = "//iam.googleapis.com/projects/data-prod/serviceAccounts/" + remote

// sampleFixes has a fix of each kind, with all fields that the kind has.
func sampleFixes() map[preflight.FixKind]preflight.Fix {
	sa := identity.MustParseServiceAccount(remote)
	fixes := make(map[preflight.FixKind]preflight.Fix)
	for _, f := range []preflight.Fix{
		{Kind: preflight.FixEnableAPI, Project: "web-prod", Service: "run.googleapis.com"},
		{Kind: preflight.FixCreateAgent, Project: "web-prod", Service: "run.googleapis.com"},
		{Kind: preflight.FixCreateAccount, Account: sa},
		{Kind: preflight.FixEnableAccount, Account: sa, Project: "data-prod"},
		{
			Kind: preflight.FixGrantRole, Resource: remoteFull, Role: "roles/iam.serviceAccountUser", Member: dev,
			Condition: preflight.Condition{Title: "t", Description: "d", Expression: "true"},
		},
		{Kind: preflight.FixAllowCrossProject, Project: "data-prod"},
		{
			Kind: preflight.FixExemptFromDeny, Policy: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2F1/denypolicies/d", Rule: 2,
			Permission: "iam.serviceAccounts.actAs", Principal: "allUsers", Member: dev,
		},
	} {
		fixes[f.Kind] = f
	}
	return fixes
}

// Each kind that is declared has an action: words, a command, a request, a side
// effect, JSON of its own fields, and a check of what it lacks.
func TestEachKindOfFixIsWhole(t *testing.T) {
	t.Parallel()
	samples := sampleFixes()
	texts := make(map[string]preflight.FixKind)
	full := preflight.Fix{
		Project: "p", Service: "s", Account: identity.MustParseServiceAccount(local), Resource: "r", Role: "roles/r", Member: dev,
		Condition: preflight.Condition{Expression: "true"}, Policy: "p", Rule: 1, Permission: "p", Principal: "allUsers",
	}
	for name, code := range constants(t, "FixKind") {
		kind := preflight.FixKind(code)
		fix, ok := samples[kind]
		require.True(t, ok, "%s: the test has no sample", name)
		assert.NotContains(t, fix.String(), "unknown", name)
		assert.NotContains(t, texts, fix.String(), "%s has words of its own", name)
		texts[fix.String()] = kind
		assert.Contains(t, fix.Gcloud(), "gcloud ", name)
		assert.NotEmpty(t, fix.Request().Method, name)
		assert.True(t, strings.HasPrefix(fix.Request().URL, "https://"), name)
		assert.Contains(t, fix.SideEffect(), "takes ", name)
		assert.Equal(t, kind == preflight.FixAllowCrossProject || kind == preflight.FixExemptFromDeny, fix.ChangesGuardrail(), name)

		text, err := json.Marshal(fix)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"type":"`+code+`"`)
		var back preflight.Fix
		require.NoError(t, json.Unmarshal(text, &back))
		assert.Equal(t, fix, back, "%s", name)
		assert.True(t, map[preflight.Fix]bool{fix: true}[back], "fixes can be compared")

		b := newCloud(t)
		_, err = newFixer(t, b).Apply(t.Context(), []preflight.Fix{{Kind: kind}}, applyAll)
		require.Error(t, err, "%s without its fields", name)
		assert.Empty(t, b.Calls())
		// A sample has all fields that its kind has: what is zero in it is not for it.
		for field := range reflect.TypeFor[preflight.Fix]().NumField() {
			stray := fix
			if value := reflect.ValueOf(&stray).Elem().Field(field); value.IsZero() {
				value.Set(reflect.ValueOf(&full).Elem().Field(field))
				_, err = newFixer(t, b).Apply(t.Context(), []preflight.Fix{stray}, applyAll)
				require.ErrorContains(t, err, `a fix of kind "`+code+`" has no field but `, name)
			}
		}
		assert.Empty(t, b.Calls())
	}
}

// The JSON of fixes is kept in reports: whole ones of each kind, and empty ones.
func TestFixJSONIsStable(t *testing.T) {
	t.Parallel()
	var whole, empty []preflight.Step
	for _, kind := range []preflight.FixKind{
		preflight.FixEnableAPI, preflight.FixCreateAgent, preflight.FixCreateAccount, preflight.FixEnableAccount,
		preflight.FixGrantRole, preflight.FixAllowCrossProject, preflight.FixExemptFromDeny,
	} {
		whole = append(whole, preflight.Step{Fix: sampleFixes()[kind], Outcome: preflight.OutcomeApplied})
		empty = append(empty, preflight.Step{Fix: preflight.Fix{Kind: kind}, Outcome: preflight.OutcomeApplied})
	}
	text, err := json.MarshalIndent(append(whole, empty...), "", "  ")
	require.NoError(t, err)
	golden(t, "fixes.json", string(text)+"\n")
}

// A kind that isn't known, and none, is said and never applied.
func TestUnknownKindOfFix(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	for _, fix := range []preflight.Fix{{}, {Kind: "reboot", Project: "web-prod"}} {
		want := "no fix"
		if fix.Kind != "" {
			want = `unknown fix "reboot"`
		}
		assert.Equal(t, want, fix.String())
		assert.Equal(t, "# "+want, fix.Gcloud())
		assert.Zero(t, fix.Request())
		assert.NotEmpty(t, fix.SideEffect())
		assert.True(t, fix.ChangesGuardrail(), "it may")
		_, err := newFixer(t, b).Apply(t.Context(), []preflight.Fix{fix}, applyAll)
		require.ErrorContains(t, err, `fix of type "`+string(fix.Kind)+`": not one of enable-api, `)
	}
	assert.Empty(t, b.Calls())
	_, err := json.Marshal(preflight.Fix{Kind: "reboot"})
	require.ErrorContains(t, err, `fix of type "reboot": not one of enable-api`)

	text, err := json.Marshal(preflight.Fix{})
	require.NoError(t, err)
	assert.Equal(t, "null", string(text))
	fix := preflight.Fix{Kind: preflight.FixEnableAPI}
	require.NoError(t, json.Unmarshal(text, &fix))
	assert.Zero(t, fix)

	for text, want := range map[string]string{
		`{"type": "reboot"}`:                         `fix of type "reboot": not one of enable-api`,
		`{"project": "p"}`:                           `fix of type "": not one of enable-api`,
		`{"type": 1}`:                                "type of a fix: ",
		`{"type": "grant-role", "resource": 1}`:      `resource of a fix of type "grant-role": `,
		`{"type": "create-account", "account": "x"}`: `account of a fix of type "create-account": `,
		`"grant-role"`:                               "cannot unmarshal string",
	} {
		require.ErrorContains(t, json.Unmarshal([]byte(text), &fix), want)
	}
}

func TestFixes(t *testing.T) {
	t.Parallel()
	sa := identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")
	const onAccount = "//iam.googleapis.com/projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com"
	until := preflight.Condition{Title: "until, say, 2027", Expression: `request.time < timestamp("2027-01-01T00:00:00Z") && "#" != ''`}
	fixes := []preflight.Fix{
		{Kind: preflight.FixEnableAPI, Project: "web-prod", Service: "run.googleapis.com"},
		{Kind: preflight.FixCreateAgent, Project: "web-prod", Service: "run.googleapis.com"},
		{Kind: preflight.FixCreateAccount, Account: sa},
		{Kind: preflight.FixEnableAccount, Account: sa, Project: "data-prod"},
		{Kind: preflight.FixGrantRole, Resource: onAccount, Role: "roles/iam.serviceAccountUser", Member: dev},
		{Kind: preflight.FixGrantRole, Resource: onAccount, Role: "roles/iam.serviceAccountUser", Member: "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/*", Condition: until},
		{Kind: preflight.FixGrantRole, Resource: "//run.googleapis.com/" + jobName, Role: "roles/run.developer", Member: dev},
		{Kind: preflight.FixGrantRole, Resource: "//run.googleapis.com/projects/p/locations/l/services/s", Role: "roles/run.developer", Member: dev},
		{Kind: preflight.FixGrantRole, Resource: "//run.googleapis.com/projects/p/locations/l/workerPools/w", Role: "roles/run.developer", Member: dev},
		{Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/projects/p", Role: "roles/run.developer", Member: dev},
		{Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/folders/2", Role: "roles/run.developer", Member: ""},
		{Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/organizations/1", Role: "roles/run.developer", Member: dev},
		{Kind: preflight.FixAllowCrossProject, Project: "data-prod"},
		{Kind: preflight.FixExemptFromDeny, Policy: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2F1/denypolicies/d", Member: "group:g@example.com"},
	}
	var b strings.Builder
	for _, f := range fixes {
		r := f.Request()
		b.WriteString(f.String() + "\n  " + strings.ReplaceAll(f.Gcloud(), "\n", "\n  ") + "\n  " + r.Method + " " + r.Verb + " " + r.URL + " " + r.Body + "\n  " + f.SideEffect() + "\n")
		text, err := json.Marshal(preflight.Finding{Fix: &f})
		require.NoError(t, err)
		var back preflight.Finding
		require.NoError(t, json.Unmarshal(text, &back))
		assert.Equal(t, &f, back.Fix)
	}
	golden(t, "fixes.txt", b.String())

	var reports []preflight.Report
	for i := range fixes { // the last first, and all twice
		f := preflight.Finding{Fix: &fixes[len(fixes)-1-i]}
		reports = append(reports, preflight.Report{Findings: []preflight.Finding{f, f}}, preflight.Report{Findings: []preflight.Finding{{}, f}})
	}
	all := preflight.Fixes(reports...)
	require.Len(t, all, len(fixes))
	assert.Equal(t, fixes[:4], all[:4])
	assert.Equal(t, fixes[len(fixes)-2:], all[len(all)-2:])
	var f preflight.Finding
	require.ErrorContains(t, json.Unmarshal([]byte(`{"fix": {"type": "reboot"}}`), &f), `fix of type "reboot": not one of enable-api`)
}

// Fixes are validated before anything is done.
func TestFixesAreCheckedFirst(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	disableRun(t, b)
	for _, bad := range []preflight.Fix{
		{Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/projects/web-prod", Role: "roles/run.viewer", Member: "bob"},
		{Kind: preflight.FixGrantRole, Resource: "projects/web-prod", Role: "roles/run.viewer", Member: dev},
		{Kind: preflight.FixGrantRole, Resource: "//cloudresourcemanager.googleapis.com/projects/web-prod", Member: dev},
		{Kind: preflight.FixExemptFromDeny, Member: dev},
		{Kind: preflight.FixAllowCrossProject},
		{Kind: preflight.FixEnableAccount},
		{Kind: preflight.FixCreateAccount},
	} {
		b.ResetCalls()
		f := newFixer(t, b)
		_, err := f.Apply(t.Context(), []preflight.Fix{{Kind: preflight.FixEnableAPI, Project: "web-prod", Service: "run.googleapis.com"}, bad}, applyAll)
		require.Error(t, err)
		assert.Empty(t, b.Calls(), "%T", bad)
	}
}

// What became of a fix is kept as JSON.
func TestStepJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(preflight.Step{Fix: preflight.Fix{Kind: preflight.FixEnableAPI, Project: "p", Service: "s"}, Outcome: preflight.OutcomeApplied})
	require.NoError(t, err)
	var s preflight.Step
	require.NoError(t, json.Unmarshal(text, &s))
	assert.Equal(t, preflight.Step{Fix: preflight.Fix{Kind: preflight.FixEnableAPI, Project: "p", Service: "s"}, Outcome: preflight.OutcomeApplied}, s)
	text, err = json.Marshal(preflight.Step{})
	require.NoError(t, err)
	assert.JSONEq(t, `{"fix": null, "outcome": ""}`, string(text))
}
