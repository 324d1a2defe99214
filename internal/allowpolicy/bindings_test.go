package allowpolicy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/allowpolicy"
)

// A binding is found by its role and condition, whose title counts where it is
// told; a removal may leave it out.
func TestWhichBinding(t *testing.T) {
	t.Parallel()
	const (
		plain = `{"role": "roles/viewer", "members": ["user:dev@example.com", "user:y@example.com"]}`
		if1   = `{"role": "roles/viewer", "members": ["user:dev@example.com"], "condition": {"title": "one", "expression": "true"}}`
		if2   = `{"role": "roles/viewer", "members": ["user:dev@example.com", "user:y@example.com"], "condition": {"title": "two", "expression": "true"}}`
		other = `{"role": "roles/viewer", "members": ["user:y@example.com"], "condition": {"title": "one", "expression": "false"}}`
		empty = `{"role": "roles/editor", "members": []}`
	)
	without := func(binding string) string {
		return strings.NewReplacer(`"user:dev@example.com", `, "", `, "user:dev@example.com"`, "").Replace(binding)
	}
	with := func(binding string) string { return strings.Replace(binding, `"]`, `", "user:dev@example.com"]`, 1) }
	change := func(remove bool, title, expression string) allowpolicy.Change {
		return allowpolicy.Change{Remove: remove, Role: "roles/viewer", Member: dev, Condition: allowpolicy.Condition{Title: title, Expression: expression}}
	}
	for name, tt := range map[string]struct {
		had    []string
		change allowpolicy.Change
		has    []string // nil if nothing is written
	}{
		"remove the one without condition":      {[]string{plain, if1, if2}, change(true, "", ""), []string{without(plain), if1, if2}},
		"a title alone is no condition":         {[]string{plain, if1}, change(true, "one", ""), []string{without(plain), if1}},
		"remove the one of that title":          {[]string{plain, if1, if2}, change(true, "two", "true"), []string{plain, if1, without(if2)}},
		"remove those of any title":             {[]string{plain, if1, if2}, change(true, "", "true"), []string{plain, without(if2)}},
		"remove from each binding of a role":    {[]string{plain, plain, if1}, change(true, "", ""), []string{without(plain), without(plain), if1}},
		"nothing to remove: another title":      {[]string{plain, if1}, change(true, "two", "true"), nil},
		"nothing to remove: another expression": {[]string{plain, if1}, change(true, "one", "false"), nil},
		"nothing to remove, an empty binding":   {[]string{if1, empty}, change(true, "", ""), nil},
		"add to the one of that title":          {[]string{plain, other}, change(false, "one", "false"), []string{plain, with(other)}},
		"add beside another title":              {[]string{plain, if1}, change(false, "three", "true"), []string{plain, if1, `{"role": "roles/viewer", "members": ["user:dev@example.com"], "condition": {"title": "three", "expression": "true"}}`}},
		"add beside a condition":                {[]string{if1}, change(false, "", ""), []string{if1, `{"role": "roles/viewer", "members": ["user:dev@example.com"]}`}},
		"add: it is there":                      {[]string{if1, plain}, change(false, "", ""), nil},
		"add: it is in the second":              {[]string{without(plain), plain}, change(false, "", ""), nil},
		"add: an empty binding stays":           {[]string{empty, without(plain)}, change(false, "", ""), []string{empty, with(without(plain))}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, written := answering(t, `{"etag": "BwX", "bindings": [`+strings.Join(tt.had, ",")+`]}`)
			pending, err := c.Pending(t.Context(), project, tt.change)
			require.NoError(t, err)
			assert.Equal(t, tt.has != nil, len(pending) == 1)
			result, err := c.Edit(t.Context(), project, tt.change)
			require.NoError(t, err)
			if tt.has == nil {
				assert.Empty(t, result.Made)
				assert.Empty(t, string(*written))
				return
			}
			assert.Equal(t, []allowpolicy.Change{tt.change}, result.Made)
			var sent struct {
				Policy struct{ Bindings json.RawMessage }
			}
			require.NoError(t, json.Unmarshal(*written, &sent))
			assert.JSONEq(t, "["+strings.Join(tt.has, ",")+"]", string(sent.Policy.Bindings))
		})
	}
}

// Emails are compared without regard to case, and principals as they are.
func TestWhoIsTheSameMember(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		had, member string
		same        bool
	}{
		{"user:Dev@Example.com", dev, true},
		{"group:A@example.com", "group:a@EXAMPLE.com", true},
		{"serviceAccount:a@p.iam.gserviceaccount.com", "serviceAccount:A@p.iam.gserviceaccount.com", true},
		{"domain:Example.com", "domain:example.com", true},
		{"user:a@example.com", "group:a@example.com", false},
		{"principal://iam.googleapis.com/x/subject/A", "principal://iam.googleapis.com/x/subject/a", false},
		{"allUsers", "allUsers", true},
		{"allUsers", "allAuthenticatedUsers", false},
	} {
		t.Run(tt.member, func(t *testing.T) {
			t.Parallel()
			c, written := answering(t, `{"etag": "BwX", "bindings": [{"role": "roles/viewer", "members": ["`+tt.had+`"]}]}`)
			_, err := c.Edit(t.Context(), project, grant("roles/viewer", tt.member))
			require.NoError(t, err)
			assert.Equal(t, tt.same, len(*written) == 0)
		})
	}
}

// A policy is full at 1500 principals: nothing is added, and roles can be taken away.
func TestFullPolicy(t *testing.T) {
	t.Parallel()
	for _, had := range []int{1499, 1500, 1502} {
		var members []string
		for i := range had {
			members = append(members, fmt.Sprintf(`"user:u%d@example.com"`, i))
		}
		policy := `{"etag": "BwX", "bindings": [{"role": "roles/viewer", "members": [` + strings.Join(members, ",") + `]}]}`
		c, written := answering(t, policy)
		_, err := c.Edit(t.Context(), project, grant("roles/viewer", dev))
		if had == 1499 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, allowpolicy.ErrImpossible)
			require.ErrorContains(t, err, fmt.Sprintf("the policy would have %d principals, and may have 1500", had+1))
			assert.Empty(t, *written)
		}
		_, err = c.Edit(t.Context(), project, allowpolicy.Change{Remove: true, Role: "roles/viewer", Member: "user:u1@example.com"})
		require.NoError(t, err)
		assert.NotContains(t, string(*written), `"user:u1@example.com"`)
	}
}

// A removal that takes nothing away leaves an empty binding of others' as it is.
func TestEmptyBindingStays(t *testing.T) {
	t.Parallel()
	c, written := answering(t, `{"etag": "BwX", "bindings": [{"role": "roles/editor", "members": []}]}`)
	gone := grant("roles/owner", dev)
	gone.Remove = true
	result, err := c.Edit(t.Context(), project, gone, grant("roles/viewer", dev))
	require.NoError(t, err)
	assert.Equal(t, []allowpolicy.Change{grant("roles/viewer", dev)}, result.Made)
	assert.Contains(t, string(*written), `{"members":[],"role":"roles/editor"}`)
}
