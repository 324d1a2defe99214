package fake_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
)

// A call that began before policies were replaced, and is decided after, has what
// its caller has all the time.
func TestCallsAcrossPolicyChanges(t *testing.T) {
	t.Parallel()
	b := fake.NewBackend()
	t.Cleanup(b.Close)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
	b.Grant("projects/web-prod", "roles/owner", dev)
	svc, err := cloudresourcemanager.NewService(t.Context(), b.ClientOptions(dev)...)
	require.NoError(t, err)
	policy := &iam.Policy{Bindings: []*iam.Binding{{Role: "roles/owner", Members: []string{dev}}}}
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for range 3000 {
			b.SetPolicy("projects/web-prod", policy)
		}
	})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				p, err := svc.Projects.TestIamPermissions("projects/web-prod", &cloudresourcemanager.TestIamPermissionsRequest{
					Permissions: []string{"resourcemanager.projects.get"},
				}).Do()
				if !assert.NoError(t, err) || !assert.Len(t, p.Permissions, 1) { //nolint:testifylint // not the test's goroutine
					return
				}
			}
		})
	}
	wg.Wait()
}
