package manifest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/identity"
)

// What was made of a file is compared with it before it is handed out, so that
// a way of writing that the edit misunderstands is refused. No such way is known:
// the comparison is held by itself.
func TestEditIsCompared(t *testing.T) {
	t.Parallel()
	const source = `apiVersion: run.googleapis.com/v1
kind: Job
metadata: {name: a, annotations: {serviceAccountName: note}}
spec:
  template:
    spec:
      template:
        spec:
          serviceAccountName: old@web-prod.iam.gserviceaccount.com
          containers:
          - &c {image: i, args: ['1', x]}
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: b}
spec: {template: {spec: {serviceAccountName: old@web-prod.iam.gserviceaccount.com, containers: [{image: i}]}}}
---
kind: Other
spec: {template: {spec: {serviceAccountName: old@web-prod.iam.gserviceaccount.com}}}
`
	sa := identity.MustParseServiceAccount("new@web-prod.iam.gserviceaccount.com")
	was, err := Parse("job.yaml", []byte(source))
	require.NoError(t, err)
	const old, wanted = "serviceAccountName: old@", "serviceAccountName: new@"
	first := strings.Replace(source, old, wanted, 1)
	for name, tt := range map[string]struct {
		edited    string
		documents []int
		says      string
	}{
		"the identity":                          {first, []int{0}, ""},
		"its key somewhere else in the mapping": {strings.Replace(strings.Replace(source, "          serviceAccountName: old@web-prod.iam.gserviceaccount.com\n", "", 1), "x]}\n", "x]}\n          serviceAccountName: new@web-prod.iam.gserviceaccount.com\n", 1), []int{0}, ""},
		"two of them":                           {strings.Replace(strings.Replace(source, old, wanted, 1), old, wanted, 1), []int{0, 1}, ""},
		"not the identity":                      {source, []int{0}, `document 0 would have the identity "old@`},
		"another document's, too":               {strings.Replace(first, old, wanted, 1), []int{0}, `document 1 would have the identity "new@`},
		"what only looks like one":              {strings.Replace(first, "kind: Other\nspec: {template: {spec: {"+old, "kind: Other\nspec: {template: {spec: {"+wanted, 1), []int{0}, "document 2 would differ elsewhere"},
		"such a key elsewhere":                  {strings.Replace(first, "serviceAccountName: note", "serviceAccountName: changed", 1), []int{0}, "document 0 would differ elsewhere"},
		"a key gone":                            {strings.Replace(first, "kind: Other\n", "", 1), []int{0}, "document 2 would differ elsewhere"},
		"a key more":                            {strings.Replace(first, "kind: Other\n", "kind: Other\nmore: 1\n", 1), []int{0}, "document 2 would differ elsewhere"},
		"a value":                               {strings.Replace(first, "{image: i, args", "{image: j, args", 1), []int{0}, "document 0 would differ elsewhere"},
		"a text that becomes a number":          {strings.Replace(first, "'1'", "1", 1), []int{0}, "document 0 would differ elsewhere"},
		"the order of a list":                   {strings.Replace(first, "'1', x", "x, '1'", 1), []int{0}, "document 0 would differ elsewhere"},
		"an anchor":                             {strings.Replace(first, "&c", "&d", 1), []int{0}, "document 0 would differ elsewhere"},
		"a mapping that becomes a list":         {strings.Replace(first, "{name: a, annotations: {serviceAccountName: note}}", "{name: a, annotations: [serviceAccountName, note]}", 1), []int{0}, "document 0 would differ elsewhere"},
		"a document gone":                       {first[:strings.LastIndex(first, "---")], []int{0}, "it would have another number of documents"},
		"a document more":                       {first + "---\nkind: Other\n", []int{0}, "it would have another number of documents"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edited, err := Parse("job.yaml", []byte(tt.edited))
			require.NoError(t, err)
			err = was.differsInIdentity(edited, sa, tt.documents)
			if tt.says == "" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			assert.Contains(t, err.Error(), tt.says)
		})
	}
}

// Nobody is given a file that fails the comparison, or that is no YAML any more.
func TestWrongSplicesAreRefused(t *testing.T) {
	t.Parallel()
	const source = `apiVersion: run.googleapis.com/v1
kind: Job
metadata: {name: a}
spec: {template: {spec: {template: {spec: {serviceAccountName: old@web-prod.iam.gserviceaccount.com, containers: [{image: i}]}}}}}
`
	sa := identity.MustParseServiceAccount("new@web-prod.iam.gserviceaccount.com")
	f, err := Parse("job.yaml", []byte(source))
	require.NoError(t, err)
	at := func(text, by string) splice {
		from := strings.Index(source, text)
		return splice{from, from + len(text), by}
	}
	right := at("old@", "new@")
	for name, tt := range map[string]struct {
		splices []splice
		says    string
	}{
		"the identity":                 {[]splice{right}, ""},
		"nothing":                      {nil, `document 0 would have the identity "old@`},
		"something else, too":          {[]splice{right, at("image: i", "image: j")}, "document 0 would differ elsewhere"},
		"something else, in any order": {[]splice{at("metadata: {name: a}", "metadata: {name: b}"), right}, "document 0 would differ elsewhere"},
		"a document more":              {[]splice{right, at("apiVersion", "kind: Other\n---\napiVersion")}, "it would have another number of documents"},
		"a brace too few":              {[]splice{at("old@web-prod.iam.gserviceaccount.com, ", "{")}, "the edit would break it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edited, err := f.spliced(tt.splices, sa, []int{0})
			if tt.says == "" {
				require.NoError(t, err)
				assert.Equal(t, sa, edited.Documents[0].Identity)
				return
			}
			require.ErrorContains(t, err, tt.says)
			var told *Error
			require.ErrorAs(t, err, &told)
			assert.Nil(t, edited)
		})
	}
}
