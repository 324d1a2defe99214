package identity

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseServiceAccountForms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want string
	}{
		{"email", "runner@data-prod.iam.gserviceaccount.com", "runner@data-prod.iam.gserviceaccount.com"},
		{"member", "serviceAccount:runner@data-prod.iam.gserviceaccount.com", "runner@data-prod.iam.gserviceaccount.com"},
		{"resource name", "projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com", "runner@data-prod.iam.gserviceaccount.com"},
		{"any project", "projects/-/serviceAccounts/runner@data-prod.iam.gserviceaccount.com", "runner@data-prod.iam.gserviceaccount.com"},
		{"number for id", "projects/415104041262/serviceAccounts/runner@data-prod.iam.gserviceaccount.com", "runner@data-prod.iam.gserviceaccount.com"},
		{"full resource name", "//iam.googleapis.com/projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com", "runner@data-prod.iam.gserviceaccount.com"},
		{"full, any project", "//iam.googleapis.com/projects/-/serviceAccounts/runner@data-prod.iam.gserviceaccount.com", "runner@data-prod.iam.gserviceaccount.com"},
		{"domain-scoped project", "projects/example.com:data/serviceAccounts/runner@data.example.com.iam.gserviceaccount.com", "runner@data.example.com.iam.gserviceaccount.com"},
		{"compute default, its number", "projects/123/serviceAccounts/123-compute@developer.gserviceaccount.com", "123-compute@developer.gserviceaccount.com"},
		{"compute default, an id", "projects/data-prod/serviceAccounts/123-compute@developer.gserviceaccount.com", "123-compute@developer.gserviceaccount.com"},
		{"App Engine default, a number", "projects/123/serviceAccounts/data-prod@appspot.gserviceaccount.com", "data-prod@appspot.gserviceaccount.com"},
		{"agent, any id", "projects/data-prod/serviceAccounts/service-123@compute-system.iam.gserviceaccount.com", "service-123@compute-system.iam.gserviceaccount.com"},
		{"one-letter name", "x@data-prod.iam.gserviceaccount.com", "x@data-prod.iam.gserviceaccount.com"},
		{"name of 63", strings.Repeat("x", 63) + "@data-prod.iam.gserviceaccount.com", strings.Repeat("x", 63) + "@data-prod.iam.gserviceaccount.com"},
		{"name beginning with a digit", "1st@data-prod.iam.gserviceaccount.com", "1st@data-prod.iam.gserviceaccount.com"},
		{"short project id", "runner@p.iam.gserviceaccount.com", "runner@p.iam.gserviceaccount.com"},
		{"domain beginning with a digit", "projects/1.example.com:data/serviceAccounts/runner@data.1.example.com.iam.gserviceaccount.com", "runner@data.1.example.com.iam.gserviceaccount.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseServiceAccount(tt.in)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got.Email())
			assert.Equal(t, tt.want, got.String())
			assert.Equal(t, "serviceAccount:"+tt.want, got.Member())
			assert.False(t, got.IsZero())
			again, err := ParseServiceAccount(got.String())
			require.NoError(t, err)
			assert.Equal(t, got, again, "the account must be equal however it was spelled")
		})
	}
}

