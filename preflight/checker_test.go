package preflight_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

func TestEndpointIsRefused(t *testing.T) {
	t.Parallel()
	_, err := preflight.NewChecker(t.Context(), option.WithHTTPClient(http.DefaultClient), option.WithEndpoint("https://run.example.com/"))
	require.ErrorContains(t, err, `option.WithEndpoint("https://run.example.com/"): several APIs are asked`)
	_, err = preflight.NewFixer(t.Context(), option.WithHTTPClient(http.DefaultClient), option.WithEndpoint("https://run.example.com/"))
	require.ErrorContains(t, err, "new fixer: option.WithEndpoint")
}

func TestCallerFromCredentials(t *testing.T) {
	t.Parallel()
	// Not a key of anything.
	account := `{"type": "service_account", "client_email": "bot@web-prod.iam.gserviceaccount.com", "private_key": "x", "token_uri": "https://localhost/"}`
	impersonated := `{"type": "impersonated_service_account", "source_credentials": {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"},
		"service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/bot@data-prod.iam.gserviceaccount.com:generateAccessToken"}`
	user := `{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "account": "dev@example.com"}`
	noName := `{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}`
	file := filepath.Join(t.TempDir(), "credentials.json")
	require.NoError(t, os.WriteFile(file, []byte(impersonated), 0o600))
	for name, tt := range map[string]struct {
		opt  option.ClientOption
		want string
	}{
		"service account":         {option.WithAuthCredentialsJSON(option.ServiceAccount, []byte(account)), "serviceAccount:bot@web-prod.iam.gserviceaccount.com"},
		"impersonated, in a file": {option.WithAuthCredentialsFile(option.ImpersonatedServiceAccount, file), "serviceAccount:bot@data-prod.iam.gserviceaccount.com"},
		"user":                    {option.WithAuthCredentialsJSON(option.AuthorizedUser, []byte(user)), "user:dev@example.com"},
		"user without a name":     {option.WithAuthCredentialsJSON(option.AuthorizedUser, []byte(noName)), ""},
		"no authentication":       {option.WithoutAuthentication(), ""},
		"a client":                {option.WithHTTPClient(http.DefaultClient), ""},
		"a key":                   {option.WithAPIKey("x"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := preflight.NewChecker(t.Context(), tt.opt)
			require.NoError(t, err)
			assert.Equal(t, tt.want, c.Caller)
		})
	}
}

func TestDefaultCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "account": "dev@example.com"}`), 0o600))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	c, err := preflight.NewChecker(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "user:dev@example.com", c.Caller)
}

func TestBadTargets(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newChecker(t, b, dev)
	for name, tt := range map[string]struct {
		target preflight.Target
		want   string
	}{
		"no workload":        {preflight.Target{}, "check "},
		"deployer":           {preflight.Target{Workload: job, Deployer: "dev@example.com"}, `deployer "dev@example.com": `},
		"everyone":           {preflight.Target{Workload: job, Deployer: "allUsers"}, `such as "user:dev@example.com"`},
		"need of nothing":    {preflight.Target{Workload: job, Needs: []preflight.Need{{Resource: ownProject}}}, `need 0: it names no permission and no role, such as "storage.objects.get"`},
		"need's permission":  {preflight.Target{Workload: job, Needs: []preflight.Need{{Resource: ownProject, Permissions: []string{"roles/viewer"}}}}, `permission "roles/viewer": it must be SERVICE.RESOURCE.VERB`},
		"need's role":        {preflight.Target{Workload: job, Needs: []preflight.Need{{Resource: ownProject, Role: "viewer"}}}, `role "viewer": it must be such as`},
		"need's resource":    {preflight.Target{Workload: job, Needs: []preflight.Need{{Resource: "buckets/b", Role: "roles/viewer"}}}, `resource "buckets/b": a relative name must be of`},
		"need's full name":   {preflight.Target{Workload: job, Needs: []preflight.Need{{Resource: "//storage.googleapis.com", Role: "roles/viewer"}}}, "has the resource after the service"},
		"need's control":     {preflight.Target{Workload: job, Needs: []preflight.Need{{Resource: "projects/a\nb", Role: "roles/viewer"}}}, "control characters"},
		"need's empty part":  {preflight.Target{Workload: job, Needs: []preflight.Need{{Resource: "projects//a", Role: "roles/viewer"}}}, "no part of the name may be empty"},
		"need's bad account": {preflight.Target{Workload: job, Needs: []preflight.Need{{Resource: "projects/p/serviceAccounts/x", Role: "roles/viewer"}}}, "invalid service account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := c.Check(t.Context(), tt.target, nil)
			require.ErrorContains(t, err, tt.want)
			assert.Empty(t, report.Findings)
		})
	}
	nameless := newChecker(t, b, "user:x@example.com")
	nameless.Caller = "dev@example.com"
	_, err := nameless.Check(t.Context(), preflight.Target{Workload: job}, nil)
	require.ErrorContains(t, err, "the checker's Caller: deployer")
	assert.Empty(t, b.Calls(), "nothing is asked before")
}

// The caller whose name isn't known: checks work, fixes name MEMBER and can't be
// applied.
func TestUnknownCaller(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	revoke(b, accountName(local), "", dev)
	c := newChecker(t, b, dev)
	c.Caller = ""
	report := check(t, c, preflight.Target{Workload: job, Identity: account(t, local)})
	f := finding(t, report, preflight.CheckDeployerActAs)
	assert.Equal(t, preflight.Fail, f.Verdict)
	assert.Empty(t, report.Deployer)
	assert.Contains(t, f.Message, "the caller lacks")
	assert.Equal(t, "gcloud iam service-accounts add-iam-policy-binding "+local+" --member=MEMBER --role=roles/iam.serviceAccountUser --project=web-prod --condition=None",
		f.Fix.Gcloud())
	b.ResetCalls()
	steps, err := newFixer(t, b).Apply(t.Context(), preflight.Fixes(report), nil)
	require.ErrorContains(t, err, "whom to grant to isn't known")
	assert.Empty(t, steps)
	assert.Empty(t, b.Calls())
}

// Whatever goes wrong with whatever is asked, nothing is written, and nothing is
// told that isn't so.
func TestNothingIsWrittenWhateverFails(t *testing.T) {
	t.Parallel()
	for _, caller := range []string{dev, auditor} {
		b := newCloud(t)
		grantAuditor(b)
		target := preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev, Needs: []preflight.Need{
			{Resource: ownProject, Permissions: []string{"run.jobs.run"}, Role: "roles/run.invoker"},
		}}
		opts := []*preflight.CheckOptions{{Troubleshoot: true, ValidateOnly: true}}
		truth := verdicts(check(t, newChecker(t, b, auditor), target))
		check(t, newChecker(t, b, caller), target, opts...)
		methods := make(map[string]bool)
		for _, call := range b.Calls() {
			methods[call.Method] = true
		}
		assertNoWrites(t, b)
		for method := range methods {
			for fault, f := range map[string]fake.Fault{
				"403": {Status: 403, Body: `{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}`},
				"404": {Status: 404, Body: `{"error": {"code": 404, "message": "nothing there", "status": "NOT_FOUND"}}`},
				"400": {Status: 400, Body: `{"error": {"code": 400, "message": "bad", "status": "INVALID_ARGUMENT"}}`},
				"500": {Status: 500}, "garbage": {Garble: true}, "dropped": {DropBefore: true}, "cut": {Truncate: true},
			} {
				t.Run(strings.Join([]string{caller, method, fault}, " "), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						b := newCloud(t)
						grantAuditor(b)
						b.Inject(method, f)
						report := check(t, newChecker(t, b, caller), target, opts...)
						assertNoWrites(t, b)
						for code, v := range verdicts(report) {
							want, known := truth[code]
							if v == preflight.Unknown || !known || fault == "404" {
								continue // what the server says isn't there isn't there
							}
							assert.Equal(t, want, v, "%s: %s", code, report)
						}
					})
				})
			}
		}
	}
}

// A service that is nil may not be asked: Unknown, and no call.
func TestNilServices(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := &preflight.Checker{Caller: dev}
	report := check(t, c, preflight.Target{Workload: job, Identity: account(t, remote)}, &preflight.CheckOptions{ValidateOnly: true})
	for _, f := range report.Findings {
		assert.Equal(t, preflight.Unknown, f.Verdict, "%s", f.Code)
		assert.NotEmpty(t, f.Causes)
	}
	report = check(t, c, preflight.Target{Workload: job, Deployer: auditor})
	assert.Equal(t, preflight.Unknown, report.Verdict())
	assert.Contains(t, finding(t, report, preflight.CheckIdentity).Message, "name the one to check")
	assert.Empty(t, b.Calls())
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.Inject("iam.projects.serviceAccounts.get", fake.Fault{Hang: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := newChecker(t, b, dev).Check(ctx, preflight.Target{Workload: job, Identity: account(t, local)}, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "check "+jobName)
	})
}

func TestCheckAll(t *testing.T) {
	t.Parallel()
	targets := func(n int) func(func(preflight.Target) bool) {
		return func(yield func(preflight.Target) bool) {
			for i := range n {
				target := preflight.Target{Workload: identity.Job("web-prod", "europe-west1", fmt.Sprintf("job-%d", i)), Identity: identity.MustParseServiceAccount(local)}
				if i%10 == 3 {
					target.Deployer = "nobody"
				}
				if !yield(target) {
					return
				}
			}
		}
	}
	t.Run("a bad target is one error", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		good, bad, last := 0, 0, 0
		for report, err := range newChecker(t, b, dev).CheckAll(t.Context(), targets(40), &preflight.CheckAllOptions{Progress: func(n int) { last = n }}) {
			if err != nil {
				assert.Equal(t, "nobody", report.Target.Deployer)
				bad++
				continue
			}
			assert.NotEmpty(t, report.Findings)
			good++
		}
		assert.Equal(t, []int{36, 4, 40}, []int{good, bad, last})
	})
	t.Run("leaving the loop", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) { // which fails if a goroutine stays behind
			b := newCloud(t)
			b.SetLatency(time.Second)
			for range newChecker(t, b, dev).CheckAll(t.Context(), targets(1000), &preflight.CheckAllOptions{Concurrency: 4}) {
				break
			}
			n := len(b.Calls())
			time.Sleep(time.Hour)
			assert.Len(t, b.Calls(), n)
		})
	})
	t.Run("the context ends", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.SetLatency(time.Second)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			why := errors.New("enough")
			var errs []error
			for _, err := range newChecker(t, b, dev).CheckAll(ctx, targets(1000), &preflight.CheckAllOptions{Concurrency: 2}) {
				errs = append(errs, err)
				cancel(why)
			}
			require.NotEmpty(t, errs)
			require.ErrorIs(t, errs[len(errs)-1], why)
			assert.Less(t, len(errs), 10)
		})
	})
	t.Run("the rate is kept", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			began := time.Now()
			for range newChecker(t, b, dev).CheckAll(t.Context(), targets(300), &preflight.CheckAllOptions{Check: preflight.CheckOptions{NoAdvice: true, CallsPerSecond: 10}}) {
			}
			var run int
			for _, c := range b.Calls() {
				if strings.HasPrefix(c.Method, "run.") {
					run++
				}
			}
			assert.Greater(t, run, 250, "workloads that have to be asked for")
			assert.GreaterOrEqual(t, time.Since(began), time.Duration(run/10-2)*time.Second)
		})
	})
}

// Accounts of domain-scoped projects, and projects without an organization.
func TestUnusualProjects(t *testing.T) {
	t.Parallel()
	b := fake.NewBackend()
	defer b.Close()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "example.com:shop"})
	const email = "runner@shop.example.com.iam.gserviceaccount.com"
	b.AddServiceAccount(&iam.ServiceAccount{Email: email, ProjectId: "example.com:shop"})
	w := identity.Job("example.com:shop", "europe-west1", "nightly")
	b.Grant("projects/example.com:shop", "roles/run.developer", dev)
	b.Grant("projects/example.com:shop", "roles/iam.serviceAccountUser", dev)
	b.Grant("projects/example.com:shop", "roles/viewer", auditor)
	b.Grant("projects/example.com:shop", "roles/iam.securityReviewer", auditor)
	b.Grant("projects/example.com:shop", "roles/iam.denyReviewer", auditor)
	for name, c := range map[string]*preflight.Checker{"auditor": newChecker(t, b, auditor), "admin": newChecker(t, b, fake.Admin)} {
		report := check(t, c, preflight.Target{Workload: w, Identity: account(t, email), Deployer: dev})
		assert.Equal(t, preflight.Pass, report.Verdict(), "%s: %s", name, report)
		assert.Equal(t, "example.com:shop", report.IdentityProject)
		assert.NotContains(t, verdicts(report), preflight.CheckCrossProjectPolicy, "it is of the same project")
		assert.Equal(t, preflight.AdviceWideGrant, report.Advice[0].Code)
	}
}

// Groups and sets of a pool's identities deploy, too: they have what is granted to
// the set itself, or to one that contains it.
func TestSetsAsDeployers(t *testing.T) {
	t.Parallel()
	const pool = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/"
	for name, tt := range map[string]struct {
		deployer, granted string
		want              preflight.Verdict
	}{
		"a group":                        {"group:deployers@example.com", "group:deployers@example.com", preflight.Pass},
		"a group, by its domain":         {"group:deployers@example.com", "group:others@example.com", preflight.Unknown},
		"a repository":                   {pool + "attribute.repository/shop/web", pool + "attribute.repository/shop/web", preflight.Pass},
		"a repository, by the pool":      {pool + "attribute.repository/shop/web", pool + "*", preflight.Pass},
		"a repository, not by another":   {pool + "attribute.repository/shop/web", pool + "attribute.repository/shop/api", preflight.Fail},
		"one identity, by the pool":      {strings.Replace(pool, "principalSet", "principal", 1) + "subject/repo:shop", pool + "*", preflight.Pass},
		"one identity, by an attribute":  {strings.Replace(pool, "principalSet", "principal", 1) + "subject/repo:shop", pool + "attribute.repository/shop/web", preflight.Unknown},
		"one identity, by another pool":  {strings.Replace(pool, "principalSet", "principal", 1) + "subject/repo:shop", strings.Replace(pool, "/ci/", "/other/", 1) + "*", preflight.Fail},
		"an account, by all of its kind": {"serviceAccount:" + local, "principalSet://cloudresourcemanager.googleapis.com/projects/123456789012/type/ServiceAccount", preflight.Pass},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			b.AddGroup("deployers@example.com", dev)
			b.AddGroup("others@example.com", dev)
			b.Grant(runProject, "roles/run.developer", tt.granted)
			b.Grant(accountName(remote), "roles/iam.serviceAccountUser", tt.granted)
			report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, remote), Deployer: tt.deployer})
			assert.Equal(t, tt.want, verdicts(report)[preflight.CheckDeployerActAs], "%s", report)
			assert.Equal(t, tt.want, verdicts(report)[preflight.CheckDeployerDeploy], "%s", report)
			if tt.want == preflight.Unknown {
				f := finding(t, report, preflight.CheckDeployerActAs)
				assert.Equal(t, tt.granted, f.Causes[0].Principal, "the set is named")
			}
		})
	}
}

// An organization policy that doesn't say, and a role that isn't there any more.
func TestWhatTheServerDoesNotSay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method, body string
		status       int
		code         preflight.Code
		want         preflight.Verdict
	}{
		"no rules":           {"orgpolicy.projects.policies.getEffectivePolicy", `{"name": "x", "spec": {}}`, 200, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"no specification":   {"orgpolicy.projects.policies.getEffectivePolicy", `{"name": "x"}`, 200, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"rules that differ":  {"orgpolicy.projects.policies.getEffectivePolicy", `{"spec": {"rules": [{"enforce": true, "condition": {"expression": "x"}}, {"enforce": false}]}}`, 200, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"rules of a list":    {"orgpolicy.projects.policies.getEffectivePolicy", `{"spec": {"rules": [{"allowAll": true}]}}`, 200, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"no policy":          {"orgpolicy.projects.policies.getEffectivePolicy", `{"error": {"code": 404, "message": "none"}}`, 404, preflight.CheckCrossProjectPolicy, preflight.Unknown},
		"enforced":           {"orgpolicy.projects.policies.getEffectivePolicy", `{"spec": {"rules": [{"enforce": true}]}}`, 200, preflight.CheckCrossProjectPolicy, preflight.Fail},
		"a role that's gone": {"iam.roles.get", `{"error": {"code": 404, "message": "none"}}`, 404, preflight.CheckDeployerActAs, preflight.Fail},
		"a state of the API": {"serviceusage.services.get", `{"name": "projects/123456789012/services/run.googleapis.com", "state": "STATE_UNSPECIFIED"}`, 200, preflight.CheckRunAPI, preflight.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			grantAuditor(b)
			b.Inject(tt.method, fake.Fault{Status: tt.status, Body: tt.body})
			report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: job, Identity: account(t, remote), Deployer: dev})
			f := finding(t, report, tt.code)
			assert.Equal(t, tt.want, f.Verdict, "%s", report)
			assert.Equal(t, tt.want == preflight.Unknown, len(f.Causes) > 0)
		})
	}
}

// A project is one by its id and by its number.
func TestProjectByNumber(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	grantAuditor(b)
	w := identity.Job("123456789012", "europe-west1", "nightly")
	for _, email := range []string{local, "123456789012-compute@developer.gserviceaccount.com"} {
		b.Grant(accountName(email), "roles/iam.serviceAccountUser", dev)
		report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: w, Identity: account(t, email), Deployer: dev})
		assert.Equal(t, preflight.Pass, report.Verdict(), "%s", report)
		assert.NotContains(t, verdicts(report), preflight.CheckCrossProjectPolicy, "it is of the same project")
		assert.Equal(t, "web-prod", report.IdentityProject)
	}
	report := check(t, newChecker(t, b, auditor), preflight.Target{Workload: w, Identity: account(t, remote), Deployer: dev})
	assert.Equal(t, preflight.Pass, verdicts(report)[preflight.CheckCrossProjectPolicy], "of another")
}
