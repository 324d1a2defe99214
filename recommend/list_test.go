package recommend_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

func TestFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		b.SetLatency(100 * time.Millisecond)
		for _, tt := range []struct {
			workload identity.Workload
			want     []string
			trips    int
		}{
			// The job's account is of another project, which only the job tells.
			{job, []string{"remove-role " + dataPolicy + "remove", "replace-role " + webPolicy + "replace", "unused-account " + webUnused + "runner"}, 2},
			{shop, []string{"new-identity " + webRun + "own"}, 1},
		} {
			b.ResetCalls()
			began := time.Now()
			var got []string
			for r, err := range c.For(t.Context(), tt.workload, nil) {
				require.NoError(t, err)
				got = append(got, r.Action.String()+" "+r.Name)
				if r.Action == recommend.ActionNewIdentity {
					assert.Equal(t, shop, r.Service)
					require.Len(t, r.Insights, 1)
					assert.Equal(t, []string{"run.jobs.run", "run.jobs.get"}, r.Insights[0].Exercised)
					assert.Equal(t, 90*24*time.Hour, r.Observed)
				}
			}
			slices.Sort(got)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.trips, int(time.Since(began)/(100*time.Millisecond)), "round trips")
			for _, call := range b.Calls() {
				assert.Equal(t, "GET", call.Verb)
			}
		}
	})
}

func TestForErrors(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	for _, err := range c.For(t.Context(), identity.Workload{}, nil) {
		require.ErrorContains(t, err, "recommendations for ")
	}
	for _, err := range c.For(t.Context(), job, &recommend.ForOptions{Projects: []string{"a/b"}}) {
		require.ErrorContains(t, err, `project "a/b": it must be an id or a number`)
	}
	found := 0
	var failed []error
	for r, err := range c.For(t.Context(), job, &recommend.ForOptions{Projects: []string{"elsewhere"}}) {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		assert.NotEmpty(t, r.Name)
		found++
	}
	assert.Equal(t, 3, found, "the other projects' still come")
	require.Len(t, failed, 3, "the recommendations, their insights, and the insights on accounts")
	var one *recommend.ListError
	require.ErrorAs(t, failed[0], &one)
	assert.Equal(t, "elsewhere", one.Project)
	require.ErrorIs(t, failed[0], recommend.ErrDenied)

	var errs []error
	for _, err := range c.For(t.Context(), identity.Job("web-prod", "europe-west1", "missing"), nil) {
		errs = append(errs, err)
	}
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], identity.ErrNotFound)
}

func TestList(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	_, err := c.Dismiss(t.Context(), get(t, c, webPolicy+"other"))
	require.NoError(t, err)
	both := []string{"web-prod", "data-prod"}
	list := func(opts *recommend.ListOptions) []string {
		var names []string
		for r, err := range c.List(t.Context(), both, opts) {
			require.NoError(t, err)
			names = append(names, r.Name[strings.LastIndexByte(r.Name, '/')+1:])
		}
		slices.Sort(names)
		return names
	}
	regions := []string{"europe-west1", "us-central1"}
	assert.Equal(t, []string{"else", "own", "remove", "replace"}, list(&recommend.ListOptions{Regions: regions}))
	assert.Equal(t, []string{"remove", "replace"}, list(nil), "no region, so none of Cloud Run's")
	assert.Equal(t, []string{"else", "other", "own", "remove", "replace"}, list(&recommend.ListOptions{Regions: regions, AllStates: true}))
	assert.Equal(t, []string{"other"}, list(&recommend.ListOptions{States: []recommend.State{recommend.StateDismissed, recommend.StateFailed}}))
	assert.Equal(t, []string{"replace"}, list(&recommend.ListOptions{Subtypes: []string{"REPLACE_ROLE"}}))
	assert.Equal(t, []string{"else", "own"}, list(&recommend.ListOptions{Regions: regions, Priorities: []string{"P2", "P1"}}))
	assert.Equal(t, []string{"replace"}, list(&recommend.ListOptions{Resources: []string{webProject}}))
	assert.Equal(t, []string{"own"}, list(&recommend.ListOptions{Regions: regions, Resources: []string{"//run.googleapis.com/" + shopName}}))
	assert.Equal(t, []string{"remove", "replace"}, list(&recommend.ListOptions{Members: []string{"serviceAccount:" + runner}}))
	assert.Equal(t, []string{"else", "own"}, list(&recommend.ListOptions{Regions: regions, Recommenders: []string{recommend.RecommenderRunIdentity}}))
	var long []string
	for i := range 100 {
		long = append(long, fmt.Sprintf("SUBTYPE_%d", i))
	}
	assert.Equal(t, []string{"remove"}, list(&recommend.ListOptions{Subtypes: append(long, "REMOVE_ROLE")}), "too long for a filter of the API's")

	for want, q := range map[string]struct {
		projects []string
		opts     *recommend.ListOptions
	}{
		"no project is named":                              {},
		`"a b": projects are ids`:                          {projects: []string{"a b"}},
		`"google.x": not one of ["google.run.service.Iden`: {both, &recommend.ListOptions{Recommenders: []string{"google.x"}}},
	} {
		for _, err := range c.List(t.Context(), q.projects, q.opts) {
			require.ErrorContains(t, err, want)
		}
	}
	var accounts []string
	for i, err := range c.Insights(t.Context(), both, &recommend.InsightsOptions{Types: []string{recommend.InsightTypeServiceAccount}}) {
		require.NoError(t, err)
		assert.True(t, i.LastUsed.IsZero())
		accounts = append(accounts, i.Account)
	}
	assert.Equal(t, []string{runner}, accounts)
}

