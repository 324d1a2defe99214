package access

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPermissionFQDN(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		actAs:                             "iam.googleapis.com/serviceAccounts.actAs",
		"run.workerpools.update":          "run.googleapis.com/workerpools.update",
		"resourcemanager.projects.delete": "cloudresourcemanager.googleapis.com/projects.delete",
		"resourcemanager.folders.get":     "cloudresourcemanager.googleapis.com/folders.get",
		"bigquery.connections.use":        "bigqueryconnection.googleapis.com/connections.use",
		"bigquery.dataPolicies.get":       "bigquerydatapolicy.googleapis.com/dataPolicies.get",
		"bigquery.transfers.get":          "bigquerydatatransfer.googleapis.com/transfers.get",
		"bigquery.tables.get":             "bigquery.googleapis.com/tables.get",
		"serviceusage.apiKeys.revert":     "apikeys.googleapis.com/apiKeys.revert",
		"serviceusage.services.enable":    "serviceusage.googleapis.com/services.enable",
		"datastore.locations.get":         "firestore.googleapis.com/locations.get",
		"datastore.entities.get":          "datastore.googleapis.com/entities.get",
		"lookerstudio.pro.manage":         "datastudio.googleapis.com/pro.manage",
		"lookerstudio.other.manage":       "lookerstudio.googleapis.com/other.manage",
		"iam.googleapis.com/roles.list":   "iam.googleapis.com/roles.list",
		"netapp.com/x.y":                  "netapp.com/x.y",
		"nonsense":                        "nonsense",
		"a.b":                             "a.b",
		"":                                "",
	} {
		assert.Equal(t, want, PermissionFQDN(in), in)
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "iam", "iam.serviceAccounts.actAs", "iam.googleapis.com", "iam.googleapis.com/", "iam.googleapis.com/roles", "iam.googleapis.com/*",
		"*.googleapis.com/roles.list", "*/*.*", "iam.googleapis.com/role*.list", "iam.googleapis.com/roles.li*", "iam.googleapis.com/.list", "iam.googleapis.com/roles.",
		"iam/roles.list", "iam.googleapis.com/a/b.c",
	} {
		_, ok := parsePattern(in)
		assert.False(t, ok, in)
	}
	d := NewCompiler().Deny(DenyPolicy{Rules: []DenyRule{{DeniedPermissions: []string{"iam.googleapis.com/*", "iam.googleapis.com/roles.list"}}}})
	var pe *permissionError
	require.ErrorAs(t, d.Err(), &pe)
	assert.Equal(t, "iam.googleapis.com/*", pe.Permission)
	assert.Contains(t, pe.Error(), "SERVICE_FQDN")
	p, ok := splitPermission("netapp.com/pools.get")
	require.True(t, ok)
	q, ok := parsePattern("netapp.com/*.get")
	require.True(t, ok)
	assert.True(t, q.matches(p), "services of other domains")
}

func TestErr(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	p := c.Allow(Policy{Bindings: []Binding{
		{Role: "roles/a", Members: []string{"user:a@b.c", "projectOwner:p"}},
		{Role: "roles/b", Members: []string{"group:g@b.c"}, Condition: &Expr{Expression: `resource.matchTag("a", "b")`}},
		{Role: "roles/c", Members: []string{"group:g@b.c"}, Condition: &Expr{Expression: `x y`}},
	}})
	var me *memberError
	var ce *ConditionError
	require.ErrorAs(t, p.Err(), &me)
	require.ErrorAs(t, p.Err(), &ce)
	assert.Equal(t, []string{"resource.matchTag"}, ce.Attributes)
	require.NoError(t, c.Allow(Policy{Bindings: to("roles/a", "user:a@b.c")}).Err())

	d := c.Deny(DenyPolicy{Rules: []DenyRule{{
		DeniedPrincipals: []string{"user:a@b.c", "principalSet://goog/group/g@b.c"}, ExceptionPrincipals: []string{"principalSet://goog/group/h@b.c", "principalSet://goog/group/g@b.c"},
		Condition: &Expr{Expression: "x y"},
	}}})
	require.ErrorAs(t, d.Err(), &me)
	require.ErrorAs(t, d.Err(), &ce)
	assert.NoError(t, NoDeny().Err())
}

