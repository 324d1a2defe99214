package fake_test

import (
	"net/http"
	"testing"
)

const (
	recordedAccounts    = "https://iam.googleapis.com/v1/projects/example-project/serviceAccounts"
	recordedAccountURL  = recordedAccounts + "/gsa-2ubz1ejdpwb22@example-project.iam.gserviceaccount.com?alt=json&prettyPrint=false"
	recordedAccountName = "projects/example-project/serviceAccounts/gsa-2ubz1ejdpwb22@example-project.iam.gserviceaccount.com"

	recordedAccountCreate = `{"accountId":"gsa-2ubz1ejdpwb22","serviceAccount":{"displayName":"ExampleGSA"}}`
	recordedAccount       = `{"name": "` + recordedAccountName + `", "projectId": "example-project", "uniqueId": "<digits:id>",
		"email": "gsa-2ubz1ejdpwb22@example-project.iam.gserviceaccount.com", "displayName": "ExampleGSA",
		"etag": "MDEwMjE5MjA=", "oauth2ClientId": "<digits:id>"}`
)

// The reads and writes of project policies in this recording are not repeated:
// the fake has no policies yet.
func TestRecordedServiceAccount(t *testing.T) {
	t.Parallel()
	read := exchange{name: "read", method: http.MethodGet, url: recordedAccountURL, status: 200, want: recordedAccount}
	play(t, recording{
		log: "service-accounts-and-project-policy", caller: "serviceAccount:" + recordedServiceBot,
		exchanges: []exchange{
			{name: "read before creation", method: http.MethodGet, url: recordedAccountURL, status: 404, want: `"fake error message"`},
			{
				name: "create", method: http.MethodPost, url: recordedAccounts + "?alt=json&prettyPrint=false",
				body: recordedAccountCreate, status: 200, want: recordedAccount,
			},
			read, read, read, read, read,
			{name: "delete", method: http.MethodDelete, url: recordedAccountURL, status: 200, want: `{}`},
		},
	})
}

// Reads flap after the creation of an account: twice, the recorded answer is
// injected. The patch sends the constant etag, in whose place the recording
// has one of the recorder's.
func TestRecordedFlappingServiceAccount(t *testing.T) {
	t.Parallel()
	const (
		unknown = `{"error": {"code": 404, "message": "Unknown service account", "status": "NOT_FOUND",
			"errors": [{"domain": "global", "message": "Unknown service account", "reason": "notFound"}]}}`
		missing = `{"error": {"code": 404, "message": "Service account ` + recordedAccountName + ` does not exist.", "status": "NOT_FOUND",
			"errors": [{"domain": "global", "message": "Service account ` + recordedAccountName + ` does not exist.", "reason": "notFound"}]}}`
		renamed = `{"displayName": "ExampleGSA2"}`
	)
	read := exchange{name: "read", method: http.MethodGet, url: recordedAccountURL, status: 200, want: recordedAccount}
	flap := exchange{name: "flap", method: http.MethodGet, url: recordedAccountURL, status: 404, fault: missing, want: missing}
	play(t, recording{log: "service-account-flapping", caller: "user:deployer@example.com", exchanges: []exchange{
		{name: "read before creation", method: http.MethodGet, url: recordedAccountURL, status: 404, want: unknown},
		{
			name: "create", method: http.MethodPost, url: recordedAccounts + "?alt=json&prettyPrint=false",
			body: recordedAccountCreate, status: 200, want: recordedAccount,
		},
		read, flap, read, flap, read,
		{
			name: "patch", method: http.MethodPatch, url: recordedAccountURL, status: 200,
			body: `{"serviceAccount": {"displayName": "ExampleGSA2", "etag": "MDEwMjE5MjA="}, "updateMask": "display_name"}`,
			want: merged(`{"name": "`+recordedAccountName+`"}`, renamed),
		},
		{
			name: "read when patched", method: http.MethodGet, url: recordedAccountURL, status: 200,
			want: merged(recordedAccount, renamed),
		},
		{name: "delete", method: http.MethodDelete, url: recordedAccountURL, status: 200, want: `{}`},
	}})
}
