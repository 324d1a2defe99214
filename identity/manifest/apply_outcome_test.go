package manifest_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

const (
	getV1    = "run.namespaces.jobs.get"
	createV1 = "run.namespaces.jobs.create"
	putV1    = "run.namespaces.jobs.replaceJob"

	oldJob    = `{"template":{"template":{"containers":[{"image":"i"}],"serviceAccount":"` + other + `"}}}`
	theirJob  = `{"template":{"template":{"containers":[{"image":"theirs"}],"serviceAccount":"` + other + `"}}}`
	theirJob2 = `{"template":{"template":{"containers":[{"image":"theirs:2"}],"serviceAccount":"` + other + `"}}}`
)

// asAdmin makes a call of version 2 as someone else does.
func asAdmin(t *testing.T, b *fake.Backend, verb, query, body string) {
	t.Helper()
	url := "https://run.googleapis.com/v2/" + job.String()
	if verb == http.MethodPost {
		url = strings.TrimSuffix(url, "/nightly")
	}
	req, err := http.NewRequestWithContext(t.Context(), verb, url+query, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	res, err := b.HTTPClient(fake.Admin).Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func replaceAsAdmin(t *testing.T, b *fake.Backend, body string) { //nolint:thelper // it is no assertion
	asAdmin(t, b, http.MethodPatch, "", body)
}

func recreateAsAdmin(t *testing.T, b *fake.Backend, body string) { //nolint:thelper // it is no assertion
	asAdmin(t, b, http.MethodDelete, "", "")
	asAdmin(t, b, http.MethodPost, "?jobId=nightly", body)
}

// around does something before and after the n-th write that reaches the backend;
// nil is nothing.
func around(b *fake.Backend, n int, before, after func()) {
	made := 0
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ours := r.Method != http.MethodGet && strings.HasPrefix(r.URL.Path, "/apis/")
			if ours {
				made++
			}
			if ours && made == n && before != nil {
				before()
			}
			next.ServeHTTP(w, r)
			if ours && made == n && after != nil {
				after()
			}
		})
	})
}

func unfinished(t *testing.T, err error) bool {
	t.Helper()
	require.Error(t, err)
	_, open := errors.AsType[*identity.UnfinishedError](err)
	return open
}

// The job is deleted and made anew, by someone else, while ours is awaited.
func TestApplyNoticesThatTheWorkloadIsAnother(t *testing.T) {
	t.Parallel()
	for name, replaces := range map[string]bool{"of the same generation": false, "of a lower one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, client := cloud(t)
				b.SetOperationTime(3*time.Second, createV1, putV1)
				if replaces {
					b.AddRunJSON(job.String(), []byte(oldJob))
				}
				around(b, 1, nil, func() { recreateAsAdmin(t, b, theirJob) })
				applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
				require.ErrorIs(t, err, identity.ErrConflict)
				assert.True(t, unfinished(t, err))
				assert.False(t, applied.Done)
				assert.Equal(t, runner, applied.New.Email(), "it is what was applied, not theirs")
			})
		})
	}
}

// A read that is behind is no other workload.
func TestApplyWaitsForReadsThatAreBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, client := cloud(t)
		b.AddRunJSON(job.String(), []byte(oldJob))
		behind := read(t, b)
		b.SetOperationTime(3*time.Second, putV1)
		b.Inject(getV1, fake.Fault{Skip: 1, Times: 5, Status: 200, Body: behind})
		applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
		require.NoError(t, err)
		assert.True(t, applied.Done)
		assert.Equal(t, int64(2), applied.Generation)
		assert.Equal(t, runner, applied.New.Email(), "not the one that was behind")
	})
}

