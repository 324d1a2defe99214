package recommend_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/recommend"
)

// What is not understood for certain is for a person to review, and each reason is
// told.
func TestWhyItIsReviewed(t *testing.T) {
	t.Parallel()
	me := "serviceAccount:" + runner
	const elsewhere = "//cloudresourcemanager.googleapis.com/projects/210987654321"
	ops := func(subtype string, ops ...string) string {
		return `{"recommenderSubtype": "` + subtype + `", "content": {"operationGroups": [{"operations": [` + strings.Join(ops, ",") + `]}]}}`
	}
	swap := func(text string, pairs ...string) string { return strings.NewReplacer(pairs...).Replace(text) }
	remove, add := removeOp(me, webProject, "roles/editor"), addOp(me, webProject, "roles/run.viewer")
	own := ownIdentity("shop", compute)
	const noCondition, withCondition = `condition/expression": ""`, `condition/expression": "true"`
	for name, tt := range map[string]struct{ name, text, why string }{
		"two resources":                 {webPolicy, ops("REPLACE_ROLE", addOp(me, elsewhere, "roles/run.viewer"), remove), "the operations are on several resources"},
		"an add without resource":       {webPolicy, ops("REPLACE_ROLE", addOp(me, "", "roles/run.viewer"), remove), "the operations are on several resources"},
		"an add with a condition":       {webPolicy, ops("REPLACE_ROLE", swap(add, noCondition, withCondition), remove), "a role is to be added with a condition"},
		"a removal with one, an add":    {webPolicy, ops("REPLACE_ROLE", add, swap(remove, noCondition, withCondition)), "a role with a condition is to be replaced"},
		"two removals":                  {webPolicy, ops("REMOVE_ROLE", remove, removeOp(me, webProject, "roles/viewer")), "2 operations take a role away, not one"},
		"one removal twice":             {webPolicy, ops("REMOVE_ROLE", remove, remove), "2 operations take a role away, not one"},
		"no removal":                    {webPolicy, ops("REPLACE_ROLE", add), "0 operations take a role away, not one"},
		"a matcher of paths":            {webPolicy, ops("REMOVE_ROLE", swap(remove, `"action"`, `"pathValueMatchers": {"/x": {"matchesPattern": ".*"}}, "action"`)), "an operation has a value matcher"},
		"a filter of another kind":      {webPolicy, ops("REMOVE_ROLE", swap(remove, "condition/expression", "condition/title")), `an operation filters by "/iamPolicy/bindings/*/condition/title"`},
		"another member is added":       {webPolicy, ops("REPLACE_ROLE", addOp("user:x@example.com", webProject, "roles/run.viewer"), remove), `an operation adds "user:x@example.com"`},
		"nobody is added":               {webPolicy, ops("REPLACE_ROLE", swap(add, `"value"`, `"worth"`), remove), `an operation adds ""`},
		"the removal has no member":     {webPolicy, ops("REMOVE_ROLE", swap(remove, `"/iamPolicy/bindings/*/members/*": "`+me+`", `, "")), "the operation doesn't tell the member"},
		"the removal has no resource":   {webPolicy, ops("REMOVE_ROLE", swap(remove, `"resource": "`+webProject+`",`, "")), "the operation doesn't tell the resource"},
		"the removal has no role":       {webPolicy, ops("REMOVE_ROLE", swap(remove, `"/iamPolicy/bindings/*/role"`, `"/iamPolicy/bindings/*/members/*"`)), "isn't understood"},
		"roles that the subtype denies": {webPolicy, ops("REMOVE_ROLE", add, remove), `the subtype "REMOVE_ROLE" isn't known`},
		"roles that are missing":        {webPolicy, ops("REPLACE_ROLE", remove), "it is to replace a role, but names none to add"},
		"a subtype that only begins so": {webPolicy, ops("REMOVE_ROLES", remove), `the subtype "REMOVE_ROLES" isn't known`},
		"an identity without a value":   {webRun, swap(own, `"value": "new-account"`, `"worth": 1`), "an operation has no value"},
		"an identity on another path":   {webRun, swap(own, `"path": "/spec/template/spec/serviceAccountName", "value": "new-account"`, `"path": "/spec/template", "value": "new-account"`), `the operation "replace" on "/spec/template" isn't understood`},
		"an identity that is removed":   {webRun, swap(own, `"replace"`, `"remove"`), `the operation "remove" on`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := decodeActive(t, tt.name+"x", tt.text)
			assert.Equal(t, recommend.ActionReview, r.Action)
			assert.Contains(t, r.Why, tt.why)
		})
	}
	for _, text := range []string{ops("REPLACE_ROLE", add, remove), ops("REPLACE_ROLE_CUSTOMIZABLE", swap(add, `"add"`, `"Add"`), swap(remove, `"remove"`, `"REMOVE"`))} {
		r := decodeActive(t, webPolicy+"x", text)
		assert.Equal(t, recommend.ActionReplaceRole, r.Action, r.Why)
	}
}

