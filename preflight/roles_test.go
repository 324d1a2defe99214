package preflight_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/preflight"
)

// A role that can't be read makes the answer Unknown only if it could change it, and
// is named then. A role that is deleted, disabled or not there grants nothing.
func TestRolesThatGrantNothingOrCannotBeRead(t *testing.T) {
	t.Parallel()
	const acting, gone, off = "organizations/1/roles/acting", "projects/web-prod/roles/gone", "projects/web-prod/roles/off"
	refusal := func(status int) *fake.Fault {
		return &fake.Fault{Status: status, Body: `{"error": {"code": 0, "message": "You don't have permission to get the role."}}`}
	}
	for name, tt := range map[string]struct {
		roles  []string
		refuse *fake.Fault
		want   preflight.Verdict
	}{
		"readable":                         {[]string{acting}, nil, preflight.Pass},
		"forbidden":                        {[]string{acting}, refusal(http.StatusForbidden), preflight.Unknown},
		"refused otherwise":                {[]string{acting}, refusal(http.StatusBadRequest), preflight.Unknown},
		"not there":                        {[]string{acting}, refusal(http.StatusNotFound), preflight.Fail},
		"forbidden, and granted otherwise": {[]string{acting, "roles/iam.serviceAccountUser"}, refusal(http.StatusForbidden), preflight.Pass},
		"deleted":                          {[]string{gone}, nil, preflight.Fail},
		"disabled":                         {[]string{off}, nil, preflight.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			revoke(b, accountName(local), "", dev)
			may := []string{"iam.serviceAccounts.actAs"}
			b.AddRole(&iam.Role{Name: acting, IncludedPermissions: may})
			b.AddRole(&iam.Role{Name: gone, IncludedPermissions: may})
			b.AddRole(&iam.Role{Name: off, Stage: "DISABLED", IncludedPermissions: may})
			for _, role := range tt.roles {
				b.Grant(accountName(local), role, dev)
			}
			_, err := admin(t, b).Projects.Roles.Delete(gone).Do()
			require.NoError(t, err)
			if tt.refuse != nil {
				b.Inject("iam.organizations.roles.get", *tt.refuse)
			}
			report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, local), Deployer: dev})
			f := finding(t, report, preflight.CheckDeployerActAs)
			assert.Equal(t, tt.want, f.Verdict, f.Message)
			if tt.want == preflight.Unknown {
				assert.Equal(t, "//iam.googleapis.com/"+acting, f.Causes[0].Resource)
				assert.Contains(t, f.Message, acting)
			}
		})
	}
}
