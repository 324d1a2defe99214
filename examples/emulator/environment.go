package main

import (
	"fmt"
	"net"
	"strings"
)

// override is a variable with which gcloud reaches an API in clear text.
type override struct{ variable, host string }

func overrides() []override {
	var all []override
	for _, api := range []string{"RUN", "IAM", "CLOUDRESOURCEMANAGER", "RECOMMENDER", "ORGPOLICY", "SERVICEUSAGE", "POLICYTROUBLESHOOTER"} {
		all = append(all, override{"CLOUDSDK_API_ENDPOINT_OVERRIDES_" + api, strings.ToLower(api) + ".googleapis.com"})
	}
	return all
}

// variable is one of the environment.
type variable struct{ name, value string }

// gcloudEnvironment points gcloud at an address. Without a file with a token,
// gcloud sends none.
func gcloudEnvironment(address, project, config, token string) []variable {
	host, port, _ := net.SplitHostPort(address)
	all := []variable{
		{"CLOUDSDK_CONFIG", config},
		{"CLOUDSDK_CORE_PROJECT", project},
		{"CLOUDSDK_RUN_REGION", "us-central1"},
		{"CLOUDSDK_CORE_DISABLE_PROMPTS", "1"},
		{"CLOUDSDK_PROXY_TYPE", "http"},
		{"CLOUDSDK_PROXY_ADDRESS", host},
		{"CLOUDSDK_PROXY_PORT", port},
	}
	for _, o := range overrides() {
		all = append(all, variable{o.variable, "http://" + o.host + "/"})
	}
	if token == "" {
		return append(all, variable{"CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true"})
	}
	return append(all, variable{"CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", token})
}

// The demo's project, and who owns it.
const (
	demoProject = "demo-proj"
	owner       = "user:owner@example.com"
)

// welcome says where the emulator is and how it is used, for instance in a
// project by a member.
func welcome(address, anonymous, project, member string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "emulator: a fake Google Cloud at http://%s, stopped by Ctrl-C\n\n", address)
	token := `"$CLOUDSDK_CONFIG/token"`
	if anonymous != "" {
		token = ""
	}
	fmt.Fprintf(&out, "# gcloud, in any shell\n")
	for _, v := range gcloudEnvironment(address, project, `"$(mktemp -d)"`, token) {
		fmt.Fprintf(&out, "export %s=%s\n", v.name, v.value)
	}
	if token != "" {
		fmt.Fprintf(&out, "printf %%s %s >%s # the caller: any member\n", member, token)
	}
	fmt.Fprintf(&out, `gcloud run jobs list

# curl, with the token of the caller
curl --proxy http://%[1]s --header 'Authorization: Bearer %[2]s' \
  http://run.googleapis.com/v2/projects/%[3]s/locations/us-central1/jobs

# Go, with any client of google.golang.org/api or of this module
client, err := identity.NewClient(ctx, fake.Remote(%[1]q, %[2]q)...)

# Python, with google-api-python-client
credentials = google.oauth2.credentials.Credentials(%[2]q)
googleapiclient.discovery.build("run", "v2", credentials=credentials, static_discovery=True,
    client_options={"api_endpoint": "http://%[1]s/run.googleapis.com"})

# Terraform, in the provider's block
access_token                     = %[2]q
cloud_run_v2_custom_endpoint     = "http://%[1]s/run.googleapis.com/v2/"
iam_custom_endpoint              = "http://%[1]s/iam.googleapis.com/v1/"
resource_manager_custom_endpoint = "http://%[1]s/cloudresourcemanager.googleapis.com/v1/"

`, address, member, project)
	return out.String()
}
