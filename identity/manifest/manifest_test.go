package manifest_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/identity/manifest"
)

const (
	oldIdentity = "old-runner@data-prod.iam.gserviceaccount.com"
	newIdentity = "new@web-prod.iam.gserviceaccount.com"
)

var next = identity.MustParseServiceAccount(newIdentity)

// corpus are the manifests of the corpus by their file names.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 40)
	all := make(map[string][]byte)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		all[filepath.Base(file)] = data
	}
	return all
}

// lines are a file's lines with their endings.
func lines(data []byte) []string { return strings.SplitAfter(string(data), "\n") }

// Each edit changes one line, or adds one, and it is the identity's.
func TestSetChangesTheIdentityAlone(t *testing.T) {
	t.Parallel()
	for name, data := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := manifest.Parse(name, data)
			require.NoError(t, err)
			assert.Equal(t, string(data), string(f.Bytes()))
			edited, err := f.Set(next)
			require.NoError(t, err)

			was, is := lines(data), lines(edited.Bytes())
			documents := 0
			for i, d := range edited.Documents {
				if d.Kind == identity.KindUnknown {
					assert.Equal(t, f.Documents[i].Identity, d.Identity)
					continue
				}
				documents++
				assert.Equal(t, next, d.Identity)
			}
			changed := 0
			for len(was) > 0 && len(is) > 0 {
				switch {
				case was[0] == is[0]:
					was, is = was[1:], is[1:]
				case len(is) > 1 && was[0] == is[1] || strings.TrimRight(was[0], "\r\n") == strings.TrimRight(is[0], "\r\n"):
					if strings.Contains(is[0], newIdentity) { // a line was added
						changed++
						assert.Contains(t, is[0], "serviceAccountName")
						is = is[1:]
						continue
					}
					was, is = was[1:], is[1:] // the last line got an ending
				default:
					changed++
					removed := strings.NewReplacer(newIdentity, "", `"serviceAccountName": "", `, "").Replace(is[0])
					removed = strings.NewReplacer(`"serviceAccountName":"",`, "", "serviceAccountName:,", "").Replace(strings.ReplaceAll(removed, " ", ""))
					kept := strings.NewReplacer(oldIdentity, "", "123456789012-compute@developer.gserviceaccount.com", "", "*runner", "", "null", "", "~", "").Replace(was[0])
					kept = strings.ReplaceAll(strings.ReplaceAll(kept, " ", ""), `"serviceAccountName":"",`, "")
					assert.Equal(t, kept, removed, "nothing else on the line")
					was, is = was[1:], is[1:]
				}
			}
			for _, rest := range is {
				if strings.Contains(rest, newIdentity) {
					changed++
				}
			}
			assert.Equal(t, documents, changed, "%s", edited.Bytes())
			if bytes.Contains(data, []byte("\r\n")) {
				assert.NotContains(t, strings.ReplaceAll(string(edited.Bytes()), "\r\n", ""), "\n")
			}

			again, err := edited.Set(next)
			require.NoError(t, err)
			assert.Equal(t, string(edited.Bytes()), string(again.Bytes()))
			back, err := manifest.Parse(name, edited.Bytes())
			require.NoError(t, err)
			assert.Equal(t, edited.Documents, back.Documents)
		})
	}
}

// Where there was an identity, the first one comes back byte for byte.
func TestSetAndBack(t *testing.T) {
	t.Parallel()
	for name, data := range corpus(t) {
		f, err := manifest.Parse(name, data)
		require.NoError(t, err)
		before := identity.ServiceAccount{}
		for _, d := range f.Documents {
			if d.Kind == identity.KindUnknown || !d.Identity.IsZero() && (before.IsZero() || before == d.Identity) {
				before = d.Identity
				continue
			}
			before = identity.ServiceAccount{}
			break
		}
		if before.IsZero() || name == "job-alias.yaml" || name == "job-merge.yaml" || name == "several.yaml" {
			continue
		}
		edited, err := f.Set(next)
		require.NoError(t, err)
		back, err := edited.Set(before)
		require.NoError(t, err)
		assert.Equal(t, string(data), string(back.Bytes()), name)
	}
}

