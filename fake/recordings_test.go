package fake_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
)

// Exchanges with the real Google Cloud, recorded by the Config Connector
// project (GoogleCloudPlatform/k8s-config-connector), are repeated with the
// fake, request by request. The expectations are written from the recordings;
// the clock is virtual and stands where it stood then, so that most times and
// etags are those of the recordings to the letter.

// A difference is one between a recording and the fake. It holds for the
// fields whose path ends in its path, or for the whole body where that is "".
type difference struct {
	log            string // of the recording
	exchange       string // its name, or "" for all
	path           string
	recorded, fake string // JSON, or "" where the field is absent
	why            string
}

// differences are all that there are, but for what the recorder replaced (it
// is not in the expectations either): ${…}, the time 2024-04-01T12:34:56.123456Z,
// the etag abcdef0123A=, ids of one digit, and the project's name within the
// etags of the recorded service.
var differences = []difference{
	{
		log: "run-service-life", path: "uri",
		recorded: `"https://runservice-1w5ax8rh1otic-7id3oidh4q-uc.a.run.app"`,
		fake:     `"https://runservice-1w5ax8rh1otic-123456789.us-central1.run.app"`,
		why:      "the fake gives the newer, deterministic URL: the older one has a hash of the project that nobody outside can compute",
	},
	{
		log: "run-job-life", path: "metadata.uid", fake: `"<uuid:job>"`,
		why: "the recorder drops it: recordings without a normalizer have it",
	},
	{
		log: "runjob-gcsvolume", path: "metadata.uid", fake: `"<uuid:job>"`,
		why: "the recorder drops it: recordings without a normalizer have it",
	},
	{
		log: "run-job-life", path: "creator", recorded: `"${creatorID}"`, fake: `"deployer@example.com"`,
		why: "the recorder replaces it in reads, though not in operations",
	},
	{
		log: "runjob-gcsvolume", path: "creator", recorded: `"${creatorID}"`, fake: `"deployer@example.com"`,
		why: "the recorder replaces it in reads, though not in operations",
	},
	{
		log: "runjob-gcsvolume", exchange: "read when created", path: "generation", recorded: `"12345678901234"`, fake: `"1"`,
		why: "the recorder replaces it in reads, though not in operations",
	},
	{
		log: "runjob-gcsvolume", exchange: "read when patched", path: "generation", recorded: `"12345678901234"`, fake: `"2"`,
		why: "the recorder replaces it in reads, though not in operations",
	},
	{
		log: "run-service-life", exchange: "read before creation", recorded: `"fake error message"`,
		fake: `{"error":{"code":404,"message":"Resource 'runservice-1w5ax8rh1otic' of kind 'SERVICE' in region 'us-central1' in project 'example-project' does not exist.","status":"NOT_FOUND"}}`,
		why:  "the recorder's text; the fake's is the recorded one of jobs, with the service's kind",
	},
	{
		log: "service-accounts-and-project-policy", exchange: "read before creation", recorded: `"fake error message"`,
		fake: `{"error":{"code":404,"message":"Unknown service account","errors":[{"message":"Unknown service account","domain":"global","reason":"notFound"}],"status":"NOT_FOUND"}}`,
		why:  "the recorder's text; the fake's is the one of service-account-flapping",
	},
}

const (
	recordedProject = "example-project"
	recordedNumber  = 123456789
	recordedCompute = "123456789-compute@developer.gserviceaccount.com"
)

// A recording is a series of exchanges of one caller.
type recording struct {
	log       string
	caller    string
	exchanges []exchange
}

// An exchange is one request and the answer that was recorded. In the URL and
// in the answer, "<kind:name>" stands for a value of that kind which is the
// same wherever it has that name and differs from those of other names;
// "<kind>" stands for any such value.
type exchange struct {
	name string
	// at is when the request was made, and until when the operation ended that
	// it started: the recording's times, or whole seconds where it has none.
	at, until string
	// fault, where set, is answered in place of what the fake would.
	fault  string
	method string // of HTTP
	url    string
	header http.Header
	body   string
	status int
	want   string
}

// play repeats a recording.
func play(t *testing.T, rec recording) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := fake.Start(t)
		b.AddProject(&cloudresourcemanager.Project{ProjectId: recordedProject, Name: fmt.Sprintf("projects/%d", recordedNumber)})
		if email, ok := strings.CutPrefix(rec.caller, "serviceAccount:"); ok {
			b.AddServiceAccount(&iam.ServiceAccount{Email: email})
		}
		b.Grant("projects/"+recordedProject, "roles/owner", rec.caller)
		m := &matcher{bound: map[string]string{}}
		used := map[int]bool{}
		ended := ""
		for _, x := range rec.exchanges {
			waitUntil(t, ended)
			waitUntil(t, x.at)
			ended = x.until
			if x.until != "" {
				b.SetOperationTime(time.Until(parseTime(t, x.until)))
			}
			got := x.send(t, b, rec.caller, m)
			want := decodeJSON(t, x.want)
			for i, d := range differences {
				if d.log != rec.log || d.exchange != "" && d.exchange != x.name {
					continue
				}
				var applied bool
				want, applied = d.apply(t, want, "")
				used[i] = used[i] || applied
			}
			m.errs = nil
			m.match("", want, got)
			checkEtags(m, "", got)
			assert.Empty(t, m.errs, "%s: %s", rec.log, x.name)
		}
		for i, d := range differences {
			if d.log == rec.log {
				assert.True(t, used[i], "there is no such difference any more: %+v", d)
			}
		}
	})
}

