package identity_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

func countCalls(b *fake.Backend, method string) (n int) {
	for _, c := range b.Calls() {
		if c.Method == method {
			n++
		}
	}
	return n
}

// Each case runs in virtual time, so that an exact duration can be asked for.
func TestAttachThroughBadWeather(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		weather func(*fake.Backend)
		patches int
		calls   []string
		within  [2]time.Duration
		noName  bool // the operation's name got lost
	}{
		"503, 503, then success": {
			weather: func(b *fake.Backend) { b.Inject(patchJob, fake.Fault{Status: 503, Times: 2}) },
			patches: 3,
			calls:   []string{"get", "patch", "get", "patch", "get", "patch", "wait"},
		},
		"429 with Retry-After": {
			weather: func(b *fake.Backend) {
				b.Inject(patchJob, fake.Fault{Status: 429, Times: 1, Header: http.Header{"Retry-After": {"7"}}})
			},
			patches: 2,
			calls:   []string{"get", "patch", "get", "patch", "wait"},
			within:  [2]time.Duration{7 * time.Second, 7 * time.Second},
		},
		"connection dropped before the patch": {
			weather: func(b *fake.Backend) { b.Inject(patchJob, fake.Fault{DropBefore: true, Times: 1}) },
			patches: 2,
			calls:   []string{"get", "patch", "get", "patch", "wait"},
		},
		"connection dropped after the patch was applied": {
			weather: func(b *fake.Backend) { b.Inject(patchJob, fake.Fault{DropAfter: true, Times: 1}) },
			patches: 1,
			calls:   []string{"get", "patch", "get", "get"},
			noName:  true,
		},
		"the same, and the change takes its time": {
			weather: func(b *fake.Backend) {
				b.SetOperationTime(20*time.Second, patchJob)
				b.Inject(patchJob, fake.Fault{DropAfter: true, Times: 1})
			},
			patches: 1,
			within:  [2]time.Duration{20 * time.Second, 80 * time.Second},
			noName:  true,
		},
		"the answer to the patch is no JSON": {
			weather: func(b *fake.Backend) { b.Inject(patchJob, fake.Fault{Status: 200, Body: "<html>", Times: 1}) },
			patches: 2,
		},
		"operation done without a response": {
			weather: func(b *fake.Backend) {
				answerWaits(b, 1, `"done":true`)
			},
			patches: 1,
			calls:   []string{"get", "patch", "get"},
		},
		"wait answers 501": {
			weather: func(b *fake.Backend) { b.Inject(waitMethod, fake.Fault{Status: 501}) },
			patches: 1,
			calls:   []string{"get", "patch", "wait", "get"},
		},
		"wait answers 403, and the change takes its time": {
			weather: func(b *fake.Backend) {
				b.SetOperationTime(10*time.Second, patchJob)
				b.Inject(waitMethod, fake.Fault{Status: 403})
			},
			patches: 1,
			within:  [2]time.Duration{10 * time.Second, 45 * time.Second},
		},
		"wait answers 503 once": {
			weather: func(b *fake.Backend) { b.Inject(waitMethod, fake.Fault{Status: 503, Times: 1}) },
			patches: 1,
			calls:   []string{"get", "patch", "wait", "wait"},
		},
		"the change takes longer than one wait": {
			weather: func(b *fake.Backend) { b.SetOperationTime(70*time.Second, patchJob) },
			patches: 1,
			calls:   []string{"get", "patch", "wait", "wait", "wait"},
			within:  [2]time.Duration{70 * time.Second, 70 * time.Second},
		},
		"wait returns early": {
			weather: func(b *fake.Backend) {
				answerWaits(b, 2, `"done":false`)
			},
			patches: 1,
			calls:   []string{"get", "patch", "wait"},
		},
		"the first read fails": {
			weather: func(b *fake.Backend) { b.Inject(getJob, fake.Fault{Status: 500, Times: 1}) },
			patches: 1,
			calls:   []string{"get", "get", "patch", "wait"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				tt.weather(b)
				began := time.Now()

				change, err := newClient(t, b).Attach(bounded(t, 5*time.Minute), nightly, runner, nil)

				require.NoError(t, err)
				took := time.Since(began)
				assert.Equal(t, runner, change.New)
				assert.Equal(t, other, change.Old)
				assert.True(t, change.Written)
				assert.True(t, change.Done)
				assert.Nil(t, change.Interleaved)
				assert.Equal(t, tt.noName, change.Operation == "")
				assert.Equal(t, int64(2), change.NewGeneration)
				assert.Equal(t, tt.patches, countCalls(b, patchJob))
				if tt.calls != nil {
					assert.Equal(t, tt.calls, methods(b))
				}
				if tt.within[1] > 0 {
					assert.GreaterOrEqual(t, took, tt.within[0])
					assert.LessOrEqual(t, took, tt.within[1])
				}
			})
		})
	}
}

