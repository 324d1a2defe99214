package recommend_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// A plan is data, which anything may have made: one whose steps contradict each
// other is refused before the first one, since it can't end.
func TestContradictions(t *testing.T) {
	t.Parallel()
	me := "serviceAccount:" + runner
	grant := recommend.Step{Kind: recommend.StepGrantRole, Member: me, Role: "roles/editor", Resource: webProject}
	otherCase := grant
	otherCase.Member = "serviceAccount:RUNNER@data-prod.iam.gserviceaccount.com"
	if1 := grant
	if1.Condition, if1.ConditionTitle = "resource.name != ''", "one"
	byID := grant
	byID.Resource = "//cloudresourcemanager.googleapis.com/projects/web-prod"
	onAccount := grant
	onAccount.Role, onAccount.Resource = "roles/iam.serviceAccountUser", "//iam.googleapis.com/projects/data-prod/serviceAccounts/"+runner
	byUniqueID := onAccount
	byUniqueID.Resource = "//iam.googleapis.com/projects/-/serviceAccounts/104928374650192837465"
	custom := grant
	custom.Role = "projects/web-prod/roles/deployer"
	customByNumber := grant
	customByNumber.Role = "projects/123456789012/roles/deployer"
	noMember := grant
	noMember.Member = "runner"
	removal := func(s recommend.Step) recommend.Step {
		s.Kind, s.ConditionTitle = recommend.StepRemoveRole, ""
		return s
	}
	attach := recommend.Step{
		Kind: recommend.StepAttach, Workload: shop, Before: identity.MustParseServiceAccount(compute), Account: identity.MustParseServiceAccount(runner),
	}
	third := attach
	third.Account = shopAccount
	thirdByNumber := third
	thirdByNumber.Workload = identity.Service("123456789012", "europe-west1", "shop")
	for name, tt := range map[string]struct {
		steps []recommend.Step
		want  string
	}{
		"the grant is removed":             {[]recommend.Step{grant, removal(grant)}, "takes away what step 1 grants"},
		"in another case":                  {[]recommend.Step{otherCase, removal(grant)}, "takes away what step 1 grants"},
		"with a condition, title left out": {[]recommend.Step{if1, removal(if1)}, "takes away what step 1 grants"},
		"the project by id":                {[]recommend.Step{grant, removal(byID)}, "takes away what step 1 grants, if the names are those of one project: use its id"},
		"the project by number":            {[]recommend.Step{byID, removal(grant)}, "takes away what step 1 grants"},
		"the account by unique id":         {[]recommend.Step{onAccount, removal(byUniqueID)}, "takes away what step 1 grants"},
		"the role's project by number":     {[]recommend.Step{custom, removal(customByNumber)}, "takes away what step 1 grants"},
		"the workload's project by number": {[]recommend.Step{attach, thirdByNumber}, "step 1 is about the same workload"},
		"granted twice":                    {[]recommend.Step{grant, grant}, "it is step 1"},
		"one workload, two accounts":       {[]recommend.Step{attach, third}, "step 1 is about the same workload"},
		"no steps":                         {nil, "it has no steps"},
		"a member of no kind":              {[]recommend.Step{noMember}, `member "runner"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()})
			c := newClient(t, b)
			p := replacePlan(t, c)
			p.Steps = tt.steps
			b.ResetCalls()
			_, err := c.Apply(t.Context(), p, owner, order)
			require.ErrorContains(t, err, tt.want)
			assert.NotContains(t, err.Error(), "apply the plan again")
			assert.False(t, slices.ContainsFunc(b.Calls(), mutates))
			assert.Contains(t, bindings(b, me), "roles/editor")
			assert.Equal(t, recommend.StateActive, get(t, c, webPolicy+"replace").State)
		})
	}
}
