package refusal_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/internal/refusal"
)

// The texts are those that Cloud Run was recorded to answer, and others near them.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const (
		actAs = "Permission 'iam.serviceaccounts.actAs' denied on service account a@p.iam.gserviceaccount.com (or it may not exist)."
		agent = "Google Cloud Run Service Agent does not have permission to get access tokens for the service account a@p.iam.gserviceaccount.com. " +
			"Please give service-1@serverless-robot-prod.iam.gserviceaccount.com permission iam.serviceAccounts.getAccessToken on the service account."
		token = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
	)
	for name, tt := range map[string]struct {
		code            int
		status, message string
		want            error
	}{
		"act as":                              {403, "PERMISSION_DENIED", actAs, refusal.ErrActAsDenied},
		"act as, of another status":           {400, "INVALID_ARGUMENT", actAs, nil},
		"the agent":                           {403, "PERMISSION_DENIED", agent, refusal.ErrAgentTokenDenied},
		"the agent, of another status":        {400, "INVALID_ARGUMENT", agent, nil},
		"a token that the caller may not get": {403, "PERMISSION_DENIED", token, nil},
		"the agent, and another permission":   {403, "PERMISSION_DENIED", "The Service Agent lacks storage.objects.get.", nil},
		"another permission":                  {403, "PERMISSION_DENIED", "Permission 'run.jobs.update' denied on resource 'projects/p/locations/l/jobs/j' (or resource may not exist).", nil},
		"no such resource":                    {404, "NOT_FOUND", "Resource 'j' of kind 'JOB' in region 'l' in project 'p' does not exist.", refusal.ErrNotFound},
		"it exists":                           {409, "ALREADY_EXISTS", "Resource 'j' already exists.", refusal.ErrAlreadyExists},
		"a conflict":                          {409, "ABORTED", "Conflict for resource 'j': version '1' was specified but current version is '2'.", refusal.ErrConflict},
		"a condition":                         {412, "FAILED_PRECONDITION", "no", refusal.ErrConflict},
		"another status that exists":          {400, "ALREADY_EXISTS", "no", nil},
		"too many":                            {429, "RESOURCE_EXHAUSTED", actAs, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, refusal.Recognize(tt.code, tt.status, tt.message))
			server := &googleapi.Error{Code: tt.code, Message: tt.message, Body: fmt.Sprintf(`{"error":{"status":%q}}`, tt.status)}
			told := refusal.Wrap(fmt.Errorf("call: %w", server))
			found, ok := errors.AsType[*googleapi.Error](told)
			require.True(t, ok)
			assert.Same(t, server, found)
			for _, sentinel := range []error{refusal.ErrActAsDenied, refusal.ErrAgentTokenDenied, refusal.ErrNotFound, refusal.ErrAlreadyExists, refusal.ErrConflict} {
				assert.Equal(t, errors.Is(tt.want, sentinel), errors.Is(told, sentinel))
			}
		})
	}
	plain := errors.New("no answer")
	assert.Equal(t, plain, refusal.Wrap(plain))
	require.NoError(t, refusal.Wrap(nil))
	assert.ErrorIs(t, refusal.Wrap(&googleapi.Error{Code: 409, Body: "<html>"}), refusal.ErrConflict, "which exists is not guessed")
}
