package manifest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/identity/manifest"
)

const (
	deployer = "user:dev@example.com"
	runner   = "runner@web-prod.iam.gserviceaccount.com"
	other    = "other@web-prod.iam.gserviceaccount.com"
)

const jobYAML = `# applied by the bot
apiVersion: run.googleapis.com/v1
kind: Job
metadata:
  name: nightly
  labels: {cloud.googleapis.com/location: europe-west1}
  annotations: &notes {example.com/note: 'yes'}
ofTomorrow: 1.50
spec:
  template:
    metadata:
      annotations: {<<: *notes, run.googleapis.com/vpc-access-egress: all}
    spec:
      taskCount: 0x2
      template:
        spec:
          maxRetries: 0
          serviceAccountName: runner@web-prod.iam.gserviceaccount.com
          containers:
          - image: gcr.io/p/nightly:1
            env:
            - {name: DAY, value: '2026-11-24'}
`

var job = identity.Job("web-prod", "europe-west1", "nightly")

func cloud(t testing.TB) (*fake.Backend, *manifest.Client) {
	t.Helper()
	b := fake.NewBackend()
	t.Cleanup(b.Close)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: runner})
	b.AddServiceAccount(&iam.ServiceAccount{Email: other})
	b.Grant("projects/web-prod", "roles/run.developer", deployer)
	b.Grant("projects/web-prod/serviceAccounts/"+runner, "roles/iam.serviceAccountUser", deployer)
	client, err := manifest.NewClient(t.Context(), b.ClientOptions(deployer)...)
	require.NoError(t, err)
	return b, client
}

func parsed(t testing.TB, source string) *manifest.File {
	t.Helper()
	f, err := manifest.Parse("job.yaml", []byte(source))
	require.NoError(t, err)
	return f
}

var inProject = manifest.ApplyOptions{Project: "web-prod"}

// methods are the calls so far, and forgets them.
func methods(b *fake.Backend) (names []string) {
	for _, c := range b.Calls() {
		names = append(names, strings.TrimPrefix(c.Method, "run.namespaces."))
	}
	b.ResetCalls()
	return names
}

func ExampleClient_Apply() {
	ctx := context.Background()
	b := fake.NewBackend()
	defer b.Close()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: runner})
	b.Grant("projects/web-prod", "roles/owner", deployer)
	client, err := manifest.NewClient(ctx, b.ClientOptions(deployer)...)
	if err != nil {
		fmt.Println(err)
		return
	}
	file, err := manifest.Parse("job.yaml", []byte(jobYAML))
	if err != nil {
		fmt.Println(err)
		return
	}
	applied, err := client.Apply(ctx, file, 0, &manifest.ApplyOptions{Project: "web-prod"})
	fmt.Println(applied.Workload, "created:", applied.Created, "ready:", applied.Done, err)
	exported, err := client.Export(ctx, applied.Workload)
	fmt.Println(strings.Contains(string(exported), "serviceAccountName: "+runner), err)
	// Output:
	// projects/web-prod/locations/europe-west1/jobs/nightly created: true ready: true <nil>
	// true <nil>
}

func TestApply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, client := cloud(t)
		b.SetOperationTime(3 * time.Second)
		applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
		require.NoError(t, err)
		assert.Equal(t, manifest.Applied{
			Workload: job, Created: true, New: identity.MustParseServiceAccount(runner), Generation: 1, Done: true,
		}, applied)
		called := methods(b)
		assert.Equal(t, []string{"jobs.get", "jobs.create"}, called[:2])
		var stored map[string]any
		require.NoError(t, json.Unmarshal(b.RunJSON(job.String()), &stored))
		assert.InDelta(t, 1.5, stored["template"].(map[string]any)["taskCount"].(float64)-0.5, 0)
		v1 := read(t, b)
		assert.Contains(t, v1, `"ofTomorrow":1.50`)
		assert.Contains(t, v1, `"value":"2026-11-24"`)
		assert.Contains(t, v1, `"run.googleapis.com/vpc-access-egress":"all"`)
		assert.Equal(t, 2, strings.Count(v1, `"example.com/note":"yes"`))

		applied, err = client.Apply(t.Context(), parsed(t, strings.Replace(jobYAML, "nightly:1", "nightly:2", 1)), 0, &inProject)
		require.NoError(t, err)
		assert.Equal(t, int64(2), applied.Generation)
		assert.False(t, applied.Created)
		assert.Equal(t, runner, applied.Old.Email())
		called = methods(b)
		assert.Equal(t, []string{"jobs.get", "jobs.replaceJob"}, called[:2])
		assert.Contains(t, read(t, b), "nightly:2")

		applied, err = client.Apply(t.Context(), parsed(t, strings.Replace(jobYAML, "nightly:1", "nightly:2", 1)), 0, &inProject)
		require.NoError(t, err)
		assert.Equal(t, int64(2), applied.Generation, "nothing differs")
		assert.True(t, applied.Done)
	})
}