// A condition of the generation before says nothing of ours.
func TestApplyWaitsUntilItsGenerationIsObserved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, client := cloud(t)
		b.AddRunJSON(job.String(), []byte(oldJob))
		observed := regexp.MustCompile(`"observedGeneration": *2`)
		answers := 0
		b.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				kept := httptest.NewRecorder()
				next.ServeHTTP(kept, r)
				body := kept.Body.Bytes()
				answers++
				if answers <= 5 {
					body = observed.ReplaceAll(body, []byte(`"observedGeneration":1`))
				}
				w.WriteHeader(kept.Code)
				_, _ = w.Write(body)
			})
		})
		applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
		require.NoError(t, err)
		assert.True(t, applied.Done)
		assert.Equal(t, int64(2), applied.Generation)
		assert.Equal(t, 6, answers, "a read, the write and reads until it is observed")
	})
}

// Without a uid, a generation that went back tells.
func TestApplyNoticesAGenerationThatWentBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, client := cloud(t)
		b.AddRunJSON(job.String(), []byte(oldJob))
		b.SetOperationTime(3*time.Second, putV1)
		around(b, 1, nil, func() { recreateAsAdmin(t, b, theirJob) })
		uid := regexp.MustCompile(`,\s*"uid": *"[^"]*"`)
		b.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				kept := httptest.NewRecorder()
				next.ServeHTTP(kept, r)
				w.WriteHeader(kept.Code)
				_, _ = w.Write(uid.ReplaceAll(kept.Body.Bytes(), nil))
			})
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := client.Apply(ctx, parsed(t, jobYAML), 0, &inProject)
		require.ErrorIs(t, err, identity.ErrConflict)
		require.ErrorContains(t, err, "it is back at generation 1, ours is 2")
	})
}

// What an earlier attempt may have done is not forgotten; a dry run does nothing.
func TestApplyAndEarlierAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, client := cloud(t)
		b.Inject(createV1, fake.Fault{Status: 504, Times: 1})
		b.Inject(createV1, fake.Fault{Status: 429, Times: 1})
		b.Inject(createV1, fake.Fault{Status: 400})
		_, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
		assert.True(t, unfinished(t, err))

		b, client = cloud(t)
		b.Inject(createV1, fake.Fault{Status: 504})
		order := inProject
		order.ValidateOnly = true
		_, err = client.Apply(t.Context(), parsed(t, jobYAML), 0, &order)
		assert.False(t, unfinished(t, err))
	})
}

func TestApplySaysCreatedOnlyIfItWas(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 401, 403, 409, 429, 503} {
		synctest.Test(t, func(t *testing.T) {
			b, client := cloud(t)
			b.Inject(createV1, fake.Fault{Status: status})
			applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
			require.Error(t, err)
			assert.False(t, applied.Created, "%d", status)
			assert.Nil(t, b.RunJSON(job.String()))
		})
	}
}

