package recommend_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/recommend"
)

// What came to an end is not applied again with a plan that was made before: only
// the owner and the plan that succeeded are told so once more.
func TestWhatCameToAnEnd(t *testing.T) {
	t.Parallel()
	ended := func(t *testing.T, how string) (*fake.Backend, *recommend.Client, recommend.Plan) {
		t.Helper()
		b := newCloud(t)
		c := newClient(t, b)
		p := replacePlan(t, c)
		switch how {
		case "succeeded":
			_, err := c.Apply(t.Context(), p, owner, order)
			require.NoError(t, err)
		case "failed":
			b.Inject(setPolicyMethod, fake.Fault{Status: 403, Body: refusal, Skip: 1, Times: 1})
			_, err := c.Apply(t.Context(), p, owner, order)
			require.ErrorContains(t, err, "Not you.")
		case "dismissed":
			_, err := c.Dismiss(t.Context(), get(t, c, p.Recommendation))
			require.NoError(t, err)
		}
		b.ResetCalls()
		return b, c, p
	}
	for name, tt := range map[string]struct {
		how, owner, want string
		another          bool
	}{
		"succeeded, the same plan":    {"succeeded", "bot/1", "", false},
		"succeeded, another plan":     {"succeeded", "bot/1", "it was applied already", true},
		"succeeded, by another owner": {"succeeded", "bot/2", "it was applied already", false},
		"failed":                      {"failed", "bot/1", "applying it failed before (grant-roles/run.viewer", false},
		"dismissed":                   {"dismissed", "bot/1", "its state is DISMISSED", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, c, p := ended(t, tt.how)
			if tt.another {
				p.Steps = slices.Clone(p.Steps)
				p.Steps[0].Role = "roles/run.developer"
			}
			for takeOver, apply := range map[string]func() (recommend.Result, error){
				"apply": func() (recommend.Result, error) {
					return c.Apply(t.Context(), p, tt.owner, &recommend.ApplyOptions{Settle: -1})
				},
				"take over": func() (recommend.Result, error) {
					return c.TakeOver(t.Context(), p, tt.owner, &recommend.ApplyOptions{Settle: -1})
				},
			} {
				result, err := apply()
				if tt.want == "" {
					require.NoError(t, err, takeOver)
					assert.Equal(t, []recommend.Outcome{recommend.OutcomeDone, recommend.OutcomeDone, recommend.OutcomeDone}, outcomes(result))
					continue
				}
				require.ErrorIs(t, err, recommend.ErrBlocked, takeOver)
				require.ErrorContains(t, err, tt.want, takeOver)
			}
			assert.False(t, slices.ContainsFunc(b.Calls(), mutates))
		})
	}
}