// Off, denied and empty are told apart.
func TestWhyThereAreNone(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "quiet"})
	b.Grant("projects/quiet", "roles/viewer", bot)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "secret"})
	b.Inject("recommender.projects.locations.recommenders.recommendations.list", fake.Fault{Skip: 2, Times: 1, Status: 403, Body: `{"error": {"code": 403,
		"message": "Recommender API has not been used in project data-prod before or it is disabled.", "status": "PERMISSION_DENIED",
		"details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com"}]}}`})
	c := newClient(t, b)
	errOf := func(project string) error {
		for _, err := range c.List(t.Context(), []string{project}, nil) {
			return err
		}
		return nil
	}
	require.NoError(t, errOf("quiet"))
	err := errOf("secret")
	require.ErrorIs(t, err, recommend.ErrDenied)
	require.ErrorContains(t, err, "list google.iam.policy.Recommender of project secret in global: permission denied")
	require.ErrorIs(t, errOf("data-prod"), recommend.ErrAPIDisabled)
}

func TestManyProjectsAndRegions(t *testing.T) { //nolint:paralleltest // it measures the heap
	synctest.Test(t, func(t *testing.T) {
		b := fake.NewBackend()
		defer b.Close()
		regions := []string{"europe-west1", "us-central1", "us-east1", "us-west1", "europe-west2", "europe-west3", "europe-west4", "asia-east1", "asia-northeast1", "us-east4"}
		var projects []string
		for i := range 200 {
			id := fmt.Sprintf("project-%03d", i)
			projects = append(projects, id)
			number := 300000000000 + i
			b.AddProject(&cloudresourcemanager.Project{ProjectId: id, Name: fmt.Sprintf("projects/%d", number)})
			b.Grant("projects/"+id, "roles/viewer", bot)
			for _, region := range regions {
				for j := range 5 {
					b.AddRecommenderJSON(fmt.Sprintf("projects/%d/locations/%s/recommenders/google.run.service.IdentityRecommender/recommendations/r%d", number, region, j),
						[]byte(strings.ReplaceAll(ownIdentity("shop", compute), "europe-west1", region)))
				}
			}
		}
		c := newClient(t, b)
		b.SetLatency(100 * time.Millisecond)
		b.ResetCalls()
		began := time.Now()
		runtime.GC()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		n, peak := 0, uint64(0)
		for _, err := range c.List(t.Context(), projects, &recommend.ListOptions{Regions: regions, Recommenders: []string{recommend.RecommenderRunIdentity}}) {
			require.NoError(t, err)
			n++
			if n%1000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
			}
		}
		took := time.Since(began)
		assert.Equal(t, 10_000, n)
		assert.Len(t, b.Calls(), 2000)
		assert.Equal(t, 2000/16*100*time.Millisecond, took, "16 at a time")
		assert.Less(t, peak, uint64(16<<20))
		t.Logf("%d recommendations in %d calls, %s of virtual time, heap grew by at most %d KiB", n, len(b.Calls()), took, peak>>10)
	})
}

// Leaving the loop, and a context that ends, leave nothing behind: synctest
// fails if a goroutine stays.
func TestEndsEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		b.SetLatency(time.Second)
		both := []string{"web-prod", "data-prod"}
		opts := &recommend.ListOptions{Regions: []string{"europe-west1"}, WithInsights: true}
		for range c.List(t.Context(), both, opts) {
			break
		}
		for range c.For(t.Context(), job, nil) {
			break
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		why := errors.New("enough")
		b.Inject("recommender.projects.locations.recommenders.recommendations.list", fake.Fault{Hang: true})
		time.AfterFunc(10*time.Second, func() { cancel(why) })
		var last error
		for _, err := range c.List(ctx, both, opts) {
			last = err
		}
		require.ErrorIs(t, last, why)
	})
}

func TestPaging(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	for i := range 1200 {
		b.AddRecommenderJSON(fmt.Sprintf("%spage-%d", webPolicy, i), []byte(removal("user:x@example.com", webProject, "roles/viewer")))
	}
	c := newClient(t, b)
	b.ResetCalls()
	n := 0
	for _, err := range c.List(t.Context(), []string{"web-prod"}, nil) {
		require.NoError(t, err)
		n++
	}
	assert.Equal(t, 1202, n)
	assert.Len(t, b.Calls(), 3)
}

func TestEndpointIsRefused(t *testing.T) {
	t.Parallel()
	_, err := recommend.NewClient(t.Context(), option.WithHTTPClient(http.DefaultClient), option.WithEndpoint("https://run.example.com/"))
	require.ErrorContains(t, err, `option.WithEndpoint("https://run.example.com/"): several APIs are asked`)
}

func TestInsightsByResource(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	n := 0
	for _, err := range c.Insights(t.Context(), []string{"web-prod"}, &recommend.InsightsOptions{Regions: []string{"europe-west1"}, Resources: []string{"//nothing.example.com/x"}}) {
		require.NoError(t, err)
		n++
	}
	assert.Zero(t, n)
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	b.ResetCalls()
	_, err := c.Claim(t.Context(), recommend.Recommendation{Etag: "x"}, nil)
	require.ErrorContains(t, err, "it is no full name of a recommendation, such as")
	_, err = c.Get(t.Context(), "nonsense?x=y")
	require.ErrorContains(t, err, "it is no full name of a recommendation, such as")
	assert.Empty(t, b.Calls())
}

func TestRegionsAreNamed(t *testing.T) {
	t.Parallel()
	c := newClient(t, newCloud(t))
	n := 0
	for range c.List(t.Context(), []string{"web-prod"}, &recommend.ListOptions{Recommenders: []string{recommend.RecommenderRunIdentity}}) {
		n++
	}
	assert.NotZero(t, n, "nothing was asked, and nobody is told")
}
