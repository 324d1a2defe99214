package preflight_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/preflight"
)

func TestEndpointIsRefused(t *testing.T) {
	t.Parallel()
	_, err := preflight.NewChecker(t.Context(), option.WithHTTPClient(http.DefaultClient), option.WithEndpoint("https://run.example.com/"))
	require.ErrorContains(t, err, `option.WithEndpoint("https://run.example.com/"): several APIs are asked`)
	_, err = preflight.NewFixer(t.Context(), option.WithHTTPClient(http.DefaultClient), option.WithEndpoint("https://run.example.com/"))
	require.ErrorContains(t, err, "new fixer: option.WithEndpoint")
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