func TestUnset(t *testing.T) {
	t.Parallel()
	all := corpus(t)
	for with, without := range map[string]string{
		"job-gcloud.yaml": "job-gcloud-none.yaml", "job-crlf.yaml": "job-crlf-none.yaml", "job-bom.yaml": "job-bom-none.yaml",
		"service-gcloud.yaml": "service-none.yaml", "job-identity-last-no-newline.yaml": "job-none-last-no-newline.yaml",
	} {
		f, err := manifest.Parse(with, all[with])
		require.NoError(t, err)
		edited, err := f.Unset()
		require.NoError(t, err, with)
		assert.Equal(t, string(all[without]), string(edited.Bytes()), with)
		put, err := edited.Set(identity.MustParseServiceAccount(oldIdentity))
		require.NoError(t, err)
		assert.Equal(t, string(all[with]), string(put.Bytes()), "it goes where gcloud has it")
	}
	for name, why := range map[string]string{"job-flow.yaml": "in a mapping in braces", "job-merge.yaml": "comes from a merge key", "job-anchor-unused.yaml": "other values may refer"} {
		f, err := manifest.Parse(name, all[name])
		require.NoError(t, err)
		_, err = f.Unset()
		require.ErrorContains(t, err, why)
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	all := corpus(t)
	f, err := manifest.Parse("several.yaml", all["several.yaml"])
	require.NoError(t, err)
	assert.Equal(t, []manifest.Document{
		{Line: 2, Kind: identity.KindJob, Name: "nightly", Project: "123456789012", Region: "europe-west1", Identity: identity.MustParseServiceAccount(oldIdentity), IdentityLine: 41},
		{Line: 45, Kind: identity.KindService, Name: "shop", Project: "web-prod", Region: "europe-west1"},
		{Line: 72},
		{Line: 78},
	}, f.Documents)
	w, err := f.Documents[0].Workload("web-prod", "")
	require.NoError(t, err)
	assert.Equal(t, identity.Job("web-prod", "europe-west1", "nightly"), w, "a number and an id are not compared")
	_, err = f.Documents[1].Workload("data-prod", "")
	require.ErrorContains(t, err, `shop is of project "web-prod", not "data-prod"`)
	_, err = f.Documents[1].Workload("", "us-east1")
	require.ErrorContains(t, err, `region "europe-west1", not "us-east1"`)
	_, err = f.Documents[2].Workload("p", "r")
	require.ErrorContains(t, err, "about no Cloud Run workload")
	f, err = manifest.Parse("job-small.yaml", all["job-small.yaml"])
	require.NoError(t, err)
	_, err = f.Documents[0].Workload("", "r")
	require.ErrorContains(t, err, "doesn't tell the project of nightly")
	flaw, ok := errors.AsType[*manifest.Error](err)
	require.True(t, ok)
	assert.Equal(t, f.Documents[0].Line, flaw.Line)

	one, err := manifest.Parse("several.yaml", all["several.yaml"])
	require.NoError(t, err)
	edited, err := one.Set(next, 1)
	require.NoError(t, err)
	assert.Equal(t, oldIdentity, edited.Documents[0].Identity.Email())
	assert.Equal(t, next, edited.Documents[1].Identity)
	_, err = one.Set(next, 2)
	require.ErrorIs(t, err, manifest.ErrNothingToEdit)
	require.EqualError(t, err, "several.yaml: document 2: there is no Cloud Run workload to edit")
	_, err = one.Set(identity.ServiceAccount{})
	require.ErrorContains(t, err, "no identity is given")
}

const spec = "spec:\n  template:\n    spec:\n      template:\n        spec:\n          containers: [{image: i}]\n"

func TestBadInput(t *testing.T) {
	t.Parallel()
	head := "apiVersion: run.googleapis.com/v1\nkind: Job\nmetadata: {name: j}\n"
	for name, tt := range map[string]struct{ text, want string }{
		"not YAML":           {"a: [\nb: }", "m.yaml:"},
		"tabs":               {"a:\n\tb: c\n", "m.yaml:2:1: found character that cannot start any token: YAML doesn't indent with tabs"},
		"wrong version":      {"apiVersion: serving.knative.dev/v1\nkind: Job\n", "m.yaml:1:1: kind Job has another apiVersion"},
		"no name":            {"apiVersion: run.googleapis.com/v1\nkind: Job\n", "m.yaml:1:1: metadata.name is missing"},
		"name is a list":     {"apiVersion: run.googleapis.com/v1\nkind: Job\nmetadata: {name: [x]}\n", "m.yaml:3:18: name must be a text"},
		"two identities":     {head + spec + "          serviceAccountName: a@p-123456.iam.gserviceaccount.com\n          serviceAccountName: b@p-123456.iam.gserviceaccount.com\n", `m.yaml:11:11: the key "serviceAccountName" is there twice, also in line 10`},
		"two specs":          {head + spec + spec, `the key "spec" is there twice`},
		"a bad identity":     {head + spec + "          serviceAccountName: runner\n", `m.yaml:10:31: serviceAccountName: invalid service account "runner"`},
		"identity is a list": {head + spec + "          serviceAccountName: [a]\n", "m.yaml:10:31: serviceAccountName must be an email address"},
		"spec is a text":     {head + "spec: x\n", `m.yaml:4:7: it must be a mapping, with the key "template"`},
		"not UTF-8":          {"a: b\nc: \xff\n", "m.yaml:2: it is not UTF-8"},
		"zero byte":          {"a: b\nc: \x00\n", "m.yaml:2: it has a zero byte"},
		"too large":          {strings.Repeat("# comment\n", 500_000), "it has 5000000 bytes, and a manifest may have 4194304"},
		"50 MiB":             {strings.Repeat(" ", 50<<20), "a manifest may have"},
		"deep":               {"a: " + strings.Repeat("[", 300) + strings.Repeat("]", 300), "collections are nested more than 200 deep"},
		"very deep":          {strings.Repeat("[", 1<<20), "m.yaml"},
		"deep blocks":        {strings.Repeat("- ", 20_000), "m.yaml"},
		"odd merge":          {head + "x: &x 1\nspec:\n  <<: *x\n", "brings something that is no mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := manifest.Parse("m.yaml", []byte(tt.text))
			var e *manifest.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, "m.yaml", e.File)
			require.ErrorContains(t, err, tt.want)
			assert.Less(t, time.Since(began), 20*time.Second)
		})
	}
	// Aliases that would explode are not followed.
	bomb := head + "a: &a [x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c, *%c, *%c]\n", c, c, c-1, c-1, c-1)
	}
	f, err := manifest.Parse("m.yaml", []byte(bomb+spec))
	require.NoError(t, err)
	_, err = f.Set(next)
	require.NoError(t, err)
}

