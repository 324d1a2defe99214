package preflight_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/preflight"
)

func TestCallerFromCredentials(t *testing.T) {
	t.Parallel()
	// Not a key of anything.
	account := `{"type": "service_account", "client_email": "bot@web-prod.iam.gserviceaccount.com", "private_key": "x", "token_uri": "https://localhost/"}`
	impersonated := `{"type": "impersonated_service_account", "source_credentials": {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"},
		"service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/bot@data-prod.iam.gserviceaccount.com:generateAccessToken"}`
	user := `{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "account": "dev@example.com"}`
	noName := `{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}`
	file := filepath.Join(t.TempDir(), "credentials.json")
	require.NoError(t, os.WriteFile(file, []byte(impersonated), 0o600))
	for name, tt := range map[string]struct {
		opt  option.ClientOption
		want string
	}{
		"service account":         {option.WithAuthCredentialsJSON(option.ServiceAccount, []byte(account)), "serviceAccount:bot@web-prod.iam.gserviceaccount.com"},
		"impersonated, in a file": {option.WithAuthCredentialsFile(option.ImpersonatedServiceAccount, file), "serviceAccount:bot@data-prod.iam.gserviceaccount.com"},
		"user":                    {option.WithAuthCredentialsJSON(option.AuthorizedUser, []byte(user)), "user:dev@example.com"},
		"user without a name":     {option.WithAuthCredentialsJSON(option.AuthorizedUser, []byte(noName)), ""},
		"no authentication":       {option.WithoutAuthentication(), ""},
		"a client":                {option.WithHTTPClient(http.DefaultClient), ""},
		"a key":                   {option.WithAPIKey("x"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := preflight.NewChecker(t.Context(), tt.opt)
			require.NoError(t, err)
			assert.Equal(t, tt.want, c.Caller)
		})
	}
}

func TestDefaultCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r", "account": "dev@example.com"}`), 0o600))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
	c, err := preflight.NewChecker(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "user:dev@example.com", c.Caller)
}

// The caller whose name isn't known: checks work, fixes name MEMBER and can't be
// applied.
func TestUnknownCaller(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	revoke(b, accountName(local), "", dev)
	c := newChecker(t, b, dev)
	c.Caller = ""
	report := check(t, c, preflight.Target{Workload: job, Identity: account(t, local)})
	f := finding(t, report, preflight.CheckDeployerActAs)
	assert.Equal(t, preflight.Fail, f.Verdict)
	assert.Empty(t, report.Deployer)
	assert.Contains(t, f.Message, "the caller lacks")
	assert.Equal(t, "gcloud iam service-accounts add-iam-policy-binding "+local+" --member=MEMBER --role=roles/iam.serviceAccountUser --project=web-prod --condition=None",
		f.Fix.Gcloud())
	b.ResetCalls()
	steps, err := newFixer(t, b).Apply(t.Context(), preflight.Fixes(report), nil)
	require.ErrorContains(t, err, "whom to grant to isn't known")
	assert.Empty(t, steps)
	assert.Empty(t, b.Calls())
}
