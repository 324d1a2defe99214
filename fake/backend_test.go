package fake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/internal/discovery"
)

const (
	location = "projects/web-prod/locations/europe-west1"
	jobName  = location + "/jobs/nightly"
	getJob   = "run.projects.locations.jobs.get"
	patchJob = "run.projects.locations.jobs.patch"
)

// started is a backend with one project and one job, and the generated client
// of Cloud Run for it.
func started(t *testing.T) (*fake.Backend, *run.Service) {
	t.Helper()
	b := newBackend()
	t.Cleanup(b.Close)
	b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: jobTemplate("image")})
	svc, err := run.NewService(t.Context(), b.ClientOptions("user:dev@example.com")...)
	require.NoError(t, err)
	return b, svc
}

func jobTemplate(image string) *run.GoogleCloudRunV2ExecutionTemplate {
	return &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{
		Containers: []*run.GoogleCloudRunV2Container{{Image: image}},
	}}
}

// call makes a raw request as dev and returns status and body.
func call(t *testing.T, b *fake.Backend, method, url, body string) (int, string) {
	t.Helper()
	return ask(t, b, "user:dev@example.com", method, url, body)
}

// ask makes a raw request as a member and returns status and body.
func ask(t *testing.T, b *fake.Backend, member, verb, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), verb, url, strings.NewReader(body))
	require.NoError(t, err)
	res, err := b.HTTPClient(member).Do(req)
	require.NoError(t, err)
	out, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode, string(out)
}

// Every method of every API is reached at the path that its discovery document
// gives, whether the fake carries it out or answers 501 naming it.
func TestEveryMethodIsRouted(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	for _, api := range discovery.All() {
		for _, m := range api.Methods {
			path := m.Path
			for strings.Contains(path, "{") {
				from, to := strings.Index(path, "{"), strings.Index(path, "}")
				path = path[:from] + "x" + path[to+1:]
			}
			b.ResetCalls()
			status, body := call(t, b, m.Verb, "https://"+api.Host+"/"+path, "")
			got := b.Calls()[0].Method
			if got != m.ID {
				// Several methods may share a path: then another of the same
				// path and verb answers.
				assert.True(t, sharesPath(m, got), "%s %s is answered by %q", m.Verb, path, got)
				continue
			}
			if status == http.StatusNotImplemented && strings.Contains(body, "The fake") {
				assert.Contains(t, body, "The fake does not implement "+m.ID)
			}
		}
	}
}

func sharesPath(m discovery.Method, id string) bool {
	shape := func(path string) string {
		var out []string
		for s := range strings.SplitSeq(path, "/") {
			if name, verb, ok := strings.Cut(s, ":"); strings.HasPrefix(s, "{") {
				s = "*"
				if ok && name != "" {
					s += ":" + verb
				}
			}
			out = append(out, s)
		}
		return strings.Join(out, "/")
	}
	for _, api := range discovery.All() {
		for _, other := range api.Methods {
			if other.ID == id && other.Verb == m.Verb && shape(other.Path) == shape(m.Path) {
				return true
			}
		}
	}
	return false
}

// failures collects what a test is told.
type failures struct {
	testing.TB
	texts []string
}

func (f *failures) Errorf(format string, args ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}

func TestWhatIsNotImplementedFailsTheTest(t *testing.T) {
	t.Parallel()
	told := &failures{TB: t}
	b := fake.Start(told)
	tests := map[string]struct{ url, want string }{
		"a method":  {"https://run.googleapis.com/v2/projects/p/locations/l/instances", "The fake does not implement run.projects.locations.instances.list."},
		"an API":    {"https://storage.googleapis.com/storage/v1/b", `The fake has no API at host "storage.googleapis.com".`},
		"a version": {"https://run.googleapis.com/v9/projects", `The fake has no API at "/v9/projects" of host "run.googleapis.com".`},
	}
	for name, tt := range tests {
		told.texts = nil
		status, body := call(t, b, http.MethodGet, tt.url, "")
		assert.Equal(t, http.StatusNotImplemented, status, name)
		assert.Contains(t, strings.ReplaceAll(body, `\"`, `"`), tt.want, name)
		assert.Equal(t, []string{"fake: " + tt.want}, told.texts, name)
	}
	told.texts = nil
	status, _ := call(t, b, http.MethodGet, "https://run.googleapis.com/v2/projects/p/nothing", "")
	assert.Equal(t, http.StatusNotFound, status)
	assert.Empty(t, told.texts, "a path that the real API does not have either is the caller's business")
}

