package fake_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

// instant answers every request with the same body: what a generated client
// costs by itself.
type instant []byte

func (body instant) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// rerouted sends every request to a server, Host kept.
type rerouted struct{ to *url.URL }

func (r rerouted) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.Host = req.URL.Host
	out.URL.Scheme, out.URL.Host = r.to.Scheme, r.to.Host
	out.Header.Set("Authorization", "Bearer "+fake.Admin)
	return http.DefaultTransport.RoundTrip(out)
}

// BenchmarkJobsGet compares reads of a realistic job: "fake" against the floor
// ("instant") and against the same handler behind a server.
func BenchmarkJobsGet(b *testing.B) {
	backend := newBackend()
	name := "projects/web-prod/locations/europe-west1/jobs/nightly"
	backend.AddRunJSON(name, realisticJob())
	server := httptest.NewServer(backend)
	defer server.Close()
	to, err := url.Parse(server.URL)
	require.NoError(b, err)
	clients := []struct {
		name   string
		client *http.Client
	}{
		{"instant", &http.Client{Transport: instant(backend.RunJSON(name))}},
		{"fake", backend.HTTPClient(fake.Admin)},
		{"httptest", &http.Client{Transport: rerouted{to}}},
	}
	for _, c := range clients {
		b.Run(c.name, func(b *testing.B) {
			svc, err := run.NewService(b.Context(), option.WithHTTPClient(c.client))
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := svc.Projects.Locations.Jobs.Get(name).Do(); err != nil {
					b.Fatal(err)
				}
			}
			backend.ResetCalls()
		})
	}
}

func BenchmarkNewBackendAndClose(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		fake.NewBackend().Close()
	}
}

// BenchmarkList100000Jobs lists a location's jobs page by page; B/job is what
// the backend holds for each.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			backend := newBackend()
			for i := range n {
				backend.AddJob(&run.GoogleCloudRunV2Job{
					Name: fmt.Sprintf("projects/web-prod/locations/europe-west1/jobs/job-%06d", i),
					Template: &run.GoogleCloudRunV2ExecutionTemplate{Template: &run.GoogleCloudRunV2TaskTemplate{
						Containers: []*run.GoogleCloudRunV2Container{{Image: "us-docker.pkg.dev/cloudrun/container/job"}},
					}},
				})
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			svc, err := run.NewService(b.Context(), backend.ClientOptions(fake.Admin)...)
			require.NoError(b, err)
			for b.Loop() {
				seen := 0
				err := svc.Projects.Locations.Jobs.List("projects/web-prod/locations/europe-west1").PageSize(1000).
					Pages(b.Context(), func(page *run.GoogleCloudRunV2ListJobsResponse) error {
						seen += len(page.Jobs)
						return nil
					})
				require.NoError(b, err)
				require.Equal(b, n, seen)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/job")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(n), "µs/job")
		})
	}
}

func newBackend() *fake.Backend {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.Grant("projects/web-prod", "roles/owner", "user:dev@example.com")
	b.AddServiceAccount(&iam.ServiceAccount{Email: "x@web-prod.iam.gserviceaccount.com"})
	return b
}

// realisticJob is a job of about four kilobytes.
func realisticJob() []byte {
	var env bytes.Buffer
	for i := range 40 {
		fmt.Fprintf(&env, `{"name":"SETTING_%02d","value":"https://setting-%02d.example.com/v1"},`, i, i)
	}
	return fmt.Appendf(nil, `{"labels":{"team":"data"},"template":{"taskCount":3,"template":{"maxRetries":0,"timeout":"3600s",
		"volumes":[{"name":"db","cloudSqlInstance":{"instances":["p:r:i"]}},{"name":"tmp","emptyDir":{"medium":"MEMORY"}}],
		"vpcAccess":{"egress":"PRIVATE_RANGES_ONLY","networkInterfaces":[{"network":"n","subnetwork":"s"}]},
		"containers":[{"name":"main","image":"europe-docker.pkg.dev/web-prod/jobs/nightly@sha256:0123456789abcdef",
		"env":[%s{"name":"PASSWORD","valueSource":{"secretKeyRef":{"secret":"db","version":"latest"}}}],
		"volumeMounts":[{"name":"db","mountPath":"/cloudsql"},{"name":"tmp","mountPath":"/tmp"}]},
		{"name":"proxy","image":"gcr.io/cloud-sql-connectors/cloud-sql-proxy:2"}]}}}`, env.Bytes())
}

