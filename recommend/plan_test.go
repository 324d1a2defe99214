package recommend_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

var update = flag.Bool("update", false, "write the golden files")

func decode(t *testing.T, name, text string) recommend.Recommendation {
	t.Helper()
	r, err := recommend.DecodeRecommendation(named(name, strings.Replace(text, "{", `{"stateInfo": {"state": "ACTIVE"}, "etag": "\"1\"", `, 1)))
	require.NoError(t, err)
	return r
}

func TestPlans(t *testing.T) {
	t.Parallel()
	replace := decode(t, webPolicy+"x", replacement("serviceAccount:"+runner, webProject, "roles/editor", "roles/run.viewer"))
	conditional := decode(t, webPolicy+"x", strings.Replace(removal(dev, "//iam.googleapis.com/projects/p/serviceAccounts/"+runner, "roles/viewer"),
		`condition/expression": ""`, `condition/expression": "request.time.getFullYear() != 2026 || 'it''s' == \"|\""`, 1))
	own := decode(t, webRun+"x", ownIdentity("shop", compute))
	own.Insights = []recommend.Insight{{Exercised: []string{"run.jobs.run"}}}
	var text strings.Builder
	for _, tt := range []struct {
		name string
		r    recommend.Recommendation
		c    recommend.PlanOptions
	}{
		{"replace, nothing named", replace, recommend.PlanOptions{}},
		{"replace", replace, recommend.PlanOptions{Remove: []string{"roles/editor"}}},
		{"remove with a condition", conditional, recommend.PlanOptions{Remove: []string{"roles/viewer"}}},
		{"an account of its own, without roles", own, recommend.PlanOptions{Account: shopAccount, Current: identity.MustParseServiceAccount(compute)}},
		{"an account of its own", own, recommend.PlanOptions{Account: shopAccount, Current: identity.MustParseServiceAccount(compute), Grants: []recommend.Grant{{Role: "roles/run.invoker", Resource: webProject}}}},
		{"of a person", decode(t, webPolicy+"x", `{"recommenderSubtype": "SOMETHING"}`), recommend.PlanOptions{}},
		{"an unused account", recommend.Recommendation{Name: webUnused + "x", Action: recommend.ActionUnusedAccount, State: "ACTIVE", LastRefresh: time.Now(), Observed: time.Hour * 24 * 220}, recommend.PlanOptions{}},
	} {
		p, err := recommend.NewPlan(tt.r, &tt.c)
		require.NoError(t, err, tt.name)
		raw, err := json.MarshalIndent(p, "", "  ")
		require.NoError(t, err)
		var back recommend.Plan
		require.NoError(t, json.Unmarshal(raw, &back))
		assert.Equal(t, p, back)
		text.WriteString("== " + tt.name + "\n" + p.String() + "-- Markdown\n" + p.Markdown() + "-- gcloud\n" + p.Gcloud() + "-- JSON\n" + string(raw) + "\n")
	}
	file := filepath.Join("testdata", "plans.txt")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), text.String())
}

