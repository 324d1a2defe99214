package fake_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/recommender/v1"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
)

const (
	recommenderURL = "https://recommender.googleapis.com/v1/"
	recommenderBot = "user:bot@example.com"

	policyRecommender = "projects/123456789012/locations/global/recommenders/google.iam.policy.Recommender"
	policyInsights    = "projects/123456789012/locations/global/insightTypes/google.iam.policy.Insight"
	accountInsights   = "projects/123456789012/locations/global/insightTypes/google.iam.serviceAccount.Insight"
	runRecommender    = "projects/123456789012/locations/europe-west1/recommenders/google.run.service.IdentityRecommender"
	runInsights       = "projects/123456789012/locations/europe-west1/insightTypes/google.run.service.IdentityInsight"
)

type (
	recommendation         = recommender.GoogleCloudRecommenderV1Recommendation
	recommenderInsight     = recommender.GoogleCloudRecommenderV1Insight
	recommenderClaim       = recommender.GoogleCloudRecommenderV1MarkRecommendationClaimedRequest
	recommenderSuccess     = recommender.GoogleCloudRecommenderV1MarkRecommendationSucceededRequest
	recommenderFailure     = recommender.GoogleCloudRecommenderV1MarkRecommendationFailedRequest
	recommenderDismissal   = recommender.GoogleCloudRecommenderV1MarkRecommendationDismissedRequest
	recommenderAcceptance  = recommender.GoogleCloudRecommenderV1MarkInsightAcceptedRequest
	recommenderReference   = recommender.GoogleCloudRecommenderV1RecommendationInsightReference
	recommenderBackwardRef = recommender.GoogleCloudRecommenderV1InsightRecommendationReference
)

// recommenders is a backend and a client for a bot with some roles on the
// project.
func recommenders(t *testing.T, roles ...string) (*fake.Backend, *recommender.ProjectsLocationsService) {
	t.Helper()
	b := newBackend()
	t.Cleanup(b.Close)
	for _, role := range roles {
		b.Grant("projects/web-prod", role, recommenderBot)
	}
	svc, err := recommender.NewService(t.Context(), b.ClientOptions(recommenderBot)...)
	require.NoError(t, err)
	return b, svc.Projects.Locations
}

// removeRole is a recommendation as documented.
func removeRole(id string) *recommendation {
	return &recommendation{
		Name:               "projects/web-prod/locations/global/recommenders/google.iam.policy.Recommender/recommendations/" + id,
		Description:        "This role has not been used during the observation window.",
		RecommenderSubtype: "REMOVE_ROLE",
		Priority:           "P4",
		TargetResources:    []string{"//cloudresourcemanager.googleapis.com/projects/123456789012"},
		AssociatedInsights: []*recommenderReference{{
			Insight: "projects/web-prod/locations/global/insightTypes/google.iam.policy.Insight/insights/" + id,
		}},
		Content: &recommender.GoogleCloudRecommenderV1RecommendationContent{
			OperationGroups: []*recommender.GoogleCloudRecommenderV1OperationGroup{{
				Operations: []*recommender.GoogleCloudRecommenderV1Operation{{
					Action: "remove", Path: "/iamPolicy/bindings/*/members/*", Value: false,
					PathFilters: googleapi.RawMessage(`{"/iamPolicy/bindings/*/condition/expression":"","/iamPolicy/bindings/*/role":"roles/editor"}`),
				}},
			}},
			Overview: googleapi.RawMessage(`{"minimumObservationPeriodInDays":"0","removedRole":"roles/editor"}`),
		},
	}
}

func TestRecommendationIsAnsweredAsSeeded(t *testing.T) {
	t.Parallel()
	b, svc := recommenders(t, "roles/recommender.iamViewer")
	seeded := removeRole("a")
	b.AddRecommendation(seeded)
	for _, project := range []string{"web-prod", "123456789012"} {
		got, err := svc.Recommenders.Recommendations.Get(strings.Replace(policyRecommender, "123456789012", project, 1) + "/recommendations/a").Do()
		require.NoError(t, err)
		assert.Equal(t, policyRecommender+"/recommendations/a", got.Name, "names have the project's number")
		assert.Equal(t, "ACTIVE", got.StateInfo.State)
		assert.Regexp(t, `^"[0-9a-f]{16}"$`, got.Etag)
		assert.NotEmpty(t, got.LastRefreshTime)
		assert.Equal(t, policyInsights+"/insights/a", got.AssociatedInsights[0].Insight)
		assert.JSONEq(t, string(seeded.Content.Overview), string(got.Content.Overview))
		operation := got.Content.OperationGroups[0].Operations[0]
		assert.Equal(t, false, operation.Value, "a zero value is kept")
		assert.JSONEq(t, string(seeded.Content.OperationGroups[0].Operations[0].PathFilters), string(operation.PathFilters))
	}
	assert.Equal(t, "projects/web-prod/locations/global/insightTypes/google.iam.policy.Insight/insights/a",
		seeded.AssociatedInsights[0].Insight, "what was given is not changed")
}

