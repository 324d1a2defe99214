package recommend_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// A basic role is granted neither because it is recommended nor because it is
// chosen.
func TestBasicRolesAreNotGranted(t *testing.T) {
	t.Parallel()
	own := decode(t, webRun+"x", ownIdentity("shop", compute))
	for _, role := range []string{"roles/owner", "roles/editor", "roles/viewer", "roles/admin", "roles/writer", "roles/reader"} {
		chosen, err := recommend.NewPlan(own, &recommend.PlanOptions{
			Account: shopAccount, Current: identity.MustParseServiceAccount(compute),
			Grants: []recommend.Grant{{Role: "roles/run.invoker", Resource: webProject}, {Role: role, Resource: webProject}},
		})
		require.NoError(t, err)
		require.ErrorIs(t, chosen.Err(), recommend.ErrBlocked)
		require.ErrorContains(t, chosen.Err(), "it grants the basic role "+role)
		proposed, err := recommend.NewPlan(decode(t, webPolicy+"x", replacement(dev, webProject, "roles/browser", role)), &recommend.PlanOptions{Remove: []string{"roles/browser"}})
		require.NoError(t, err)
		require.ErrorContains(t, proposed.Err(), "it grants the basic role "+role)
	}
}

// Of a group, only another recommendation that is being applied, or was, excludes
// this one.
func TestGroups(t *testing.T) {
	t.Parallel()
	r := decode(t, webPolicy+"x", removal(dev, webProject, "roles/editor"))
	r.XorGroup = "g"
	for name, tt := range map[string]struct {
		other   recommend.Recommendation
		blocked bool
	}{
		"claimed":          {recommend.Recommendation{Name: "y", XorGroup: "g", State: recommend.StateClaimed}, true},
		"succeeded":        {recommend.Recommendation{Name: "y", XorGroup: "g", State: recommend.StateSucceeded}, true},
		"active":           {recommend.Recommendation{Name: "y", XorGroup: "g", State: recommend.StateActive}, false},
		"failed":           {recommend.Recommendation{Name: "y", XorGroup: "g", State: recommend.StateFailed}, false},
		"of another group": {recommend.Recommendation{Name: "y", XorGroup: "h", State: recommend.StateClaimed}, false},
		"itself":           {recommend.Recommendation{Name: r.Name, XorGroup: "g", State: recommend.StateClaimed}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := recommend.NewPlan(r, &recommend.PlanOptions{Remove: []string{"roles/editor"}, Among: []recommend.Recommendation{tt.other}, Now: r.LastRefresh})
			require.NoError(t, err)
			assert.Equal(t, tt.blocked, p.Err() != nil, "%v", p.Err())
		})
	}
}

// The id of an account that can't be created is refused when the plan is made.
func TestAccountIDs(t *testing.T) {
	t.Parallel()
	own := decode(t, webRun+"x", ownIdentity("shop", compute))
	for id, ok := range map[string]bool{
		"abcdef": true, "abcde": false, "abcdefghijklmnopqrstuvwxyz0123": true, "abcdefghijklmnopqrstuvwxyz01234": false, "1abcdef": false,
	} {
		account, err := identity.ParseServiceAccount(id + "@web-prod.iam.gserviceaccount.com")
		if err == nil {
			_, err = recommend.NewPlan(own, &recommend.PlanOptions{Account: account, Current: identity.MustParseServiceAccount(compute)})
		}
		assert.Equal(t, ok, err == nil, "%s: %v", id, err)
	}
}

