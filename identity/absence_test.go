package identity_test

import (
	"context"
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

// Creations that were carried out and answered with the service's own 503: a read
// that finds nothing, however often, doesn't say that nothing was created.

// createdButUnseen lets the first creation through and answers it with Google's 503,
// and has Google say of all else, writes too where these are refused, that it isn't
// there.
func createdButUnseen(b *fake.Backend, refuses bool) {
	created := false
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status, body := http.StatusNotFound, `{"error":{"code":404,"message":"Not found.","status":"NOT_FOUND"}}`
			if r.Method == http.MethodPost && (!created || !refuses) {
				status, body = http.StatusServiceUnavailable, `{"error":{"code":503,"message":"Try again.","status":"UNAVAILABLE"}}`
				if !created {
					next.ServeHTTP(discarded{}, r)
				}
				created = true
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
	})
}

// discarded is where an answer goes that nobody gets.
type discarded struct{}

func (discarded) Header() http.Header         { return make(http.Header) }
func (discarded) Write(p []byte) (int, error) { return len(p), nil }
func (discarded) WriteHeader(int)             {}

func TestCreatedJobThatIsNotSeen(t *testing.T) {
	t.Parallel()
	for name, refuses := range map[string]bool{"the name is refused as unknown": true, "each creation fails": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				createdButUnseen(b, refuses)
				change, err := newClient(t, b).CreateJob(bounded(t, time.Hour), fresh, runner, newJob(), nil)
				asError[*identity.UnfinishedError](t, err)
				require.NotErrorIs(t, err, context.DeadlineExceeded)
				assert.False(t, change.Written)
				assert.Contains(t, string(b.RunJSON(fresh.Name())), runnerEmail)
			})
		})
	}
	t.Run("until ctx ends", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			createdButUnseen(b, false)
			ctx, cancel := context.WithCancel(t.Context())
			client := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodGet {
					defer cancel()
				}
				return next.RoundTrip(r)
			})
			_, err := client.CreateJob(ctx, fresh, runner, newJob(), nil)
			require.ErrorIs(t, err, context.Canceled)
			asError[*identity.UnfinishedError](t, err)
			assert.NotNil(t, b.RunJSON(fresh.Name()))
		})
	})
	t.Run("of a validation nothing is created", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			createdButUnseen(b, false)
			_, err := newClient(t, b).CreateJob(t.Context(), fresh, runner, newJob(), &identity.CreateOptions{ValidateOnly: true})
			require.Error(t, err)
			var open *identity.UnfinishedError
			require.NotErrorAs(t, err, &open)
			assert.Nil(t, b.RunJSON(fresh.Name()))
		})
	})
}

// Someone who wrote after a creation has overwritten nothing, and lost nothing,
// whether the job is read afterwards or the answer tells of it.
func TestCreatedJobThatSomeoneElseWroteSince(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"the answer is lost": true, "the answer tells": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
					res, err := next.RoundTrip(r)
					if r.Method != http.MethodPost || strings.HasSuffix(r.URL.Path, ":wait") {
						return res, err
					}
					require.NoError(t, err)
					patchAs(t, b, fresh, func(o map[string]any) { o["labels"].(map[string]any)["since"] = "created" })
					if lost {
						return answering(http.StatusBadGateway, http.Header{}), nil
					}
					body, err := io.ReadAll(res.Body)
					res.Body = io.NopCloser(strings.NewReader(strings.Replace(string(body), `"generation":"1"`, `"generation":"2"`, 1)))
					return res, err
				})
				change, err := c.CreateJob(t.Context(), fresh, runner, newJob(), nil)
				require.NoError(t, err)
				assert.True(t, change.Done)
				assert.Equal(t, int64(2), change.NewGeneration)
				assert.Nil(t, change.Interleaved)
			})
		})
	}
}

func TestCreatedAccountThatIsNotSeen(t *testing.T) {
	t.Parallel()
	for name, refuses := range map[string]bool{"the project is refused as unknown": true, "each creation fails": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				createdButUnseen(b, refuses)
				account, err := newClient(t, b).EnsureServiceAccount(bounded(t, time.Hour), newAccount, nil)
				asError[*identity.UnfinishedError](t, err)
				assert.False(t, account.Created, "that isn't known")
			})
		})
	}
}

// An account that was created and is disabled by the time that it is seen, as an
// organization's automation may do, was created all the same.
func TestCreatedAccountThatIsDisabledAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.Inject(createAccount, fake.Fault{DropAfter: true, Times: 1})
		c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			res, err := next.RoundTrip(r)
			if err != nil || r.Method != http.MethodGet || res.StatusCode != http.StatusOK {
				return res, err
			}
			body, err := io.ReadAll(res.Body)
			res.Body = io.NopCloser(strings.NewReader(strings.Replace(string(body), "{", `{"disabled":true,`, 1)))
			return res, err
		})
		account, err := c.EnsureServiceAccount(t.Context(), newAccount, &identity.EnsureServiceAccountOptions{DisplayName: "Nightly"})
		require.ErrorIs(t, err, identity.ErrAccountDisabled)
		assert.True(t, account.Created)
		assert.NotEmpty(t, account.UniqueID)
	})
}