// Each method from each state, as the descriptions of the states allow.
func TestRecommendationStates(t *testing.T) {
	t.Parallel()
	all := []string{"ACTIVE", "CLAIMED", "SUCCEEDED", "FAILED", "DISMISSED"}
	tests := map[string]struct {
		to   string
		from []string
	}{
		"markClaimed":   {"CLAIMED", []string{"ACTIVE", "CLAIMED", "SUCCEEDED", "FAILED"}},
		"markSucceeded": {"SUCCEEDED", []string{"ACTIVE", "CLAIMED", "SUCCEEDED", "FAILED"}},
		"markFailed":    {"FAILED", []string{"ACTIVE", "CLAIMED", "SUCCEEDED", "FAILED"}},
		"markDismissed": {"DISMISSED", []string{"ACTIVE"}},
	}
	for method, tt := range tests {
		for _, state := range all {
			t.Run(method+" from "+state, func(t *testing.T) {
				t.Parallel()
				b, svc := recommenders(t, "roles/recommender.iamAdmin")
				seeded := removeRole("a")
				seeded.Etag = `"770237e2c0decf40"`
				seeded.StateInfo = &recommender.GoogleCloudRecommenderV1RecommendationStateInfo{
					State: state, StateMetadata: map[string]string{"applied_by": "someone"},
				}
				b.AddRecommendation(seeded)
				name := policyRecommender + "/recommendations/a"
				got, err := recommenderMark(svc, method, name, seeded.Etag)
				if !slices.Contains(tt.from, state) {
					g := googleError(t, err)
					assert.Equal(t, http.StatusBadRequest, g.Code)
					assert.Contains(t, g.Body, "FAILED_PRECONDITION")
					got, err = svc.Recommenders.Recommendations.Get(name).Do()
					require.NoError(t, err)
					assert.Equal(t, state, got.StateInfo.State)
					assert.Equal(t, seeded.Etag, got.Etag)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, tt.to, got.StateInfo.State)
				assert.Empty(t, got.StateInfo.StateMetadata, "replaced by none")
				assert.NotEqual(t, seeded.Etag, got.Etag)
				assert.Regexp(t, `^"[0-9a-f]{16}"$`, got.Etag)
				read, err := svc.Recommenders.Recommendations.Get(name).Do()
				require.NoError(t, err)
				assert.Equal(t, got.Etag, read.Etag)
				assert.Equal(t, got.StateInfo, read.StateInfo)
			})
		}
	}
}

func recommenderMark(svc *recommender.ProjectsLocationsService, method, name, etag string) (*recommendation, error) {
	r := svc.Recommenders.Recommendations
	switch method {
	case "markClaimed":
		return r.MarkClaimed(name, &recommenderClaim{Etag: etag}).Do()
	case "markSucceeded":
		return r.MarkSucceeded(name, &recommenderSuccess{Etag: etag}).Do()
	case "markFailed":
		return r.MarkFailed(name, &recommenderFailure{Etag: etag}).Do()
	default:
		return r.MarkDismissed(name, &recommenderDismissal{Etag: etag}).Do()
	}
}

