package recommend_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/recommend"
)

const dev = "user:dev@example.com"

// named is a recommendation's JSON with its name.
func named(name, text string) []byte {
	return []byte(strings.Replace(text, "{", `{"name": "`+name+`", `, 1))
}

func TestDecodeRecommendation(t *testing.T) {
	t.Parallel()
	plain := removal(dev, webProject, "roles/editor")
	swap := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(plain) }
	for name, tt := range map[string]struct {
		name, text string
		want       recommend.Action
		why        string
		check      func(*testing.T, recommend.Recommendation)
	}{
		"remove a role": {webPolicy + "x", plain, recommend.ActionRemoveRole, "", func(t *testing.T, r recommend.Recommendation) {
			assert.Equal(t, []any{dev, webProject, "roles/editor", ""}, []any{r.Member, r.Resource, r.Role, r.Condition})
			assert.Equal(t, 90*24*time.Hour, r.Observed)
			assert.Equal(t, 4998, r.Revoked)
		}},
		"numbers as strings, strings as numbers": {
			webPolicy + "x", swap(`"revokedIamPermissionsCount": 4998`, `"revokedIamPermissionsCount": "4998"`, `"90"`, `90`),
			recommend.ActionRemoveRole, "", func(t *testing.T, r recommend.Recommendation) {
				assert.Equal(t, 4998, r.Revoked)
				assert.Equal(t, 90*24*time.Hour, r.Observed)
			},
		},
		"an etag with quotes inside": {webPolicy + "x", strings.Replace(plain, "{", `{"etag": "\"770237e2c0decf40\"", `, 1), recommend.ActionRemoveRole, "", func(t *testing.T, r recommend.Recommendation) {
			assert.Equal(t, `"770237e2c0decf40"`, r.Etag)
		}},
		"replace a role": {webPolicy + "x", replacement(dev, webProject, "roles/editor", "roles/run.viewer", "roles/run.invoker"), recommend.ActionReplaceRole, "", func(t *testing.T, r recommend.Recommendation) {
			assert.Equal(t, []string{"roles/run.invoker", "roles/run.viewer"}, r.AddRoles)
		}},
		"addedRoles missing": {
			webPolicy + "x", strings.Replace(replacement(dev, webProject, "roles/editor", "roles/run.viewer"), `"addedRoles": ["roles/run.viewer"], `, "", 1),
			recommend.ActionReplaceRole, "", func(t *testing.T, r recommend.Recommendation) {
				assert.Equal(t, []string{"roles/run.viewer"}, r.AddRoles)
			},
		},
		"no overview": {webPolicy + "x", strings.Replace(plain, `"overview"`, `"other"`, 1), recommend.ActionRemoveRole, "", func(t *testing.T, r recommend.Recommendation) {
			assert.Equal(t, []string{dev, webProject, "roles/editor"}, []string{r.Member, r.Resource, r.Role})
		}},
		"pathFilter as in the sample": {webPolicy + "x", swap("pathFilters", "pathFilter"), recommend.ActionRemoveRole, "", nil},
		"a condition": {webPolicy + "x", swap(`condition/expression": ""`, `condition/expression": "request.time < timestamp(\"2027-01-01T00:00:00Z\")"`), recommend.ActionRemoveRole, "", func(t *testing.T, r recommend.Recommendation) {
			assert.Equal(t, `request.time < timestamp("2027-01-01T00:00:00Z")`, r.Condition)
		}},
		"of a bucket":             {webPolicy + "x", swap("REMOVE_ROLE", "REMOVE_ROLE_STORAGE_BUCKET"), recommend.ActionRemoveRole, "", nil},
		"unknown subtype":         {webPolicy + "x", swap("REMOVE_ROLE", "SERVICE_AGENT_WITH_DEFAULT_ROLE"), recommend.ActionReview, `the subtype "SERVICE_AGENT_WITH_DEFAULT_ROLE" isn't known`, nil},
		"no subtype":              {webPolicy + "x", swap("REMOVE_ROLE", ""), recommend.ActionReview, "subtype", nil},
		"another member":          {webPolicy + "x", strings.Replace(plain, dev, "user:eve@example.com", 1), recommend.ActionReview, `the overview tells the member "user:eve@example.com", the operation "user:dev@example.com"`, nil},
		"another resource":        {webPolicy + "x", strings.Replace(plain, webProject, "//x/y", 1), recommend.ActionReview, "the overview tells the resource", nil},
		"another role":            {webPolicy + "x", strings.Replace(plain, "roles/editor", "roles/owner", 1), recommend.ActionReview, "the overview tells the role", nil},
		"unknown operation":       {webPolicy + "x", swap(`"action": "remove"`, `"action": "reboot"`), recommend.ActionReview, `the operation "reboot" on "/iamPolicy/bindings/*/members/*" isn't understood`, nil},
		"no operation":            {webPolicy + "x", `{"recommenderSubtype": "REMOVE_ROLE"}`, recommend.ActionReview, "0 operations take a role away", nil},
		"a value matcher":         {webPolicy + "x", swap(`"action": "remove"`, `"action": "remove", "valueMatcher": {"matchesPattern": ".*"}`), recommend.ActionReview, "value matcher", nil},
		"other roles in overview": {webPolicy + "x", strings.Replace(replacement(dev, webProject, "roles/editor", "roles/run.viewer"), `"addedRoles": ["roles/run.viewer"]`, `"addedRoles": ["roles/owner"]`, 1), recommend.ActionReview, "the overview adds the roles", nil},
		"customizable":            {webPolicy + "x", swap("REMOVE_ROLE", "REPLACE_ROLE_CUSTOMIZABLE"), recommend.ActionReview, "it is to replace a role, but names none to add", nil},
		"an account of its own": {webRun + "x", ownIdentity("shop", compute), recommend.ActionNewIdentity, "", func(t *testing.T, r recommend.Recommendation) {
			assert.Equal(t, "projects/123456789012/locations/europe-west1/services/shop", r.Service.Name())
			assert.Equal(t, "new-account", r.Value)
			assert.Equal(t, []string{webRunUse + "used"}, r.InsightNames)
		}},
		"of no service":          {webRun + "x", ownIdentity("", compute), recommend.ActionReview, "it doesn't name a service", nil},
		"of a strange service":   {webRun + "x", ownIdentity("a/b", compute), recommend.ActionReview, "the service's name", nil},
		"of another region":      {webRun + "x", strings.ReplaceAll(ownIdentity("shop", compute), `"serviceRegion": "europe-west1"`, `"serviceRegion": "us-east1"`), recommend.ActionReview, `it lives in "europe-west1"`, nil},
		"of another recommender": {"projects/1/locations/global/recommenders/google.x/recommendations/y", `{"content": 7}`, recommend.ActionReview, `the recommender "google.x"`, nil},
		"nothing at all":         {"", `{}`, recommend.ActionReview, "recommender", nil},
		"all of another type":    {webPolicy + "x", `{"content": [], "stateInfo": 1, "associatedInsights": {"a": 1}, "priority": {}, "lastRefreshTime": "then", "primaryImpact": null}`, recommend.ActionReview, "0 operations", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := named(tt.name, strings.Replace(tt.text, "{}", "{\"x\": 1}", 1))
			r, err := recommend.DecodeRecommendation(raw)
			require.NoError(t, err)
			assert.Equal(t, tt.want, r.Action, r.Why)
			assert.Contains(t, r.Why, tt.why)
			assert.Equal(t, tt.want == recommend.ActionReview, r.Why != "")
			assert.Equal(t, string(raw), string(r.Raw))
			if tt.check != nil {
				tt.check(t, r)
			}
			text, err := json.Marshal(r)
			require.NoError(t, err)
			var back recommend.Recommendation
			require.NoError(t, json.Unmarshal(text, &back))
			assert.Equal(t, r.Action, back.Action)
		})
	}
	for _, bad := range []string{"", "null x", "[]", `"x"`} {
		_, err := recommend.DecodeRecommendation([]byte(bad))
		require.ErrorContains(t, err, "decode a recommendation", bad)
	}
}