// read is the job as version 1 answers it, without spaces.
func read(t *testing.T, b *fake.Backend) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"https://europe-west1-run.googleapis.com/apis/run.googleapis.com/v1/namespaces/web-prod/jobs/nightly?prettyPrint=false", http.NoBody)
	require.NoError(t, err)
	res, err := b.HTTPClient(fake.Admin).Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var raw json.RawMessage
	require.NoError(t, json.NewDecoder(res.Body).Decode(&raw))
	b.ResetCalls()
	return string(raw)
}

// What a manifest says of the server's own, and what it merges from elsewhere.
func TestApplySends(t *testing.T) {
	t.Parallel()
	b, client := cloud(t)
	source := strings.Replace(jobYAML, "metadata:\n  name", "status: {conditions: [{type: Ready}]}\nmetadata:\n  resourceVersion: AAAAAAAAAAA\n  name", 1)
	source = strings.Replace(source, "{<<: *notes, run", "{<<: *notes, example.com/note: own, run", 1)
	for range 2 {
		_, err := client.Apply(t.Context(), parsed(t, source), 0, &inProject)
		require.NoError(t, err)
	}
	var sent []string
	for _, c := range b.Calls() {
		if c.Verb != http.MethodGet {
			sent = append(sent, string(c.Body))
		}
	}
	require.Len(t, sent, 2)
	assert.NotContains(t, sent[0], "status")
	assert.NotContains(t, sent[0], "resourceVersion")
	assert.NotContains(t, sent[1], "AAAAAAAAAAA")
	assert.Contains(t, sent[1], `"resourceVersion":"AA`)
	assert.Contains(t, sent[0], `"example.com/note":"own"`)
	assert.Contains(t, sent[0], `"example.com/note":"yes"`)
}

func TestApplyDryRun(t *testing.T) {
	t.Parallel()
	b, client := cloud(t)
	order := inProject
	order.ValidateOnly = true
	applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &order)
	require.NoError(t, err)
	assert.True(t, applied.Created)
	assert.False(t, applied.Done)
	assert.Nil(t, b.RunJSON(job.String()))
	_, err = client.Apply(t.Context(), parsed(t, strings.Replace(jobYAML, runner, other, 1)), 0, &order)
	require.ErrorIs(t, err, identity.ErrActAsDenied, "it asks for the permissions, too")
}

func TestApplyNoWait(t *testing.T) {
	t.Parallel()
	b, client := cloud(t)
	b.SetOperationTime(time.Hour)
	order := inProject
	order.NoWait = true
	applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &order)
	require.NoError(t, err)
	assert.False(t, applied.Done)
	assert.Equal(t, []string{"jobs.get", "jobs.create"}, methods(b))
}

func TestApplyRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		source string
		order  manifest.ApplyOptions
		i      int
		before func(*fake.Backend)
		is     error
		says   string
	}{
		"no actAs":             {source: strings.Replace(jobYAML, runner, other, 1), order: inProject, is: identity.ErrActAsDenied, says: "apply projects/web-prod/locations/europe-west1/jobs/nightly: "},
		"no project":           {source: jobYAML, says: "job.yaml:2: the document doesn't tell the project of nightly, and none is given"},
		"another region":       {source: jobYAML, order: manifest.ApplyOptions{Project: "web-prod", Region: "us-central1"}, says: `nightly is of region "europe-west1", not "us-central1"`},
		"no such document":     {source: jobYAML, order: inProject, i: 1, says: "job.yaml: it has 1 documents, and none of index 1"},
		"no workload":          {source: "a: b\n", order: inProject, says: "the document is about no Cloud Run workload"},
		"no template":          {source: "apiVersion: run.googleapis.com/v1\nkind: Job\nmetadata: {name: nightly}\nspec: {}\n", order: manifest.ApplyOptions{Project: "web-prod", Region: "europe-west1"}, says: "job.yaml:1:1: spec.template is missing: it describes what the job runs"},
		"twice the same key":   {source: strings.Replace(jobYAML, "taskCount: 0x2", "taskCount: 2\n      taskCount: 3", 1), order: inProject, says: `job.yaml:15:7: the key "taskCount" is there twice`},
		"no number of JSON's":  {source: strings.Replace(jobYAML, "1.50", ".inf", 1), order: inProject, says: "JSON has no number such as .inf"},
		"a key that is a list": {source: strings.Replace(jobYAML, "ofTomorrow:", "[a]:", 1), order: inProject, says: "a key must be a text"},
		"wrong type":           {source: strings.Replace(jobYAML, "'2026-11-24'", "7", 1), order: inProject, says: "Invalid value at"},
		"no such project":      {source: jobYAML, order: manifest.ApplyOptions{Project: "gone-proj"}, says: "run.jobs.get"},
		"the server is down": {
			source: jobYAML, order: inProject, says: "gave up",
			before: func(b *fake.Backend) { b.Inject("run.namespaces.jobs.get", fake.Fault{Status: 503}) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, client := cloud(t)
				if tc.before != nil {
					tc.before(b)
				}
				_, err := client.Apply(t.Context(), parsed(t, tc.source), tc.i, &tc.order)
				require.Error(t, err)
				assert.Contains(t, err.Error(), tc.says)
				if tc.is != nil {
					require.ErrorIs(t, err, tc.is)
					var g *googleapi.Error
					require.ErrorAs(t, err, &g)
				}
				assert.Nil(t, b.RunJSON(job.String()))
			})
		})
	}
}

