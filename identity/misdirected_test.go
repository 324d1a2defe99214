package identity_test

import (
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

// What answers in Google's place, or about something else, proves nothing.

// misdirections are answers with status 200 that aren't what was asked for.
func misdirections() map[string]string {
	const place = "projects/web-prod/locations/europe-west1/"
	return map[string]string{
		"nothing":                       `{}`,
		"null":                          `null`,
		"an error":                      `{"error":{"code":403,"message":"log in","status":"PERMISSION_DENIED"}}`,
		"a page":                        `<html>log in</html>`,
		"another job":                   `{"name":"` + place + `jobs/other","generation":"7","template":{"template":{"serviceAccount":"` + runnerEmail + `"}}}`,
		"another project":               `{"name":"projects/other-proj/locations/europe-west1/jobs/nightly","template":{"template":{"serviceAccount":"` + runnerEmail + `"}}}`,
		"another region":                `{"name":"projects/web-prod/locations/us-central1/jobs/nightly","template":{"template":{"serviceAccount":"` + runnerEmail + `"}}}`,
		"another number":                `{"name":"projects/210987654321/locations/europe-west1/operations/o/x"}`,
		"another account":               `{"name":"projects/web-prod/serviceAccounts/x@web-prod.iam.gserviceaccount.com","email":"x@web-prod.iam.gserviceaccount.com","uniqueId":"1"}`,
		"no operation":                  `{"name":"` + place + `jobs/nightly/operations"}`,
		"an operation without an id":    `{"name":"` + place + `operations/"}`,
		"an operation without a region": `{"name":"projects/web-prod/locations//operations/o"}`,
		"of another place":              `{"name":"projects/other-proj/locations/europe-west1/operations/o","done":true,"response":{"name":"` + place + `jobs/nightly"}}`,
		"of another job": `{"name":"` + place + `operations/o","metadata":{"name":"` + place +
			`jobs/other","generation":"2","template":{"template":{"serviceAccount":"` + runnerEmail + `"}}}}`,
	}
}

func TestMisdirectedReads(t *testing.T) {
	t.Parallel()
	for name, body := range misdirections() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.Inject(getJob, fake.Fault{Status: 200, Body: body})
				b.Inject(getAccount, fake.Fault{Status: 200, Body: body})
				c := newClient(t, b)

				a, err := c.Get(t.Context(), nightly, nil)
				require.ErrorContains(t, err, "gave up after 8 attempts: ")
				assert.Zero(t, a)
				_, err = c.Attach(t.Context(), nightly, runner, nil)
				require.Error(t, err)
				_, err = c.Detach(t.Context(), nightly, nil)
				require.Error(t, err)
				_, err = c.EnsureServiceAccount(t.Context(), newAccount, nil)
				require.Error(t, err)
				for _, call := range b.Calls() {
					assert.Equal(t, "GET", call.Verb, "nothing is written on the strength of that")
				}

				b = newCloud(t)
				b.Inject(getJob, fake.Fault{Status: 200, Body: body, Times: 2})
				b.Inject(getAccount, fake.Fault{Status: 200, Body: body, Times: 2})
				a, err = newClient(t, b).Get(t.Context(), nightly, nil)
				require.NoError(t, err, "it is asked again")
				assert.Equal(t, other, a.ServiceAccount)
				account, err := newClient(t, b).EnsureServiceAccount(t.Context(), runner, nil)
				require.NoError(t, err)
				assert.False(t, account.Created)
			})
		})
	}
}

// The write is carried out or not, and answered with something else.
func TestMisdirectedWrites(t *testing.T) {
	t.Parallel()
	for name, body := range misdirections() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				for _, method := range []string{patchJob, createJob, runJob, createAccount} {
					b.Inject(method, fake.Fault{Status: 200, Body: body})
				}
				c := newClient(t, b)
				change, err := c.Attach(t.Context(), nightly, runner, nil)
				asError[*identity.UnfinishedError](t, err)
				assert.False(t, change.Done)
				assert.False(t, change.Written)
				_, err = c.CreateJob(t.Context(), fresh, runner, newJob(), nil)
				asError[*identity.UnfinishedError](t, err)
				_, err = c.Execute(t.Context(), nightly, nil)
				require.ErrorIs(t, err, identity.ErrMayHaveStarted)
				assert.Equal(t, 1, countCalls(b, runJob))
				_, err = c.EnsureServiceAccount(t.Context(), newAccount, nil)
				asError[*identity.UnfinishedError](t, err)
				_, err = c.Attach(t.Context(), nightly, runner, &identity.AttachOptions{ValidateOnly: true})
				require.Error(t, err)
			})
		})
		t.Run(name+", to a wait", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				b.SetOperationTime(time.Hour)
				b.Inject(waitMethod, fake.Fault{Status: 200, Body: body})
				change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
				asError[*identity.UnfinishedError](t, err)
				assert.False(t, change.Done)
				assert.True(t, change.Written)
				e, err := newClient(t, b).Execute(t.Context(), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
				asError[*identity.UnfinishedError](t, err)
				assert.False(t, e.Done)
			})
		})
	}
}