func TestRegionalHosts(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	for _, host := range []string{"run.googleapis.com", "europe-west1-run.googleapis.com", "run.europe-west1.rep.googleapis.com", "RUN.googleapis.com:443"} {
		status, body := call(t, b, http.MethodGet, "https://"+host+"/v2/"+jobName, "")
		assert.Equal(t, http.StatusOK, status, "%s: %s", host, body)
	}
}

func TestCallers(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	for _, m := range []string{
		"serviceAccount:x@web-prod.iam.gserviceaccount.com",
		"principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s",
	} {
		b.Grant("projects/web-prod", "roles/run.viewer", m)
	}
	tests := map[string]struct {
		header string
		status int
		caller string
	}{
		"a user":              {"Bearer user:dev@example.com", 200, "user:dev@example.com"},
		"a bare email":        {"bearer Dev@Example.com", 200, "user:dev@example.com"},
		"an account's email":  {"Bearer x@web-prod.iam.gserviceaccount.com", 200, "serviceAccount:x@web-prod.iam.gserviceaccount.com"},
		"a federated subject": {"Bearer principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s", 200, "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s"},
		"the admin":           {"Bearer admin", 200, fake.Admin},
		"a real token":        {"Bearer ya29.secret", 401, ""},
		"another scheme":      {"Basic dXNlcjpwYXNz", 401, ""},
		"nobody":              {"", 401, ""},
	}
	for name, tt := range tests {
		b.ResetCalls()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://run.googleapis.com/v2/"+jobName, nil)
		req.Header.Set("Authorization", tt.header)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, req)
		assert.Equal(t, tt.status, w.Code, name)
		assert.Equal(t, tt.caller, b.Calls()[0].Caller, name)
		if tt.status == 401 {
			assert.Contains(t, w.Body.String(), "UNAUTHENTICATED", name)
			assert.NotContains(t, w.Body.String(), "secret", name)
			assert.NotContains(t, fmt.Sprint(b.Calls()), "secret", "a token is not kept")
		}
	}
	for _, member := range []string{
		"", "dev", "dev@example.com", "x@web-prod.iam.gserviceaccount.com", "group:g@example.com", "allUsers", "user:", "principal:x",
	} {
		assert.Panics(t, func() { b.ClientOptions(member) }, member)
		assert.Panics(t, func() { fake.Remote("127.0.0.1:1", member) }, member)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault   fake.Fault
		want    []string // of three reads
		elapsed time.Duration
	}{
		"once":         {fake.Fault{Status: 503, Times: 1}, []string{"503", "ok", "ok"}, 0},
		"later":        {fake.Fault{Status: 429, Skip: 1, Times: 1}, []string{"ok", "429", "ok"}, 0},
		"always":       {fake.Fault{Status: 500}, []string{"500", "500", "500"}, 0},
		"dropped":      {fake.Fault{DropBefore: true, Times: 2}, []string{"dropped", "dropped", "ok"}, 0},
		"dropped late": {fake.Fault{DropAfter: true, Times: 1}, []string{"dropped", "ok", "ok"}, 0},
		"slow":         {fake.Fault{Delay: time.Minute, Times: 2}, []string{"ok", "ok", "ok"}, 2 * time.Minute},
		"hanging":      {fake.Fault{Hang: true, Times: 1}, []string{"deadline", "ok", "ok"}, time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, svc := started(t)
				b.Inject(getJob, tt.fault)
				began := time.Now()
				var got []string
				for range 3 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
					_, err := svc.Projects.Locations.Jobs.Get(jobName).Context(ctx).Do()
					cancel()
					got = append(got, outcome(err))
				}
				assert.Equal(t, tt.want, got)
				assert.Equal(t, tt.elapsed, time.Since(began))
				for i, c := range b.Calls() {
					assert.Equal(t, getJob, c.Method)
					assert.Equal(t, got[i] == "dropped" || got[i] == "deadline", c.Status == 0)
				}
			})
		})
	}
}

func outcome(err error) string {
	var g *googleapi.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &g):
		return strconv.Itoa(g.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "dropped"
	}
	return err.Error()
}