func TestAllowLimits(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	many := func(n int, format string) []string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(format, i))
		}
		return out
	}
	variants := func(n int) []Binding {
		var out []Binding
		for i := range n {
			out = append(out, when(fmt.Sprintf(`resource.name != "%d"`, i), "roles/a", "user:a@b.c")...)
		}
		return out
	}
	ops := func(n int) []Binding {
		return when(strings.Repeat("!", n%2)+"true"+strings.Repeat(" && true", n-n%2), "roles/a", "user:a@b.c")
	}
	for _, tt := range []struct {
		name     string
		bindings []Binding
		limit    string // empty if it is fine
	}{
		{"1500 principals", to("roles/a", many(1500, "user:u%d@b.c")...), ""},
		{"1501 principals", to("roles/a", many(1501, "user:u%d@b.c")...), "principals in an allow policy: 1501, at most 1500"},
		{"each appearance counts", append(to("roles/a", many(1000, "user:u%d@b.c")...), to("roles/b", many(501, "user:u%d@b.c")...)...), "principals in an allow policy"},
		{"250 groups", to("roles/a", many(250, "group:g%d@b.c")...), ""},
		{"251 groups", to("roles/a", many(251, "group:g%d@b.c")...), "groups and domains in an allow policy"},
		{"a group counts once", append(to("roles/a", many(250, "group:g%d@b.c")...), to("roles/b", many(250, "group:g%d@b.c")...)...), ""},
		{"a domain counts each time", append(to("roles/a", many(249, "group:g%d@b.c")...), append(to("roles/b", "domain:b.c"), to("roles/c", "domain:b.c")...)...), "groups and domains in an allow policy"},
		{"12 operators", ops(12), ""},
		{"13 operators", ops(13), "logical operators in a condition"},
		{"20 conditions", variants(20), ""},
		{"21 conditions", variants(21), "different conditions (roles/a user:a@b.c): 21, at most 20"},
		{"condition on a basic role", when("true", "roles/editor", "user:a@b.c"), "a basic role can't be granted with a condition"},
		{"condition for allUsers", when("true", "roles/a", "allUsers"), "allUsers with a condition"},
		{"condition for allAuthenticatedUsers", when("true", "roles/a", "allAuthenticatedUsers"), "allAuthenticatedUsers with a condition"},
		{"basic role without condition", to("roles/owner", "user:a@b.c"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := c.Allow(Policy{Bindings: tt.bindings}).CheckLimits()
			if tt.limit == "" {
				assert.NoError(t, err)
				return
			}
			var le *LimitError
			require.ErrorAs(t, err, &le)
			assert.Contains(t, err.Error(), tt.limit)
		})
	}
}

func TestDenyLimits(t *testing.T) {
	t.Parallel()
	c := NewCompiler()
	withRules := func(n int, r DenyRule) DenyPolicy {
		p := DenyPolicy{}
		for range n {
			p.Rules = append(p.Rules, r)
		}
		return p
	}
	principals := func(n int, text string) (out []string) {
		for range n {
			out = append(out, text)
		}
		return out
	}
	on := func(expression string) DenyPolicy {
		return withRules(1, DenyRule{Condition: &Expr{Expression: expression}})
	}
	for _, tt := range []struct {
		name     string
		policies []DenyPolicy
		limit    string
	}{
		{"none", nil, ""},
		{"500 rules", []DenyPolicy{withRules(500, DenyRule{})}, ""},
		{"501 rules", []DenyPolicy{withRules(500, DenyRule{}), withRules(1, DenyRule{})}, "deny rules of a resource: 501, at most 500"},
		{"501 policies", make([]DenyPolicy, 501), "deny policies of a resource"},
		{"2501 principals", []DenyPolicy{withRules(1, DenyRule{DeniedPrincipals: principals(2501, "principal://goog/subject/a@b.c")})}, "principals in the deny policies"},
		{"501 groups", []DenyPolicy{withRules(1, DenyRule{ExceptionPrincipals: principals(501, "principalSet://goog/group/a@b.c")})}, "groups and domains in the deny policies"},
		{"tags", []DenyPolicy{on(`resource.matchTag("a", "b") || !resource.hasTagKeyId("c")`)}, ""},
		{"time", []DenyPolicy{on(`request.time < timestamp("2030-01-01T00:00:00Z")`)}, "resource tags only"},
		{"tags and type", []DenyPolicy{on(`resource.matchTag("a", "b") && resource.type == "x"`)}, "resource tags only"},
		{"path", []DenyPolicy{on(`request.path == "b"`)}, "resource tags only"},
		{"13 operators", []DenyPolicy{on(strings.Repeat(`resource.matchTag("a", "b") && `, 13) + `resource.matchTag("a", "b")`)}, "logical operators in a condition"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := c.Deny(tt.policies...).CheckLimits()
			if tt.limit == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, tt.limit)
			}
		})
	}
}

// TestImports holds that the package is pure: it depends on CEL and the standard
// library, and nothing there can reach a network or a clock of its own.
func TestImports(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		source, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		for _, forbidden := range []string{"time.Now", "time.Since", "func init()"} {
			assert.NotContains(t, string(source), forbidden, f.Name())
		}
		lines := strings.Count(string(source), "\n")
		assert.LessOrEqual(t, lines, 400, f.Name())
		parsed, err := parser.ParseFile(token.NewFileSet(), f.Name(), source, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range parsed.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			first, _, _ := strings.Cut(path, "/")
			ok := !strings.Contains(first, ".") || strings.Contains(path, "/cel-go/")
			assert.True(t, ok, "%s imports %s", f.Name(), path)
			assert.NotContains(t, []string{"net", "net/http", "os", "log", "math/rand", "unsafe"}, path, f.Name())
		}
	}
}