// What a creation is answered with is the account that was asked for, or nothing is
// known of it but that it may be there.
func TestCreatedAccountThatIsAnother(t *testing.T) {
	t.Parallel()
	for name, carriedOut := range map[string]bool{"in place of the creation": false, "after it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				first := true
				c := through(t, b, func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
					if r.Method != http.MethodPost || !first {
						return next.RoundTrip(r)
					}
					first = false
					if carriedOut {
						res, err := next.RoundTrip(r)
						require.NoError(t, err)
						require.NoError(t, res.Body.Close())
					}
					body := misdirections()["another account"]
					return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
				})
				a, err := c.EnsureServiceAccount(t.Context(), newAccount, &identity.EnsureServiceAccountOptions{DisplayName: "Nightly"})
				require.NoError(t, err)
				assert.True(t, a.Created)
				assert.Len(t, a.UniqueID, 21, "it is its own, not the other's")
				assert.Equal(t, 2, countCalls(b, createAccount)+map[bool]int{false: 1}[carriedOut])
			})
		})
	}
}

// An operation of the right name may have another's resource.
func TestOperationOfAnotherResource(t *testing.T) {
	t.Parallel()
	for _, response := range []string{`{}`, `{"name":"projects/web-prod/locations/europe-west1/jobs/other"}`} {
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			answerWaits(b, -1, `"done":true,"response":`+response)
			change, err := newClient(t, b).Attach(t.Context(), nightly, runner, nil)
			asError[*identity.UnfinishedError](t, err)
			assert.False(t, change.Done)
			e, err := newClient(t, b).Execute(t.Context(), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
			asError[*identity.UnfinishedError](t, err)
			assert.False(t, e.Done)
			assert.Contains(t, e.Name, nightly.Name()+"/executions/")
		})
	}
}

func TestExecutionOfAnotherJob(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"projects/web-prod/locations/europe-west1/jobs/other/executions/e1", nightly.Name(), nightly.Name() + "/executions/", ""} {
		b := newCloud(t)
		b.Inject(runJob, fake.Fault{Status: 200, Body: `{"name":"projects/web-prod/locations/europe-west1/operations/o","metadata":{"name":"` + name + `"}}`})
		_, err := newClient(t, b).Execute(t.Context(), nightly, nil)
		require.ErrorIs(t, err, identity.ErrMayHaveStarted)
	}
}

// An execution that isn't named has started all the same.
func TestExecutionWithoutAName(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	const operation = "projects/123456789012/locations/europe-west1/operations/o"
	b.Inject(runJob, fake.Fault{Status: 200, Body: `{"name":"` + operation + `"}`})
	e, err := newClient(t, b).Execute(t.Context(), nightly, nil)
	require.NoError(t, err)
	assert.Equal(t, identity.Execution{Workload: nightly, Operation: operation}, e)
	answerWaits(b, 1, `"done":true`)
	_, err = newClient(t, b).Execute(t.Context(), nightly, &identity.ExecuteOptions{WaitForCompletion: true})
	require.ErrorContains(t, err, "the server doesn't name the execution")
	assert.Equal(t, operation, asError[*identity.UnfinishedError](t, err).Operation)
}

func TestRevisionThatIsAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		w := revisioned(b, "")[0]
		for _, body := range []string{`{}`, `{"name":"` + w.Name() + `/revisions/other","serviceAccount":"` + runnerEmail + `"}`} {
			b.Inject("run.projects.locations.services.revisions.get", fake.Fault{Status: 200, Body: body, Times: 8})
			_, err := newClient(t, b).Get(t.Context(), w, &identity.GetOptions{ReadRevisions: true})
			require.Error(t, err)
		}
	})
}

// A project is named by its id or its number, and answered as either.
func TestAnswersNameTheProjectEitherWay(t *testing.T) {
	t.Parallel()
	for _, asked := range []string{"web-prod", "123456789012"} {
		for _, told := range []string{"web-prod", "123456789012"} {
			b := newCloud(t)
			w := identity.Job(asked, "europe-west1", "nightly")
			body := fmt.Sprintf(`{"name":"projects/%s/locations/europe-west1/jobs/nightly","template":{"template":{"serviceAccount":%q}}}`, told, runnerEmail)
			b.Inject(getJob, fake.Fault{Status: 200, Body: body})
			a, err := newClient(t, b).Get(t.Context(), w, nil)
			require.NoError(t, err)
			assert.Equal(t, runner, a.ServiceAccount)
		}
	}
}

// A gateway's own 404 doesn't say that there is no such thing.
func TestAbsenceIsGooglesToTell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, body := range []string{"<html>404</html>", "{}", "null"} {
			b := newCloud(t)
			b.Inject(getJob, fake.Fault{Status: 404, Body: body})
			b.Inject(getAccount, fake.Fault{Status: 404, Body: body})
			_, err := newClient(t, b).Get(t.Context(), nightly, nil)
			require.Error(t, err)
			require.NotErrorIs(t, err, identity.ErrNotFound)
			_, err = newClient(t, b).EnsureServiceAccount(t.Context(), newAccount, nil)
			require.Error(t, err)
			assert.Zero(t, countCalls(b, createAccount))
		}
	})
}