func TestFaultsHitInTheOrderInWhichTheyWereInjected(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	header := http.Header{"Retry-After": {"7"}}
	b.Inject(getJob, fake.Fault{Status: 429, Times: 1, Header: header})
	b.Inject(getJob, fake.Fault{Status: 503, Times: 1, Body: "not JSON"})
	header.Set("Retry-After", "changed later")
	var errs []*googleapi.Error
	for range 2 {
		_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
		var g *googleapi.Error
		require.ErrorAs(t, err, &g)
		errs = append(errs, g)
	}
	assert.Equal(t, "7", errs[0].Header.Get("Retry-After"))
	assert.Equal(t, "Too Many Requests", errs[0].Message)
	assert.Contains(t, errs[0].Body, "RESOURCE_EXHAUSTED")
	assert.Equal(t, "not JSON", errs[1].Body)
	assert.PanicsWithValue(t, `fake: no API has a method jobs.get; methods are named by discovery ID, such as "run.projects.locations.jobs.patch"`,
		func() { b.Inject("jobs.get", fake.Fault{}) })
}

func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := started(t)
		b.SetLatency(100 * time.Millisecond)
		b.SetLatency(time.Second, patchJob)
		read := func() time.Duration {
			began := time.Now()
			_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
			require.NoError(t, err)
			return time.Since(began)
		}
		assert.Equal(t, 100*time.Millisecond, read())
		began := time.Now()
		_, err := svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: jobTemplate("other")}).Do()
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(began))
		assert.Equal(t, time.Second, b.Calls()[1].Duration)

		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Millisecond)
		defer cancel()
		_, err = svc.Projects.Locations.Jobs.Get(jobName).Context(ctx).Do()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, svc := started(t)
		b.Inject(getJob, fake.Fault{Hang: true})
		ended := make(chan error)
		go func() {
			_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
			ended <- err
		}()
		synctest.Wait()
		go b.Close()
		require.ErrorIs(t, <-ended, io.ErrUnexpectedEOF)
		b.Close()
		_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	})
}

func TestBehindAServer(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	server := httptest.NewServer(b)
	defer server.Close()
	ask := func() (*http.Response, error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v2/"+jobName, nil)
		require.NoError(t, err)
		req.Host = "run.googleapis.com"
		req.Header.Set("Authorization", "Bearer user:dev@example.com")
		return server.Client().Do(req)
	}
	res, err := ask()
	require.NoError(t, err)
	var job run.GoogleCloudRunV2Job
	require.NoError(t, json.NewDecoder(res.Body).Decode(&job))
	require.NoError(t, res.Body.Close())
	assert.Equal(t, jobName, job.Name)

	b.Inject(getJob, fake.Fault{DropAfter: true}) // always: net/http asks again on its own
	res, err = ask()
	if err == nil {
		_ = res.Body.Close()
	}
	require.Error(t, err, "the connection breaks")
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	b, _ := started(t)
	jobs := "https://run.googleapis.com/v2/" + location + "/jobs"
	tests := map[string]struct {
		verb, url, body string
		status          int
		want            string
	}{
		"no JSON":             {"POST", jobs + "?jobId=new", `{"template":`, 400, "Invalid JSON payload received. Unexpected end of string."},
		"a list":              {"POST", jobs + "?jobId=new", `[]`, 400, "Root element must be a message."},
		"two objects":         {"POST", jobs + "?jobId=new", `{}{}`, 400, "Unexpected data after the end"},
		"a number for text":   {"POST", jobs + "?jobId=new", `{"client":7}`, 400, "Invalid value at 'client' (TYPE_STRING), 7"},
		"text for a number":   {"POST", jobs + "?jobId=new", `{"template":{"taskCount":"many"}}`, 400, `Invalid value at 'template.taskCount' (TYPE_INT32), \"many\"`},
		"a fraction":          {"POST", jobs + "?jobId=new", `{"template":{"taskCount":1.5}}`, 400, "TYPE_INT32"},
		"an unknown enum":     {"POST", jobs + "?jobId=new", `{"launchStage":"SOON"}`, 400, "Invalid value at 'launchStage'"},
		"a list for a map":    {"POST", jobs + "?jobId=new", `{"labels":[]}`, 400, "Invalid value at 'labels'"},
		"no id":               {"POST", jobs, `{}`, 400, "jobId"},
		"an id of no use":     {"POST", jobs + "?jobId=New_Job", `{}`, 400, "jobId"},
		"no container":        {"POST", jobs + "?jobId=new", `{}`, 400, "must contain at least one container"},
		"no image":            {"POST", jobs + "?jobId=new", `{"template":{"template":{"containers":[{}]}}}`, 400, "Expected an image path"},
		"a bad page token":    {"GET", jobs + "?pageToken=%21", "", 400, "page token"},
		"a bad page size":     {"GET", jobs + "?pageSize=-1", "", 400, "page_size"},
		"a bad mask":          {"PATCH", "https://run.googleapis.com/v2/" + location + "/services/s?updateMask=template.nothing", `{}`, 400, "Invalid update mask path"},
		"a bad query":         {"GET", jobs + "?a=%zz", "", 400, "Invalid query string"},
		"a bad escape":        {"GET", "https://run.googleapis.com/v2/projects/%2F/locations/europe-west1/jobs", "", 403, "denied on resource"},
		"an unknown location": {"GET", "https://run.googleapis.com/v2/projects/web-prod/locations/moon1/jobs", "", 501, "Operation is not implemented, or supported, or enabled."},
		"an unknown project":  {"GET", "https://run.googleapis.com/v2/projects/nowhere/locations/europe-west1/jobs/j", "", 403, "Permission 'run.jobs.get' denied on resource 'projects/nowhere/locations/europe-west1/jobs/j' (or resource may not exist)."},
	}
	for name, tt := range tests {
		status, body := call(t, b, tt.verb, tt.url, tt.body)
		assert.Equal(t, tt.status, status, "%s: %s", name, body)
		assert.Contains(t, body, tt.want, name)
		var e struct {
			Error struct {
				Code    int
				Message string
				Status  string
			}
		}
		require.NoError(t, json.Unmarshal([]byte(body), &e), name)
		assert.Equal(t, tt.status, e.Error.Code, name)
		assert.NotEmpty(t, e.Error.Status, name)
	}
}

func TestAnswersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	server := httptest.NewServer(b)
	defer server.Close()
	b.Inject(getJob, fake.Fault{Garble: true, Times: 1})
	_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
	var syntax *json.SyntaxError
	require.ErrorAs(t, err, &syntax)

	b.Inject(getJob, fake.Fault{Truncate: true, Times: 2})
	_, err = svc.Projects.Locations.Jobs.Get(jobName).Do()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v2/"+jobName, nil)
	require.NoError(t, err)
	req.Host = "run.googleapis.com"
	req.Header.Set("Authorization", "Bearer user:dev@example.com")
	res, err := server.Client().Do(req)
	require.NoError(t, err)
	_, err = io.ReadAll(res.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_ = res.Body.Close()
}

func TestQuotaExhausted(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	b.Inject(getJob, fake.QuotaExhausted())
	_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
	g := googleError(t, err)
	assert.Equal(t, 429, g.Code)
	assert.Contains(t, g.Body, "RESOURCE_EXHAUSTED")
	assert.Contains(t, g.Body, "RATE_LIMIT_EXCEEDED")
	assert.Contains(t, g.Body, "google.rpc.QuotaFailure")
}

func TestOperationThatEndsWithAnError(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	b.Inject(patchJob, fake.Fault{Failure: &run.GoogleRpcStatus{Code: 13, Message: "Internal error."}, Times: 1})
	op, err := svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: jobTemplate("new")}).Do()
	require.NoError(t, err)
	op, err = svc.Projects.Locations.Operations.Get(op.Name).Do()
	require.NoError(t, err)
	assert.True(t, op.Done)
	assert.Equal(t, int64(13), op.Error.Code)
	assert.Empty(t, op.Response)
}

func TestUse(t *testing.T) {
	t.Parallel()
	b, svc := started(t)
	var seen []string
	for _, name := range []string{"inner", "outer"} {
		b.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen = append(seen, name+" "+r.Host+" "+r.Header.Get("Authorization"))
				if r.Header.Get("X-Refuse") != "" {
					http.Error(w, "refused", http.StatusTeapot)
					return
				}
				next.ServeHTTP(w, r)
			})
		})
	}
	_, err := svc.Projects.Locations.Jobs.Get(jobName).Do()
	require.NoError(t, err)
	assert.Equal(t, []string{
		"outer run.googleapis.com Bearer user:dev@example.com", "inner run.googleapis.com Bearer user:dev@example.com",
	}, seen)
	get := svc.Projects.Locations.Jobs.Get(jobName)
	get.Header().Set("X-Refuse", "yes")
	_, err = get.Do()
	assert.Equal(t, http.StatusTeapot, googleError(t, err).Code)
}

// patchStatus patches the job as a member and returns the HTTP status.
func patchStatus(b *fake.Backend, member, body string) int {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPatch, api+jobName, strings.NewReader(body))
	if err != nil {
		return 0
	}
	res, err := b.HTTPClient(member).Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// startedFor is a backend that tells a test of trouble, with one job.
func startedFor(tb fake.TB) *fake.Backend {
	b := fake.Start(tb)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: jobTemplate("image")})
	return b
}
