package identity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// What a caller is told of a write must be what became of it: written, not
// written, or not known.

// exchange is a transport made of a function that is given the next one.
type exchange struct {
	next http.RoundTripper
	do   func(next http.RoundTripper, r *http.Request) (*http.Response, error)
}

func (e exchange) RoundTrip(r *http.Request) (*http.Response, error) { return e.do(e.next, r) }

// through is a client whose requests go through a function.
func through(t *testing.T, b *fake.Backend, do func(http.RoundTripper, *http.Request) (*http.Response, error)) *identity.Client {
	t.Helper()
	c, err := identity.NewClient(t.Context(), option.WithHTTPClient(&http.Client{
		Transport: exchange{b.HTTPClient("user:dev@example.com").Transport, do},
	}))
	require.NoError(t, err)
	return c
}

// answerWaits makes the next calls of operations.wait answer with the name that
// they asked for and these members beside it.
func answerWaits(b *fake.Backend, times int, members string) {
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, isWait := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), ":wait")
			if !isWait || times == 0 {
				next.ServeHTTP(w, r)
				return
			}
			times--
			_, _ = fmt.Fprintf(w, `{"name":%q,%s}`, name, members)
		})
	})
}

// answering is an answer without a body.
func answering(status int, header http.Header) *http.Response {
	return &http.Response{StatusCode: status, Body: http.NoBody, Header: header}
}

func runsAs(t *testing.T, b *fake.Backend, email string) bool {
	t.Helper()
	return strings.Contains(string(b.RunJSON(nightly.Name())), email)
}

func TestAppliedButTheAnswerIsLost(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		weather func(*fake.Backend)
		known   bool // the change is told to be written
	}{
		"and the read hangs until ctx ends": {
			weather: func(b *fake.Backend) {
				b.Inject(patchJob, fake.Fault{DropAfter: true, Times: 1})
				b.Inject(getJob, fake.Fault{Skip: 1, Hang: true})
			},
		},
		"and the read fails": {
			weather: func(b *fake.Backend) {
				b.Inject(patchJob, fake.Fault{DropAfter: true, Times: 1})
				b.Inject(getJob, fake.Fault{Skip: 1, Status: 503})
			},
		},
		"and the read is refused": {
			weather: func(b *fake.Backend) {
				b.Inject(patchJob, fake.Fault{DropAfter: true, Times: 1})
				b.Inject(getJob, fake.Fault{Skip: 1, Status: 403})
			},
		},
		"at the last attempt": {
			weather: func(b *fake.Backend) {
				b.Inject(patchJob, fake.Fault{Status: 503, Times: 7})
				b.Inject(patchJob, fake.Fault{DropAfter: true, Times: 1})
			},
			known: true,
		},
		"and is garbled": {
			weather: func(b *fake.Backend) { b.Inject(patchJob, fake.Fault{Garble: true, Times: 1}) },
			known:   true,
		},
		"and is cut off": {
			weather: func(b *fake.Backend) { b.Inject(patchJob, fake.Fault{Truncate: true, Times: 1}) },
			known:   true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				tt.weather(b)
				change, err := newClient(t, b).Attach(bounded(t, 10*time.Minute), nightly, runner, nil)
				require.True(t, runsAs(t, b, runnerEmail))
				if tt.known {
					require.NoError(t, err)
					assert.True(t, change.Written)
					return
				}
				asError[*identity.UnfinishedError](t, err)
				assert.ErrorContains(t, err, "the change may still take effect")
			})
		})
	}
}

func TestAppliedBehindAnOddStatus(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		res, err := next.RoundTrip(r)
		if r.Method == http.MethodPatch {
			return answering(524, http.Header{}), nil
		}
		return res, err
	})
	change, err := c.Attach(t.Context(), nightly, runner, nil)
	require.NoError(t, err)
	assert.True(t, change.Written)
}