// What is said of a write that conflicts with what may be an earlier one of ours.
func TestApplyLooksWhoseWriteItWas(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		creates bool
		fault   fake.Fault
		meddle  func(t *testing.T, b *fake.Backend)
		ours    bool
		open    bool
		is      error
	}{
		"ours":          {fault: fake.Fault{DropAfter: true, Times: 1}, ours: true},
		"ours, created": {creates: true, fault: fake.Fault{DropAfter: true, Times: 1}, ours: true},
		"theirs": {
			fault:  fake.Fault{DropBefore: true, Times: 1},
			meddle: func(t *testing.T, b *fake.Backend) { replaceAsAdmin(t, b, theirJob) },
			is:     identity.ErrConflict,
		},
		"theirs, created": {
			creates: true, fault: fake.Fault{DropBefore: true, Times: 1},
			meddle: func(t *testing.T, b *fake.Backend) { asAdmin(t, b, http.MethodPost, "?jobId=nightly", theirJob) },
			is:     identity.ErrAlreadyExists,
		},
		"ours, and then theirs": {
			fault:  fake.Fault{DropAfter: true, Times: 1},
			meddle: func(t *testing.T, b *fake.Backend) { replaceAsAdmin(t, b, theirJob) },
			open:   true, is: identity.ErrConflict,
		},
		"ours, created, and then theirs": {
			creates: true, fault: fake.Fault{DropAfter: true, Times: 1},
			meddle: func(t *testing.T, b *fake.Backend) { replaceAsAdmin(t, b, theirJob) },
			open:   true, is: identity.ErrAlreadyExists,
		},
		"theirs twice": { // ours may have been between them
			fault: fake.Fault{DropBefore: true, Times: 1},
			meddle: func(t *testing.T, b *fake.Backend) {
				replaceAsAdmin(t, b, theirJob)
				replaceAsAdmin(t, b, theirJob2)
			},
			open: true, is: identity.ErrConflict,
		},
		"made anew": {
			fault:  fake.Fault{DropAfter: true, Times: 1},
			meddle: func(t *testing.T, b *fake.Backend) { recreateAsAdmin(t, b, theirJob) },
			open:   true, is: identity.ErrConflict,
		},
		"made anew, and replaced": { // in the generation that ours would have been in
			fault: fake.Fault{DropAfter: true, Times: 1},
			meddle: func(t *testing.T, b *fake.Backend) {
				recreateAsAdmin(t, b, theirJob)
				replaceAsAdmin(t, b, theirJob2)
			},
			open: true, is: identity.ErrConflict,
		},
		"replaced by what is ours but for the account": {
			fault: fake.Fault{DropBefore: true, Times: 1},
			meddle: func(t *testing.T, b *fake.Backend) {
				replaceAsAdmin(t, b, `{"template":{"taskCount":2,"template":{"maxRetries":0,"serviceAccount":"`+other+
					`","containers":[{"image":"gcr.io/p/nightly:1","env":[{"name":"DAY","value":"2026-11-24"}]}]}}}`)
			},
			is: identity.ErrConflict,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, client := cloud(t)
				method := putV1
				if tt.creates {
					method = createV1
				} else {
					b.AddRunJSON(job.String(), []byte(oldJob))
				}
				b.Inject(method, tt.fault)
				if tt.meddle != nil {
					around(b, 2, func() { tt.meddle(t, b) }, nil)
				}
				applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
				if tt.ours {
					require.NoError(t, err)
					assert.True(t, applied.Done)
					assert.Equal(t, tt.creates, applied.Created)
					return
				}
				require.ErrorIs(t, err, tt.is)
				assert.Equal(t, tt.open, unfinished(t, err), "%v", err)
				assert.False(t, applied.Created)
				assert.NotContains(t, string(b.RunJSON(job.String())), runner, "nothing of theirs is lost")
			})
		})
	}
}

// The server may say the default identity's address later than in its answer to the
// write.
func TestApplyTellsTheIdentityLastSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, client := cloud(t)
		b.SetOperationTime(3*time.Second, createV1)
		compute := identity.DefaultServiceAccount(123456789012)
		b.Grant("projects/web-prod/serviceAccounts/"+compute.Email(), "roles/iam.serviceAccountUser", deployer)
		account := regexp.MustCompile(`,?\s*"serviceAccountName": *"[^"]*"`)
		b.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				kept := httptest.NewRecorder()
				next.ServeHTTP(kept, r)
				body := kept.Body.Bytes()
				if r.Method == http.MethodPost {
					body = account.ReplaceAll(body, nil)
				}
				w.WriteHeader(kept.Code)
				_, _ = w.Write(body)
			})
		})
		text := strings.Replace(jobYAML, "          serviceAccountName: "+runner+"\n", "", 1)
		applied, err := client.Apply(t.Context(), parsed(t, text), 0, &inProject)
		require.NoError(t, err)
		assert.Equal(t, compute, applied.New)
	})
}

