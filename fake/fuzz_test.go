package fake_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
)

// Whatever is sent: no panic, and a client error has the form of Google's.
func FuzzRequests(f *testing.F) {
	run1 := "https://run.googleapis.com"
	for _, seed := range [][4]string{
		{"GET", run1, "/v2/" + jobName, ""},
		{"POST", run1, "/v2/" + location + "/jobs?jobId=new", `{"template":{"template":{"containers":[{"image":"i"}]}}}`},
		{"PATCH", run1, "/v2/" + location + "/services/s?updateMask=template.service_account&allowMissing=true", `{"template":{"containers":[{"image":"i"}]}}`},
		{"POST", run1, "/v2/" + jobName + ":run", `{"overrides":{"containerOverrides":[{"args":["a"]}]}}`},
		{"GET", run1, "/v2/" + location + "/jobs?pageSize=1&pageToken=bmlnaHRseQ&%24alt=json%3Benum-encoding%3Dint", ""},
		{"POST", run1, "/v2/" + location + "/operations/x:wait", `{"timeout":"0s"}`},
		{"POST", "https://iam.googleapis.com", "/v1/projects/web-prod/serviceAccounts", `{"accountId":"abcdef"}`},
		{"PATCH", "https://iam.googleapis.com", "/v1/projects/-/serviceAccounts/x%40web-prod.iam.gserviceaccount.com", `{"serviceAccount":{},"updateMask":"description"}`},
		{"POST", "https://iam.googleapis.com", "/v1/projects/-/serviceAccounts/x@web-prod.iam.gserviceaccount.com:setIamPolicy",
			`{"policy":{"version":3,"etag":"ACAB","bindings":[{"role":"roles/viewer","members":["user:a@b.c"],"condition":{"title":"t","expression":"request.time < timestamp('2030-01-01T00:00:00Z')"}}]}}`},
		{"POST", "https://iam.googleapis.com", "/v1/projects/web-prod/serviceAccounts/x:testIamPermissions", `{"permissions":["iam.serviceAccounts.actAs"]}`},
		{"POST", "https://cloudresourcemanager.googleapis.com", "/v1/projects/web-prod:getIamPolicy", `{"options":{"requestedPolicyVersion":3}}`},
		{"GET", "https://cloudresourcemanager.googleapis.com", "/v3/projects:search?query=projectId%3Aweb-prod", ""},
		{"PATCH", "https://orgpolicy.googleapis.com", "/v2/projects/web-prod/policies/iam.disableCrossProjectServiceAccountUsage?updateMask=policy.spec", `{"spec":{"rules":[{"enforce":false}]}}`},
		{"POST", "https://serviceusage.googleapis.com", "/v1/projects/web-prod/services/run.googleapis.com:enable", `{}`},
		{"POST", "https://policytroubleshooter.googleapis.com", "/v3/iam:troubleshoot",
			`{"accessTuple":{"principal":"dev@example.com","fullResourceName":"//cloudresourcemanager.googleapis.com/projects/web-prod","permission":"run.jobs.get"}}`},
		{"GET", "https://recommender.googleapis.com", "/v1/projects/web-prod/locations/global/recommenders/google.iam.policy.Recommender/recommendations?filter=stateInfo.state%3DACTIVE", ""},
		{"POST", "https://iam.googleapis.com", "/v2/policies/cloudresourcemanager.googleapis.com%2Fprojects%2F123456789012/denypolicies?policyId=p", `{"rules":[]}`},
		{"POST", "https://iam.googleapis.com", "/v1/projects/web-prod/roles", `{"roleId":"r","role":{"includedPermissions":["run.jobs.get"]}}`},
		{"GET", "https://us-central1-run.googleapis.com", "/v2/projects/%2e%2e/locations/..%2f", ""},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, verb, base, path, body string) {
		b := newBackend()
		defer b.Close()
		b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: jobTemplate("image")})
		u, err := url.Parse(base + path)
		if err != nil || u.Host == "" {
			return
		}
		req, err := http.NewRequestWithContext(t.Context(), verb, u.String(), strings.NewReader(body))
		if err != nil {
			return
		}
		for _, caller := range []string{fake.Admin, "user:dev@example.com"} {
			again := req.Clone(t.Context())
			again.Body = io.NopCloser(strings.NewReader(body))
			again.Header.Set("Authorization", "Bearer "+caller)
			w := httptest.NewRecorder()
			b.ServeHTTP(w, again)
			checkAnswer(t, w.Code, w.Body.Bytes())
		}
	})
}

// checkAnswer holds an answer against the form that all of Google's have.
func checkAnswer(t *testing.T, status int, body []byte) {
	t.Helper()
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("status %d, body is no JSON object: %q", status, body)
	}
	if status == http.StatusOK {
		return
	}
	var e struct {
		Code            int
		Message, Status string
	}
	if err := json.Unmarshal(answer["error"], &e); err != nil || e.Code != status || e.Message == "" || e.Status == "" {
		t.Fatalf("status %d, body is no error of Google's form: %q", status, body)
	}
	if status >= http.StatusInternalServerError && status != http.StatusNotImplemented {
		t.Fatalf("status %d: %q", status, body)
	}
}