// What can't be edited is told, with the place.
func TestRefusedEdits(t *testing.T) {
	t.Parallel()
	head := "apiVersion: run.googleapis.com/v1\nkind: Job\nmetadata: {name: j}\n"
	line := "          serviceAccountName: "
	for name, tt := range map[string]struct{ text, want string }{
		"others refer to it": {head + spec + line + "&sa " + oldIdentity + "\nx: *sa\n", "m.yaml:10:31: other values refer to the identity by *sa"},
		"shared spec":        {head + strings.Replace(spec, "        spec:\n          containers", "        spec: &s\n          containers", 1) + "x: *s\n", "other values refer to &s, which has the identity"},
		"alias of the spec":  {head + "x: &s {containers: [{image: i}]}\nspec: {template: {spec: {template: {spec: *s}}}}\n", "what *s stands for has the identity and is used elsewhere"},
		"merged template":    {head + "x: &s {template: {spec: {template: {spec: {a: b}}}}}\nspec:\n  <<: *s\n", "template comes from a merge key"},
		"a block":            {head + spec + line + "|-\n            " + oldIdentity + "\n", "the identity is written as a block"},
		"escapes":            {head + spec + line + `"old\x2drunner@data-prod.iam.gserviceaccount.com"` + "\n", "over several lines or with escapes"},
		"no template":        {head + "spec: {}\n", "spec.template.spec.template.spec is missing"},
		"no spec at all":     {head, "is missing: it would have the identity"},
		"nothing":            {"a: b\n", "there is no Cloud Run workload to edit"},
		"empty":              {"", "there is no Cloud Run workload"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := manifest.Parse("m.yaml", []byte(tt.text))
			require.NoError(t, err)
			_, err = f.Set(next)
			var e *manifest.Error
			require.ErrorAs(t, err, &e)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"a/job.yaml": {Data: corpus(t)["job-gcloud.yaml"]}, "a/b/x.yml": {Data: []byte("x: [")}, "a/c.json": {Data: corpus(t)["job.json"]},
		"a/readme.md": {Data: []byte("x")}, ".git/x.yaml": {Data: []byte("x: [")}, "z.yaml": {Data: []byte("a: b")},
	}
	var seen []string
	for f, err := range manifest.Walk(fsys, ".") {
		if err != nil {
			seen = append(seen, err.Error())
			continue
		}
		seen = append(seen, fmt.Sprintf("%s %d", f.Name, len(f.Documents)))
	}
	require.Len(t, seen, 4)
	assert.Contains(t, seen[0], "a/b/x.yml:1: ")
	assert.Equal(t, []string{"a/c.json 1", "a/job.yaml 1", "z.yaml 1"}, seen[1:])
	for range manifest.Walk(fsys, ".") {
		break
	}
	for _, err := range manifest.Walk(fsys, "missing") {
		require.Error(t, err)
	}
}

// Never a panic; and whatever is edited differs in the identity alone, as another
// reading of it says.
func FuzzSet(f *testing.F) {
	for _, data := range corpus(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := manifest.Parse("m.yaml", data)
		if err != nil {
			return
		}
		edited, err := file.Set(next)
		if err != nil {
			return
		}
		was, is := decodeAll(t, data), decodeAll(t, edited.Bytes())
		require.Len(t, is, len(was))
		for i := range was {
			if file.Documents[i].Kind == identity.KindUnknown {
				continue
			}
			drop(was[i])
			drop(is[i])
		}
		assert.Equal(t, fmt.Sprintf("%#v", was), fmt.Sprintf("%#v", is))
	})
}