func TestRecommendationEtags(t *testing.T) {
	t.Parallel()
	b, svc := recommenders(t, "roles/recommender.iamAdmin")
	name := policyRecommender + "/recommendations/a"
	b.AddRecommendation(removeRole("a"))
	for _, method := range []string{"markClaimed", "markSucceeded", "markFailed"} {
		_, err := recommenderMark(svc, method, name, "")
		assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code, "%s requires an etag", method)
	}
	first, err := svc.Recommenders.Recommendations.Get(name).Do()
	require.NoError(t, err)
	for _, method := range []string{"markClaimed", "markSucceeded", "markFailed", "markDismissed"} {
		for _, etag := range []string{`"770237e2c0decf40"`, strings.Trim(first.Etag, `"`)} {
			_, err = recommenderMark(svc, method, name, etag)
			g := googleError(t, err)
			assert.Equal(t, http.StatusConflict, g.Code, "%s with %s", method, etag)
			assert.Contains(t, g.Body, `"ABORTED"`)
		}
	}
	claimed, err := recommenderMark(svc, "markClaimed", name, first.Etag)
	require.NoError(t, err)
	again, err := recommenderMark(svc, "markClaimed", name, claimed.Etag)
	require.NoError(t, err)
	assert.NotEqual(t, claimed.Etag, again.Etag, "each mark changes the etag")
	_, err = recommenderMark(svc, "markSucceeded", name, claimed.Etag)
	assert.Equal(t, http.StatusConflict, googleError(t, err).Code, "who was overtaken is told")

	b.AddRecommendation(removeRole("b"))
	dismissed, err := recommenderMark(svc, "markDismissed", policyRecommender+"/recommendations/b", "")
	require.NoError(t, err, "markDismissed takes no etag too")
	assert.Equal(t, "DISMISSED", dismissed.StateInfo.State)
}

func TestRecommendationStateMetadata(t *testing.T) {
	t.Parallel()
	b, svc := recommenders(t, "roles/recommender.iamAdmin")
	name := policyRecommender + "/recommendations/a"
	b.AddRecommendation(removeRole("a"))
	current, err := svc.Recommenders.Recommendations.Get(name).Do()
	require.NoError(t, err)
	tests := map[string]struct {
		key, value string
		ok         bool
	}{
		"plain":               {"owner", "bot-1", true},
		"underscore and dots": {"applied_by.tool-1", "a/b_c.d-E9", true},
		"empty value":         {"reason", "", true},
		"longest":             {strings.Repeat("k", 63), strings.Repeat("v", 255), true},
		"an email":            {"owner", "bot@example.com", false},
		"a time":              {"at", "2026-01-01T00:00:00Z", false},
		"a space":             {"reason", "no reason", false},
		"a line break":        {"reason", "x\n", false},
		"upper-case key":      {"Owner", "x", false},
		"empty key":           {"", "x", false},
		"key too long":        {strings.Repeat("k", 64), "x", false},
		"value too long":      {"k", strings.Repeat("v", 256), false},
	}
	for test, tt := range tests {
		got, err := svc.Recommenders.Recommendations.MarkClaimed(name, &recommenderClaim{
			Etag: current.Etag, StateMetadata: map[string]string{tt.key: tt.value},
		}).Do()
		if !tt.ok {
			g := googleError(t, err)
			assert.Equal(t, http.StatusBadRequest, g.Code, test)
			assert.Contains(t, g.Message, "state_metadata", test)
			continue
		}
		require.NoError(t, err, test)
		assert.Equal(t, map[string]string{tt.key: tt.value}, got.StateInfo.StateMetadata, test)
		current = got
	}
}

func TestMarkingARecommendationAcceptsItsInsights(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"markClaimed", "markSucceeded", "markFailed", "markDismissed"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			b, svc := recommenders(t, "roles/recommender.iamAdmin")
			for _, state := range []string{"ACTIVE", "DISMISSED", "ACCEPTED"} {
				b.AddInsight(&recommenderInsight{
					Name: policyInsights + "/insights/" + state, Etag: `"1"`,
					StateInfo: &recommender.GoogleCloudRecommenderV1InsightStateInfo{State: state},
				})
			}
			r := removeRole("a")
			r.AssociatedInsights = append(r.AssociatedInsights, &recommenderReference{Insight: policyInsights + "/insights/ACTIVE"},
				&recommenderReference{Insight: policyInsights + "/insights/DISMISSED"}, &recommenderReference{Insight: policyInsights + "/insights/ACCEPTED"},
				&recommenderReference{Insight: "projects/elsewhere/locations/global/insightTypes/google.iam.policy.Insight/insights/x"})
			b.AddRecommendation(r)
			b.AddInsight(&recommenderInsight{
				Name: policyInsights + "/insights/back", Etag: `"1"`,
				AssociatedRecommendations: []*recommenderBackwardRef{{Recommendation: r.Name}},
			})
			b.AddInsight(&recommenderInsight{Name: policyInsights + "/insights/other", Etag: `"1"`})
			current, err := svc.Recommenders.Recommendations.Get(r.Name).Do()
			require.NoError(t, err)
			_, err = recommenderMark(svc, method, r.Name, current.Etag)
			require.NoError(t, err)

			want := map[string]string{"ACTIVE": "ACCEPTED", "DISMISSED": "ACCEPTED", "ACCEPTED": "ACCEPTED", "back": "ACCEPTED", "other": "ACTIVE"}
			if method == "markDismissed" {
				want = map[string]string{"ACTIVE": "ACTIVE", "DISMISSED": "DISMISSED", "ACCEPTED": "ACCEPTED", "back": "ACTIVE", "other": "ACTIVE"}
			}
			for id, state := range want {
				got, err := svc.InsightTypes.Insights.Get(policyInsights + "/insights/" + id).Do()
				require.NoError(t, err)
				assert.Equal(t, state, got.StateInfo.State, id)
				was := map[string]string{"back": "ACTIVE", "other": "ACTIVE"}[id]
				if was == "" {
					was = id
				}
				assert.Equal(t, was != state, got.Etag != `"1"`, "%s: the etag changes with the state", id)
			}
		})
	}
}