func TestAttachGivesUp(t *testing.T) {
	t.Parallel()
	t.Run("after a number of attempts", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(patchJob, fake.Fault{Status: 503})
			_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
			require.ErrorContains(t, err, "gave up after 8 attempts: googleapi: Error 503: Service Unavailable")
			assert.Equal(t, 503, asError[*googleapi.Error](t, err).Code)
			assert.Equal(t, 8, countCalls(b, patchJob))
		})
	})
	t.Run("when the deadline comes before the next attempt", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(patchJob, fake.Fault{Status: 429, Header: http.Header{"Retry-After": {"60"}}})
			began := time.Now()
			_, err := newClient(t, b).Attach(bounded(t, 10*time.Second), nightly, runner, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 429, asError[*googleapi.Error](t, err).Code)
			assert.Zero(t, time.Since(began), "a pause that can't help is not begun")
			_, unfinished := errors.AsType[*identity.UnfinishedError](err)
			assert.False(t, unfinished, "429 certainly changed nothing")
		})
	})
	t.Run("at once on an error that will not pass", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.Inject(patchJob, fake.Fault{Status: 400})
		_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
		require.Error(t, err)
		assert.Equal(t, []string{"get", "patch"}, methods(b))
	})
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		weather   func(*fake.Backend)
		operation bool
		written   bool
	}{
		"during the wait": {
			weather:   func(b *fake.Backend) { b.SetOperationTime(time.Hour, patchJob) },
			operation: true, written: true,
		},
		"during the patch": {
			weather: func(b *fake.Backend) { b.Inject(patchJob, fake.Fault{Hang: true}) },
		},
		"while the wait hangs": {
			weather:   func(b *fake.Backend) { b.Inject(waitMethod, fake.Fault{Hang: true}) },
			operation: true, written: true,
		},
		"between polls": {
			weather: func(b *fake.Backend) {
				b.SetOperationTime(time.Hour, patchJob)
				b.Inject(waitMethod, fake.Fault{Status: 501})
			},
			operation: true, written: true,
		},
	}
	for name, tt := range tests {
		for how, ctxOf := range map[string]func(context.Context) (context.Context, context.CancelFunc){
			"cancelled": func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(40*time.Second, cancel)
				return ctx, cancel
			},
			"timed out": func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 40*time.Second)
			},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newCloud(t)
					tt.weather(b)
					ctx, cancel := ctxOf(t.Context())
					defer cancel()
					began := time.Now()

					change, err := newClient(t, b).Attach(ctx, nightly, runner, nil)

					assert.LessOrEqual(t, time.Since(began), 40*time.Second)
					unfinished := asError[*identity.UnfinishedError](t, err)
					require.ErrorContains(t, err, "may still take effect")
					assert.Equal(t, tt.operation, unfinished.Operation != "")
					assert.Equal(t, tt.written, change.Written)
					assert.False(t, change.Done)
					assert.Equal(t, 1, countCalls(b, patchJob))
					if how == "cancelled" {
						assert.ErrorIs(t, err, context.Canceled)
					} else {
						assert.ErrorIs(t, err, context.DeadlineExceeded)
					}
				})
			})
		}
	}
}

// asError finds an error of a type in a chain.
func asError[E error](t testing.TB, err error) E {
	t.Helper()
	found, ok := errors.AsType[E](err)
	require.Truef(t, ok, "%v (%T) is no %T", err, err, found)
	return found
}

// How long is waited for an account to be seen doesn't depend on what failed before:
// the pauses after that have grown beyond all of it.
func TestAccountThatIsSeenAfterOtherFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 20 { // the pauses are random
			b := newCloud(t)
			b.Inject(patchJob, fake.Fault{Status: 429, Times: 6, Header: http.Header{"Retry-After": {"0"}}})
			b.Inject(patchJob, fake.Fault{Status: 403, Times: 1, Body: actAsBody})
			change, err := newClient(t, b).Attach(t.Context(), nightly, runner, &identity.AttachOptions{WaitForAccount: 2 * time.Second})
			require.NoError(t, err)
			assert.True(t, change.Done)
		}
	})
}