// Whatever happens to the write, what is said of it is so.
func TestApplyInBadWeather(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fake.Fault{
		"refused for now": {Status: 503, Times: 2}, "too many": {Status: 429, Times: 3}, "dropped before": {DropBefore: true, Times: 2},
		"dropped after": {DropAfter: true, Times: 1}, "garbled": {Garble: true, Times: 1}, "truncated": {Truncate: true, Times: 1},
	} {
		for _, replaces := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " replaces ", replaces), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b, client := cloud(t)
					method, generation := "run.namespaces.jobs.create", int64(1)
					if replaces {
						b.AddRunJSON(job.String(), []byte(`{"template":{"template":{"containers":[{"image":"i"}]}}}`))
						method, generation = "run.namespaces.jobs.replaceJob", 2
					}
					b.Inject(method, f)
					applied, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
					require.NoError(t, err)
					assert.True(t, applied.Done)
					assert.Equal(t, generation, applied.Generation)
					assert.Equal(t, runner, applied.New.Email())
				})
			})
		}
	}
}

func TestApplyConflicts(t *testing.T) {
	t.Parallel()
	const old = `{"template":{"template":{"containers":[{"image":"i"}]}}}`
	// theirs lets someone else write just before or after our request.
	theirs := func(t *testing.T, b *fake.Backend, after bool) {
		t.Helper()
		done := false
		b.Use(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				write := func(r *http.Request) {
					if r.Method != http.MethodPut || done {
						return
					}
					done = true
					req := r.Clone(r.Context())
					req.Method, req.RequestURI = http.MethodPatch, ""
					req.URL.Scheme, req.URL.Host, req.URL.Path, req.URL.RawQuery = "https", "run.googleapis.com", "/v2/"+job.String(), ""
					req.Host, req.Body = req.URL.Host, io.NopCloser(strings.NewReader(strings.Replace(old, `"i"`, `"theirs"`, 1)))
					res, err := b.HTTPClient(fake.Admin).Do(req)
					if err == nil {
						err = res.Body.Close()
					}
					assert.NoError(t, err)
				}
				if !after {
					write(r)
				}
				next.ServeHTTP(w, r)
				if after {
					write(r)
				}
			})
		})
	}
	t.Run("someone wrote before", func(t *testing.T) {
		t.Parallel()
		b, client := cloud(t)
		b.AddRunJSON(job.String(), []byte(old))
		theirs(t, b, false)
		_, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
		require.ErrorIs(t, err, identity.ErrConflict)
		assert.Contains(t, string(b.RunJSON(job.String())), "theirs", "nothing is lost")
	})
	t.Run("someone wrote after", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b, client := cloud(t)
			b.AddRunJSON(job.String(), []byte(old))
			theirs(t, b, true)
			_, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
			require.ErrorIs(t, err, identity.ErrConflict)
			var unfinished *identity.UnfinishedError
			require.ErrorAs(t, err, &unfinished)
		})
	})
}

