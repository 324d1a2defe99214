package recommend_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/recommend"
)

// One resource has several spellings: a grant under one of them is taken away under
// another as well.
func TestContradictionsInOtherSpellings(t *testing.T) {
	t.Parallel()
	const account = "//iam.googleapis.com/projects/data-prod/serviceAccounts/" + runner
	for name, tt := range map[string]struct{ granted, removed string }{
		"without the slashes":     {account, account[2:]},
		"granted without slashes": {account[2:], account},
		"the address in capitals": {account, "//iam.googleapis.com/projects/data-prod/serviceAccounts/RUNNER@data-prod.iam.gserviceaccount.com"},
		"both, and by number":     {account, "iam.googleapis.com/projects/210987654321/serviceAccounts/Runner@data-prod.iam.gserviceaccount.com"},
		"a project":               {webProject, webProject[2:]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			c := newClient(t, b)
			p := replacePlan(t, c)
			step := recommend.Step{Member: "serviceAccount:" + runner, Role: "roles/run.viewer"}
			grant, removal := step, step
			grant.Kind, grant.Resource = recommend.StepGrantRole, tt.granted
			removal.Kind, removal.Resource = recommend.StepRemoveRole, tt.removed
			p.Steps = []recommend.Step{grant, removal}
			b.ResetCalls()
			_, err := c.Apply(t.Context(), p, owner, order)
			require.ErrorContains(t, err, "takes away what step 1 grants")
			assert.False(t, slices.ContainsFunc(b.Calls(), mutates))
		})
	}
}