func TestOperationThatFails(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.Inject(patchJob, fake.Fault{Condition: &run.GoogleCloudRunV2Condition{
		State: "CONDITION_FAILED", Reason: "SECRETS_ACCESS_CHECK_FAILED",
		Message: "Permission denied on secret: projects/1/secrets/db/versions/latest for Revision service account " + runnerEmail + ".",
	}})

	change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)

	failed := asError[*identity.OperationError](t, err)
	assert.Equal(t, "SECRETS_ACCESS_CHECK_FAILED", failed.Reason)
	assert.Equal(t, change.Operation, failed.Operation)
	assert.Contains(t, failed.Message, "Permission denied on secret")
	assert.True(t, change.Written)
	assert.False(t, change.Done)
}

func TestOperationErrorOfTheServer(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	answerWaits(b, 1, `"done":true,"error":{"code":7,
		"message":"Permission 'iam.serviceaccounts.actAs' denied on service account runner@data-prod.iam.gserviceaccount.com (or it may not exist)."}`)
	_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
	failed := asError[*identity.OperationError](t, err)
	assert.Equal(t, "PERMISSION_DENIED", failed.Reason)
	require.ErrorIs(t, err, identity.ErrActAsDenied)
	assert.NotErrorIs(t, err, identity.ErrAgentTokenDenied)
}

const (
	actAsBody = `{"error":{"code":403,"message":"Permission 'iam.serviceaccounts.actAs' denied on service account ` + runnerEmail +
		` (or it may not exist).","status":"PERMISSION_DENIED"}}`
	agentBody = `{"error":{"code":403,"message":"Google Cloud Run Service Agent does not have permission to get access tokens for the service account ` +
		runnerEmail + `. Please give service-123456789012@serverless-robot-prod.iam.gserviceaccount.com permission iam.serviceAccounts.getAccessToken ` +
		`on the service account. Alternatively, if the service account is unspecified or in the same project you are deploying in, ensure that the ` +
		`Service Agent is assigned the Google Cloud Run Service Agent role roles/run.serviceAgent.","status":"PERMISSION_DENIED"}}`
)

func TestRefusalsAreToldApart(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int
		body   string
		want   error
	}{
		"act as":         {403, actAsBody, identity.ErrActAsDenied},
		"act as, newer":  {403, `{"error":{"message":"Permission 'iam.serviceAccounts.actAs' denied"}}`, identity.ErrActAsDenied},
		"the agent":      {403, agentBody, identity.ErrAgentTokenDenied},
		"another 403":    {403, `{"error":{"message":"Permission 'run.jobs.update' denied"}}`, nil},
		"gone meanwhile": {404, "", identity.ErrNotFound},
		"a failed etag":  {412, "", identity.ErrConflict},
	}
	all := []error{identity.ErrActAsDenied, identity.ErrAgentTokenDenied, identity.ErrNotFound, identity.ErrConflict}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.Inject(patchJob, fake.Fault{Status: tt.status, Body: tt.body})
				_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
				for _, sentinel := range all {
					assert.Equal(t, errors.Is(tt.want, sentinel), errors.Is(err, sentinel), "%v: %v", sentinel, err)
				}
				assert.Equal(t, tt.status, asError[*googleapi.Error](t, err).Code)
			})
		})
	}
}

func TestWaitForAccount(t *testing.T) {
	t.Parallel()
	t.Run("visible in time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(patchJob, fake.Fault{Status: 403, Body: actAsBody, Times: 4})
			change, err := newClient(t, b).Attach(t.Context(), nightly, runner, &identity.AttachOptions{WaitForAccount: 5 * time.Minute})
			require.NoError(t, err)
			assert.True(t, change.Done)
			assert.Equal(t, 5, countCalls(b, patchJob))
		})
	})
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(patchJob, fake.Fault{Status: 403, Body: actAsBody})
			began := time.Now()
			_, err := newClient(t, b).Attach(t.Context(), nightly, runner, &identity.AttachOptions{WaitForAccount: time.Minute})
			require.ErrorIs(t, err, identity.ErrActAsDenied)
			assert.LessOrEqual(t, time.Since(began), time.Minute)
		})
	})
	t.Run("without it, at once", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.Inject(patchJob, fake.Fault{Status: 403, Body: actAsBody})
		_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
		require.ErrorIs(t, err, identity.ErrActAsDenied)
		assert.Equal(t, 1, countCalls(b, patchJob))
	})
}