// waitUntil lets the virtual clock reach a time.
func waitUntil(t *testing.T, at string) {
	t.Helper()
	if at == "" {
		return
	}
	when := parseTime(t, at)
	require.False(t, time.Now().After(when), "%s is over", at)
	time.Sleep(time.Until(when))
}

func parseTime(t *testing.T, s string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339Nano, s)
	require.NoError(t, err)
	return when
}

// decodeJSON keeps the literals of numbers.
func decodeJSON(t *testing.T, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v), text)
	_, err := dec.Token()
	require.ErrorIs(t, err, io.EOF, text)
	return v
}

// send makes the request as it was recorded and returns the answer's JSON.
func (x exchange) send(t *testing.T, b *fake.Backend, caller string, m *matcher) any {
	t.Helper()
	target := placeholder.ReplaceAllStringFunc(x.url, func(s string) string {
		value := m.bound[strings.Trim(s, "<>")]
		require.NotEmpty(t, value, s)
		return value
	})
	if x.fault != "" {
		b.Inject("iam.projects.serviceAccounts.get", fake.Fault{Times: 1, Status: x.status, Body: x.fault})
	}
	req, err := http.NewRequestWithContext(t.Context(), x.method, target, strings.NewReader(x.body))
	require.NoError(t, err)
	if x.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(req.Header, x.header)
	res, err := b.HTTPClient(caller).Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())

	require.Equal(t, x.status, res.StatusCode, "%s: %s", x.name, body)
	assert.Equal(t, strconv.Itoa(len(body)), res.Header.Get("Content-Length"), x.name)
	res.Header.Del("Content-Length")
	assert.Equal(t, http.Header{
		"Content-Type":           {"application/json; charset=UTF-8"},
		"Server":                 {"ESF"},
		"Vary":                   {"Origin", "X-Origin", "Referer"},
		"X-Content-Type-Options": {"nosniff"},
		"X-Frame-Options":        {"SAMEORIGIN"},
		"X-Xss-Protection":       {"0"},
	}, res.Header, x.name)
	if x.status == http.StatusOK && len(body) > len("{}\n") {
		u, err := url.Parse(target)
		require.NoError(t, err)
		indented := bytes.HasPrefix(body, []byte("{\n  \""))
		assert.Equal(t, u.Query().Get("prettyPrint") != "false", indented, "%s: %s", x.name, body)
	}
	return decodeJSON(t, string(body))
}

// apply puts what the fake answers in place of what was recorded, wherever the
// difference is about.
func (d difference) apply(t *testing.T, v any, path string) (out any, applied bool) {
	t.Helper()
	if d.path == "" {
		require.Equal(t, decodeJSON(t, d.recorded), v, d.why)
		return decodeJSON(t, d.fake), true
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			next, ok := d.apply(t, item, path)
			v[i], applied = next, applied || ok
		}
	case map[string]any:
		parent, last := "", d.path
		if i := strings.LastIndexByte(d.path, '.'); i >= 0 {
			parent, last = d.path[:i], d.path[i+1:]
		}
		for name, item := range v {
			next, ok := d.apply(t, item, path+"."+name)
			v[name], applied = next, applied || ok
		}
		if !strings.HasSuffix(path, "."+parent) && parent != "" {
			break
		}
		value, there := v[last]
		switch {
		case d.recorded == "" && parent != "":
			require.False(t, there, "%s: recorded after all", d.path)
		case !there || !reflect.DeepEqual(value, decodeJSON(t, d.recorded)):
			return v, applied
		}
		v[last] = decodeJSON(t, d.fake)
		return v, true
	}
	return v, applied
}

// merged applies JSON objects on top of each other, as a JSON merge patch
// (RFC 7396) does: null removes a field.
func merged(parts ...string) string {
	var out any = map[string]any{}
	for _, part := range parts {
		dec := json.NewDecoder(strings.NewReader(part))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			panic(fmt.Sprintf("%v in %s", err, part))
		}
		out = mergeInto(out, v)
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func mergeInto(to, from any) any {
	patch, ok := from.(map[string]any)
	if !ok {
		return from
	}
	out, ok := to.(map[string]any)
	if !ok {
		out = map[string]any{}
	}
	for name, value := range patch {
		if value == nil {
			delete(out, name)
		} else {
			out[name] = mergeInto(out[name], value)
		}
	}
	return out
}

// started and ended are operations on a resource: the first as it is answered
// to the request that starts it, the other as it is read when it is done. What
// only the response has comes last.
func startedOperation(name, kind, resource string) string {
	return merged(
		`{"name": "projects/example-project/locations/us-central1/operations/<uuid:`+name+`>"}`,
		`{"metadata": `+merged(`{"@type": "type.googleapis.com/google.cloud.run.v2.`+kind+`"}`, resource)+`}`,
	)
}

func endedOperation(name, kind, resource, response string) string {
	return merged(startedOperation(name, kind, resource), `{"done": true}`,
		`{"response": `+merged(`{"@type": "type.googleapis.com/google.cloud.run.v2.`+kind+`"}`, resource, response)+`}`)
}

const recordedRun = "https://run.googleapis.com/v2/projects/example-project/locations/us-central1/"
