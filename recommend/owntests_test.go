package recommend_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// A recommendation's own tests are made before anything is written. One that can't
// be made is not taken for passed.
func TestRecommendationsOwnTests(t *testing.T) {
	t.Parallel()
	me := "serviceAccount:" + runner
	etag := func(more string) string {
		return `{"action": "test", "path": "/iamPolicy/etag", "resource": "` + webProject + `"` + more + `}`
	}
	const byHand = "that this package can't make: apply it by hand"
	for name, tt := range map[string]struct{ op, want string }{
		"the etag":                 {etag(`, "value": "ETAG"`), ""},
		"another etag":             {etag(`, "value": "BwX"`), "the allow policy of " + webProject + " changed since it was computed"},
		"a value and a matcher":    {etag(`, "value": "ETAG", "valueMatcher": {"matchesPattern": ".*"}`), byHand},
		"a value and a filter":     {etag(`, "value": "ETAG", "pathFilters": {"/iamPolicy/version": 3}`), byHand},
		"no value":                 {etag(``), byHand},
		"an empty value":           {etag(`, "value": ""`), byHand},
		"a value that is a list":   {etag(`, "value": ["ETAG"]`), byHand},
		"of something else":        {strings.Replace(etag(`, "value": "ETAG"`), "etag", "version", 1), byHand},
		"a policy it can't read":   {strings.Replace(etag(`, "value": "ETAG"`), webProject, "//storage.googleapis.com/b", 1), "it must be the full name of a project"},
		"the identity of a policy": {`{"action": "test", "path": "/spec/template/spec/serviceAccountName", "value": "` + runner + `"}`, "the recommendation's test of the identity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			op := strings.ReplaceAll(tt.op, "ETAG", b.Policy("projects/web-prod").Etag)
			b.AddRecommenderJSON(webPolicy+"tested", []byte(strings.Replace(removal(me, webProject, "roles/editor"), `"operations": [`, `"operations": [`+op+",", 1)))
			p, err := recommend.NewPlan(get(t, c, webPolicy+"tested"), &recommend.PlanOptions{Remove: []string{"roles/editor"}})
			require.NoError(t, err)
			require.NoError(t, p.Err())
			b.ResetCalls()
			result, err := c.Apply(t.Context(), p, owner, order)
			if tt.want == "" {
				require.NoError(t, err)
				assert.Equal(t, recommend.StateSucceeded, result.Recommendation.State)
				return
			}
			require.ErrorContains(t, err, tt.want)
			assert.False(t, slices.ContainsFunc(b.Calls(), mutates))
			assert.Contains(t, bindings(b, me), "roles/editor")
			assert.Equal(t, recommend.StateActive, get(t, c, webPolicy+"tested").State)
		})
	}
}

// The workload has another identity than the plan's Before, and the recommendation has no test.
func TestIdentityChangedSince(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	text := strings.Replace(ownIdentity("shop", compute), `{"action": "test", "path": "/spec/template/spec/serviceAccountName", "value": "`+compute+`"},`, "", 1)
	b.AddRecommenderJSON(webRun+"notest", []byte(text))
	p, err := recommend.NewPlan(get(t, c, webRun+"notest"), &recommend.PlanOptions{Account: shopAccount, Current: identity.MustParseServiceAccount(compute)})
	require.NoError(t, err)
	client, err := identity.NewClient(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	b.Grant("projects/data-prod", "roles/iam.serviceAccountTokenCreator", "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com")
	_, err = client.Attach(t.Context(), shop, identity.MustParseServiceAccount(runner), nil) // someone else, after the plan
	require.NoError(t, err)
	b.ResetCalls()
	_, err = c.Apply(t.Context(), p, owner, order)
	require.ErrorIs(t, err, recommend.ErrBlocked)
	assert.False(t, slices.ContainsFunc(b.Calls(), mutates))
	assert.Equal(t, recommend.StateActive, get(t, c, webRun+"notest").State)
}
