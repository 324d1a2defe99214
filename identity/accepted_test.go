package identity_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
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

// What was accepted, or may have been, is never told with a plain error, which
// means that it wasn't done.

// endings are how waiting for what was accepted may end without an outcome.
func endings() map[string]fake.Fault {
	all := map[string]fake.Fault{"dropped for ever": {DropBefore: true}, "garbled for ever": {Status: 200, Body: "<html>"}}
	for _, status := range []int{400, 401, 409, 412, 429, 500, 502, 503, 504} {
		all[fmt.Sprint(status, " for ever")] = fake.Fault{Status: status}
	}
	return all
}

func TestWaitThatFailsLeavesTheOutcomeOpen(t *testing.T) {
	t.Parallel()
	operations := map[string]func(context.Context, *identity.Client) error{
		"attach": func(ctx context.Context, c *identity.Client) error {
			change, err := c.Attach(ctx, nightly, runner, nil)
			if !change.Written {
				return errors.New("it was written")
			}
			return err
		},
		"detach": func(ctx context.Context, c *identity.Client) error { _, err := c.Detach(ctx, nightly, nil); return err },
		"create job": func(ctx context.Context, c *identity.Client) error {
			_, err := c.CreateJob(ctx, fresh, runner, newJob(), nil)
			return err
		},
		"execute": func(ctx context.Context, c *identity.Client) error {
			_, err := c.Execute(ctx, nightly, &identity.ExecuteOptions{WaitForCompletion: true})
			return err
		},
	}
	for name, f := range endings() {
		for operation, do := range operations {
			t.Run(operation+", "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newCloud(t)
					b.SetOperationTime(time.Hour)
					b.Inject(waitMethod, f)
					err := do(t.Context(), newClient(t, b))
					unfinished := asError[*identity.UnfinishedError](t, err)
					assert.NotEmpty(t, unfinished.Operation)
				})
			})
		}
	}
}

// The operation can't be waited for, and neither can the workload be read.
func TestPollThatFailsLeavesTheOutcomeOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.Inject(waitMethod, fake.Fault{Status: 403})
		b.Inject(getJob, fake.Fault{Skip: 1, Status: 401})
		change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
		asError[*identity.UnfinishedError](t, err)
		assert.True(t, change.Written)
	})
}

// An execution that ended badly is told as ended, also if ctx ends with it.
func TestOperationErrorIsNoOpenOutcome(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	b := newCloud(t)
	c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		res, err := next.RoundTrip(r)
		if strings.HasSuffix(r.URL.Path, ":wait") {
			cancel()
		}
		return res, err
	})
	b.Inject(runJob, fake.Fault{Condition: failedTask()})
	_, err := c.Execute(ctx, nightly, &identity.ExecuteOptions{WaitForCompletion: true})
	asError[*identity.OperationError](t, err)
	var open *identity.UnfinishedError
	assert.NotErrorAs(t, err, &open)
}

// late is a transport that answers the n-th request of a kind with a gateway's
// error and carries it out later; those after it are answered with a status.
func late(t *testing.T, b *fake.Backend, verb string, then int) *identity.Client {
	t.Helper()
	made := 0
	return through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		if r.Method != verb {
			return next.RoundTrip(r)
		}
		made++
		if made > 1 {
			return googleError(then, ""), nil
		}
		again := r.Clone(context.WithoutCancel(t.Context()))
		again.Body, _ = r.GetBody()
		time.AfterFunc(5*time.Second, func() {
			if res, err := next.RoundTrip(again); err == nil {
				_ = res.Body.Close()
			}
		})
		return answering(http.StatusGatewayTimeout, http.Header{}), nil
	})
}

func TestJobThatIsCreatedLate(t *testing.T) {
	t.Parallel()
	for _, then := range []int{400, 401, 403} {
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			_, err := late(t, b, http.MethodPost, then).CreateJob(t.Context(), fresh, runner, newJob(), nil)
			time.Sleep(time.Minute)
			require.NotNil(t, b.RunJSON(fresh.Name()), "it appears")
			asError[*identity.UnfinishedError](t, err)
			assert.Equal(t, then, asError[*googleapi.Error](t, err).Code)
		})
	}
}

// Someone else sets another identity while a PATCH of ours may be under way.
func TestConflictWhileAWriteIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		first := true
		c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPatch && first {
				first = false
				patchAs(t, b, nightly, rerun)
				return answering(http.StatusGatewayTimeout, http.Header{}), nil
			}
			return next.RoundTrip(r)
		})
		_, err := c.Attach(t.Context(), nightly, runner, nil)
		require.ErrorIs(t, err, identity.ErrConflict)
		asError[*identity.UnfinishedError](t, err)
	})
}

