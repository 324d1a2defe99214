package fake_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	const (
		permission = "iam.serviceAccounts.actAs"
		project    = "projects/web-prod"
		account    = "projects/-/serviceAccounts/x@web-prod.iam.gserviceaccount.com"
		level      = "//cloudresourcemanager.googleapis.com/projects/123456789012"
	)
	ask := func(member string) string { return b.Explain(member, permission, account) }
	const on = "iam.serviceAccounts.actAs on iam.googleapis.com/projects/web-prod/serviceAccounts/x@web-prod.iam.gserviceaccount.com: "

	assert.Equal(t, "granted: user:dev@example.com has "+on+"roles/owner grants it on "+level+" to user:dev@example.com", ask("user:dev@example.com"))
	assert.Equal(t, "denied: user:eve@example.com lacks "+on+"nothing grants it", ask("user:eve@example.com"))

	b.AddGroup("inner@example.com", "user:ann@example.com")
	b.AddGroup("outer@example.com", "group:inner@example.com")
	b.GrantIf(project, "roles/iam.serviceAccountUser", "group:outer@example.com", `request.time > timestamp("1990-01-01T00:00:00Z")`)
	assert.Equal(t, "granted: user:ann@example.com has "+on+"roles/iam.serviceAccountUser grants it on "+level+
		` to group:outer@example.com (by way of group:inner@example.com), as its condition request.time > timestamp("1990-01-01T00:00:00Z") holds`,
		ask("user:ann@example.com"))

	b.GrantIf(project, "roles/iam.serviceAccountUser", "user:bob@example.com", `request.time < timestamp("1990-01-01T00:00:00Z")`)
	assert.Contains(t, ask("user:bob@example.com"), "would, but for its condition request.time < timestamp")

	b.AddRole(&iam.Role{Name: "projects/web-prod/roles/off", Stage: "DISABLED", IncludedPermissions: []string{permission}})
	b.Grant(project, "projects/web-prod/roles/off", "user:cat@example.com")
	assert.Contains(t, ask("user:cat@example.com"), "projects/web-prod/roles/off on "+level+" would, but the role is disabled")

	b.Grant(project, "roles/unheard.of", "user:dan@example.com")
	assert.Contains(t, ask("user:dan@example.com"), "unknown: whether user:dan@example.com has "+on)
	assert.Contains(t, ask("user:dan@example.com"), "roles/unheard.of")
	assert.Panics(t, func() { b.Explain("user:dan@example.com", permission, "projects/none") })
}

// A decision that depends on a role that the fake does not know fails the
// test and says why.
func TestUnknownRoleIsReported(t *testing.T) {
	t.Parallel()
	told := &failures{TB: t}
	b := startedFor(told)
	b.Grant("projects/web-prod", "roles/unheard.of", "user:dan@example.com")
	status := patchStatus(b, "user:dan@example.com", `{}`)
	assert.Equal(t, 403, status)
	assert.Len(t, told.texts, 1)
	assert.Contains(t, told.texts[0], "fake: whether user:dan@example.com has run.jobs.update on")
	assert.Contains(t, told.texts[0], "roles/unheard.of")

	b.AddRole(&iam.Role{Name: "roles/unheard.of", IncludedPermissions: []string{"run.jobs.get"}})
	told.texts = nil
	assert.Equal(t, 403, patchStatus(b, "user:dan@example.com", `{}`))
	assert.Empty(t, told.texts, "now it is known")
}

func TestExplainTakesCallers(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	assert.Equal(t, "granted: admin may do everything", b.Explain(fake.Admin, "run.jobs.get", "projects/web-prod"))
	assert.Contains(t, b.Explain("user:Dev@example.com", "run.jobs.get", "projects/web-prod"), "granted: user:dev@example.com")
	for _, member := range []string{"usr:dev@example.com", "dev@example.com"} {
		assert.Panics(t, func() { b.Explain(member, "run.jobs.get", "projects/web-prod") }, member)
	}
}
