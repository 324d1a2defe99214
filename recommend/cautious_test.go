package recommend_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// cut runs a plan and kills it at its nth setIamPolicy, after the effect.
func cutAt(t *testing.T, b *fake.Backend, c *recommend.Client, p recommend.Plan, at int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ":setIamPolicy") && ctx.Err() == nil {
				n++
				if n == at {
					next.ServeHTTP(discard{http.Header{}}, r)
					cancel()
					panic(http.ErrAbortHandler)
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := c.Apply(ctx, p, owner, order)
	require.ErrorIs(t, err, context.Canceled)
}

// Another plan resumes what the first did: its grant is skipped as "done".
func TestAnotherPlanDoesNotResume(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	cutAt(t, b, c, ownPlan(t, c), 2) // invoker done, viewer written
	other, err := recommend.NewPlan(get(t, c, webRun+"own"), &recommend.PlanOptions{
		Account: shopAccount, Current: identity.MustParseServiceAccount(compute),
		Grants: []recommend.Grant{{Role: "roles/storage.objectViewer", Resource: webProject}, {Role: "roles/run.viewer", Resource: webProject}},
	})
	require.NoError(t, err)
	_, err = c.TakeOver(t.Context(), other, "bot/2", &recommend.ApplyOptions{Settle: -1})
	require.ErrorIs(t, err, recommend.ErrBlocked)
	require.ErrorContains(t, err, "another plan of it was begun")
	assert.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State)
}

// ... and undoing takes away what was there before.
func TestAnotherPlanUndoesNothing(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()})
	b.Grant("projects/web-prod", "roles/storage.objectViewer", shopAccount.Member()) // a person's
	cutAt(t, b, c, ownPlan(t, c), 2)
	other, err := recommend.NewPlan(get(t, c, webRun+"own"), &recommend.PlanOptions{
		Account: shopAccount, Current: identity.MustParseServiceAccount(compute),
		Grants: []recommend.Grant{{Role: "roles/storage.objectViewer", Resource: webProject}, {Role: "roles/run.viewer", Resource: webProject}},
	})
	require.NoError(t, err)
	b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403})
	_, err = c.Apply(t.Context(), other, owner, order)
	require.Error(t, err)
	assert.Contains(t, bindings(b, shopAccount.Member()), "roles/storage.objectViewer", "a grant that no run made was taken away")
}

// A deadline that is near isn't a refusal.
func TestDeadlineIsNoRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		b.Inject("cloudresourcemanager.projects.setIamPolicy", fake.Fault{Status: 400, Times: 1000, Body: `{"error": {"code": 400, "message": "Service account ` + shopAccount.Email() + ` does not exist.", "status": "INVALID_ARGUMENT"}}`})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Apply(ctx, p, owner, order)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State, "%v", err)
	})
}

// A grant that was written, and then refused, is left.
func TestNoGrantIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := replacePlan(t, c)
		b.Inject("cloudresourcemanager.projects.setIamPolicy", fake.Fault{DropAfter: true, Times: 1})
		b.Inject("cloudresourcemanager.projects.getIamPolicy", fake.Fault{Skip: 3, Status: 403, Times: 1})
		_, err := c.Apply(t.Context(), p, owner, order)
		require.ErrorContains(t, err, "the policy may have been written all the same")
		assert.Equal(t, recommend.StateClaimed, get(t, c, webPolicy+"replace").State)
		_, err = c.Apply(t.Context(), p, owner, order)
		require.NoError(t, err, "applied again, it goes on where it was")
	})
}

// An error that isn't the server's: never resolves, yet "apply the plan again".
func TestFullPolicy(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := replacePlan(t, c)
	policy := b.Policy("projects/web-prod")
	var members []string
	for i := range 1497 {
		members = append(members, fmt.Sprintf("user:u%d@example.com", i))
	}
	policy.Bindings = append(policy.Bindings, &iam.Binding{Role: "roles/browser", Members: members})
	b.SetPolicy("projects/web-prod", policy)
	_, err := c.Apply(t.Context(), p, owner, order)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "apply the plan again")
	assert.Equal(t, recommend.StateFailed, get(t, c, webPolicy+"replace").State)
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

