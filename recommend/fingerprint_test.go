package recommend_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// A plan in which any field of a step is another is another plan, and doesn't go on
// with what the first one began. The reason is English, and does nothing.
func TestEveryFieldOfAStepIsInThePlansFingerprint(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := replacePlan(t, c)
	last := len(p.Steps) - 1
	p.Steps[last].Condition, p.Steps[last].ConditionTitle = "true", "always"
	cutAt(t, b, c, p, 1)
	claimed := get(t, c, webPolicy+"replace")
	others := map[string]any{
		"Kind": recommend.StepGrantRole, "Account": shopAccount, "Workload": shop, "Before": identity.MustParseServiceAccount(compute),
		"Member": "user:x@example.com", "Role": "roles/viewer", "Resource": "//cloudresourcemanager.googleapis.com/projects/210987654321",
		"Condition": "false", "ConditionTitle": "never",
	}
	with := func(name string, v any) recommend.Plan {
		changed := p
		changed.Steps = append([]recommend.Step(nil), p.Steps...)
		field := reflect.ValueOf(&changed.Steps[last]).Elem().FieldByName(name)
		require.NotEqual(t, field.Interface(), v)
		field.Set(reflect.ValueOf(v))
		return changed
	}
	for field := range reflect.TypeFor[recommend.Step]().Fields() {
		if field.Name == "Reason" {
			continue
		}
		other, ok := others[field.Name]
		require.True(t, ok, "the field %s has no other value here", field.Name)
		_, err := c.Apply(t.Context(), with(field.Name, other), owner, order)
		require.ErrorIs(t, err, recommend.ErrBlocked, field.Name)
		require.ErrorContains(t, err, "another plan of it was begun", field.Name)
		assert.Equal(t, claimed.Etag, get(t, c, webPolicy+"replace").Etag)
	}
	_, err := c.Apply(t.Context(), with("Reason", "as it was said another time"), owner, order)
	require.NoError(t, err)
	assert.Equal(t, recommend.StateSucceeded, get(t, c, webPolicy+"replace").State)
}
