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
	backend.AddJSON(name, realisticJob())
	server := httptest.NewServer(backend)
	defer server.Close()
	to, err := url.Parse(server.URL)
	require.NoError(b, err)
	clients := []struct {
		name   string
		client *http.Client
	}{
		{"instant", &http.Client{Transport: instant(backend.JSON(name))}},
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