// Two bindings, told apart by title only: both lose the member.
func TestBindingsByTitle(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	policy := b.Policy("projects/web-prod")
	expr := "resource.name != ''"
	for _, title := range []string{"one", "two"} {
		policy.Bindings = append(policy.Bindings, &iam.Binding{Role: "roles/run.viewer", Members: []string{"serviceAccount:" + runner}, Condition: &iam.Expr{Title: title, Expression: expr}})
	}
	policy.Version = 3
	b.SetPolicy("projects/web-prod", policy)
	text := strings.Replace(removal("serviceAccount:"+runner, webProject, "roles/run.viewer"), `"/iamPolicy/bindings/*/condition/expression": ""`, `"/iamPolicy/bindings/*/condition/expression": "`+expr+`", "/iamPolicy/bindings/*/condition/title": "one"`, 1)
	b.AddRecommenderJSON(webPolicy+"titled", []byte(text))
	p, err := recommend.NewPlan(get(t, c, webPolicy+"titled"), &recommend.PlanOptions{Remove: []string{"roles/run.viewer"}})
	require.NoError(t, err)
	_, err = c.Apply(t.Context(), p, owner, order)
	require.ErrorIs(t, err, recommend.ErrBlocked)
	assert.Contains(t, bindings(b, "serviceAccount:"+runner), "roles/run.viewer")
}

func TestInsightsByResource(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	n := 0
	for _, err := range c.Insights(t.Context(), []string{"web-prod"}, &recommend.InsightOptions{Regions: []string{"europe-west1"}, Resources: []string{"//nothing.example.com/x"}}) {
		require.NoError(t, err)
		n++
	}
	assert.Zero(t, n)
}

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

func TestPlanAfterFailure(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.Inject("run.projects.locations.services.patch", fake.Fault{Status: 403, Times: 1})
	_, err := c.Apply(t.Context(), ownPlan(t, c), owner, order)
	require.Error(t, err)
	p := ownPlan(t, c)
	assert.ErrorIs(t, p.Err(), recommend.ErrBlocked, "the plan says careful, Apply refuses it for good")
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.ResetCalls()
	_, err := c.Claim(t.Context(), recommend.Recommendation{Etag: "x"}, nil)
	require.ErrorContains(t, err, "it is no full name of a recommendation, such as")
	_, err = c.Get(t.Context(), "nonsense?x=y")
	require.ErrorContains(t, err, "it is no full name of a recommendation, such as")
	assert.Empty(t, b.Calls())
}

func TestObservedForAges(t *testing.T) {
	t.Parallel()
	r := decodeActive(t, webPolicy+"x", strings.Replace(removal("user:x@example.com", webProject, "roles/viewer"), `"90"`, `"999999999"`, 1))
	assert.GreaterOrEqual(t, r.Observed, 60*24*time.Hour)
}

func TestRegionsAreNamed(t *testing.T) {
	t.Parallel()
	c := newClient(t, newCloud(t))
	n := 0
	for range c.List(t.Context(), []string{"web-prod"}, &recommend.ListOptions{Recommenders: []string{recommend.RecommenderRunIdentity}}) {
		n++
	}
	assert.NotZero(t, n, "nothing was asked, and nobody is told")
}

func TestTooManySteps(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	var grants []recommend.Grant
	for i := range 260 {
		grants = append(grants, recommend.Grant{Role: "roles/run.viewer", Resource: fmt.Sprintf("//cloudresourcemanager.googleapis.com/projects/p-%d", i)})
	}
	p, err := recommend.NewPlan(get(t, c, webRun+"own"), &recommend.PlanOptions{Account: shopAccount, Current: identity.MustParseServiceAccount(compute), Grants: grants})
	require.NoError(t, err)
	assert.Error(t, p.Err(), "%d steps don't fit the metadata's 255 letters", len(p.Steps))
}
