package preflight

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"time"

	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/settings"
)

// callerOf returns the principal that credentials stand for, as a member, or ""
// if they don't tell. No token is made or sent anywhere.
func callerOf(ctx context.Context, opts []option.ClientOption) string {
	s := settings.Of(opts...)
	for _, opaque := range []string{"HTTPClient", "NoAuth", "APIKey", "TokenSource", "ImpersonationConfig"} {
		if s.Field(opaque) != nil {
			return ""
		}
	}
	if creds, ok := s.Field("AuthCredentials").(interface{ JSON() []byte }); ok {
		return memberOfCredentials(creds.JSON())
	}
	for _, name := range []string{"Credentials", "InternalCredentials"} {
		if creds := s.Field(name); creds != nil {
			text, _ := reflect.TypeAssert[[]byte](reflect.ValueOf(creds).Elem().FieldByName("JSON"))
			return memberOfCredentials(text)
		}
	}
	for _, name := range []string{"AuthCredentialsJSON", "CredentialsJSON"} {
		if text, ok := s.Field(name).([]byte); ok {
			return memberOfCredentials(text)
		}
	}
	for _, name := range []string{"AuthCredentialsFile", "CredentialsFile"} {
		if file, ok := s.Field(name).(string); ok {
			return memberOfFile(file)
		}
	}
	for _, file := range defaultFiles() {
		if _, err := os.Stat(file); err == nil {
			return memberOfFile(file)
		}
	}
	return memberOfMachine(ctx)
}

// defaultFiles returns where Application Default Credentials are looked for.
//
// https://cloud.google.com/docs/authentication/application-default-credentials
func defaultFiles() []string {
	if file := os.Getenv("GOOGLE_APPLICATION_CREDENTIALS"); file != "" {
		return []string{file}
	}
	const name = "application_default_credentials.json"
	if runtime.GOOS == "windows" {
		return []string{filepath.Join(os.Getenv("APPDATA"), "gcloud", name)}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	return []string{filepath.Join(home, ".config", "gcloud", name)}
}

func memberOfFile(file string) string {
	text, err := os.ReadFile(file) //nolint:gosec // the user's own choice of credentials
	if err != nil {
		return ""
	}
	return memberOfCredentials(text)
}

// memberOfCredentials reads the member from a credentials file.
//
// https://cloud.google.com/docs/authentication/application-default-credentials
func memberOfCredentials(text []byte) string {
	var file struct {
		Type             string `json:"type"`
		ClientEmail      string `json:"client_email"`
		Account          string `json:"account"` // in what gcloud wrote for a user
		ImpersonationURL string `json:"service_account_impersonation_url"`
	}
	if json.Unmarshal(text, &file) != nil {
		return ""
	}
	if url := file.ImpersonationURL; url != "" {
		email, ok := strings.CutSuffix(names.Last(url), ":generateAccessToken")
		if !ok || !strings.Contains(email, "@") {
			return ""
		}
		return "serviceAccount:" + email
	}
	switch {
	case file.Type == "service_account" && file.ClientEmail != "":
		return "serviceAccount:" + file.ClientEmail
	case file.Type == "authorized_user" && file.Account != "":
		return "user:" + file.Account
	}
	return ""
}

// memberOfMachine asks the metadata server of the machine, if it is one of
// Google's, which account it runs as.
//
// https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
func memberOfMachine(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	host := os.Getenv("GCE_METADATA_HOST")
	if host == "" {
		host = "169.254.169.254"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, //nolint:gosec // where Google's clients look, too
		"http://"+host+"/computeMetadata/v1/instance/service-accounts/default/email", http.NoBody)
	if err != nil {
		return ""
	}
	req.Header.Set("Metadata-Flavor", "Google")
	// No proxy: the address is of the machine itself.
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req) //nolint:gosec // as above
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	email := strings.TrimSpace(string(body))
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Metadata-Flavor") != "Google" || !strings.Contains(email, "@") {
		return ""
	}
	return "serviceAccount:" + email
}
