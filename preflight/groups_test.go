package preflight_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/preflight"
)

// Access through a group, with another in it, is Unknown to who can't look into
// groups, and names the group; it is told for certain by a lookup of groups. It is
// never a Pass for someone who is in none.
func TestAccessThroughNestedGroups(t *testing.T) {
	t.Parallel()
	const stranger = "user:stranger@example.com"
	groups := map[string][]string{"crew@example.com": {"user:other@example.com", "group:mates@example.com"}, "mates@example.com": {dev}}
	b := newCloud(t)
	grantAuditor(b)
	for _, email := range []string{"mates@example.com", "crew@example.com"} {
		b.AddGroup(email, groups[email]...)
	}
	revoke(b, accountName(local), "", dev)
	b.Grant(accountName(local), "roles/iam.serviceAccountUser", "group:crew@example.com")
	lookup := func(_ context.Context, email string) ([]string, error) {
		members, ok := groups[email]
		if !ok {
			return nil, errors.New("no such group")
		}
		return members, nil
	}
	for name, tt := range map[string]struct {
		deployer string
		lookup   func(context.Context, string) ([]string, error)
		opts     *preflight.CheckOptions
		want     []preflight.Verdict
	}{
		"a member":                      {deployer: dev, want: []preflight.Verdict{preflight.Unknown}},
		"a stranger":                    {deployer: stranger, want: []preflight.Verdict{preflight.Unknown}},
		"a member, by Troubleshooter":   {dev, nil, &preflight.CheckOptions{Troubleshoot: true}, []preflight.Verdict{preflight.Pass, preflight.Unknown}},
		"a stranger, by Troubleshooter": {stranger, nil, &preflight.CheckOptions{Troubleshoot: true}, []preflight.Verdict{preflight.Fail, preflight.Unknown}},
		"a member, by a lookup":         {deployer: dev, lookup: lookup, want: []preflight.Verdict{preflight.Pass}},
		"a stranger, by a lookup":       {deployer: stranger, lookup: lookup, want: []preflight.Verdict{preflight.Fail}},
		"a member, by a lookup that fails": {
			deployer: dev, lookup: func(context.Context, string) ([]string, error) { return nil, errors.New("down") },
			want: []preflight.Verdict{preflight.Unknown},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newChecker(t, b, auditor)
			c.GroupMembers = tt.lookup
			report := check(t, c, preflight.Target{Workload: job, Identity: account(t, local), Deployer: tt.deployer}, tt.opts)
			f := finding(t, report, preflight.CheckDeployerActAs)
			assert.Contains(t, tt.want, f.Verdict, f.Message)
			if f.Verdict == preflight.Unknown {
				assert.Equal(t, "group:crew@example.com", f.Causes[0].Principal)
				require.ErrorContains(t, report.ErrStrict(), "group:crew@example.com")
			}
		})
	}
}
