package recommend_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/recommend"
)

const weekdays = "request.time.getDayOfWeek() < 6"

// conditions are those under which a member has a role on web-prod.
func conditions(b *fake.Backend, role, member string) []string {
	var all []string
	for _, binding := range b.Policy("projects/web-prod").Bindings {
		for _, m := range binding.Members {
			if m == member && binding.Role == role {
				expression := ""
				if binding.Condition != nil {
					expression = binding.Condition.Title + ": " + binding.Condition.Expression
				}
				all = append(all, expression)
			}
		}
	}
	return all
}

// Of two bindings that differ by condition, the recommendation's one is removed.
func TestRemovalOfAConditionalRole(t *testing.T) {
	t.Parallel()
	me := "serviceAccount:" + runner
	for name, tt := range map[string]struct {
		condition string
		stays     []string
	}{
		"with the condition":  {weekdays, []string{""}},
		"without a condition": {"", []string{"weekdays: " + weekdays}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			policy := b.Policy("projects/web-prod")
			policy.Version = 3
			policy.Bindings = append(policy.Bindings,
				&iam.Binding{Role: "roles/run.viewer", Members: []string{me}},
				&iam.Binding{Role: "roles/run.viewer", Members: []string{me}, Condition: &iam.Expr{Title: "weekdays", Expression: weekdays}})
			b.SetPolicy("projects/web-prod", policy)
			b.AddRecommenderJSON(webPolicy+"conditional", []byte(strings.Replace(removal(me, webProject, "roles/run.viewer"),
				`"/iamPolicy/bindings/*/condition/expression": ""`, `"/iamPolicy/bindings/*/condition/expression": "`+tt.condition+`"`, 1)))
			p, err := recommend.NewPlan(get(t, c, webPolicy+"conditional"), &recommend.PlanOptions{Remove: []string{"roles/run.viewer"}})
			require.NoError(t, err)
			_, err = c.Apply(t.Context(), p, owner, order)
			require.NoError(t, err)
			assert.Equal(t, tt.stays, conditions(b, "roles/run.viewer", me))
		})
	}
}

// A role is granted, and taken back, with its condition; the one without stays.
func TestGrantWithACondition(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]bool{"it succeeds": false, "it is taken back": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()})
			b.Grant("projects/web-prod", "roles/run.invoker", shopAccount.Member())
			c := newClient(t, b)
			p := ownPlan(t, c)
			p.Steps[1].Condition, p.Steps[1].ConditionTitle = weekdays, "weekdays"
			if refused {
				b.Inject(patchMethod, fake.Fault{Status: 403, Body: refusal, Times: 1})
			}
			result, err := c.Apply(t.Context(), p, owner, order)
			if refused {
				require.ErrorContains(t, err, "Not you.")
				assert.Equal(t, recommend.OutcomeUndone, result.Steps[1].Outcome)
				assert.Equal(t, []string{""}, conditions(b, "roles/run.invoker", shopAccount.Member()))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, recommend.OutcomeDone, result.Steps[1].Outcome)
			assert.Equal(t, []string{"", "weekdays: " + weekdays}, conditions(b, "roles/run.invoker", shopAccount.Member()))
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