func TestInsightStates(t *testing.T) {
	t.Parallel()
	b, svc := recommenders(t, "roles/recommender.iamAdmin")
	insights := svc.InsightTypes.Insights
	for state, ok := range map[string]bool{"ACTIVE": true, "ACCEPTED": true, "DISMISSED": false} {
		name := accountInsights + "/insights/" + state
		b.AddInsight(&recommenderInsight{
			Name: name, StateInfo: &recommender.GoogleCloudRecommenderV1InsightStateInfo{State: state},
			Content: googleapi.RawMessage(`{"email":"x@web-prod.iam.gserviceaccount.com"}`),
		})
		_, err := insights.MarkAccepted(name, &recommenderAcceptance{}).Do()
		assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code, "the etag is required")
		_, err = insights.MarkAccepted(name, &recommenderAcceptance{Etag: "stale"}).Do()
		assert.Equal(t, http.StatusConflict, googleError(t, err).Code)
		read, err := insights.Get(name).Do()
		require.NoError(t, err)
		got, err := insights.MarkAccepted(name, &recommenderAcceptance{Etag: read.Etag, StateMetadata: map[string]string{"by": "bot"}}).Do()
		if !ok {
			assert.Contains(t, googleError(t, err).Body, "FAILED_PRECONDITION", state)
			continue
		}
		require.NoError(t, err, state)
		assert.Equal(t, "ACCEPTED", got.StateInfo.State)
		assert.Equal(t, map[string]string{"by": "bot"}, got.StateInfo.StateMetadata)
		assert.NotEqual(t, read.Etag, got.Etag)
	}
}

// What each recommender asks for, with the narrowest roles.
func TestRecommenderPermissions(t *testing.T) {
	t.Parallel()
	lists := map[string]string{
		policyRecommender + "/recommendations": "recommender.iamPolicyRecommendations",
		policyInsights + "/insights":           "recommender.iamPolicyInsights",
		accountInsights + "/insights":          "recommender.iamServiceAccountInsights",
		runRecommender + "/recommendations":    "recommender.runServiceIdentityRecommendations",
		runInsights + "/insights":              "recommender.runServiceIdentityInsights",
	}
	for list, permission := range lists {
		t.Run(permission, func(t *testing.T) {
			t.Parallel()
			b, svc := recommenders(t)
			b.AddRecommenderJSON(list+"/a", []byte(`{"etag":"1"}`))
			calls := map[string]func() error{
				"get": func() error {
					if strings.Contains(list, "recommenders") {
						_, err := svc.Recommenders.Recommendations.Get(list + "/a").Do()
						return err
					}
					_, err := svc.InsightTypes.Insights.Get(list + "/a").Do()
					return err
				},
				"list": func() error {
					parent := list[:strings.LastIndex(list, "/")]
					if strings.Contains(list, "recommenders") {
						_, err := svc.Recommenders.Recommendations.List(parent).Do()
						return err
					}
					_, err := svc.InsightTypes.Insights.List(parent).Do()
					return err
				},
				"update": func() error {
					if strings.Contains(list, "recommenders") {
						_, err := svc.Recommenders.Recommendations.MarkClaimed(list+"/a", &recommenderClaim{Etag: "1"}).Do()
						return err
					}
					_, err := svc.InsightTypes.Insights.MarkAccepted(list+"/a", &recommenderAcceptance{Etag: "1"}).Do()
					return err
				},
			}
			// A role with all the others is not enough.
			var others []string
			for _, p := range lists {
				for verb := range calls {
					if p != permission {
						others = append(others, p+"."+verb)
					}
				}
			}
			b.AddRole(&iam.Role{Name: "projects/web-prod/roles/others", IncludedPermissions: others})
			b.Grant("projects/web-prod", "projects/web-prod/roles/others", recommenderBot)
			for _, verb := range []string{"get", "list", "update"} {
				g := googleError(t, calls[verb]())
				assert.Equal(t, http.StatusForbidden, g.Code, verb)
				assert.Equal(t, "Permission '"+permission+"."+verb+"' denied on resource (or it may not exist).", g.Message)
				assert.Contains(t, g.Body, "IAM_PERMISSION_DENIED")
				assert.Empty(t, g.Errors)
				b.AddRole(&iam.Role{Name: "projects/web-prod/roles/" + verb, IncludedPermissions: []string{permission + "." + verb}})
				b.Grant("projects/web-prod", "projects/web-prod/roles/"+verb, recommenderBot)
				require.NoError(t, calls[verb](), verb)
			}
		})
	}
}

