package identity_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

func TestExecutionOfWhichTheOperationFails(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	answerWaits(b, 1, `"done":true,"error":{"code":2,"message":"Task failed with exit code 1"}`)
	e, err := newClient(t, b).Execute(t.Context(), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
	assert.Equal(t, "UNKNOWN", asError[*identity.OperationError](t, err).Reason)
	assert.True(t, e.Done)
}

// What the operation said is told, also where the execution can't be read for more.
func TestExecutionOfWhichOnlyTheOperationTells(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	answerWaits(b, 1, `"done":true,"error":{"code":2,"message":"Task failed with exit code 1"}`)
	b.Inject(getExecution, fake.Fault{Status: http.StatusForbidden})
	e, err := newClient(t, b).Execute(t.Context(), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
	assert.Equal(t, "UNKNOWN", asError[*identity.OperationError](t, err).Reason)
	var open *identity.UnfinishedError
	require.NotErrorAs(t, err, &open)
	assert.False(t, e.Done, "that wasn't seen")
}

// An execution that says when it was completed has ended, whatever its conditions.
func TestExecutionWithoutConditions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.Inject(waitMethod, fake.Fault{Status: http.StatusForbidden})
		c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet {
				return next.RoundTrip(r)
			}
			body := fmt.Sprintf(`{"name":%q,"completionTime":"2026-11-25T00:00:00Z","taskCount":1,"succeededCount":1}`, strings.TrimPrefix(r.URL.Path, "/v2/"))
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		e, err := c.Execute(bounded(t, time.Hour), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
		require.NoError(t, err)
		assert.True(t, e.Done)
		assert.Equal(t, int64(1), e.Succeeded)
	})
}

func TestExecuteWithAnEndedContext(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newClient(t, b).Execute(ctx, nightly, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, identity.ErrMayHaveStarted)
	assert.Empty(t, b.Calls())
}