// A plan is data, which anything may have made: a step that lacks something, or
// comes too early or too late, is refused before the first one.
func TestStepsThatCantBeCarriedOut(t *testing.T) {
	t.Parallel()
	me := "serviceAccount:" + runner
	old, own := identity.MustParseServiceAccount(compute), identity.MustParseServiceAccount(runner)
	grant := recommend.Step{Kind: recommend.StepGrantRole, Member: me, Role: "roles/run.viewer", Resource: webProject}
	create := recommend.Step{Kind: recommend.StepCreateAccount, Account: shopAccount}
	attach := recommend.Step{Kind: recommend.StepAttach, Workload: shop, Account: own, Before: old}
	remove := recommend.Step{Kind: recommend.StepRemoveRole, Member: me, Role: "roles/editor", Resource: webProject}
	with := func(s recommend.Step, change func(*recommend.Step)) []recommend.Step {
		change(&s)
		return []recommend.Step{s}
	}
	for name, tt := range map[string]struct {
		steps []recommend.Step
		want  string
	}{
		"a kind that isn't known":     {with(grant, func(s *recommend.Step) { s.Kind = "dance" }), `kind "dance": it isn't known`},
		"no kind":                     {with(grant, func(s *recommend.Step) { s.Kind = "" }), `kind "": it isn't known`},
		"no account to create":        {with(create, func(s *recommend.Step) { s.Account = identity.ServiceAccount{} }), "it must be a user-managed one"},
		"a default account to create": {with(create, func(s *recommend.Step) { s.Account = old }), "it must be a user-managed one"},
		"no account to attach":        {with(attach, func(s *recommend.Step) { s.Account = identity.ServiceAccount{} }), "it takes two accounts"},
		"none to go back to":          {with(attach, func(s *recommend.Step) { s.Before = identity.ServiceAccount{} }), "it takes two accounts"},
		"the same one to go back to":  {with(attach, func(s *recommend.Step) { s.Before = own }), "it takes two accounts"},
		"no workload":                 {with(attach, func(s *recommend.Step) { s.Workload = identity.Workload{} }), "step 1"},
		"a workload without an id":    {with(attach, func(s *recommend.Step) { s.Workload.ID = "" }), "step 1"},
		"no role to grant":            {with(grant, func(s *recommend.Step) { s.Role = "" }), "it takes both"},
		"a permission for a role":     {with(grant, func(s *recommend.Step) { s.Role = "run.jobs.run" }), "it takes both"},
		"no member":                   {with(grant, func(s *recommend.Step) { s.Member = "" }), "it takes both"},
		"a member of no kind":         {with(remove, func(s *recommend.Step) { s.Member = runner }), "it takes both"},
		"a bucket":                    {with(grant, func(s *recommend.Step) { s.Resource = "//storage.googleapis.com/b" }), "it must be the full name of a project"},
		"a bucket after a project":    {append([]recommend.Step{grant}, with(grant, func(s *recommend.Step) { s.Resource = "//storage.googleapis.com/b" })...), "step 2"},
		"no resource":                 {with(remove, func(s *recommend.Step) { s.Resource = "" }), "it must be the full name of a project"},
		"a grant after the attach":    {[]recommend.Step{attach, grant}, "it must not come after"},
		"an account after its grant":  {[]recommend.Step{grant, create}, "it must not come after"},
		"a removal first":             {[]recommend.Step{remove, grant}, "it must not come after"},
		"a removal before the attach": {[]recommend.Step{grant, remove, attach}, "it must not come after"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			p := replacePlan(t, c)
			p.Steps = tt.steps
			b.ResetCalls()
			_, err := c.Apply(t.Context(), p, owner, order)
			require.ErrorContains(t, err, tt.want)
			assert.False(t, slices.ContainsFunc(b.Calls(), mutates))
			assert.Equal(t, recommend.StateActive, get(t, c, p.Recommendation).State)
		})
	}
}

// To put a role with a condition in the place of the one without is no
// contradiction, nor is another condition under the same title.
func TestConditionsThatDontContradict(t *testing.T) {
	t.Parallel()
	me := "serviceAccount:" + runner
	grant := recommend.Step{Kind: recommend.StepGrantRole, Member: me, Role: "roles/run.viewer", Resource: webProject, Condition: weekdays, ConditionTitle: "new"}
	for name, condition := range map[string]*iam.Expr{
		"none":             nil,
		"another":          {Title: "new", Expression: "true"},
		"of another title": {Title: "old", Expression: weekdays},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			policy := b.Policy("projects/web-prod")
			policy.Version = 3
			policy.Bindings = append(policy.Bindings, &iam.Binding{Role: "roles/run.viewer", Members: []string{me}, Condition: condition})
			b.SetPolicy("projects/web-prod", policy)
			p := replacePlan(t, c)
			gone := recommend.Step{Kind: recommend.StepRemoveRole, Member: me, Role: "roles/run.viewer", Resource: webProject}
			if condition != nil {
				gone.Condition, gone.ConditionTitle = condition.Expression, condition.Title
			}
			p.Steps = []recommend.Step{grant, gone}
			_, err := c.Apply(t.Context(), p, owner, order)
			require.NoError(t, err)
			assert.Equal(t, []string{"new: " + weekdays}, conditions(b, "roles/run.viewer", me))
		})
	}
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
