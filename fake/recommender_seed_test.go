package fake_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/recommender/v1"
)

// Items in any shape come back as they were given.
func TestRecommenderItemsOfAnyShape(t *testing.T) {
	t.Parallel()
	b, svc := recommenders(t, "roles/recommender.admin")
	shapes := map[string]string{
		"numbers as strings": `{"content":{"overview":{"minimumObservationPeriodInDays":"0","n":1.50}},"primaryImpact":{"category":"SECURITY","securityProjection":{"details":{"revokedIamPermissionsCount":"7"}}}}`,
		"no content":         `{"recommenderSubtype":"SOMETHING_NEW"}`,
		"a new state":        `{"stateInfo":{"state":"LATER","stateDetail":{"x":1e3}}}`,
		"nothing":            ``,
		"odd types":          `{"content":[1,2],"priority":3,"targetResources":"x","associatedInsights":[{"insight":7},8],"associatedRecommendations":{}}`,
		"of tomorrow":        `{"tomorrow":{"a":[{"b":null}]},"name":"is overruled","etag":"\"770237e2c0decf40\""}`,
		"odd state":          `{"stateInfo":"ACTIVE","etag":1}`,
	}
	for test, shape := range shapes {
		id := strings.ReplaceAll(test, " ", "-")
		name := runRecommender + "/recommendations/" + id
		b.AddRecommenderJSON("projects/web-prod"+strings.TrimPrefix(name, "projects/123456789012"), []byte(shape))
		status, body := call(t, b, http.MethodGet, recommenderURL+name, "")
		require.Equal(t, http.StatusOK, status, body)
		got := parse(t, []byte(body))
		assert.Equal(t, name, got["name"])
		if shape == "" {
			shape = "{}"
		}
		for key, value := range parse(t, []byte(shape)) {
			if key == "name" {
				continue
			}
			if info, ok := value.(map[string]any); ok && key == "stateInfo" && info["state"] == nil {
				info["state"] = "ACTIVE"
			}
			assert.Equal(t, value, got[key], "%s: %s", test, key)
		}
		assert.NotEmpty(t, got["etag"], test)
		assert.NotEmpty(t, got["lastRefreshTime"], test)
	}
	status, body := call(t, b, http.MethodGet, recommenderURL+runRecommender+"/recommendations", "")
	require.Equal(t, http.StatusOK, status)
	assert.Len(t, parse(t, []byte(body))["recommendations"], len(shapes))

	status, body = call(t, b, http.MethodPost, recommenderURL+runRecommender+"/recommendations/a-new-state:markClaimed", `{"etag":"1"}`)
	assert.Equal(t, http.StatusConflict, status, body)
	r := svc.Recommenders.Recommendations
	newState, err := r.Get(runRecommender + "/recommendations/a-new-state").Do()
	require.NoError(t, err)
	_, err = r.MarkClaimed(newState.Name, &recommenderClaim{Etag: newState.Etag}).Do()
	assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code)
	marked, err := r.MarkSucceeded(runRecommender+"/recommendations/of-tomorrow", &recommenderSuccess{Etag: `"770237e2c0decf40"`}).Do()
	require.NoError(t, err)
	status, body = call(t, b, http.MethodGet, recommenderURL+marked.Name, "")
	require.Equal(t, http.StatusOK, status)
	assert.Equal(t, parse(t, []byte(shapes["of tomorrow"]))["tomorrow"], parse(t, []byte(body))["tomorrow"], "a change of state keeps the rest")
}

func TestRecommenderSeedingPanics(t *testing.T) {
	t.Parallel()
	b := newBackend()
	t.Cleanup(b.Close)
	b.AddRecommendation(removeRole("a"))
	odd := func(change func(*recommendation)) func() {
		r := removeRole("b")
		change(r)
		return func() { b.AddRecommendation(r) }
	}
	tests := map[string]struct {
		seed func()
		want string
	}{
		"twice":               {func() { b.AddRecommendation(removeRole("a")) }, "it is there already"},
		"no name":             {odd(func(r *recommendation) { r.Name = "" }), "the name is not of the form"},
		"an id with a colon":  {odd(func(r *recommendation) { r.Name += ":x" }), "the name is not of the form"},
		"an insight's name":   {odd(func(r *recommendation) { r.Name = policyInsights + "/insights/x" }), "this is a name of insights"},
		"the wrong items":     {odd(func(r *recommendation) { r.Name = policyRecommender + "/insights/x" }), "recommenders have recommendations, not insights"},
		"no such project":     {odd(func(r *recommendation) { r.Name = strings.Replace(r.Name, "web-prod", "none", 1) }), "there is no projects/none"},
		"no such recommender": {odd(func(r *recommendation) { r.Name = strings.Replace(r.Name, "google", "guugle", 1) }), `the fake has no recommenders "guugle.iam`},
		"another location":    {odd(func(r *recommendation) { r.Name = strings.Replace(r.Name, "global", "moon1", 1) }), `does not live in location "moon1"`},
		"no such priority":    {odd(func(r *recommendation) { r.Priority = "P9" }), "priority"},
		"bad raw JSON":        {odd(func(r *recommendation) { r.Content.Overview = googleapi.RawMessage(`{`) }), "JSON"},
		"no such state": {odd(func(r *recommendation) {
			r.StateInfo = &recommender.GoogleCloudRecommenderV1RecommendationStateInfo{State: "ACCEPTED"}
		}), "stateInfo.state"},
		"a list":                  {func() { b.AddRecommenderJSON(policyRecommender+"/recommendations/c", []byte(`[]`)) }, "must be a message"},
		"a recommendation's name": {func() { b.AddInsight(&recommenderInsight{Name: policyRecommender + "/recommendations/c"}) }, "AddInsight"},
	}
	for name, tt := range tests {
		func() {
			defer func() { assert.Contains(t, fmt.Sprint(recover()), tt.want, name) }()
			tt.seed()
		}()
	}
}
