package identity

import (
	"encoding/json"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseWorkload(t *testing.T) {
	t.Parallel()
	id63 := "j" + strings.Repeat("0", 62)
	tests := []struct {
		name string
		in   string
		want Workload
	}{
		{"job", "projects/web-prod/locations/europe-west1/jobs/nightly", Job("web-prod", "europe-west1", "nightly")},
		{"service", "projects/web-prod/locations/europe-west1/services/shop", Service("web-prod", "europe-west1", "shop")},
		{"worker pool", "projects/web-prod/locations/europe-west1/workerPools/mailer", WorkerPool("web-prod", "europe-west1", "mailer")},
		{"project number", "projects/415104041262/locations/us-central1/jobs/x", Job("415104041262", "us-central1", "x")},
		{"greatest number", "projects/9223372036854775807/locations/us-central1/jobs/x", Job("9223372036854775807", "us-central1", "x")},
		{"domain-scoped project", "projects/example.com:web/locations/us-central1/jobs/x", Job("example.com:web", "us-central1", "x")},
		{"short project id", "projects/p/locations/l/jobs/x", Job("p", "l", "x")},
		{"project id of 30", "projects/" + strings.Repeat("p", 30) + "/locations/l/jobs/x", Job(strings.Repeat("p", 30), "l", "x")},
		{"id of 63", "projects/p/locations/l/jobs/" + id63, Job("p", "l", id63)},
		{"parts named like others", "projects/projects/locations/locations/jobs/jobs", Job("projects", "locations", "jobs")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, in := range []string{tt.in, "//run.googleapis.com/" + tt.in} {
				got, err := ParseWorkload(in)
				require.NoError(t, err)
				assert.Equal(t, tt.want, got)
			}
			require.NoError(t, tt.want.Validate())
			assert.Equal(t, tt.in, tt.want.Name())
			assert.Equal(t, tt.in, tt.want.String())
			assert.Equal(t, "//run.googleapis.com/"+tt.in, tt.want.FullName())
		})
	}
}

