package recommend_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/recommend"
)

// Taking a grant back takes nothing that the member had before under the same
// expression.
func TestUntitledGrantIsTakenBackAlone(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	me := "serviceAccount:" + runner
	const expr = `resource.name != "x"`
	_, err := c.Apply(t.Context(), func() recommend.Plan {
		p := ownPlan(t, c)
		p.Steps = []recommend.Step{{Kind: recommend.StepGrantRole, Member: me, Role: "roles/run.invoker", Resource: webProject, Condition: expr, ConditionTitle: "old"}}
		return p
	}(), owner, order)
	require.NoError(t, err)
	had := conditions(b, "roles/run.invoker", me)
	require.Len(t, had, 1)

	p := replacePlan(t, c)
	p.Steps = []recommend.Step{
		{Kind: recommend.StepGrantRole, Member: me, Role: "roles/run.invoker", Resource: webProject, Condition: expr},
		{Kind: recommend.StepGrantRole, Member: me, Role: "roles/run.viewer", Resource: webProject},
	}
	n := 0
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ":setIamPolicy") {
				n++
				if n == 2 {
					w.WriteHeader(http.StatusForbidden)
					_, _ = w.Write([]byte(`{"error": {"code": 403, "message": "No.", "status": "PERMISSION_DENIED"}}`))
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err = c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "a condition that is granted a title")
	assert.Equal(t, had, conditions(b, "roles/run.invoker", me), "what it had before is gone")
}

// A title without a condition doesn't say which binding is meant: the one without a
// condition stays, and none is added.
func TestTitleWithoutACondition(t *testing.T) {
	t.Parallel()
	for _, kind := range []recommend.StepKind{recommend.StepGrantRole, recommend.StepRemoveRole} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			me := "serviceAccount:" + runner
			role := map[recommend.StepKind]string{recommend.StepGrantRole: "roles/run.invoker", recommend.StepRemoveRole: "roles/editor"}[kind]
			had := conditions(b, role, me)
			p := replacePlan(t, c)
			p.Steps = []recommend.Step{{Kind: kind, Member: me, Role: role, Resource: webProject, ConditionTitle: "weekdays"}}
			_, err := c.Apply(t.Context(), p, owner, order)
			assert.Equal(t, had, conditions(b, role, me))
			require.ErrorContains(t, err, "a title takes a condition")
			assert.Equal(t, recommend.StateActive, get(t, c, webPolicy+"replace").State)
		})
	}
}