func TestAccountWhoseCreationIsNotAnswered(t *testing.T) {
	t.Parallel()
	opts := &identity.EnsureServiceAccountOptions{DisplayName: "Nightly"}
	tests := map[string]struct {
		first fake.Fault
		hangs bool
	}{
		"dropped after": {fake.Fault{DropAfter: true, Times: 1}, false},
		"garbled":       {fake.Fault{Garble: true, Times: 1}, false},
		"truncated":     {fake.Fault{Truncate: true, Times: 1}, false},
		"hangs":         {fake.Fault{Hang: true, Times: 1}, true},
	}
	for name, tt := range tests {
		t.Run(name+", and then it is there", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.Inject(createAccount, tt.first)
				a, err := newClient(t, b).EnsureServiceAccount(bounded(t, time.Hour), newAccount, opts)
				if tt.hangs {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					asError[*identity.UnfinishedError](t, err)
					return
				}
				require.NoError(t, err)
				assert.True(t, a.Created)
				assert.Equal(t, "web-prod", a.Project)
				assert.NotEmpty(t, a.UniqueID)
			})
		})
		t.Run(name+", and then nothing can be told", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.Inject(createAccount, tt.first)
				b.Inject(createAccount, fake.Fault{Status: 401})
				b.Inject(getAccount, fake.Fault{Skip: 1, Status: 401})
				_, err := newClient(t, b).EnsureServiceAccount(bounded(t, time.Hour), newAccount, opts)
				asError[*identity.UnfinishedError](t, err)
			})
		})
	}
	t.Run("created late", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			_, err := late(t, b, http.MethodPost, 401).EnsureServiceAccount(t.Context(), newAccount, opts)
			time.Sleep(time.Minute)
			asError[*identity.UnfinishedError](t, err)
		})
	})
	t.Run("someone else's, of another name", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			lost := true
			c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPost && lost {
					lost = false
					_, err := newClient(t, b).EnsureServiceAccount(t.Context(), newAccount, &identity.EnsureServiceAccountOptions{DisplayName: "Theirs"})
					require.NoError(t, err)
					return answering(http.StatusBadGateway, http.Header{}), nil
				}
				return next.RoundTrip(r)
			})
			a, err := c.EnsureServiceAccount(t.Context(), newAccount, opts)
			require.NoError(t, err)
			assert.False(t, a.Created)
		})
	})
	t.Run("a conflict that isn't about the name", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(createAccount, fake.Fault{Status: 409, Body: `{"error":{"code":409,"status":"ABORTED","message":"try later"}}`})
			_, err := newClient(t, b).EnsureServiceAccount(t.Context(), newAccount, opts)
			require.ErrorContains(t, err, "try later")
			var open *identity.UnfinishedError
			assert.NotErrorAs(t, err, &open, "it was refused")
		})
	})
	t.Run("not seen in time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(getAccount, fake.Fault{Skip: 1, Status: 401})
			a, err := newClient(t, b).EnsureServiceAccount(t.Context(), newAccount, opts)
			asError[*identity.UnfinishedError](t, err)
			assert.True(t, a.Created)
		})
	})
}

// The status decides, whatever code the body says.
func TestStatusDecidesOverTheBody(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"error":{"code":14,"message":"unavailable","status":"UNAVAILABLE"}}`,
		`{"error":{"code":404,"message":"nothing there","status":"NOT_FOUND"}}`,
		`[{"error":{"code":14,"message":"unavailable","status":"UNAVAILABLE"}}]`,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(runJob, fake.Fault{Status: 503, Body: body})
			_, err := newClient(t, b).Execute(t.Context(), nightly, nil)
			require.ErrorIs(t, err, identity.ErrMayHaveStarted)
			assert.Equal(t, 503, asError[*googleapi.Error](t, err).Code)
			assert.Equal(t, 1, countCalls(b, runJob))

			b.Inject(getAccount, fake.Fault{Status: 503, Times: 1, Body: body})
			a, err := newClient(t, b).EnsureServiceAccount(t.Context(), runner, nil)
			require.NoError(t, err, "it is read again")
			assert.False(t, a.Created)
		})
	}
}

// googleError is an answer in the form of Google's errors.
func googleError(status int, canonical string) *http.Response {
	body := fmt.Sprintf(`{"error":{"code":%d,"message":"refused","status":%q}}`, status, canonical)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func failedTask() *run.GoogleCloudRunV2Condition {
	return &run.GoogleCloudRunV2Condition{Type: "Completed", State: "CONDITION_FAILED", ExecutionReason: "NON_ZERO_EXIT_CODE", Message: "exit 1"}
}