func TestParseWorkloadRefuses(t *testing.T) {
	t.Parallel()
	const name = "projects/web-prod/locations/europe-west1/jobs/nightly"
	tests := []struct {
		name string
		in   string
		want string
	}{
		{"empty", "", "must not be empty"},
		{"space before", " " + name, "must not begin or end with white space"},
		{"newline after", name + "\n", "must not begin or end with white space"},
		{"space within", "projects/web prod/locations/europe-west1/jobs/nightly", "but has ' ' at byte 12"},
		{"control character", name + "\x1bx", `but has '\x1b' at byte 53`},
		{"not ASCII", "projects/wéb/locations/europe-west1/jobs/nightly", `but has '\u00e9' at byte 10`},
		{"id alone", "nightly", "must be projects/PROJECT/locations/LOCATION/COLLECTION/ID"},
		{"300 characters", strings.Repeat("x", 300), "must be projects/PROJECT/locations/LOCATION/COLLECTION/ID"},
		{"slash before", "/" + name, "must be projects/PROJECT/locations/LOCATION/COLLECTION/ID"},
		{"URL", "https://run.googleapis.com/v2/" + name, "must be projects/PROJECT/locations/LOCATION/COLLECTION/ID"},
		{"collection", "projects/web-prod/locations/europe-west1/jobs", "must be projects/PROJECT/locations/LOCATION/COLLECTION/ID"},
		{"other service", "//iam.googleapis.com/" + name, "begins with //run.googleapis.com/"},
		{"v1 name", "namespaces/web-prod/jobs/nightly", "is a name of the v1 API"},
		{"full v1 name", "//run.googleapis.com/namespaces/web-prod/jobs/nightly", "is a name of the v1 API"},
		{"slash after", name + "/", "must not end in a slash"},
		{"execution", name + "/executions/nightly-x7k", `is in the executions of a workload: give the workload's own name, which ends with "nightly"`},
		{"task", name + "/executions/nightly-x7k/tasks/1", "is in the executions of a workload"},
		{"revision", "projects/web-prod/locations/europe-west1/services/shop/revisions/shop-1", `is in the revisions of a workload: give the workload's own name, which ends with "shop"`},
		{"more after it", name + "/iamPolicy", `must end with the id, but "/iamPolicy" follows`},
		{"two slashes after", name + "//", `must end with the id, but "//" follows`},
		{"instance", "projects/web-prod/locations/europe-west1/instances/i", "is an instance"},
		{"operation", "projects/web-prod/locations/europe-west1/operations/o", `collection "operations" must be jobs, services or workerPools`},
		{"collection in another case", "projects/web-prod/locations/europe-west1/workerpools/mailer", `collection "workerpools" must be`},
		{"no project", "projects//locations/europe-west1/jobs/nightly", `project "" must be a project id`},
		{"any project", "projects/-/locations/europe-west1/jobs/nightly", `project "-" must be a project id`},
		{"upper-case project", "projects/Web/locations/europe-west1/jobs/nightly", `project "Web" must be a project id`},
		{"project ending in a hyphen", "projects/web-/locations/europe-west1/jobs/nightly", `project "web-" must be a project id`},
		{"project id of 31", "projects/" + strings.Repeat("p", 31) + "/locations/l/jobs/x", "at most 30"},
		{"two project segments", "projects/a/b/locations/l/jobs/x", `project "a/b" must be a project id`},
		{"one-label domain", "projects/local:web/locations/l/jobs/x", `project "local:web" must be`},
		{"empty domain", "projects/:web/locations/l/jobs/x", `project ":web" must be`},
		{"no id after domain", "projects/example.com:/locations/l/jobs/x", `project "example.com:" must be`},
		{"two colons", "projects/example.com:web:x/locations/l/jobs/x", `project "example.com:web:x" must be`},
		{"project number zero", "projects/0/locations/l/jobs/x", `project number "0" must be positive`},
		{"leading zero", "projects/0123/locations/l/jobs/x", `project number "0123" must be`},
		{"number too great", "projects/9223372036854775808/locations/l/jobs/x", "fit into 64 bits"},
		{"any location", "projects/web-prod/locations/-/jobs/nightly", `location "-" stands for all of them`},
		{"no location", "projects/web-prod/locations//jobs/nightly", `location "" must be a region`},
		{"upper-case location", "projects/web-prod/locations/Europe-West1/jobs/nightly", `location "Europe-West1" must be a region`},
		{"location beginning with a digit", "projects/web-prod/locations/1/jobs/nightly", `location "1" must be a region`},
		{"location of 64", "projects/p/locations/" + strings.Repeat("l", 64) + "/jobs/x", "at most 63"},
		{"no id", "projects/p/locations/l/jobs/", `id "" must be`},
		{"upper-case id", "projects/p/locations/l/jobs/Nightly", `id "Nightly" must be`},
		{"id with underscore", "projects/p/locations/l/jobs/night_ly", `id "night_ly" must be`},
		{"id beginning with a digit", "projects/p/locations/l/jobs/1x", `id "1x" must be`},
		{"id ending in a hyphen", "projects/p/locations/l/jobs/x-", `id "x-" must be`},
		{"id of 64", "projects/p/locations/l/jobs/" + strings.Repeat("x", 64), "at most 63"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseWorkload(tt.in)
			require.ErrorContains(t, err, tt.want)
			assert.Zero(t, got)
			checkRefusal(t, err, "invalid workload ", tt.in, exampleWorkload)
			assert.PanicsWithError(t, err.Error(), func() { MustParseWorkload(constant(tt.in)) })
		})
	}
}

func TestWorkloadValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   Workload
		want string
	}{
		{"zero", Workload{}, `invalid workload "": must not be empty`},
		{"no kind", Workload{Project: "p", Location: "l", ID: "x"},
			`invalid workload "projects/p/locations/l/(unknown)/x": must be a job, a service or a worker pool, but its kind is unknown`},
		{"unknown kind", Workload{Kind(99), "p", "l", "x"}, "but its kind is Kind(99)"},
		{"empty fields", Job("", "", ""), `project "" must be a project id`},
		{"bad project", Job("Web", "l", "x"), `project "Web" must be a project id`},
		{"any location", Service("p", "-", "x"), `location "-" stands for all of them`},
		{"no id", WorkerPool("p", "l", ""), `id "" must be`},
		{"newline", Job("p", "l", "x\n"), "must not begin or end with white space"},
		{"a name as the id", Job("p", "l", "projects/p/locations/l/jobs/x"), `must end with the id, but "/p/locations/l/jobs/x" follows`},
		{"an execution as the id", Job("p", "l", "x/executions/y"), "is in the executions of a workload"},
		{"two fields in one", Job("p/locations/l", "", "x"), `collection "locations" must be`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.in.Validate()
			require.ErrorContains(t, err, tt.want)
			if name := tt.in.Name(); name != "" || tt.in == (Workload{}) {
				_, parseErr := ParseWorkload(name)
				assert.Equal(t, parseErr, err)
			}
		})
	}
}