// An answer that isn't about the workload is not believed.
func TestApplyAndMisdirectedAnswers(t *testing.T) {
	t.Parallel()
	wrong := func(change ...string) string {
		return strings.NewReplacer(change...).Replace(`{"apiVersion":"run.googleapis.com/v1","kind":"Job","metadata":{"name":"nightly",` +
			`"namespace":"123456789012","generation":9,"resourceVersion":"AAAA","labels":{"cloud.googleapis.com/location":"europe-west1"}},` +
			`"spec":{"template":{"spec":{"template":{"spec":{"serviceAccountName":"` + runner + `"}}}}},` +
			`"status":{"observedGeneration":9,"conditions":[{"type":"Ready","status":"True"}]}}`)
	}
	for name, body := range map[string]string{
		"nothing": `{}`, "null": `null`, "a page": "<html>", "an error": `{"error":{"code":401,"message":"log in"}}`,
		"another job": wrong(`"nightly"`, `"other"`), "another project": wrong("123456789012", "other-proj"),
		"another number": wrong(`"namespace":"123456789012"`, `"namespace":"other-proj"`),
		"another kind":   wrong(`"Job"`, `"Service"`), "another version": wrong("run.googleapis.com", "serving.knative.dev"),
		"another region": wrong("europe-west1", "us-central1"), "no name": wrong(`"name":"nightly",`, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, client := cloud(t)
				b.AddRunJSON(job.String(), []byte(oldJob))
				b.Inject(getV1, fake.Fault{Status: 200, Body: body})
				_, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
				require.Error(t, err)
				for _, c := range b.Calls() {
					assert.Equal(t, http.MethodGet, c.Verb)
				}
				_, err = client.Export(t.Context(), job)
				require.Error(t, err)
			})
			synctest.Test(t, func(t *testing.T) {
				b, client := cloud(t)
				b.Inject(createV1, fake.Fault{Status: 200, Body: body})
				applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
				assert.True(t, unfinished(t, err), "%v", err)
				assert.False(t, applied.Created)
				assert.Zero(t, applied.New)

				b, client = cloud(t)
				b.AddRunJSON(job.String(), []byte(oldJob))
				b.SetOperationTime(3*time.Second, putV1)
				b.Inject(getV1, fake.Fault{Skip: 1, Times: 3, Status: 200, Body: body})
				applied, err = client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
				require.NoError(t, err)
				assert.Equal(t, int64(2), applied.Generation)
			})
		})
	}
	t.Run("no version to replace", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b, client := cloud(t)
			b.AddRunJSON(job.String(), []byte(oldJob))
			b.Inject(getV1, fake.Fault{Status: 200, Body: wrong(`"resourceVersion":"AAAA",`, "")})
			_, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
			require.ErrorContains(t, err, "resourceVersion")
			assert.NotContains(t, strings.Join(methods(b), " "), "replaceJob", "a write without it would undo those of others")
		})
	})
	t.Run("nobody knows of it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b, client := cloud(t)
			b.Inject(getV1, fake.Fault{Status: 404, Body: "<html>no such page</html>"})
			_, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
			require.Error(t, err)
			require.NotErrorIs(t, err, identity.ErrNotFound)
			assert.Equal(t, []string{"jobs.get"}, methods(b), "nothing is created")
		})
	})
	t.Run("what says less than this", func(t *testing.T) {
		t.Parallel()
		b, client := cloud(t)
		b.Inject(getV1, fake.Fault{Status: 200, Body: `{"metadata":{"name":"nightly","resourceVersion":"A"},"spec":{}}`})
		_, err := client.Export(t.Context(), job)
		require.NoError(t, err)
	})
}

// Waiting that fails doesn't tell that it wasn't applied.
func TestApplyWhoseWaitFails(t *testing.T) {
	t.Parallel()
	for _, f := range []fake.Fault{{Status: 400}, {Status: 401}, {Status: 403}, {Status: 404}, {Status: 429}, {Status: 503}, {DropBefore: true}, {Status: 200, Body: "{}"}} {
		t.Run(strconv.Itoa(f.Status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, client := cloud(t)
				b.SetOperationTime(time.Hour)
				f.Skip = 1
				b.Inject(getV1, f)
				applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
				assert.True(t, unfinished(t, err), "%v", err)
				assert.True(t, applied.Created)
				assert.False(t, applied.Done)
				if f.Status >= 400 {
					told, ok := errors.AsType[*googleapi.Error](err)
					require.True(t, ok)
					assert.Equal(t, f.Status, told.Code)
				}
			})
		})
	}
}
