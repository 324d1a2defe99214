package fake_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

const bot = "bot@web-prod.iam.gserviceaccount.com"

// A message is decoded before its handler is called, and what is wrong with it
// is told when the handler comes to it: after what it refuses first, and not at
// all by one that needs no message.
func TestWhatIsWrongWithAMessageIsToldInItsTurn(t *testing.T) {
	t.Parallel()
	const (
		iamAccounts = "https://iam.googleapis.com/v1/projects/web-prod/serviceAccounts"
		services    = "https://serviceusage.googleapis.com/v1beta1/projects/web-prod/services/"
		broken      = `{"`
		unexpected  = "Invalid JSON payload received. Unexpected end of string."
	)
	for name, c := range map[string]struct {
		member, url, body string
		status            int
		text              string
	}{
		"one that is not needed":            {fake.Admin, iamAccounts + "/" + bot + ":disable", broken, 200, "{}"},
		"one that is not needed, refused":   {"user:nobody@example.com", iamAccounts + "/" + bot + ":disable", broken, 403, "iam.serviceAccounts.disable"},
		"before the permission":             {"user:nobody@example.com", iamAccounts, broken, 400, unexpected},
		"after the dry run":                 {fake.Admin, "https://europe-west1-run.googleapis.com/apis/run.googleapis.com/v1/namespaces/web-prod/jobs?dryRun=some", broken, 400, `dryRun: Invalid value \"some\"`},
		"after the permission of a policy":  {"user:nobody@example.com", iamAccounts + "/" + bot + ":setIamPolicy", broken, 403, "iam.serviceAccounts.setIamPolicy"},
		"with the permission of a policy":   {fake.Admin, iamAccounts + "/" + bot + ":setIamPolicy", broken, 400, unexpected},
		"no identity takes a message":       {fake.Admin, services + "run.googleapis.com:generateServiceIdentity", broken, 200, `"done": true`},
		"an empty one":                      {fake.Admin, api + location + "/jobs?jobId=new", "", 400, "template.template.containers"},
		"white space alone":                 {fake.Admin, api + location + "/jobs?jobId=new", " \n", 400, "template.template.containers"},
		"a list":                            {fake.Admin, api + location + "/jobs?jobId=new", "[]", 400, "Root element must be a message."},
		"before the project that is absent": {fake.Admin, api + "projects/nowhere/locations/europe-west1/jobs?jobId=new", broken, 400, unexpected},
		"an absent project, well formed":    {fake.Admin, api + "projects/nowhere/locations/europe-west1/jobs?jobId=new", "{}", 403, "run.jobs.create"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend()
			t.Cleanup(b.Close)
			b.AddServiceAccount(&iam.ServiceAccount{Email: bot})
			status, body := ask(t, b, c.member, http.MethodPost, c.url, c.body)
			assert.Equal(t, c.status, status, body)
			assert.Contains(t, body, c.text)
		})
	}
}

