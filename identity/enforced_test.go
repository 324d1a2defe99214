package identity_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// What a backend that enforces answers is told apart as what it is.
func TestRefusalsOfAnEnforcingCloud(t *testing.T) {
	t.Parallel()
	agent := identity.RunServiceAgent(123456789012).Member()
	account := "projects/data-prod/serviceAccounts/" + runnerEmail
	tests := map[string]struct {
		breaks func(*fake.Backend)
		want   error
	}{
		"no actAs": {
			func(b *fake.Backend) {
				b.SetPolicy(account, &iam.Policy{Bindings: []*iam.Binding{
					{Role: "roles/iam.serviceAccountTokenCreator", Members: []string{agent}},
				}})
			}, identity.ErrActAsDenied,
		},
		"no token right": {
			func(b *fake.Backend) {
				b.SetPolicy(account, &iam.Policy{Bindings: []*iam.Binding{
					{Role: "roles/iam.serviceAccountUser", Members: []string{"user:dev@example.com"}},
				}})
			}, identity.ErrAgentTokenDenied,
		},
		"no run.jobs.get": {
			func(b *fake.Backend) { b.SetPolicy("projects/web-prod", &iam.Policy{}) }, nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			tt.breaks(b)
			before := b.RunJSON(nightly.Name())
			_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
			assert.Equal(t, 403, asError[*googleapi.Error](t, err).Code)
			for _, sentinel := range []error{identity.ErrActAsDenied, identity.ErrAgentTokenDenied} {
				assert.Equal(t, errors.Is(tt.want, sentinel), errors.Is(err, sentinel), "%v", err)
			}
			assert.Equal(t, before, b.RunJSON(nightly.Name()))
		})
	}
}

// A deployer that may not read operations attaches all the same: the workload
// itself tells when it has settled.
func TestAttachWithoutTheRightToReadOperations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.SetPolicy("projects/web-prod", &iam.Policy{})
		b.Grant(nightly.Name(), "roles/run.developer", "user:dev@example.com")
		b.SetOperationTime(10 * time.Second)
		change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
		require.NoError(t, err)
		assert.True(t, change.Done)
		assert.Equal(t, 1, countCalls(b, waitMethod))
	})
}

// An account that was just made, with a grant that was just made, is attached
// once both are seen.
func TestEnsureThenAttach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.SetPropagation(30*time.Second, time.Minute)
		c := newClient(t, b)
		account, err := c.EnsureServiceAccount(t.Context(), newAccount, nil)
		require.NoError(t, err)
		assert.True(t, account.Created)
		svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
		require.NoError(t, err)
		b.SetPolicy("projects/web-prod", &iam.Policy{Bindings: []*iam.Binding{
			{Role: "roles/run.developer", Members: []string{"user:dev@example.com"}},
			{Role: "roles/run.serviceAgent", Members: []string{identity.RunServiceAgent(123456789012).Member()}},
		}})
		_, err = svc.Projects.ServiceAccounts.SetIamPolicy("projects/-/serviceAccounts/"+newAccount.Email(), &iam.SetIamPolicyRequest{
			Policy: &iam.Policy{Bindings: []*iam.Binding{{Role: "roles/iam.serviceAccountUser", Members: []string{"user:dev@example.com"}}}},
		}).Do()
		require.NoError(t, err)

		_, err = c.Attach(t.Context(), nightly, newAccount, nil)
		require.ErrorIs(t, err, identity.ErrActAsDenied)
		change, err := c.Attach(t.Context(), nightly, newAccount, &identity.AttachOptions{WaitForAccount: 5 * time.Minute})
		require.NoError(t, err)
		assert.Equal(t, newAccount, change.New)
	})
}
