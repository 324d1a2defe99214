package identity

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func FuzzParseServiceAccount(f *testing.F) {
	for _, seed := range []string{
		"",
		"runner@data-prod.iam.gserviceaccount.com",
		"serviceAccount:runner@data-prod.iam.gserviceaccount.com",
		"projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com",
		"projects/example.com:data/serviceAccounts/runner@data.example.com.iam.gserviceaccount.com",
		"//iam.googleapis.com/projects/-/serviceAccounts/data.example.com@appspot.gserviceaccount.com",
		"projects/123/serviceAccounts/123-compute@developer.gserviceaccount.com",
		"service-123@serverless-robot-prod.iam.gserviceaccount.com",
		"o1-2@gcp-sa-logging.iam.gserviceaccount.com",
		"123@cloudservices.gserviceaccount.com",
		"deleted:serviceAccount:runner@data-prod.iam.gserviceaccount.com?uid=123",
		"dev@example.com",
		"103294857120394857120",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sa, err := ParseServiceAccount(s)
		if err != nil {
			checkFuzzedRefusal(t, err)
			assert.True(t, sa.IsZero())
			assert.PanicsWithError(t, err.Error(), func() { MustParseServiceAccount(constant(s)) })
			return
		}
		assert.Equal(t, sa, MustParseServiceAccount(constant(s)))
		assert.True(t, strings.HasSuffix(s, sa.Email()))
		assert.NotEqual(t, AccountUnknown, sa.Kind())

		forms := []string{
			sa.String(),
			sa.Member(),
			"projects/-/serviceAccounts/" + sa.Email(),
			"//iam.googleapis.com/projects/-/serviceAccounts/" + sa.Email(),
		}
		if project, ok := sa.Project(); ok {
			forms = append(forms, "projects/"+project+"/serviceAccounts/"+sa.Email())
			_, err := ParseServiceAccount("projects/" + project + "1/serviceAccounts/" + sa.Email())
			assert.Error(t, err, "another project than the email's")
		}
		for _, form := range forms {
			again, err := ParseServiceAccount(form)
			require.NoError(t, err)
			assert.Equal(t, sa, again, "%q", form)
		}

		text, err := sa.MarshalText()
		require.NoError(t, err)
		var unmarshaled ServiceAccount
		require.NoError(t, unmarshaled.UnmarshalText(text))
		assert.Equal(t, sa, unmarshaled)
	})
}

func FuzzParseWorkload(f *testing.F) {
	for _, seed := range []string{
		"",
		"projects/web-prod/locations/europe-west1/jobs/nightly",
		"projects/example.com:web/locations/europe-west1/services/shop",
		"//run.googleapis.com/projects/123/locations/us-central1/workerPools/mailer",
		"projects/web-prod/locations/-/jobs/nightly",
		"projects/web-prod/locations/europe-west1/instances/i",
		"projects/web-prod/locations/europe-west1/jobs/nightly/executions/x",
		"namespaces/web-prod/jobs/nightly",
	} {
		f.Add(seed, int8(KindJob), "web-prod", "europe-west1", "nightly")
	}
	f.Add("", int8(KindUnknown), "", "", "")
	f.Add("", int8(KindService), "p/locations/l", "services", "x")
	f.Fuzz(func(t *testing.T, s string, kind int8, project, location, id string) {
		checkParsedWorkload(t, s)
		checkBuiltWorkload(t, Workload{Kind(kind), project, location, id})
	})
}

// checkParsedWorkload checks what must hold for whatever the parser is given.
func checkParsedWorkload(t *testing.T, s string) {
	t.Helper()
	w, err := ParseWorkload(s)
	if err != nil {
		checkFuzzedRefusal(t, err)
		assert.Zero(t, w)
		assert.PanicsWithError(t, err.Error(), func() { MustParseWorkload(constant(s)) })
		return
	}
	assert.Equal(t, w, MustParseWorkload(constant(s)))
	require.NoError(t, w.Validate())
	for _, form := range []string{w.Name(), w.String(), w.FullName()} {
		again, err := ParseWorkload(form)
		require.NoError(t, err)
		assert.Equal(t, w, again, "%q", form)
	}
}

// checkBuiltWorkload checks what must hold for whatever a caller puts together: w
// is valid if and only if its name is that of w.
func checkBuiltWorkload(t *testing.T, w Workload) {
	t.Helper()
	err := w.Validate()
	parsed, parseErr := ParseWorkload(w.Name())
	assert.Equal(t, parseErr == nil && parsed == w, err == nil, "%#v", w)

	text, marshalErr := w.MarshalText()
	if w == (Workload{}) {
		require.NoError(t, marshalErr)
		assert.Empty(t, text)
	} else {
		assert.Equal(t, err, marshalErr)
	}
	if marshalErr == nil {
		var unmarshaled Workload
		require.NoError(t, unmarshaled.UnmarshalText(text))
		assert.Equal(t, w, unmarshaled)
	}
	if err != nil {
		checkFuzzedRefusal(t, err)
		_, err := ParseWorkload(w.String())
		assert.Error(t, err, "%#v reads like a valid name", w)
	}
}

// checkFuzzedRefusal checks that an error can be logged as it is.
func checkFuzzedRefusal(t *testing.T, err error) {
	t.Helper()
	assert.Less(t, len(err.Error()), 1500)
	assert.True(t, utf8.ValidString(err.Error()))
	assert.NotContains(t, err.Error(), "\n")
}