// A wait is over with the operation, with its own timeout or with the caller,
// whatever becomes of the caller's rights meanwhile, and keeps nobody out.
func TestOperationsWait(t *testing.T) {
	t.Parallel()
	const wait = "run.projects.locations.operations.wait"
	for name, c := range map[string]struct {
		timeout  string
		deadline time.Duration
		meantime func(b *fake.Backend)
		takes    time.Duration
		done     bool
		err      error
	}{
		"until it is done":        {timeout: "60s", takes: 10 * time.Second, done: true},
		"no longer than it says":  {timeout: "4s", takes: 4 * time.Second},
		"30 s if it says nothing": {takes: 10 * time.Second, done: true},
		"not at all":              {timeout: "0s"},
		"no longer than the caller": {
			timeout: "60s", deadline: 3 * time.Second, takes: 3 * time.Second, err: context.DeadlineExceeded,
		},
		"the caller is disabled meanwhile": {
			timeout: "60s", takes: 10 * time.Second, done: true,
			meantime: func(b *fake.Backend) {
				svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
				if assert.NoError(t, err) {
					_, err = svc.Projects.ServiceAccounts.Disable("projects/-/serviceAccounts/"+bot, &iam.DisableServiceAccountRequest{}).Do()
					assert.NoError(t, err)
				}
			},
		},
		"the caller's role is taken meanwhile": {
			timeout: "60s", takes: 10 * time.Second, done: true,
			meantime: func(b *fake.Backend) { b.SetPolicy("projects/web-prod", &iam.Policy{}) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBackend()
				defer b.Close()
				b.AddServiceAccount(&iam.ServiceAccount{Email: bot})
				b.Grant("projects/web-prod", "roles/run.admin", "serviceAccount:"+bot)
				b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: jobTemplate("image")})
				b.SetOperationTime(10 * time.Second)
				admin, err := run.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
				require.NoError(t, err)
				op, err := admin.Projects.Locations.Jobs.Delete(jobName).Do()
				require.NoError(t, err)

				ctx, cancel := t.Context(), func() {}
				if c.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
				}
				defer cancel()
				meantime := time.AfterFunc(2*time.Second, func() {
					if c.meantime != nil {
						c.meantime(b)
					}
				})
				defer meantime.Stop()
				svc, err := run.NewService(t.Context(), b.ClientOptions("serviceAccount:"+bot)...)
				require.NoError(t, err)
				start := time.Now()
				got, err := svc.Projects.Locations.Operations.Wait(op.Name, &run.GoogleLongrunningWaitOperationRequest{Timeout: c.timeout}).
					Context(ctx).Do()
				assert.Equal(t, c.takes, time.Since(start))
				require.ErrorIs(t, err, c.err)
				if err == nil {
					assert.Equal(t, c.done, got.Done)
				}
				assert.NotEmpty(t, b.Calls())
				assert.Equal(t, wait, b.Calls()[len(b.Calls())-1].Method)
			})
		})
	}
}

// Whatever delays grants made by calls, those that are seeded are in force at
// once, and so is what was.
func TestSeededGrantsAreNotDelayed(t *testing.T) {
	t.Parallel()
	const permission = "run.jobs.get"
	binding := func(member string) []*iam.Binding {
		return []*iam.Binding{{Role: "roles/run.viewer", Members: []string{member}}}
	}
	for name, c := range map[string]struct {
		seed    func(b *fake.Backend)
		granted bool
	}{
		"Grant": {func(b *fake.Backend) { b.Grant("projects/web-prod", "roles/run.viewer", "user:new@example.com") }, true},
		"SetPolicy": {func(b *fake.Backend) {
			b.SetPolicy("projects/web-prod", &iam.Policy{Bindings: binding("user:new@example.com")})
		}, true},
		"setIamPolicy": {func(b *fake.Backend) {
			status, body := ask(t, b, fake.Admin, http.MethodPost, "https://cloudresourcemanager.googleapis.com/v3/projects/web-prod:setIamPolicy",
				`{"policy":{"bindings":[{"role":"roles/run.viewer","members":["user:new@example.com"]}]}}`)
			assert.Equal(t, http.StatusOK, status, body)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend()
			t.Cleanup(b.Close)
			b.SetPropagation(time.Hour, time.Hour)
			c.seed(b)
			want := "denied"
			if c.granted {
				want = "granted"
			}
			assert.Contains(t, b.Explain("user:new@example.com", permission, "projects/web-prod"), want)
		})
	}
}

// reporter is a test that asks the backend as it fails.
type reporter struct {
	backend *fake.Backend
	texts   []string
}

func (*reporter) Helper()        {}
func (*reporter) Cleanup(func()) {}

func (r *reporter) Errorf(format string, args ...any) {
	why := r.backend.Explain("user:dev@example.com", "run.jobs.get", "projects/web-prod")
	r.texts = append(r.texts, fmt.Sprintf(format, args...)+" / "+why)
}

// What fails a test is reported when the call has let go of the cloud, so that
// the report can look at it.
func TestAFailingTestMayAskTheBackend(t *testing.T) {
	t.Parallel()
	r := &reporter{}
	b := fake.Start(r)
	t.Cleanup(b.Close)
	r.backend = b
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
	b.Grant("projects/web-prod", "roles/of.something", "user:dev@example.com")
	for url, method := range map[string]string{
		"https://run.googleapis.com/v2/projects/p/locations/l/instances": http.MethodGet,
		api + location + "/jobs?jobId=new":                               http.MethodPost, // which changes the cloud
		"https://recommender.googleapis.com/v1/projects/web-prod/locations/global/insightTypes/google.other.Insight/insights": http.MethodGet,
	} {
		before := len(r.texts)
		_, _ = call(t, b, method, url, "{}")
		assert.Greater(t, len(r.texts), before, url)
	}
}