func TestDecodeInsight(t *testing.T) {
	t.Parallel()
	i, err := recommend.DecodeInsight(named(webUse+"x", `{"insightSubtype": "PERMISSIONS_USAGE", "stateInfo": {"state": "ACCEPTED"}, "observationPeriod": "7776000s", "content": {"role": "roles/editor", "member": "user:dev@example.com",
		"condition": {"expression": "true"}, "exercisedPermissions": [{"permission": "a.b.c"}], "inferredPermissions": ["d.e.f", {}, 7], "currentTotalPermissionsCount": "5069"}}`))
	require.NoError(t, err)
	i.Raw = nil
	assert.Equal(t, recommend.Insight{
		Name: webUse + "x", Type: recommend.InsightTypeIAMPolicy, Subtype: "PERMISSIONS_USAGE", State: recommend.State("ACCEPTED"), Observed: 90 * 24 * time.Hour, Member: dev, Role: "roles/editor",
		Condition: "true", Exercised: []string{"a.b.c"}, Inferred: []string{"d.e.f", "7"}, Total: 5069,
	}, i)
	_, err = recommend.DecodeInsight([]byte("["))
	require.Error(t, err)
}

// Whatever comes, decoding doesn't fail, and what is no Review has what it takes
// to act on.
func FuzzDecode(f *testing.F) {
	f.Add(string(named(webPolicy+"x", removal(dev, webProject, "roles/editor"))))
	f.Add(string(named(webPolicy+"x", replacement(dev, webProject, "roles/editor", "roles/viewer"))))
	f.Add(string(named(webRun+"x", ownIdentity("shop", compute))))
	f.Add(`{"content": {"operationGroups": [null, {"operations": [1]}]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		raw := []byte(text)
		_, _ = recommend.DecodeInsight(raw)
		r, err := recommend.DecodeRecommendation(raw)
		if err != nil {
			return
		}
		switch r.Action {
		case recommend.ActionRemoveRole, recommend.ActionReplaceRole:
			assert.NotEmpty(t, r.Member)
			assert.NotEmpty(t, r.Role)
			assert.NotEmpty(t, r.Resource)
		case recommend.ActionNewIdentity:
			require.NoError(t, r.Service.Validate())
		default:
			assert.NotEmpty(t, r.Why)
		}
		p, err := recommend.NewPlan(r, &recommend.PlanOptions{Remove: []string{r.Role}})
		if err != nil {
			return
		}
		for l := range strings.SplitSeq(p.Markdown(), "\n") {
			if strings.HasPrefix(l, "| ") {
				assert.Equal(t, 3, strings.Count(strings.ReplaceAll(strings.ReplaceAll(l, `\\`, ""), `\|`, ""), "|"), "%q", l)
			}
		}
		commands := len(p.Steps)
		if p.Err() != nil {
			commands = 0
		}
		assert.Equal(t, commands, strings.Count(p.Gcloud(), "\n"))
		_ = p.String()
	})
}