func TestApplyOutcomes(t *testing.T) {
	t.Parallel()
	t.Run("not ready", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b, client := cloud(t)
			b.Inject("run.namespaces.jobs.create", fake.Fault{Condition: &run.GoogleCloudRunV2Condition{
				State: "CONDITION_FAILED", Reason: "CONTAINER_MISSING", Message: "Image not found.",
			}})
			_, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
			var failed *identity.OperationError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, &identity.OperationError{Reason: "ContainerMissing", Message: "Image not found."}, failed)
		})
	})
	t.Run("not in time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b, client := cloud(t)
			b.SetOperationTime(time.Hour)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			applied, err := client.Apply(ctx, parsed(t, jobYAML), 0, &inProject)
			var unfinished *identity.UnfinishedError
			require.ErrorAs(t, err, &unfinished)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, int64(1), applied.Generation)
			assert.False(t, applied.Done)
		})
	})
	t.Run("answers all lost", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b, client := cloud(t)
			b.Inject("run.namespaces.jobs.create", fake.Fault{DropBefore: true})
			_, err := client.Apply(t.Context(), parsed(t, jobYAML), 0, &inProject)
			var unfinished *identity.UnfinishedError
			require.ErrorAs(t, err, &unfinished)
		})
	})
}

func TestExport(t *testing.T) {
	t.Parallel()
	b, client := cloud(t)
	b.AddRunJSON(job.String(), []byte(`{"labels":{"yes":"no"},"template":{"template":{"maxRetries":0,"containers":[{"image":"i",
		"args":["1","true","","a b","- x","it's","a: b","x\ny","12:30"],"env":[{"name":"E","value":""}]}]}}}`))
	out, err := client.Export(t.Context(), job)
	require.NoError(t, err)
	assert.Equal(t, `apiVersion: run.googleapis.com/v1
kind: Job
metadata:
  annotations:
    run.googleapis.com/creator: admin
    run.googleapis.com/lastModifier: admin
  labels:
    cloud.googleapis.com/location: europe-west1
    'yes': 'no'
  name: nightly
  namespace: '123456789012'
spec:
  template:
    metadata:
      annotations:
        run.googleapis.com/execution-environment: gen2
    spec:
      taskCount: 1
      template:
        spec:
          containers:
          - args:
            - '1'
            - 'true'
            - ''
            - a b
            - '- x'
            - it's
            - 'a: b'
            - 'x

              y'
            - '12:30'
            env:
            - name: E
              value: ''
            image: i
            resources:
              limits:
                cpu: 1000m
                memory: 512Mi
          maxRetries: 0
          serviceAccountName: 123456789012-compute@developer.gserviceaccount.com
          timeoutSeconds: '600'
`, string(out))
	f := parsed(t, string(out))
	assert.Equal(t, "nightly", f.Documents[0].Name)

	_, err = client.Export(t.Context(), identity.Job("web-prod", "europe-west1", "gone"))
	require.ErrorIs(t, err, identity.ErrNotFound)
	assert.Contains(t, err.Error(), "export projects/web-prod/locations/europe-west1/jobs/gone: ")
	_, err = client.Export(t.Context(), identity.Workload{})
	require.Error(t, err)
}

// An exported manifest that is applied again changes nothing.
func TestExportAndApply(t *testing.T) {
	t.Parallel()
	for _, w := range []identity.Workload{
		job, identity.Service("web-prod", "europe-west1", "web"), identity.WorkerPool("web-prod", "europe-west1", "pool"),
	} {
		b, client := cloud(t)
		b.Grant("projects/web-prod", "roles/owner", deployer)
		template := `{"containers":[{"image":"i"}],"serviceAccount":"` + runner + `"}`
		if w.Kind == identity.KindJob {
			template = `{"template":` + template + `}`
		}
		b.AddRunJSON(w.String(), []byte(`{"template":`+template+`}`))
		out, err := client.Export(t.Context(), w)
		require.NoError(t, err)
		before := b.RunJSON(w.String())
		applied, err := client.Apply(t.Context(), parsed(t, string(out)), 0, &inProject)
		require.NoError(t, err)
		assert.True(t, applied.Done)
		assert.JSONEq(t, string(before), string(b.RunJSON(w.String())))
	}
}

func TestNewClientRefusesAnEndpoint(t *testing.T) {
	t.Parallel()
	_, err := manifest.NewClient(t.Context(), option.WithEndpoint("https://run.example.com/"))
	require.Error(t, err)
	assert.Contains(t, err.Error(), "WithEndpoint")
}

// Documents whose aliases explode are refused before they fill the memory.
func TestApplyExplodingAliases(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 12 {
		fmt.Fprintf(&bomb, "a%[1]d: &a%[1]d [%[2]s*a%[3]d]\n", i+1, strings.Repeat(fmt.Sprintf("*a%d,", i), 9), i)
	}
	_, client := cloud(t)
	f, err := manifest.Parse("bomb.yaml", []byte(jobYAML+bomb.String()))
	if err == nil {
		_, err = client.Apply(t.Context(), f, 0, &inProject)
	}
	require.Error(t, err)
	assert.Contains(t, err.Error(), "alias")
}