// decodeAll reads documents into plain values, as any program would; those that
// can't be are nil.
func decodeAll(t *testing.T, data []byte) []any {
	t.Helper()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var all []any
	for {
		var n yaml.Node
		if dec.Decode(&n) != nil {
			return all
		}
		var v any
		if n.Decode(&v) != nil {
			v = nil
		}
		all = append(all, v)
	}
}

// drop takes the identity out of a document.
func drop(v any) {
	at := v
	path := []string{"spec", "template", "spec"}
	kind := any(nil)
	switch m := v.(type) {
	case map[string]any:
		kind = m["kind"]
	case map[any]any:
		kind = m["kind"]
	}
	if kind == "Job" {
		path = append(path, "template", "spec")
	}
	for _, key := range path {
		switch m := at.(type) {
		case map[string]any:
			at = m[key]
		case map[any]any: // of keys that are not all texts
			at = m[key]
		default:
			return
		}
	}
	switch m := at.(type) {
	case map[string]any:
		delete(m, "serviceAccountName")
	case map[any]any:
		delete(m, "serviceAccountName")
	}
}

// A sweep over many files: one at a time is held.
func BenchmarkSweep(b *testing.B) {
	data := corpus(b)["job-gcloud.yaml"]
	for _, n := range []int{100, 1000} {
		fsys := fstest.MapFS{}
		for i := range n {
			fsys[fmt.Sprintf("jobs/job-%d.yaml", i)] = &fstest.MapFile{Data: data}
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				edited := 0
				for f, err := range manifest.Walk(fsys, ".") {
					if err != nil {
						b.Fatal(err)
					}
					if _, err := f.Set(next); err != nil {
						b.Fatal(err)
					}
					edited++
				}
				if edited != n {
					b.Fatal(edited)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/file")
		})
	}
}

func ExampleFile_Set() {
	data := []byte(`# Writes the night's invoices.
apiVersion: run.googleapis.com/v1
kind: Job
metadata:
  name: nightly
spec:
  template:
    spec:
      template:
        spec:
          containers:
          - image: europe-docker.pkg.dev/web-prod/jobs/nightly  # built by CI
          timeoutSeconds: '600'
`)
	file, err := manifest.Parse("job.yaml", data)
	if err != nil {
		fmt.Println(err)
		return
	}
	edited, err := file.Set(identity.MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(edited.Bytes()))
	// Output:
	// # Writes the night's invoices.
	// apiVersion: run.googleapis.com/v1
	// kind: Job
	// metadata:
	//   name: nightly
	// spec:
	//   template:
	//     spec:
	//       template:
	//         spec:
	//           containers:
	//           - image: europe-docker.pkg.dev/web-prod/jobs/nightly  # built by CI
	//           serviceAccountName: runner@data-prod.iam.gserviceaccount.com
	//           timeoutSeconds: '600'
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	flaw := errors.New("flaw")
	for want, e := range map[string]manifest.Error{
		"job.yaml:12:7: flaw": {File: "job.yaml", Line: 12, Column: 7, Err: flaw},
		"job.yaml:12: flaw":   {File: "job.yaml", Line: 12, Err: flaw},
		"job.yaml: flaw":      {File: "job.yaml", Err: flaw},
		"line 12: flaw":       {Line: 12, Err: flaw},
		"flaw":                {Err: flaw},
	} {
		assert.EqualError(t, &e, want)
	}
}
