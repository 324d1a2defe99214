package fake_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
)

// Who is meant by each form of a member: what Google's page on principal
// identifiers says, asked through calls.
// https://cloud.google.com/iam/docs/principal-identifiers
func TestWhoIsMeant(t *testing.T) {
	t.Parallel()
	const (
		user     = "user:dev@example.com"
		account  = "serviceAccount:bot@web-prod.iam.gserviceaccount.com"
		stranger = "serviceAccount:bot@other-prod.iam.gserviceaccount.com"
		pool     = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci"
		workflow = "principal://" + pool + "/subject/repo:acme/web"
		plain    = "principal://" + pool + "/subject/plain"
	)
	tests := map[string]struct {
		member  string
		yes, no []string
	}{
		"a user":                       {user, []string{user}, []string{"user:eve@example.com", account}},
		"letter case":                  {"user:Dev@Example.COM", []string{user}, nil},
		"a service account":            {account, []string{account}, []string{user, stranger}},
		"a group":                      {"group:team@example.com", []string{user, account}, []string{"user:eve@example.com"}},
		"a group in a group":           {"group:all@example.com", []string{user, account, "user:eve@example.com"}, []string{stranger}},
		"a domain":                     {"domain:example.com", []string{user}, []string{"user:dev@sub.example.com", account}},
		"everyone":                     {"allUsers", []string{user, account, workflow}, nil},
		"everyone with an account":     {"allAuthenticatedUsers", []string{user, account}, []string{workflow}},
		"a federated identity":         {workflow, []string{workflow}, []string{plain, user}},
		"a whole pool":                 {"principalSet://" + pool + "/*", []string{workflow, plain}, []string{user}},
		"an attribute":                 {"principalSet://" + pool + "/attribute.repository/acme/web", []string{workflow}, []string{plain}},
		"a group of a pool":            {"principalSet://" + pool + "/group/deployers", []string{workflow}, []string{plain}},
		"accounts of a project":        {"principalSet://cloudresourcemanager.googleapis.com/projects/123456789012/type/ServiceAccount", []string{account}, []string{stranger, user}},
		"accounts of a folder":         {"principalSet://cloudresourcemanager.googleapis.com/folders/2/type/ServiceAccount", []string{account}, []string{stranger}},
		"accounts of an organization":  {"principalSet://cloudresourcemanager.googleapis.com/organizations/1/type/ServiceAccount", []string{account, stranger}, []string{user}},
		"a deleted account of the uid": {"deleted:" + account + "?uid=111111111111111111111", []string{account}, nil},
		"a deleted account":            {"deleted:" + account + "?uid=222222222222222222222", nil, []string{account}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := fake.NewBackend()
			defer b.Close()
			b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1"})
			b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/2", Parent: "organizations/1"})
			b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012", Parent: "folders/2"})
			b.AddProject(&cloudresourcemanager.Project{ProjectId: "other-prod", Parent: "organizations/1"})
			b.AddServiceAccount(&iam.ServiceAccount{Email: "bot@web-prod.iam.gserviceaccount.com", UniqueId: "111111111111111111111"})
			b.AddServiceAccount(&iam.ServiceAccount{Email: "bot@other-prod.iam.gserviceaccount.com"})
			b.AddGroup("team@example.com", user, account)
			b.AddGroup("all@example.com", "group:team@example.com", "user:eve@example.com", "group:all@example.com")
			b.AddFederatedIdentity(workflow, map[string]string{"attribute.repository": "acme/web"}, "deployers")
			b.AddRunJSON(jobName, []byte(`{"template":{"template":{"containers":[{"image":"i"}]}}}`))
			b.Grant(jobName, "roles/run.developer", tt.member) // projects take no allUsers
			for _, caller := range slices.Concat(tt.yes, tt.no) {
				b.Grant("projects/web-prod", "roles/iam.serviceAccountUser", caller)
			}
			body := `{"template":{"template":{"containers":[{"image":"j"}]}}}`
			for _, caller := range tt.yes {
				assert.Equal(t, 200, patchStatus(b, caller, body), caller)
			}
			for _, caller := range tt.no {
				assert.Equal(t, 403, patchStatus(b, caller, body), caller)
			}
		})
	}
}

func TestSeedingOfPrincipalsAndPoliciesRefuses(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	for name, seed := range map[string]func(){
		"a group's address":     func() { b.AddGroup("team") },
		"a group's member":      func() { b.AddGroup("team@example.com", "eve") },
		"no federated identity": func() { b.AddFederatedIdentity("user:dev@example.com", nil) },
		"a grant to no group":   func() { b.Grant("projects/web-prod", "roles/viewer", "group:none@example.com") },
		"a grant to no account": func() {
			b.Grant("projects/web-prod", "roles/viewer", "serviceAccount:none@web-prod.iam.gserviceaccount.com")
		},
		"a grant on nothing":      func() { b.Grant("projects/none", "roles/viewer", "user:dev@example.com") },
		"a grant of no role":      func() { b.Grant("projects/web-prod", "viewer", "user:dev@example.com") },
		"a custom role not there": func() { b.Grant("projects/web-prod", "projects/web-prod/roles/none", "user:dev@example.com") },
		"a condition of no use": func() {
			b.GrantIf("projects/web-prod", "roles/run.viewer", "user:dev@example.com", "request.path == ''")
		},
		"a condition's syntax":     func() { b.GrantIf("projects/web-prod", "roles/run.viewer", "user:dev@example.com", "request.time <") },
		"a role of no parent":      func() { b.AddRole(&iam.Role{Name: "projects/none/roles/r"}) },
		"a role's name":            func() { b.AddRole(&iam.Role{Name: "admin"}) },
		"a folder of no parent":    func() { b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/1", Parent: "organizations/9"}) },
		"a folder's name":          func() { b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/acme"}) },
		"a project of no parent":   func() { b.AddProject(&cloudresourcemanager.Project{ProjectId: "p", Parent: "folders/9"}) },
		"the policy of no project": func() { b.Policy("projects/none") },
	} {
		assert.Panics(t, seed, name)
	}
}