// A gateway gives up, and the PATCH lands twenty seconds later.
func TestAppliedLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		patches := 0
		c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodPatch {
				return next.RoundTrip(r)
			}
			patches++
			if patches > 1 {
				return answering(429, http.Header{"Retry-After": {"60"}}), nil
			}
			late := r.Clone(t.Context())
			late.Body, _ = r.GetBody()
			time.AfterFunc(20*time.Second, func() {
				if res, err := next.RoundTrip(late); err == nil {
					_ = res.Body.Close()
				}
			})
			return answering(504, http.Header{}), nil
		})
		_, err := c.Attach(bounded(t, 30*time.Second), nightly, runner, nil)
		time.Sleep(time.Minute)
		assert.True(t, runsAs(t, b, runnerEmail))
		asError[*identity.UnfinishedError](t, err)
	})
}

// A server that does what it is asked and answers with what is no HTTP.
func TestAnsweredWithGarbage(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "run.googleapis.com"
		r.Header.Set("Authorization", "Bearer user:dev@example.com")
		if r.Method == http.MethodGet {
			b.ServeHTTP(w, r)
			return
		}
		b.ServeHTTP(httptest.NewRecorder(), r)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte("\x00\x01garbage\r\n\r\n"))
			_ = conn.Close()
		}
	}))
	defer server.Close()
	c, err := identity.NewClient(t.Context(), option.WithEndpoint(server.URL), option.WithoutAuthentication())
	require.NoError(t, err)

	_, err = c.Execute(t.Context(), nightly, nil)
	require.ErrorIs(t, err, identity.ErrMayHaveStarted)
	assert.InDelta(t, 1, decoded(t, b.RunJSON(nightly.Name()))["executionCount"], 0)
	change, err := c.Attach(t.Context(), nightly, runner, nil)
	require.NoError(t, err)
	assert.True(t, change.Written)
}

// The identity is written, and not in effect: a second Attach says so too.
func TestRepeatedAttach(t *testing.T) {
	t.Parallel()
	t.Run("after one that failed", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		w := revisioned(b, "")[0]
		b.Inject("run.projects.locations.services.patch", fake.Fault{Condition: &run.GoogleCloudRunV2Condition{
			State: "CONDITION_FAILED", RevisionReason: "HEALTH_CHECK_CONTAINER_ERROR", Message: "failed to start.",
		}})
		_, err := newClient(t, b).Attach(t.Context(), w, runner, nil)
		asError[*identity.OperationError](t, err)
		b.ResetCalls()
		change, err := newClient(t, b).Attach(t.Context(), w, runner, nil)
		asError[*identity.OperationError](t, err)
		require.ErrorContains(t, err, "it has that identity already, but its last change did not come into effect")
		assert.False(t, change.Done)
		assert.False(t, change.Written)
		assert.Equal(t, []string{"get"}, methods(b))
	})
	t.Run("while one is under way", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.SetOperationTime(time.Hour, patchJob)
			began := time.Now()
			_, err := newClient(t, b).Attach(bounded(t, time.Minute), nightly, runner, nil)
			asError[*identity.UnfinishedError](t, err)
			change, err := newClient(t, b).Attach(t.Context(), nightly, runner, &identity.AttachOptions{NoWait: true})
			require.NoError(t, err)
			assert.False(t, change.Done)
			change, err = newClient(t, b).Attach(t.Context(), nightly, runner, nil)
			require.NoError(t, err)
			assert.True(t, change.Done)
			assert.GreaterOrEqual(t, time.Since(began), time.Hour)
			assert.Equal(t, 1, countCalls(b, patchJob))
		})
	})
}

func TestOperationThatHasFailedAlready(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]*identity.AttachOptions{
		"validate only": {ValidateOnly: true}, "no wait": {NoWait: true}, "waited for": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			b.Inject(patchJob, fake.Fault{Status: 200, Body: `{"name":"projects/web-prod/locations/europe-west1/operations/o","done":true,"error":{"code":7,"message":"Permission 'iam.serviceaccounts.actAs' denied"}}`})
			change, err := newClient(t, b).Attach(t.Context(), nightly, runner, opts)
			require.ErrorIs(t, err, identity.ErrActAsDenied)
			assert.False(t, change.Done)
		})
	}
	t.Run("an answer without the workload", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.Inject(patchJob, fake.Fault{Status: 200, Body: `{"name":"projects/web-prod/locations/europe-west1/operations/o"}`})
		change, err := newClient(t, b).Attach(t.Context(), nightly, runner, &identity.AttachOptions{NoWait: true})
		require.NoError(t, err)
		assert.Equal(t, runner, change.New)
	})
}

func TestValidationThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.Inject(patchJob, fake.Fault{Hang: true})
		_, err := newClient(t, b).Attach(bounded(t, time.Minute), nightly, runner, &identity.AttachOptions{ValidateOnly: true})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotContains(t, err.Error(), "may still take effect")
	})
}

func TestSomeoneElseWritesAfterALostAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		first := true
		c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			res, err := next.RoundTrip(r)
			if r.Method == http.MethodPatch && first {
				first = false
				patchAs(t, b, nightly, relabel)
				return answering(503, http.Header{}), nil
			}
			return res, err
		})
		change, err := c.Attach(t.Context(), nightly, runner, nil)
		require.NoError(t, err, "nothing of theirs is lost")
		assert.True(t, change.Written)
		assert.Contains(t, string(b.RunJSON(nightly.Name())), "in between")
	})
}

// patchAs replaces a workload's JSON as the admin.
func patchAs(t *testing.T, b *fake.Backend, w identity.Workload, change func(map[string]any)) {
	t.Helper()
	o := decoded(t, b.RunJSON(w.Name()))
	change(o)
	body, err := json.Marshal(o)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "https://run.googleapis.com/v2/"+w.Name(), bytes.NewReader(body))
	require.NoError(t, err)
	res, err := b.HTTPClient(fake.Admin).Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NoError(t, res.Body.Close())
}

// Our only PATCH is refused, as someone else has set the same identity.
func TestSomeoneElseSetsTheWantedIdentity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.EnforceEtags()
		c := meddledClient(t, b, nightly, "", func(o map[string]any) {
			patchAs(t, b, nightly, relabel)
			delete(o, "etag")
			setTaskAccount(o, runnerEmail)
		})
		change, err := c.Attach(t.Context(), nightly, runner, nil)
		require.NoError(t, err)
		assert.False(t, change.Written)
		assert.Nil(t, change.Interleaved)
		assert.True(t, change.Done)
	})
}

func TestConflictsKeepTheServersError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.EnforceEtags()
		_, err := meddledClient(t, b, nightly, "", rerun).Attach(t.Context(), nightly, runner, nil)
		require.ErrorIs(t, err, identity.ErrConflict)
		assert.Equal(t, 409, asError[*googleapi.Error](t, err).Code)
	})
}

// A change that is logged tells what happened, and nothing of the workload's JSON.
func TestChangeInALog(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
	require.NoError(t, err)
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "operation" {
			return slog.Attr{}
		}
		return a
	}}))
	log.Info("attached", "change", change)
	assert.Equal(t, `level=INFO msg=attached change.workload=`+nightly.Name()+` change.old=`+other.Email()+` change.new=`+runnerEmail+
		" change.written=true change.done=true change.generation=2\n", text.String())
}

func TestChangePrintsNoSecrets(t *testing.T) {
	t.Parallel()
	change, err := newClient(t, newCloud(t)).Attach(t.Context(), nightly, runner, nil)
	require.NoError(t, err)
	assert.Contains(t, string(change.Before), "sidecar")
	for _, verb := range []string{"%v", "%+v", "%s", "%#v"} {
		text := fmt.Sprintf(verb, change)
		assert.NotContains(t, text, "sidecar", verb)
		assert.NotContains(t, text, "123 34", verb)
	}
	text, err := json.Marshal(map[string]any{"after": change.After})
	require.NoError(t, err)
	assert.Regexp(t, `^\{"after":"\([0-9]+ bytes of JSON\)"\}$`, string(text))
}