// Numbers and times that are none read as nothing.
func TestNumbersAndTimesThatAreNone(t *testing.T) {
	t.Parallel()
	observed := func(v string) time.Duration {
		i, err := recommend.DecodeInsight([]byte(`{"observationPeriod": ` + v + `}`))
		require.NoError(t, err)
		return i.Observed
	}
	assert.Equal(t, 90*time.Second, observed(`"90s"`))
	assert.Equal(t, 1500*time.Millisecond, observed(`"1.5s"`))
	for _, none := range []string{`"-90s"`, `"90"`, `"90m"`, `90`, `"s"`, `null`, `{}`} {
		assert.Zero(t, observed(none), none)
	}
	total := func(v string) int {
		i, err := recommend.DecodeInsight([]byte(`{"content": {"currentTotalPermissionsCount": ` + v + `}}`))
		require.NoError(t, err)
		return i.Total
	}
	assert.Equal(t, 7, total("7"))
	assert.Equal(t, 700, total(`"7e2"`))
	for _, none := range []string{"7.5", `"7.5"`, "1e300", `"NaN"`, `"Inf"`, `"seven"`, "true"} {
		assert.Zero(t, total(none), none)
	}
	for _, bad := range []string{`{} {}`, `{"a": 1} x`, `null`} {
		_, err := recommend.DecodeInsight([]byte(bad))
		require.Error(t, err, bad)
	}
}

func decodeActive(t *testing.T, name, text string) recommend.Recommendation {
	t.Helper()
	r, err := recommend.DecodeRecommendation([]byte(strings.Replace(text, "{", `{"name": "`+name+`", "etag": "\"1\"", "stateInfo": {"state": "ACTIVE"}, `, 1)))
	require.NoError(t, err)
	return r
}

func TestDecodeCautiously(t *testing.T) {
	t.Parallel()
	me, other := "serviceAccount:"+runner, "user:other@example.com"
	noOverview := func(ops ...string) string {
		return `{"recommenderSubtype": "REPLACE_ROLE", "content": {"operationGroups": [{"operations": [` + strings.Join(ops, ",") + `]}]}}`
	}
	cond := func(op, path, v string) string {
		return strings.Replace(op, `"/iamPolicy/bindings/*/condition/expression": ""`, `"`+path+`": "`+v+`"`, 1)
	}
	for name, tt := range map[string]struct{ name, text string }{
		"no overview, add for another member":    {webPolicy + "x", noOverview(addOp(other, webProject, "roles/viewer"), removeOp(me, webProject, "roles/editor"))},
		"conditional removal, unconditional add": {webPolicy + "x", noOverview(addOp(me, webProject, "roles/run.viewer"), cond(removeOp(me, webProject, "roles/editor"), "/iamPolicy/bindings/*/condition/expression", "request.time < timestamp('2030-01-01T00:00:00Z')"))},
		"a filter by pattern":                    {webPolicy + "x", strings.Replace(removal(me, webProject, "roles/editor"), `"/iamPolicy/bindings/*/condition/expression": ""`, `"/iamPolicy/bindings/*/condition/expression": {"matchesPattern": ".*"}`, 1)},
		"a filter by a list":                     {webPolicy + "x", strings.Replace(removal(me, webProject, "roles/editor"), `"/iamPolicy/bindings/*/condition/expression": ""`, `"/iamPolicy/bindings/*/condition/expression": ["true"]`, 1)},
		"filters that are a list":                {webPolicy + "x", strings.Replace(removal(me, webProject, "roles/editor"), `"pathFilters": {`, `"pathFilter": [1], "pathFilters": {`, 1)},
		"a member that is a list":                {webPolicy + "x", strings.Replace(removal(me, webProject, "roles/editor"), `"member": "`+me+`"`, `"member": ["`+me+`"]`, 1)},
		"a resource that is an object":           {webPolicy + "x", strings.Replace(removal(me, webProject, "roles/editor"), `"overview": {"resource": "`+webProject+`"`, `"overview": {"resource": {"name": 1}`, 1)},
		"added roles that are a string":          {webPolicy + "x", strings.Replace(removal(me, webProject, "roles/editor"), `"overview": {`, `"overview": {"addedRoles": "roles/viewer", `, 1)},
		"an added role that is none":             {webPolicy + "x", strings.Replace(removal(me, webProject, "roles/editor"), `"overview": {`, `"overview": {"addedRoles": [{}], `, 1)},
		"unknown filter":                         {webPolicy + "x", cond(removal(me, webProject, "roles/editor"), "/iamPolicy/bindings/*/condition/title", "weekdays")},
		"identity: remove":                       {webRun + "x", strings.Replace(ownIdentity("shop", compute), `"replace"`, `"remove"`, 1)},
		"identity: remove without path":          {webRun + "x", `{"content": {"overview": {"serviceName": "shop"}, "operationGroups": [{"operations": [{"action": "remove", "resource": "//run.googleapis.com/x", "value": "y"}]}]}}`},
		"identity: matcher":                      {webRun + "x", strings.Replace(ownIdentity("shop", compute), `"value": "new-account"`, `"value": "new-account", "valueMatcher": {"matchesPattern": ".*"}`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			r := decodeActive(t, tt.name, tt.text)
			assert.Equal(t, recommend.ActionReview, r.Action, "member %s adds %v", r.Member, r.AddRoles)
		})
	}
}

func TestObservedForAges(t *testing.T) {
	t.Parallel()
	r := decodeActive(t, webPolicy+"x", strings.Replace(removal("user:x@example.com", webProject, "roles/viewer"), `"90"`, `"999999999"`, 1))
	assert.GreaterOrEqual(t, r.Observed, 60*24*time.Hour)
}