func TestRecommendationsOfFoldersAndOrganizations(t *testing.T) {
	t.Parallel()
	b := newBackend()
	t.Cleanup(b.Close)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/2", Parent: "organizations/1"})
	svc, err := recommender.NewService(t.Context(), b.ClientOptions(recommenderBot)...)
	require.NoError(t, err)
	const below = "/locations/global/recommenders/google.iam.policy.Recommender"
	const insightsBelow = "/locations/global/insightTypes/google.iam.policy.Insight"
	r := removeRole("a")
	r.Name = "folders/2" + below + "/recommendations/a"
	b.AddRecommendation(r)
	b.AddInsight(&recommenderInsight{Name: "organizations/1" + insightsBelow + "/insights/a", Etag: "1"})

	_, err = svc.Folders.Locations.Recommenders.Recommendations.List("folders/2" + below).Do()
	assert.Equal(t, http.StatusForbidden, googleError(t, err).Code)
	b.Grant("organizations/1", "roles/recommender.iamAdmin", recommenderBot)
	list, err := svc.Folders.Locations.Recommenders.Recommendations.List("folders/2" + below).Do()
	require.NoError(t, err)
	require.Len(t, list.Recommendations, 1)
	got, err := svc.Folders.Locations.Recommenders.Recommendations.MarkClaimed(r.Name, &recommenderClaim{Etag: list.Recommendations[0].Etag}).Do()
	require.NoError(t, err)
	assert.Equal(t, "CLAIMED", got.StateInfo.State)
	list, err = svc.Organizations.Locations.Recommenders.Recommendations.List("organizations/1" + below).Do()
	require.NoError(t, err)
	assert.Empty(t, list.Recommendations, "what is below is listed below")
	insight, err := svc.Organizations.Locations.InsightTypes.Insights.MarkAccepted("organizations/1"+insightsBelow+"/insights/a", &recommenderAcceptance{Etag: "1"}).Do()
	require.NoError(t, err)
	assert.Equal(t, "ACCEPTED", insight.StateInfo.State)
	_, err = svc.Folders.Locations.Recommenders.Recommendations.List("folders/3" + below).Do()
	assert.Equal(t, http.StatusForbidden, googleError(t, err).Code)
}

