package fake_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
)

const accountsURL = "https://iam.googleapis.com/v1/projects/-/serviceAccounts/"

func accounts(t *testing.T) (*fake.Backend, *iam.ProjectsServiceAccountsService) {
	t.Helper()
	b := newBackend()
	t.Cleanup(b.Close)
	svc, err := iam.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	return b, svc.Projects.ServiceAccounts
}

func create(t *testing.T, svc *iam.ProjectsServiceAccountsService, project, id string) *iam.ServiceAccount {
	t.Helper()
	a, err := svc.Create("projects/"+project, &iam.CreateServiceAccountRequest{AccountId: id}).Do()
	require.NoError(t, err)
	return a
}

func TestServiceAccountLife(t *testing.T) {
	t.Parallel()
	_, svc := accounts(t)
	a := create(t, svc, "web-prod", "runner")
	assert.Equal(t, "projects/web-prod/serviceAccounts/runner@web-prod.iam.gserviceaccount.com", a.Name)
	assert.Len(t, a.UniqueId, 21)

	for _, name := range []string{a.Name, "projects/-/serviceAccounts/" + a.Email, "projects/-/serviceAccounts/" + a.UniqueId, "projects/123456789012/serviceAccounts/" + a.Email} {
		got, err := svc.Get(name).Do()
		require.NoError(t, err, name)
		assert.Equal(t, a.Name, got.Name)
	}
	_, err := svc.Create("projects/web-prod", &iam.CreateServiceAccountRequest{AccountId: "runner"}).Do()
	g := googleError(t, err)
	assert.Equal(t, "Service account runner already exists within project projects/web-prod.", g.Message)
	assert.Equal(t, "alreadyExists", g.Errors[0].Reason)

	_, err = svc.Disable(a.Name, &iam.DisableServiceAccountRequest{}).Do()
	require.NoError(t, err)
	got, err := svc.Get(a.Name).Do()
	require.NoError(t, err)
	assert.True(t, got.Disabled)
	_, err = svc.Enable(a.Name, &iam.EnableServiceAccountRequest{}).Do()
	require.NoError(t, err)

	patched, err := svc.Patch(a.Name, &iam.PatchServiceAccountRequest{
		ServiceAccount: &iam.ServiceAccount{DisplayName: "Runner", Description: "not in the mask"}, UpdateMask: "display_name",
	}).Do()
	require.NoError(t, err)
	assert.Equal(t, "Runner", patched.DisplayName)
	assert.Empty(t, patched.Email, "the answer holds what was patched, and the name")
	_, err = svc.Patch(a.Name, &iam.PatchServiceAccountRequest{ServiceAccount: &iam.ServiceAccount{}, UpdateMask: "email"}).Do()
	assert.Equal(t, 400, googleError(t, err).Code)
	_, err = svc.Patch(a.Name, &iam.PatchServiceAccountRequest{}).Do()
	assert.Equal(t, 400, googleError(t, err).Code)
	_, err = svc.Update(a.Name, &iam.ServiceAccount{DisplayName: "Renamed"}).Do()
	require.NoError(t, err)
	got, err = svc.Get(a.Name).Do()
	require.NoError(t, err)
	assert.Equal(t, "Renamed", got.DisplayName)
	assert.Empty(t, got.Description)

	_, err = svc.Delete(a.Name).Do()
	require.NoError(t, err)
	_, err = svc.Get(a.Name).Do()
	assert.Equal(t, "Unknown service account", googleError(t, err).Message)
	_, err = svc.Get("projects/-/serviceAccounts/" + a.Email).Do()
	assert.Equal(t, 403, googleError(t, err).Code, "the wildcard does not tell missing from forbidden")
	restored, err := svc.Undelete("projects/-/serviceAccounts/"+a.UniqueId, &iam.UndeleteServiceAccountRequest{}).Do()
	require.NoError(t, err)
	assert.Equal(t, a.UniqueId, restored.RestoredAccount.UniqueId)
	_, err = svc.Undelete("projects/-/serviceAccounts/"+a.UniqueId, &iam.UndeleteServiceAccountRequest{}).Do()
	assert.Equal(t, 400, googleError(t, err).Code)
}

func TestRecreatedAccountIsAnotherOne(t *testing.T) {
	t.Parallel()
	_, svc := accounts(t)
	first := create(t, svc, "web-prod", "runner")
	_, err := svc.Delete(first.Name).Do()
	require.NoError(t, err)
	second := create(t, svc, "web-prod", "runner")
	assert.NotEqual(t, first.UniqueId, second.UniqueId)
	_, err = svc.Undelete("projects/-/serviceAccounts/"+first.UniqueId, &iam.UndeleteServiceAccountRequest{}).Do()
	assert.Equal(t, 400, googleError(t, err).Code, "its address is taken")
}