// A plan that is stored says its version, and one that isn't known is no plan.
func TestPlanVersion(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(recommend.Plan{})
	require.NoError(t, err)
	assert.True(t, bytes.HasPrefix(text, []byte(`{"version":1,`)), "%s", text)
	assert.JSONEq(t, `{"version":1,"recommendation":"","etag":"","action":"review","steps":[]}`, string(text))
	for text, want := range map[string]string{
		`{"recommendation": "r"}`:                         "plan: version: missing",
		`{"version": 2, "steps": "of another form"}`:      "plan: version: 2 is not a version that is known: 1 is",
		`{"version": 1, "steps": "of another form"}`:      "cannot unmarshal string",
		`{"version": 1, "action": "nothing that exists"}`: "nothing that exists",
	} {
		kept := recommend.Plan{Etag: "kept"}
		require.ErrorContains(t, json.Unmarshal([]byte(text), &kept), want, text)
		assert.Equal(t, recommend.Plan{Etag: "kept"}, kept, "nothing is half read")
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	base := decode(t, webPolicy+"x", removal(dev, webProject, "roles/editor"))
	now := base.LastRefresh
	with := func(change func(*recommend.Recommendation)) recommend.Recommendation {
		r := base
		change(&r)
		return r
	}
	for name, tt := range map[string]struct {
		r       recommend.Recommendation
		c       recommend.PlanOptions
		want    string
		blocked bool
	}{
		"fine":            {base, recommend.PlanOptions{}, "", false},
		"stale":           {base, recommend.PlanOptions{Now: now.Add(15 * 24 * time.Hour)}, "it was computed 15 days ago", false},
		"stale by choice": {base, recommend.PlanOptions{Now: now.Add(25 * time.Hour), MaxAge: 24 * time.Hour}, "it was computed 1 days ago", false},
		"no time":         {with(func(r *recommend.Recommendation) { r.LastRefresh = time.Time{} }), recommend.PlanOptions{}, "it doesn't tell when", false},
		"short":           {with(func(r *recommend.Recommendation) { r.Observed = 30 * 24 * time.Hour }), recommend.PlanOptions{}, "observed for 30 days only", false},
		"not observed":    {with(func(r *recommend.Recommendation) { r.Observed = 0 }), recommend.PlanOptions{}, "how long the use was observed", false},
		"short by choice": {base, recommend.PlanOptions{MinObserved: 100 * 24 * time.Hour}, "observed for 90 days only", false},
		"succeeded":       {with(func(r *recommend.Recommendation) { r.State = recommend.StateSucceeded }), recommend.PlanOptions{}, "it was applied already", true},
		"dismissed":       {with(func(r *recommend.Recommendation) { r.State = recommend.StateDismissed }), recommend.PlanOptions{}, "it was dismissed", true},
		"failed before":   {with(func(r *recommend.Recommendation) { r.State = recommend.StateFailed }), recommend.PlanOptions{}, "applying it failed before", true},
		"unknown state":   {with(func(r *recommend.Recommendation) { r.State = "PAUSED" }), recommend.PlanOptions{}, `its state "PAUSED" isn't known`, true},
		"a bucket":        {with(func(r *recommend.Recommendation) { r.Resource = "//storage.googleapis.com/b" }), recommend.PlanOptions{}, "apply it by hand", true},
		"basic role": {with(func(r *recommend.Recommendation) {
			r.Action, r.AddRoles = recommend.ActionReplaceRole, []string{"roles/viewer"}
		}), recommend.PlanOptions{}, "it grants the basic role roles/viewer", true},
		"group":            {with(func(r *recommend.Recommendation) { r.XorGroup = "g" }), recommend.PlanOptions{}, "only one recommendation of the group g", false},
		"group, one taken": {with(func(r *recommend.Recommendation) { r.XorGroup = "g" }), recommend.PlanOptions{Among: []recommend.Recommendation{{Name: "other", XorGroup: "g", State: recommend.StateClaimed}}}, "other, which excludes it, is CLAIMED", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.c.Remove = []string{"roles/editor"}
			if tt.c.Now.IsZero() {
				tt.c.Now = now
			}
			p, err := recommend.NewPlan(tt.r, &tt.c)
			require.NoError(t, err)
			assert.Equal(t, tt.blocked, p.Err() != nil)
			if tt.want == "" {
				assert.Empty(t, p.Problems)
				return
			}
			assert.Contains(t, p.Problems[len(p.Problems)-1].Message, tt.want)
		})
	}
	own := decode(t, webRun+"x", ownIdentity("shop", compute))
	for want, c := range map[string]recommend.PlanOptions{
		"PlanOptions.Account names it":        {},
		"PlanOptions.Current is missing":      {Account: shopAccount},
		"must begin with a letter and have 6": {Account: identity.MustParseServiceAccount("x-y@web-prod.iam.gserviceaccount.com"), Current: shopAccount},
		"it must be the full name of":         {Account: shopAccount, Current: identity.MustParseServiceAccount(compute), Grants: []recommend.Grant{{Role: "roles/x", Resource: "//storage.googleapis.com/b"}}},
		"must be a user-managed one":          {Account: identity.MustParseServiceAccount(compute), Current: shopAccount},
	} {
		_, err := recommend.NewPlan(own, &c)
		require.ErrorContains(t, err, want)
	}
}