func TestRecommenderRefusals(t *testing.T) {
	t.Parallel()
	b := newBackend()
	t.Cleanup(b.Close)
	b.AddRecommendation(removeRole("a"))
	mark := policyRecommender + "/recommendations/a:markClaimed"
	tests := map[string]struct {
		verb, path, body string
		status           int
		want             string
	}{
		"unused":                                  {"GET", runRecommender + "/recommendations", "", 200, "{}"},
		"unused insights":                         {"GET", accountInsights + "/insights", "", 200, "{}"},
		"where buckets are":                       {"GET", strings.Replace(policyRecommender, "global", "europe-west1", 1) + "/recommendations", "", 200, "{}"},
		"in a multi-region":                       {"GET", strings.Replace(policyRecommender, "global", "eu", 1) + "/recommendations", "", 200, "{}"},
		"policies on the moon":                    {"GET", strings.Replace(policyRecommender, "global", "moon1", 1) + "/recommendations", "", 400, "Request contains an invalid argument."},
		"regional in global":                      {"GET", strings.Replace(runRecommender, "europe-west1", "global", 1) + "/recommendations", "", 400, "Request contains an invalid argument."},
		"global in a region":                      {"GET", strings.Replace(accountInsights, "global", "europe-west1", 1) + "/insights", "", 400, "Request contains an invalid argument."},
		"no such recommender":                     {"GET", "projects/web-prod/locations/global/recommenders/none/recommendations", "", 400, "Request contains an invalid argument."},
		"another recommender":                     {"GET", "projects/web-prod/locations/us-central1-a/recommenders/google.compute.disk.IdleResourceRecommender/recommendations", "", 200, "{}"},
		"one of Cloud Run's":                      {"GET", strings.Replace(runRecommender, "Identity", "Security", 1) + "/recommendations", "", 200, "{}"},
		"a recommender on the moon":               {"GET", "projects/web-prod/locations/moon1-a/recommenders/google.compute.disk.IdleResourceRecommender/recommendations", "", 400, "Request contains an invalid argument."},
		"a recommender of nobody's":               {"GET", "projects/web-prod/locations/global/recommenders/google.billing.Nothing/recommendations", "", 400, "Request contains an invalid argument."},
		"a mark by a permission that isn't known": {"POST", "projects/web-prod/locations/global/recommenders/google.gmp.project.ManagementRecommender/recommendations/a:markClaimed", `{"etag":"1"}`, 501, "of google.gmp.project.ManagementRecommender"},
		"another insight type":                    {"GET", "projects/web-prod/locations/global/insightTypes/google.compute.disk.IdleResourceInsight/insights", "", 501, "of google.compute.disk.IdleResourceInsight"},
		"no such project":                         {"GET", strings.Replace(policyRecommender, "123456789012", "none", 1) + "/recommendations", "", 403, "denied on resource (or it may not exist)"},
		"no such item":                            {"GET", policyRecommender + "/recommendations/none", "", 404, "Requested entity was not found."},
		"a mark of no item":                       {"POST", policyRecommender + "/recommendations/none:markClaimed", `{"etag":"1"}`, 404, "Requested entity was not found."},
		"bad JSON":                                {"POST", mark, `{"etag":`, 400, "Unexpected end of string"},
		"an etag of the wrong type":               {"POST", mark, `{"etag":1}`, 400, "Invalid value at 'etag'"},
		"metadata of the wrong type":              {"POST", mark, `{"etag":"1","stateMetadata":{"k":1}}`, 400, "Invalid value at 'stateMetadata[k]'"},
		"metadata that is a list":                 {"POST", mark, `{"etag":"1","stateMetadata":[]}`, 400, "Invalid value at 'stateMetadata'"},
		"no body":                                 {"POST", mark, "", 400, "etag is required"},
		"a bad page token":                        {"GET", policyRecommender + "/recommendations?pageToken=!", "", 400, "page token"},
		"a bad page size":                         {"GET", policyRecommender + "/recommendations?pageSize=many", "", 400, "page_size"},
		"a huge page size":                        {"GET", policyRecommender + "/recommendations?pageSize=99999999999", "", 400, "page_size"},
		"a page size to be ignored":               {"GET", policyRecommender + "/recommendations?pageSize=-1", "", 200, "REMOVE_ROLE"},
		"of a billing account":                    {"GET", "billingAccounts/1/locations/global/recommenders/google.iam.policy.Recommender/recommendations", "", 501, "recommender.billingAccounts.locations.recommenders.recommendations.list"},
		"an insight type as such":                 {"GET", strings.Replace(policyInsights, "insightTypes", "recommenders", 1) + "/recommendations", "", 400, "Request contains an invalid argument."},
	}
	for name, tt := range tests {
		status, body := call(t, b, tt.verb, recommenderURL+tt.path, tt.body)
		assert.Equal(t, tt.status, status, "%s: %s", name, body)
		assert.Contains(t, body, tt.want, name)
	}
	told := &failures{TB: t}
	started := fake.Start(told)
	started.AddProject(&cloudresourcemanager.Project{ProjectId: "p"})
	started.Grant("projects/p", "roles/owner", "user:dev@example.com")
	_, _ = call(t, started, http.MethodGet, recommenderURL+"projects/p/locations/global/insightTypes/google.nobody.Knows/insights", "")
	assert.Len(t, told.texts, 1, "what the fake lacks fails the test")
	_, _ = call(t, started, http.MethodGet, recommenderURL+"projects/p/locations/global/recommenders/nobody/recommendations", "")
	assert.Len(t, told.texts, 1, "what nobody has is the caller's business")
}

