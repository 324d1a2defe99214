package recommend_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

func TestForWithoutAccount(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.AddRecommenderJSON(webUnused+"odd", []byte(`{"insightSubtype": "NEW_KIND", "content": {"who": "x"}}`))
	b.AddRecommenderJSON(webPolicy+"odd", []byte(`{"recommenderSubtype": "NEW_KIND", "content": {}}`))
	b.Inject("run.projects.locations.jobs.get", fake.Fault{Status: 403, Times: 10})
	for r, err := range c.For(t.Context(), job, nil) {
		assert.Error(t, err, "%s %s %s", r.Action, r.Member, r.Name)
	}
}

func TestUnknownInsightSubtype(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.AddRecommenderJSON(webUnused+"odd", []byte(`{"insightSubtype": "SERVICE_ACCOUNT_HEAVY_USE", "content": {"email": "`+runner+`", "lastAuthenticatedTime": "`+time.Now().UTC().Format(time.RFC3339)+`"}}`))
	for r, err := range c.For(t.Context(), job, nil) {
		if err == nil && strings.HasSuffix(r.Name, "/odd") {
			assert.Equal(t, recommend.ActionReview, r.Action)
		}
	}
}

// What isn't understood, and says that it is about the account, is not shown.
func TestForHidesNothing(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.AddRecommenderJSON(webPolicy+"odd", []byte(`{"recommenderSubtype": "NEW_KIND", "content": {"operationGroups": [{"operations": [{"action": "replace", "path": "/iamPolicy/bindings/*/members/*",
		"resource": "`+webProject+`", "pathFilters": {"/iamPolicy/bindings/*/members/*": "serviceAccount:`+runner+`"}}]}]}}`))
	found := false
	for r, err := range c.For(t.Context(), job, nil) {
		require.NoError(t, err)
		found = found || strings.HasSuffix(r.Name, "/odd")
	}
	assert.True(t, found, "a recommendation that isn't understood fails silently")
}

func TestForYieldsOnce(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	seen := make(map[string]int)
	for r, err := range c.For(t.Context(), job, &recommend.ForOptions{Projects: []string{"123456789012"}}) {
		require.NoError(t, err)
		seen[r.Name]++
	}
	for name, n := range seen {
		assert.Equal(t, 1, n, name)
	}
}

func TestSameAccount(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()})
	c := newClient(t, b)
	p, err := recommend.NewPlan(get(t, c, webRun+"own"), &recommend.PlanOptions{Account: shopAccount, Current: shopAccount})
	if err == nil {
		err = p.Err()
	}
	require.Error(t, err)
}

// An agent identity is no account, whatever address the template names besides.
func TestForAnAgentIdentity(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	w := identity.Job("web-prod", "europe-west1", "agent")
	b.AddRunJSON(w.Name(), []byte(`{"template": {"template": {"serviceAccount": "`+runner+`", "containers": [{"image": "i"}],
		"workloadIdentityConfig": {"identityType": "IDENTITY_TYPE_AGENT_IDENTITY"}}}}`))
	var errs []error
	for r, err := range newClient(t, b).For(t.Context(), w, nil) {
		errs = append(errs, err)
		assert.Empty(t, r.Name)
	}
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs[0], identity.ErrAgentIdentity)
}