func TestWorkloadWithoutKind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   Workload
		want string
	}{
		{Workload{}, "no workload"},
		{Workload{Project: "p", Location: "l", ID: "x"}, "projects/p/locations/l/(unknown)/x"},
		{Workload{Kind(99), "p", "l", "x"}, "projects/p/locations/l/(Kind(99))/x"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, tt.in.String())
			assert.Empty(t, tt.in.Name())
			assert.Empty(t, tt.in.FullName())
		})
	}
}

func TestWorkloadText(t *testing.T) {
	t.Parallel()
	type config struct {
		Workload Workload         `json:"workload,omitzero"`
		Retries  map[Workload]int `json:"retries,omitempty"`
	}
	w := Job("web-prod", "europe-west1", "nightly")

	var got config
	require.NoError(t, json.Unmarshal([]byte(`{
		"workload": "//run.googleapis.com/projects/web-prod/locations/europe-west1/jobs/nightly",
		"retries": {"projects/web-prod/locations/europe-west1/jobs/nightly": 2}
	}`), &got))
	assert.Equal(t, config{w, map[Workload]int{w: 2}}, got)

	text, err := json.Marshal(got)
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"workload": "projects/web-prod/locations/europe-west1/jobs/nightly",
		"retries": {"projects/web-prod/locations/europe-west1/jobs/nightly": 2}
	}`, string(text))

	require.ErrorContains(t, json.Unmarshal([]byte(`{"workload": "nightly"}`), &got), "invalid workload")
	assert.Equal(t, w, got.Workload, "an error must leave the value as it was")
	require.NoError(t, json.Unmarshal([]byte(`{"workload": ""}`), &got))
	assert.Zero(t, got.Workload)

	text, err = Workload{}.MarshalText()
	require.NoError(t, err)
	assert.Empty(t, text)
	invalid := Job("Web", "l", "x")
	_, err = invalid.MarshalText()
	assert.Equal(t, invalid.Validate(), err)
	_, err = json.Marshal(config{Workload: Workload{Project: "p"}})
	assert.ErrorContains(t, err, "but its kind is unknown")
}

func TestWorkloadFlag(t *testing.T) {
	t.Parallel()
	flags := flag.NewFlagSet("bot", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var w Workload
	flags.TextVar(&w, "workload", Workload{}, "")
	require.NoError(t, flags.Parse([]string{"-workload", "projects/p/locations/l/services/shop"}))
	assert.Equal(t, Service("p", "l", "shop"), w)
	assert.Error(t, flags.Parse([]string{"-workload", "shop"}))
}

func TestKindString(t *testing.T) {
	t.Parallel()
	tests := map[Kind]string{
		KindUnknown:    "unknown",
		KindJob:        "job",
		KindService:    "service",
		KindWorkerPool: "worker pool",
		Kind(99):       "Kind(99)",
		Kind(-1):       "Kind(-1)",
	}
	for kind, want := range tests {
		assert.Equal(t, want, kind.String())
		if collection := kind.collection(); collection != "" {
			assert.Equal(t, kind, kindOf(collection))
		}
	}
}

func BenchmarkParseWorkload(b *testing.B) {
	for name, in := range map[string]string{
		"name":      "projects/web-prod/locations/europe-west1/jobs/nightly",
		"full name": "//run.googleapis.com/projects/example.com:web/locations/europe-west1/services/shop",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseWorkload(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestKindText(t *testing.T) {
	t.Parallel()
	for kind, code := range map[Kind]string{KindUnknown: "", KindJob: "job", KindService: "service", KindWorkerPool: "worker-pool"} {
		text, err := kind.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, code, string(text))
		back := Kind(9)
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, kind, back)
	}
	kept := KindJob
	require.ErrorContains(t, kept.UnmarshalText([]byte("Job")), `kind "Job" must be job, service or worker-pool`)
	assert.Equal(t, KindJob, kept)
}