func TestRecommenderDisabled(t *testing.T) {
	t.Parallel()
	b, svc := recommenders(t, "roles/recommender.iamViewer")
	b.AddRecommendation(removeRole("a"))
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: "projects/web-prod/services/recommender.googleapis.com", State: "DISABLED"})
	_, err := svc.Recommenders.Recommendations.List(policyRecommender).Do()
	g := googleError(t, err)
	assert.Equal(t, http.StatusForbidden, g.Code)
	assert.Contains(t, g.Message, "Recommender API has not been used in project web-prod before or it is disabled.")
	assert.Contains(t, g.Body, "SERVICE_DISABLED")
	b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: "projects/web-prod/services/recommender.googleapis.com", State: "ENABLED"})
	list, err := svc.Recommenders.Recommendations.List(policyRecommender).Do()
	require.NoError(t, err)
	assert.Len(t, list.Recommendations, 1)
}

func TestRecommenderListPages(t *testing.T) {
	t.Parallel()
	b, svc := recommenders(t, "roles/recommender.iamAdmin")
	const n = 1050
	for i := range n {
		r := removeRole(fmt.Sprintf("%04d", (i*577)%n)) // in no order
		if i%2 == 0 {
			r.RecommenderSubtype = "REPLACE_ROLE"
		}
		b.AddRecommendation(r)
	}
	tests := map[string]struct {
		size         int64
		filter       string
		pages, items int
	}{
		"the server's size": {0, "", 11, n},
		"small":             {50, "", 21, n},
		"exact":             {n / 2, "", 2, n},
		"more than is":      {n * 2, "", 2, n},
		"filtered":          {100, "recommenderSubtype = REMOVE_ROLE", 6, n / 2},
		"nothing":           {100, "priority = P1", 1, 0},
	}
	for name, tt := range tests {
		list := svc.Recommenders.Recommendations.List(policyRecommender).Filter(tt.filter)
		if tt.size > 0 {
			list.PageSize(tt.size)
		}
		var names []string
		pages := 0
		require.NoError(t, list.Pages(t.Context(), func(page *recommender.GoogleCloudRecommenderV1ListRecommendationsResponse) error {
			pages++
			for _, r := range page.Recommendations {
				names = append(names, r.Name)
			}
			return nil
		}), name)
		assert.Equal(t, tt.pages, pages, name)
		assert.Len(t, names, tt.items, name)
		assert.True(t, slices.IsSorted(names), name)
		assert.Len(t, slices.Compact(names), tt.items, "%s: none comes twice", name)
	}

	// A page follows on whatever changed meanwhile.
	first, err := svc.Recommenders.Recommendations.List(policyRecommender).PageSize(10).Filter("stateInfo.state = ACTIVE").Do()
	require.NoError(t, err)
	last := first.Recommendations[9]
	_, err = recommenderMark(svc, "markDismissed", last.Name, "")
	require.NoError(t, err)
	next, err := svc.Recommenders.Recommendations.List(policyRecommender).PageSize(10).Filter("stateInfo.state = ACTIVE").PageToken(first.NextPageToken).Do()
	require.NoError(t, err)
	assert.Equal(t, policyRecommender+"/recommendations/0010", next.Recommendations[0].Name)
}

// Clients that read enums as numbers, as cloud.google.com/go does over REST,
// get those of the protos, which are not in the order of the names.
func TestRecommendationStatesAsNumbers(t *testing.T) {
	t.Parallel()
	b := newBackend()
	t.Cleanup(b.Close)
	for state, number := range map[string]string{"ACTIVE": "1", "CLAIMED": "6", "SUCCEEDED": "3", "FAILED": "4", "DISMISSED": "5"} {
		r := removeRole(state)
		r.StateInfo = &recommender.GoogleCloudRecommenderV1RecommendationStateInfo{State: state}
		b.AddRecommendation(r)
		status, body := call(t, b, http.MethodGet, recommenderURL+r.Name+"?%24alt=json%3Benum-encoding%3Dint", "")
		require.Equal(t, http.StatusOK, status)
		o := parse(t, []byte(body))
		assert.Equal(t, json.Number(number), field(o, "stateInfo.state"), state)
		assert.Equal(t, json.Number("1"), o["priority"])
	}
}