func TestWaits(t *testing.T) {
	t.Parallel()
	t.Run("a failure now and then over hours", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.SetOperationTime(4*time.Hour, runJob)
			for i := range 9 {
				b.Inject(waitMethod, fake.Fault{Skip: 50 * (i + 1), Times: 1, Status: 503})
			}
			e, err := newClient(t, b).Execute(t.Context(), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
			require.NoError(t, err)
			assert.True(t, e.Done)
		})
	})
	t.Run("a client with a short timeout", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.SetOperationTime(10*time.Minute, patchJob)
			client := b.HTTPClient("user:dev@example.com")
			client.Timeout = 20 * time.Second
			c, err := identity.NewClient(t.Context(), option.WithHTTPClient(client))
			require.NoError(t, err)
			change, err := c.Attach(t.Context(), nightly, runner, nil)
			require.NoError(t, err)
			assert.True(t, change.Done)
			for _, call := range b.Calls() {
				if call.Method == waitMethod {
					assert.JSONEq(t, `{"timeout":"10s"}`, string(call.Body), "it is answered in time")
				}
			}
		})
	})
	t.Run("the operation is gone", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.Inject(waitMethod, fake.Fault{Status: 404})
		change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
		require.NoError(t, err)
		assert.True(t, change.Done)
	})
	t.Run("a generation that is not observed yet", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.Inject(waitMethod, fake.Fault{Status: 501})
			stale := `{"name":"` + nightly.Name() + `","generation":"2","observedGeneration":"1","template":{"template":{"serviceAccount":"` + runnerEmail + `"}}}`
			b.Inject(getJob, fake.Fault{Skip: 1, Times: 3, Status: 200, Body: stale})
			change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
			require.NoError(t, err)
			assert.True(t, change.Done)
			assert.Equal(t, 5, countCalls(b, getJob))
		})
	})
	t.Run("a pause that is too long to be meant", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			for _, seconds := range []string{"86400", "9999999999999"} {
				b := newCloud(t)
				b.Inject(getJob, fake.Fault{Status: 503, Header: http.Header{"Retry-After": {seconds}}})
				began := time.Now()
				_, err := newClient(t, b).Get(t.Context(), nightly, nil)
				require.ErrorContains(t, err, "gave up, as the server asks for a pause of")
				assert.Zero(t, time.Since(began))
			}
		})
	})
}

func TestIdentityThatIsNoServiceAccount(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.AddRunJSON(fresh.Name(), []byte(`{"template":{"template":{"serviceAccount":"someone@example.com","containers":[{"image":"i"}]}}}`))
	c := newClient(t, b)
	e, err := c.Execute(t.Context(), fresh, nil)
	require.NoError(t, err, "it has started, and that is what is told")
	assert.NotEmpty(t, e.Name)
	assert.True(t, e.ServiceAccount.IsZero())
	_, err = c.Get(t.Context(), fresh, nil)
	require.ErrorContains(t, err, `"someone@example.com"`)
	change, err := c.Attach(t.Context(), fresh, runner, nil)
	require.NoError(t, err, "it can be replaced")
	assert.True(t, change.Old.IsZero())
}

func TestEnsureSaysWhatItCreated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		forever := invisible()
		forever.Times = 0
		b.Inject(getAccount, forever)
		a, err := newClient(t, b).EnsureServiceAccount(bounded(t, 10*time.Second), newAccount, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		asError[*identity.UnfinishedError](t, err)
		assert.True(t, a.Created)
		assert.NotEmpty(t, a.UniqueID)
	})
}

func TestAgentIdentityOfTheSameAddress(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.AddRunJSON(fresh.Name(), []byte(`{"template":{"template":{"serviceAccount":"`+runnerEmail+`","containers":[{"image":"i"}],
		"workloadIdentityConfig":{"identityType":"IDENTITY_TYPE_AGENT_IDENTITY"}}}}`))
	_, err := newClient(t, b).Attach(t.Context(), fresh, runner, nil)
	require.ErrorIs(t, err, identity.ErrAgentIdentity)
	var none *identity.UnfinishedError
	assert.NotErrorAs(t, err, &none)
}