func TestParseServiceAccountRefuses(t *testing.T) {
	t.Parallel()
	const email = "runner@data-prod.iam.gserviceaccount.com"
	tests := []struct {
		name string
		in   string
		want string
	}{
		{"empty", "", "must not be empty"},
		{"space before", " " + email, "must not begin or end with white space"},
		{"newline after", email + "\n", "must not begin or end with white space"},
		{"space within", "run ner@data-prod.iam.gserviceaccount.com", "but has ' ' at byte 3"},
		{"control character", "run\x00ner@data-prod.iam.gserviceaccount.com", `but has '\x00' at byte 3`},
		{"delete character", "run\x7fner@data-prod.iam.gserviceaccount.com", `but has '\x7f' at byte 3`},
		{"invalid UTF-8", "run\xffner@data-prod.iam.gserviceaccount.com", `but has '\ufffd' at byte 3`},
		{"look-alike letter", "runner@dаta-prod.iam.gserviceaccount.com", `but has '\u0430' at byte 8`},
		{"upper case", "Runner@data-prod.iam.gserviceaccount.com", "must be lower case"},
		{"upper-case domain", "runner@data-prod.iam.GServiceAccount.com", "must be lower case"},
		{"too long", strings.Repeat("x", 230) + "@cloudservices.gserviceaccount.com", "at most 254 bytes"},
		{"300 characters", strings.Repeat("x", 300), "has no @"},
		{"user", "dev@gmail.com", "is of a user or a group"},
		{"user of a company", "dev@example.com", "ends in .gserviceaccount.com"},
		{"another end", "runner@data-prod.iam.gserviceaccount.com.example.com", "ends in .gserviceaccount.com"},
		{"bare domain", "runner@gserviceaccount.com", "ends in .gserviceaccount.com"},
		{"unique id", "103294857120394857120", "gcloud iam service-accounts describe ID --format='value(email)'"},
		{"unique id in a name", "projects/-/serviceAccounts/103294857120394857120", "is the unique id of an account"},
		{"Kubernetes account", "serviceAccount:data-prod.svc.id.goog[default/runner]", "is a Kubernetes service account"},
		{"no @", "data-prod.iam.gserviceaccount.com", "has no @"},
		{"several @", "runner@data-prod@iam.gserviceaccount.com", "has several @"},
		{"no name", "@data-prod.iam.gserviceaccount.com", `"" before the @ must be`},
		{"no project", "runner@iam.gserviceaccount.com", `the domain "iam.gserviceaccount.com" must be PROJECT.iam.gserviceaccount.com`},
		{"empty project", "runner@.iam.gserviceaccount.com", `"" between the @ and .iam.gserviceaccount.com must be a project id`},
		{"empty host", "runner@.gserviceaccount.com", `the domain ".gserviceaccount.com" must be`},
		{"project number", "runner@123.iam.gserviceaccount.com", `"123" between the @`},
		{"project id of 31", "runner@" + strings.Repeat("x", 31) + ".iam.gserviceaccount.com", "at most 30"},
		{"one-label domain scope", "runner@data.local.iam.gserviceaccount.com", `"data.local" between the @`},
		{"empty label in domain scope", "runner@data.example..com.iam.gserviceaccount.com", `"data.example..com" between the @`},
		{"name of 64", strings.Repeat("x", 64) + "@data-prod.iam.gserviceaccount.com", "at most 63"},
		{"name with underscore", "run_ner@data-prod.iam.gserviceaccount.com", `"run_ner" before the @ must be`},
		{"name ending in a hyphen", "runner-@data-prod.iam.gserviceaccount.com", `"runner-" before the @ must be`},
		{"name beginning with a hyphen", "-runner@data-prod.iam.gserviceaccount.com", `"-runner" before the @ must be`},
		{"Google's name beginning with a dot", ".x@cloudservices.gserviceaccount.com", `".x" before the @ must be`},
		{"number at appspot", "123@appspot.gserviceaccount.com", `"123" before @appspot.gserviceaccount.com must be a project id`},
		{"forgotten .iam", "runner@data-prod.gserviceaccount.com", `the domain "data-prod.gserviceaccount.com" must be PROJECT.iam`},
		{"unknown subdomain", "x@y.z.gserviceaccount.com", `the domain "y.z.gserviceaccount.com" must be`},
		{"deleted member", "deleted:serviceAccount:" + email + "?uid=123", "is a member that was deleted"},
		{"user member", "user:dev@example.com", `"user:" is not how a service account begins`},
		{"group member", "group:devs@example.com", `"group:" is not how a service account begins`},
		{"IAM v2 principal", "principal://iam.googleapis.com/projects/-/serviceAccounts/" + email, `"principal:" is not how`},
		{"member in another case", "serviceaccount:" + email, "give EMAIL or serviceAccount:EMAIL"},
		{"member twice", "serviceAccount:serviceAccount:" + email, "must be lower case"},
		{"member without email", "serviceAccount:", "has no @"},
		{"URL", "https://iam.googleapis.com/v1/projects/-/serviceAccounts/" + email, `"https:" is not how`},
		{"other service", "//run.googleapis.com/projects/-/serviceAccounts/" + email, "begins with //iam.googleapis.com/"},
		{"full name without path", "//iam.googleapis.com/" + email, "must be projects/PROJECT/serviceAccounts/EMAIL"},
		{"slash after email", email + "/", "must not end in a slash"},
		{"slash after name", "projects/-/serviceAccounts/" + email + "/", "must not end in a slash"},
		{"key", "projects/-/serviceAccounts/" + email + "/keys/1", "it names something else"},
		{"collection", "projects/data-prod/serviceAccounts", "must be projects/PROJECT/serviceAccounts/EMAIL"},
		{"no project in name", "projects//serviceAccounts/" + email, `project "" must be a project id`},
		{"bad project in name", "projects/Data/serviceAccounts/" + email, `project "Data" must be a project id`},
		{"bad number in name", "projects/0123/serviceAccounts/" + email, `project number "0123" must be`},
		{"other id", "projects/web-prod/serviceAccounts/" + email, `the email is of project "data-prod", the name says "web-prod"`},
		{"other id of App Engine", "projects/web-prod/serviceAccounts/data-prod@appspot.gserviceaccount.com", `is of project "data-prod"`},
		{"other domain-scoped id", "projects/example.com:data/serviceAccounts/runner@data.iam.gserviceaccount.com", `is of project "data"`},
		{"other number", "projects/124/serviceAccounts/123-compute@developer.gserviceaccount.com", `the email is of project "123", the name says "124"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseServiceAccount(tt.in)
			require.ErrorContains(t, err, tt.want)
			assert.Zero(t, got)
			checkRefusal(t, err, "invalid service account ", tt.in, exampleServiceAccount)
			assert.PanicsWithError(t, err.Error(), func() { MustParseServiceAccount(constant(tt.in)) })
		})
	}
}

func TestServiceAccountKindAndProject(t *testing.T) {
	t.Parallel()
	tests := []struct {
		email   string
		kind    AccountKind
		project string
	}{
		{"runner@data-prod.iam.gserviceaccount.com", AccountUserManaged, "data-prod"},
		{"runner@data.example.com.iam.gserviceaccount.com", AccountUserManaged, "example.com:data"},
		{"runner@data.corp.example.com.iam.gserviceaccount.com", AccountUserManaged, "corp.example.com:data"},
		{"service-x@data-prod.iam.gserviceaccount.com", AccountUserManaged, "data-prod"},
		{"service-007@data-prod.iam.gserviceaccount.com", AccountUserManaged, "data-prod"},
		{"service-org-folder-1@data-prod.iam.gserviceaccount.com", AccountUserManaged, "data-prod"},
		{"bq-123@data-prod.iam.gserviceaccount.com", AccountUserManaged, "data-prod"},
		{"project-123@data-prod.iam.gserviceaccount.com", AccountUserManaged, "data-prod"},
		{"123456789-abc0def@developer.gserviceaccount.com", AccountUserManaged, ""},
		{"123456789@developer.gserviceaccount.com", AccountUserManaged, ""},
		{"0123-compute@developer.gserviceaccount.com", AccountUserManaged, ""},
		{"123-compute@developer.gserviceaccount.com", AccountComputeDefault, "123"},
		{"9223372036854775807-compute@developer.gserviceaccount.com", AccountComputeDefault, "9223372036854775807"},
		{"9223372036854775808-compute@developer.gserviceaccount.com", AccountUserManaged, ""},
		{"data-prod@appspot.gserviceaccount.com", AccountAppEngineDefault, "data-prod"},
		{"data.example.com@appspot.gserviceaccount.com", AccountAppEngineDefault, "example.com:data"},
		{"service-123@serverless-robot-prod.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"service-123@gae-api-prod.google.com.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"service-org-123@security-center-api.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"service-folder-123@security-center-api.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"service-123@data-prod.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"service-p123@gcp-sa-accessapproval.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"o157305482127-456794@gcp-sa-logging.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"bqcx-123-ab_c.d@gcp-sa-bigquery-condel.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"bq-123@bigquery-encryption.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"project-123@storage-transfer-service.iam.gserviceaccount.com", AccountServiceAgent, ""},
		{"123@cloudservices.gserviceaccount.com", AccountServiceAgent, ""},
		{"123@cloudbuild.gserviceaccount.com", AccountServiceAgent, ""},
		{"cloud-logs@system.gserviceaccount.com", AccountServiceAgent, ""},
	}
	for _, tt := range tests {
		t.Run(tt.email, func(t *testing.T) {
			t.Parallel()
			sa, err := ParseServiceAccount(tt.email)
			require.NoError(t, err)
			assert.Equal(t, tt.kind, sa.Kind())
			project, ok := sa.Project()
			assert.Equal(t, tt.project, project)
			assert.Equal(t, tt.project != "", ok)
			if ok {
				require.NoError(t, checkProject(project))
				again, err := ParseServiceAccount("projects/" + project + "/serviceAccounts/" + tt.email)
				require.NoError(t, err)
				assert.Equal(t, sa, again)
			}
		})
	}
}

func TestServiceAccountZero(t *testing.T) {
	t.Parallel()
	var sa ServiceAccount
	assert.True(t, sa.IsZero())
	assert.Empty(t, sa.Email())
	assert.Empty(t, sa.String())
	assert.Empty(t, sa.Member())
	assert.Equal(t, AccountUnknown, sa.Kind())
	_, ok := sa.Project()
	assert.False(t, ok)
}

func TestServiceAccountOfProjectNumber(t *testing.T) {
	t.Parallel()
	for _, number := range []int64{1, 415104041262, math.MaxInt64} {
		agent := RunServiceAgent(number)
		assert.Equal(t, fmt.Sprintf("service-%d@serverless-robot-prod.iam.gserviceaccount.com", number), agent.Email())
		assert.Equal(t, AccountServiceAgent, agent.Kind())
		def := DefaultServiceAccount(number)
		assert.Equal(t, fmt.Sprintf("%d-compute@developer.gserviceaccount.com", number), def.Email())
		assert.Equal(t, AccountComputeDefault, def.Kind())
		for _, sa := range []ServiceAccount{agent, def} {
			parsed, err := ParseServiceAccount(sa.String())
			require.NoError(t, err)
			assert.Equal(t, sa, parsed)
		}
	}
	for _, number := range []int64{0, -1, math.MinInt64} {
		assert.Zero(t, RunServiceAgent(number))
		assert.Zero(t, DefaultServiceAccount(number))
	}
}

func TestServiceAccountText(t *testing.T) {
	t.Parallel()
	type config struct {
		Identity ServiceAccount         `json:"identity,omitzero"`
		Roles    map[ServiceAccount]int `json:"roles,omitempty"`
	}
	sa := MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com")

	var got config
	require.NoError(t, json.Unmarshal([]byte(`{
		"identity": "serviceAccount:runner@data-prod.iam.gserviceaccount.com",
		"roles": {"projects/-/serviceAccounts/runner@data-prod.iam.gserviceaccount.com": 2}
	}`), &got))
	assert.Equal(t, config{sa, map[ServiceAccount]int{sa: 2}}, got)

	text, err := json.Marshal(got)
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"identity": "runner@data-prod.iam.gserviceaccount.com",
		"roles": {"runner@data-prod.iam.gserviceaccount.com": 2}
	}`, string(text))

	require.ErrorContains(t, json.Unmarshal([]byte(`{"identity": "dev@example.com"}`), &got), "is of a user or a group")
	assert.Equal(t, sa, got.Identity, "an error must leave the value as it was")
	require.NoError(t, json.Unmarshal([]byte(`{"identity": ""}`), &got))
	assert.Zero(t, got.Identity)
	text, err = json.Marshal(config{})
	require.NoError(t, err)
	assert.JSONEq(t, `{}`, string(text))
}

func TestServiceAccountFlag(t *testing.T) {
	t.Parallel()
	flags := flag.NewFlagSet("bot", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var sa ServiceAccount
	flags.TextVar(&sa, "identity", ServiceAccount{}, "")
	require.NoError(t, flags.Parse([]string{"-identity", "serviceAccount:runner@data-prod.iam.gserviceaccount.com"}))
	assert.Equal(t, MustParseServiceAccount("runner@data-prod.iam.gserviceaccount.com"), sa)
	assert.Error(t, flags.Parse([]string{"-identity", "runner"}))
}

func TestAccountKindString(t *testing.T) {
	t.Parallel()
	tests := map[AccountKind]string{
		AccountUnknown:          "unknown",
		AccountUserManaged:      "user-managed",
		AccountComputeDefault:   "Compute Engine default",
		AccountAppEngineDefault: "App Engine default",
		AccountServiceAgent:     "service agent",
		AccountKind(99):         "AccountKind(99)",
		AccountKind(-1):         "AccountKind(-1)",
	}
	for kind, want := range tests {
		assert.Equal(t, want, kind.String())
	}
}

func BenchmarkParseServiceAccount(b *testing.B) {
	for name, in := range map[string]string{
		"email":         "runner@data-prod.iam.gserviceaccount.com",
		"full name":     "//iam.googleapis.com/projects/data-prod/serviceAccounts/runner@data-prod.iam.gserviceaccount.com",
		"domain-scoped": "projects/example.com:data/serviceAccounts/runner@data.example.com.iam.gserviceaccount.com",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseServiceAccount(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
