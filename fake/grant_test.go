package fake_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
)

func TestGrantsAtOnceAreAllKept(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() { b.Grant("projects/web-prod", "roles/viewer", fmt.Sprintf("user:u%d@example.com", i)) })
	}
	all.Wait()
	for _, binding := range b.Policy("projects/web-prod").Bindings {
		if binding.Role == "roles/viewer" {
			assert.Len(t, binding.Members, 64)
		}
	}
}

func TestGrantsThatAreSeededDoNotHurryOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := started(t)
		b.SetPropagation(0, time.Minute)
		const late, seeded = "user:late@example.com", "user:seeded@example.com"
		status, body := ask(t, b, fake.Admin, http.MethodPost, "https://cloudresourcemanager.googleapis.com/v3/projects/web-prod:setIamPolicy",
			`{"policy":{"bindings":[{"role":"roles/run.viewer","members":["`+late+`"]}]}}`)
		require.Equal(t, http.StatusOK, status, body)
		b.Grant("projects/web-prod", "roles/run.viewer", seeded)
		get := func(member string) int {
			status, _ := ask(t, b, member, http.MethodGet, api+jobName, "")
			return status
		}
		assert.Equal(t, [2]int{403, 200}, [2]int{get(late), get(seeded)})
		time.Sleep(time.Minute)
		assert.Equal(t, [2]int{200, 200}, [2]int{get(late), get(seeded)})
		assert.Len(t, b.Policy("projects/web-prod").Bindings[0].Members, 2)
	})
}

func TestMembersAndRolesThatAreNotThere(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "other"})
	b.AddRole(&iam.Role{Name: "projects/other/roles/star", IncludedPermissions: []string{"run.jobs.get"}})
	const policy = "https://cloudresourcemanager.googleapis.com/v3/projects/web-prod:setIamPolicy"
	for role, member := range map[string]string{
		"projects/other/roles/star": "user:d@example.com", // a role of another project
		"roles/viewer":              "serviceAccount:service-api@web-prod.iam.gserviceaccount.com",
		"roles/run.viewer":          "serviceAccount:ghost@developer.gserviceaccount.com",
		"roles/run.admin":           "serviceAccount:ghost@example.org",
		"roles/run.invoker":         "serviceAccount:service-999@serverless-robot-prod.iam.gserviceaccount.com",
	} {
		status, body := ask(t, b, fake.Admin, http.MethodPost, policy, fmt.Sprintf(`{"policy":{"bindings":[{"role":%q,"members":[%q]}]}}`, role, member))
		assert.Equal(t, http.StatusBadRequest, status, "%s %s: %s", role, member, body)
	}
	status, body := ask(t, b, fake.Admin, http.MethodPost, policy,
		`{"policy":{"bindings":[{"role":"roles/viewer","members":["serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com"]}]}}`)
	assert.Equal(t, http.StatusOK, status, body)
}

func TestPermissionsThatAreNone(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	for url, permission := range map[string]string{
		api + jobName: "run.jobs.frobnicate", accountsURL + "x@web-prod.iam.gserviceaccount.com": "iam.serviceAccounts.frobnicate",
		"https://cloudresourcemanager.googleapis.com/v3/projects/web-prod": "run.jobs.*",
	} {
		status, body := ask(t, b, "user:dev@example.com", http.MethodPost, url+":testIamPermissions", `{"permissions":["`+permission+`"]}`)
		assert.Equal(t, http.StatusBadRequest, status, "%s: %s", permission, body)
	}
}