func TestServiceAccountRefusals(t *testing.T) {
	t.Parallel()
	_, svc := accounts(t)
	for _, id := range []string{"", "short", "Upper-case", "-hyphen", "hyphen-", "1-digit", "a-name-that-is-longer-than-it-may", "under_score"} {
		_, err := svc.Create("projects/web-prod", &iam.CreateServiceAccountRequest{AccountId: id}).Do()
		assert.Equal(t, 400, googleError(t, err).Code, id)
	}
	_, err := svc.Create("projects/none", &iam.CreateServiceAccountRequest{AccountId: "runner"}).Do()
	assert.Equal(t, 403, googleError(t, err).Code)
	_, err = svc.List("projects/none").Do()
	assert.Equal(t, 403, googleError(t, err).Code)
	_, err = svc.Get("projects/web-prod/serviceAccounts/none@web-prod.iam.gserviceaccount.com").Do()
	g := googleError(t, err)
	assert.Equal(t, "notFound", g.Errors[0].Reason)
}

func TestListServiceAccounts(t *testing.T) {
	t.Parallel()
	b, svc := accounts(t)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "example.com:scoped"})
	b.Grant("projects/example.com:scoped", "roles/iam.serviceAccountAdmin", "user:dev@example.com")
	for i := range 30 {
		create(t, svc, "web-prod", fmt.Sprintf("runner-%02d", i))
	}
	scoped := create(t, svc, "example.com:scoped", "runner")
	assert.Equal(t, "runner@scoped.example.com.iam.gserviceaccount.com", scoped.Email)
	seen := 0
	require.NoError(t, svc.List("projects/web-prod").Pages(t.Context(), func(p *iam.ListServiceAccountsResponse) error {
		seen += len(p.Accounts)
		assert.LessOrEqual(t, len(p.Accounts), 20)
		return nil
	}))
	assert.Equal(t, 32, seen, "with the Compute Engine default one and that of newBackend")
}

func TestSeededServiceAccounts(t *testing.T) {
	t.Parallel()
	b, svc := accounts(t)
	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com", Disabled: true, UniqueId: "111111111111111111111"})
	a, err := svc.Get("projects/-/serviceAccounts/111111111111111111111").Do()
	require.NoError(t, err)
	assert.True(t, a.Disabled)
	b.AddServiceAccount(&iam.ServiceAccount{Email: "web-prod@appspot.gserviceaccount.com", ProjectId: "web-prod"})
	assert.Panics(t, func() { b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com"}) })
	assert.Panics(t, func() { b.AddServiceAccount(&iam.ServiceAccount{Email: "x@appspot.gserviceaccount.com"}) })
	assert.Panics(t, func() { b.AddServiceAccount(&iam.ServiceAccount{Email: "x@none.iam.gserviceaccount.com"}) })
	assert.Panics(t, func() { b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"}) })
	assert.Panics(t, func() { b.AddProject(&cloudresourcemanager.Project{ProjectId: "other", Name: "projects/other"}) })
	assert.Panics(t, func() { b.AddProject(&cloudresourcemanager.Project{}) })
}

func TestUndeleteNeedsPermission(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	const id = "123456789012345678901"
	b.AddServiceAccount(&iam.ServiceAccount{Email: "second@web-prod.iam.gserviceaccount.com", UniqueId: id})
	ask(t, b, fake.Admin, http.MethodDelete, accountsURL+id, "")
	for _, name := range []string{id, "999"} {
		status, body := ask(t, b, "user:eve@example.com", http.MethodPost, accountsURL+name+":undelete", "{}")
		assert.Equal(t, http.StatusForbidden, status, body)
	}
	b.Grant("projects/web-prod", "roles/iam.serviceAccountAdmin", "user:ann@example.com")
	status, body := ask(t, b, "user:ann@example.com", http.MethodPost, accountsURL+id+":undelete", "{}")
	assert.Equal(t, http.StatusOK, status, body)
}

func TestAnAccountThatIsGoneCallsNoMore(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	const member = "serviceAccount:x@web-prod.iam.gserviceaccount.com"
	b.AddGroup("bots@example.com", member)
	b.Grant("projects/web-prod", "roles/run.viewer", "group:bots@example.com")
	url := accountsURL + "x@web-prod.iam.gserviceaccount.com"
	get := func() int { status, _ := ask(t, b, member, http.MethodGet, api+jobName, ""); return status }
	assert.Equal(t, http.StatusOK, get())
	ask(t, b, fake.Admin, http.MethodPost, url+":disable", "{}")
	assert.Equal(t, http.StatusUnauthorized, get())
	ask(t, b, fake.Admin, http.MethodPost, url+":enable", "{}")
	assert.Equal(t, http.StatusOK, get())
	ask(t, b, fake.Admin, http.MethodDelete, url, "")
	assert.Equal(t, http.StatusUnauthorized, get())
}

func TestAnIdentityIsNamedByItsEmail(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	b.AddServiceAccount(&iam.ServiceAccount{Email: "second@web-prod.iam.gserviceaccount.com", UniqueId: "123456789012345678901"})
	status, body := ask(t, b, "user:dev@example.com", http.MethodPost, api+location+"/jobs?jobId=n",
		`{"template":{"template":{"serviceAccount":"123456789012345678901","containers":[{"image":"i"}]}}}`)
	assert.Equal(t, http.StatusForbidden, status, body)
}
