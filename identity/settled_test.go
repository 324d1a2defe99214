package identity_test

import (
	"context"
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

// jobNow is an answer about the job.
func jobNow(members, email string) string {
	return `{"name":"` + nightly.Name() + `",` + members + `,"template":{"template":{"serviceAccount":"` + email + `"}}}`
}

// A change is in effect when the server says so, not before.
func TestAttachWaitsUntilItHasSettled(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]string{
		"reconciling, the generation observed": `"generation":"2","observedGeneration":"2","reconciling":true`,
		"reconciling, no generation observed":  `"generation":"2","reconciling":true`,
		"of an older generation":               `"generation":"2","observedGeneration":"1"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.Inject(waitMethod, fake.Fault{Status: 501})
				b.Inject(getJob, fake.Fault{Skip: 1, Times: 3, Status: 200, Body: jobNow(members, runnerEmail)})
				change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
				require.NoError(t, err)
				assert.True(t, change.Done)
				assert.Equal(t, 5, countCalls(b, getJob))
			})
		})
	}
}

// The identity is the wanted one, and while that is awaited someone sets another.
func TestIdentityThatChangesBeforeItHasSettled(t *testing.T) {
	t.Parallel()
	for name, now := range map[string]string{"another account": other.Email(), "none": "", "no account's address": "someone@example.com"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.Inject(getJob, fake.Fault{Times: 2, Status: 200, Body: jobNow(`"generation":"2","reconciling":true`, runnerEmail)})
				b.Inject(getJob, fake.Fault{Status: 200, Body: jobNow(`"generation":"3","observedGeneration":"3"`, now)})
				change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
				require.ErrorIs(t, err, identity.ErrConflict)
				assert.False(t, change.Done)
				assert.False(t, change.Written)
				assert.Equal(t, int64(3), change.NewGeneration)
				assert.Contains(t, string(change.After), `"generation":"3"`)
			})
		})
	}
}

// A text of the server's goes into an error without what a terminal obeys.
func TestOperationErrorIsHarmless(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	answerWaits(b, 1, `"done":true,"error":{"code":3,"message":"a\u001b[2Jb\u202ec`+strings.Repeat("d", 1<<20)+`"}`)
	_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
	failed := asError[*identity.OperationError](t, err)
	assert.Contains(t, failed.Message, "a\ufffd[2Jb\ufffdcddd")
	assert.Less(t, len(err.Error()), 8<<10)

	b.Inject(getJob, fake.Fault{Status: 200, Body: jobNow(`"terminalCondition":{"state":"CONDITION_FAILED","reason":"R\u001b","message":"m\u202e"}`, runnerEmail)})
	_, err = newClient(t, b).Attach(t.Context(), nightly, runner, nil)
	failed = asError[*identity.OperationError](t, err)
	assert.Equal(t, [2]string{"R\ufffd", "m\ufffd"}, [2]string{failed.Reason, failed.Message})
}

// What is only validated is not waited for, and clears no revision's name.
func TestValidationNeitherWaitsNorClears(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.Inject(getJob, fake.Fault{Status: 200, Body: jobNow(`"generation":"2","reconciling":true`, runnerEmail)})
	change, err := newClient(t, b).Attach(t.Context(), nightly, runner, &identity.AttachOptions{ValidateOnly: true})
	require.NoError(t, err)
	assert.False(t, change.Done)
	assert.Equal(t, []string{"get"}, methods(b))

	b = newCloud(t)
	w := revisioned(b, "shop-named")[0]
	change, err = newClient(t, b).Attach(t.Context(), w, runner, &identity.AttachOptions{ValidateOnly: true})
	require.NoError(t, err)
	assert.Empty(t, change.ClearedRevision)
}

func TestGenerationThatIsNoNumberOfOurs(t *testing.T) {
	t.Parallel()
	for _, generation := range []string{"1e300", "-1e300", "1.5", `"x"`} {
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(getJob, fake.Fault{Status: 200, Body: jobNow(`"generation":`+generation, runnerEmail)})
			_, err := newClient(t, b).Get(t.Context(), nightly, nil)
			require.Error(t, err)
		})
	}
}

// The default by an address of which the number isn't known may be what was asked for.
func TestDetachWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.Inject(patchJob, fake.Fault{DropAfter: true, Times: 1})
		change, err := newClient(t, b).Detach(t.Context(), nightly, nil)
		require.NoError(t, err)
		assert.True(t, change.Written)
		assert.Equal(t, defaultEmail, change.New.Email())
	})
}

func TestContextEndsAfterALostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		ctx, cancel := context.WithCancel(t.Context())
		reads := 0
		c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPatch {
				return answering(http.StatusGatewayTimeout, http.Header{}), nil
			}
			reads++
			if reads == 2 {
				defer cancel()
			}
			return next.RoundTrip(r)
		})
		_, err := c.Attach(ctx, nightly, runner, nil)
		require.ErrorIs(t, err, context.Canceled)
		asError[*identity.UnfinishedError](t, err)
	})
}

// What is last seen is the workload, also where it came within an operation.
func TestAfterIsTheWorkload(t *testing.T) {
	t.Parallel()
	for _, opts := range []*identity.AttachOptions{nil, {NoWait: true}} {
		b := newCloud(t)
		change, err := newClient(t, b).Attach(t.Context(), nightly, runner, opts)
		require.NoError(t, err)
		assert.NotContains(t, string(change.After), "type.googleapis.com", "an operation says the type besides")
		assert.Contains(t, string(change.After), `"name":"`+nightly.Name()+`"`)
	}
}

func TestGenerationLastSeen(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.Inject(waitMethod, fake.Fault{Status: 501})
	c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		res, err := next.RoundTrip(r)
		if r.Method == http.MethodPost {
			patchAs(t, b, nightly, relabel)
		}
		return res, err
	})
	change, err := c.Attach(t.Context(), nightly, runner, nil)
	require.NoError(t, err)
	assert.Equal(t, int64(3), change.NewGeneration)
	assert.Nil(t, change.Interleaved)
}

// What an earlier attempt may have done is not forgotten with the next one.
func TestEarlierAttemptsAreRemembered(t *testing.T) {
	t.Parallel()
	t.Run("one may be under way yet", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(patchJob, fake.Fault{Status: 504, Times: 1})
			b.Inject(patchJob, fake.Fault{Status: 503, Times: 1})
			b.Inject(patchJob, fake.Fault{Status: 400})
			_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
			asError[*identity.UnfinishedError](t, err)
		})
	})
	t.Run("a gateway's 503 is not the service's", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(patchJob, fake.Fault{Status: 503, Times: 1, Body: "<html>"})
			b.Inject(patchJob, fake.Fault{Status: 400})
			_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
			asError[*identity.UnfinishedError](t, err)
		})
	})
	t.Run("the service's own 503 is done with", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(patchJob, fake.Fault{Status: 503, Times: 1})
			b.Inject(patchJob, fake.Fault{Status: 400})
			_, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
			var open *identity.UnfinishedError
			require.NotErrorAs(t, err, &open)
		})
	})
	t.Run("a later refusal of a creation", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(createJob, fake.Fault{Status: 504, Times: 1})
			b.Inject(createJob, fake.Fault{Status: 503, Times: 1})
			b.Inject(createJob, fake.Fault{Status: 400})
			_, err := newClient(t, b).CreateJob(t.Context(), fresh, runner, newJob(), nil)
			asError[*identity.UnfinishedError](t, err)
		})
	})
	t.Run("it lands while the next is refused", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			made := 0
			c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
				if r.Method != http.MethodPatch {
					return next.RoundTrip(r)
				}
				made++
				if made == 1 {
					return answering(http.StatusGatewayTimeout, http.Header{}), nil
				}
				res, err := next.RoundTrip(r) // what the first one asked for, too
				if err == nil {
					err = res.Body.Close()
				}
				return answering(http.StatusTooManyRequests, http.Header{"Retry-After": {"1"}}), err
			})
			change, err := c.Attach(t.Context(), nightly, runner, nil)
			require.NoError(t, err)
			assert.True(t, change.Written)
			assert.Equal(t, 2, made)
		})
	})
}

// A job that has more than was asked for is not the one that was asked for.
func TestCreatedJobIsNotTakenForALargerOne(t *testing.T) {
	t.Parallel()
	for name, theirs := range map[string]string{
		"another container":     `{"labels":{"team":"web"},"template":{"template":{"maxRetries":0,"serviceAccount":"` + runnerEmail + `","containers":[{"image":"us-docker.pkg.dev/cloudrun/container/job"},{"name":"b","image":"i"}]}}}`,
		"another account":       `{"labels":{"team":"web"},"template":{"template":{"maxRetries":0,"serviceAccount":"` + other.Email() + `","containers":[{"image":"us-docker.pkg.dev/cloudrun/container/job"}]}}}`,
		"another number":        `{"labels":{"team":"web"},"template":{"template":{"maxRetries":1,"serviceAccount":"` + runnerEmail + `","containers":[{"image":"us-docker.pkg.dev/cloudrun/container/job"}]}}}`,
		"without what was said": `{"template":{"template":{"maxRetries":0,"serviceAccount":"` + runnerEmail + `","containers":[{"image":"us-docker.pkg.dev/cloudrun/container/job"}]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				first := true
				c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodPost && first {
						first = false
						b.AddRunJSON(fresh.Name(), []byte(theirs))
						return answering(http.StatusBadGateway, http.Header{}), nil
					}
					return next.RoundTrip(r)
				})
				change, err := c.CreateJob(bounded(t, time.Hour), fresh, runner, newJob(), nil)
				require.ErrorIs(t, err, identity.ErrAlreadyExists)
				asError[*identity.UnfinishedError](t, err)
				assert.False(t, change.Written)
			})
		})
	}
}