// deepBackend is a backend whose job is three levels of policies deep, with
// 100 bindings on each, of which the last ones are dev's.
func deepBackend() *fake.Backend {
	b := fake.NewBackend()
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/2", Parent: "organizations/1"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012", Parent: "folders/2"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: "x@web-prod.iam.gserviceaccount.com"})
	b.AddGroup("team@example.com", "user:dev@example.com")
	roles := []string{"roles/viewer", "roles/browser", "roles/run.invoker", "roles/iam.securityReviewer"}
	for _, resource := range []string{"organizations/1", "folders/2", "projects/web-prod"} {
		p := &iam.Policy{}
		for i := range 100 {
			p.Bindings = append(p.Bindings, &iam.Binding{
				Role: fmt.Sprintf("roles/seeded.role%d", i),
				Members: []string{
					fmt.Sprintf("user:u%d@example.com", i), fmt.Sprintf("serviceAccount:service-%d@gcp-sa-x.iam.gserviceaccount.com", i),
				},
			})
			b.AddRole(&iam.Role{Name: fmt.Sprintf("roles/seeded.role%d", i), IncludedPermissions: []string{"run.jobs.list"}})
		}
		p.Bindings[0].Role = roles[0]
		b.SetPolicy(resource, p)
	}
	b.Grant("organizations/1", "roles/run.viewer", "group:team@example.com")
	b.Grant("organizations/1", "roles/iam.serviceAccountUser", "user:dev@example.com")
	return b
}

// BenchmarkEnforced compares reads of an enforced caller, three levels of
// policies with 100 bindings each, against the floor.
func BenchmarkEnforced(b *testing.B) {
	backend := deepBackend()
	name := "projects/web-prod/locations/europe-west1/jobs/nightly"
	backend.AddJob(&run.GoogleCloudRunV2Job{Name: name, Template: jobTemplate("image")})
	get := func(client *http.Client) func() error {
		svc, err := run.NewService(b.Context(), option.WithHTTPClient(client))
		require.NoError(b, err)
		return func() error { _, err := svc.Projects.Locations.Jobs.Get(name).Do(); return err }
	}
	test := func(client *http.Client) func() error {
		svc, err := iam.NewService(b.Context(), option.WithHTTPClient(client))
		require.NoError(b, err)
		req := &iam.TestIamPermissionsRequest{Permissions: []string{"iam.serviceAccounts.actAs"}}
		return func() error {
			_, err := svc.Projects.ServiceAccounts.TestIamPermissions("projects/-/serviceAccounts/x@web-prod.iam.gserviceaccount.com", req).Do()
			return err
		}
	}
	dev := backend.HTTPClient("user:dev@example.com")
	for _, bench := range []struct {
		name string
		call func() error
	}{
		{"jobs.get/instant", get(&http.Client{Transport: instant(backend.RunJSON(name))})},
		{"jobs.get/fake", get(dev)},
		{"testIamPermissions/instant", test(&http.Client{Transport: instant(`{"permissions":["iam.serviceAccounts.actAs"]}`)})},
		{"testIamPermissions/fake", test(dev)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bench.call(); err != nil {
					b.Fatal(err)
				}
			}
			backend.ResetCalls()
		})
	}
}

// BenchmarkThroughput is reads of many goroutines on one backend.
func BenchmarkThroughput(b *testing.B) {
	for _, goroutines := range []int{1, 10, 100, 1000} {
		b.Run(strconv.Itoa(goroutines), func(b *testing.B) {
			backend := deepBackend()
			name := "projects/web-prod/locations/europe-west1/jobs/nightly"
			backend.AddJob(&run.GoogleCloudRunV2Job{Name: name, Template: jobTemplate("image")})
			svc, err := run.NewService(b.Context(), backend.ClientOptions("user:dev@example.com")...)
			require.NoError(b, err)
			b.SetParallelism(goroutines)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := svc.Projects.Locations.Jobs.Get(name).Do(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
