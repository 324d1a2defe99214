package identity_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/identity"
)

func TestOfAndSet(t *testing.T) {
	t.Parallel()
	t.Run("job", func(t *testing.T) {
		t.Parallel()
		setAndRead(t, &run.GoogleCloudRunV2Job{})
	})
	t.Run("service", func(t *testing.T) {
		t.Parallel()
		s := &run.GoogleCloudRunV2Service{Template: &run.GoogleCloudRunV2RevisionTemplate{Revision: "shop-v1", Timeout: "9s"}}
		setAndRead(t, s)
		assert.Empty(t, s.Template.Revision)
		assert.Equal(t, "9s", s.Template.Timeout)
		setAndRead(t, &run.GoogleCloudRunV2Service{})
	})
	t.Run("worker pool", func(t *testing.T) {
		t.Parallel()
		p := &run.GoogleCloudRunV2WorkerPool{Template: &run.GoogleCloudRunV2WorkerPoolRevisionTemplate{Revision: "worker-v1"}}
		setAndRead(t, p)
		assert.Empty(t, p.Template.Revision)
		setAndRead(t, &run.GoogleCloudRunV2WorkerPool{})
	})
}

func setAndRead[R identity.Resource](t *testing.T, r R) {
	t.Helper()
	sa, err := identity.Of(r)
	require.NoError(t, err)
	assert.True(t, sa.IsZero())
	require.NoError(t, identity.Set(r, runner))
	sa, err = identity.Of(r)
	require.NoError(t, err)
	assert.Equal(t, runner, sa)
	require.Error(t, identity.Set(r, identity.ServiceAccount{}))
	sa, err = identity.Of(r)
	require.NoError(t, err)
	assert.Equal(t, runner, sa, "a refused Set changes nothing")
	var none R
	require.EqualError(t, identity.Set(none, runner), "the resource is nil")
	sa, err = identity.Of(none)
	require.NoError(t, err)
	assert.True(t, sa.IsZero())
}

func TestOfAndSetRefuse(t *testing.T) {
	t.Parallel()
	agent := &run.GoogleCloudRunV2WorkloadIdentityConfig{IdentityType: "IDENTITY_TYPE_AGENT_IDENTITY"}
	job := &run.GoogleCloudRunV2Job{Template: &run.GoogleCloudRunV2ExecutionTemplate{
		Template: &run.GoogleCloudRunV2TaskTemplate{WorkloadIdentityConfig: agent},
	}}
	require.ErrorIs(t, identity.Set(job, runner), identity.ErrAgentIdentity)
	assert.Empty(t, job.Template.Template.ServiceAccount)
	service := &run.GoogleCloudRunV2Service{Template: &run.GoogleCloudRunV2RevisionTemplate{WorkloadIdentityConfig: agent}}
	_, err := identity.Of(service)
	require.ErrorIs(t, err, identity.ErrAgentIdentity)
	service = &run.GoogleCloudRunV2Service{Template: &run.GoogleCloudRunV2RevisionTemplate{ServiceAccount: "someone@example.com"}}
	_, err = identity.Of(service)
	require.ErrorContains(t, err, `the identity in the resource: invalid service account "someone@example.com"`)
	require.NoError(t, identity.Set(service, runner), "what is not understood can be replaced")
}
