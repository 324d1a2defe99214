package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	runv2 "google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

const nightly = "projects/demo-proj/locations/us-central1/jobs/nightly"

// The demo is a file as Dump writes it: what is loaded and dumped is the same,
// byte for byte.
func TestDemoSurvives(t *testing.T) {
	t.Parallel()
	b := fake.NewBackend()
	defer b.Close()
	require.NoError(t, b.Load(bytes.NewReader(demo)))
	var out bytes.Buffer
	require.NoError(t, b.Dump(&out))
	assert.Equal(t, string(demo), out.String())
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	b := fake.NewBackend()
	defer b.Close()
	require.NoError(t, b.Load(bytes.NewReader(demo)))
	for _, tc := range []struct{ member, permission, resource, answer string }{
		{owner, "resourcemanager.projects.setIamPolicy", "projects/demo-proj", "granted"},
		{owner, "resourcemanager.projects.setIamPolicy", "projects/data-prod", "granted"},
		{owner, "orgpolicy.policies.update", "projects/data-prod", "granted"},
		{owner, "iam.denypolicies.create", "organizations/100000000001", "granted"},
		{owner, "iam.roles.create", "organizations/100000000001", "granted"},
		{"user:dev@example.com", "run.jobs.update", "projects/demo-proj", "granted"},
		{"user:dev@example.com", "iam.serviceAccounts.actAs", "projects/-/serviceAccounts/" + runner, "granted"},
		{"user:dev@example.com", "iam.serviceAccounts.actAs", "projects/-/serviceAccounts/" + bot, "denied"},
		{"user:dev@example.com", "run.jobs.get", "projects/data-prod", "denied"},
	} {
		assert.Contains(t, b.Explain(tc.member, tc.permission, tc.resource), tc.answer, tc)
	}
}

func TestRefusedFlags(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte("{\"version\": 1,\n \"projects\": [{}]}"), 0o600))
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"every interface": {[]string{"-listen", "0.0.0.0:0"}, `-listen "0.0.0.0:0" is not on this machine's loopback interface; an example is 127.0.0.1:8089`},
		"no host":         {[]string{"-listen", ":8089"}, "loopback"},
		"another's name":  {[]string{"-listen", "example.com:1"}, "loopback"},
		"no port":         {[]string{"-listen", "127.0.0.1"}, "is not of the form 127.0.0.1:8089"},
		"an argument":     {[]string{"-listen", "127.0.0.1:0", "x"}, `"x" is none`},
		"save to nowhere": {[]string{"-save"}, "-save needs -state"},
		"no such state":   {[]string{"-state", filepath.Join(t.TempDir(), "none")}, "no such file"},
		"a broken state":  {[]string{"-state", broken}, `broken.json: line 2: projects[0]: AddProject: ProjectId is empty`},
		"no member":       {[]string{"-anonymous", "dev"}, `-anonymous "dev" is no member such as user:dev@example.com`},
		"no such flag":    {[]string{"-x"}, "flag provided but not defined"},
		"a taken port":    {[]string{"-listen", taken(t)}, "address already in use"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), tc.args, io.Discard, io.Discard)
			require.Error(t, err)
			assert.Contains(t, err.Error(), tc.says)
		})
	}
}

func taken(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// exchange sends bytes and returns the answer's status and body.
func exchange(t *testing.T, address, request string) (int, string) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(body)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	e, anonymous := startEmulator(t), startEmulator(t, "-anonymous", "user:dev@example.com")
	const token = "Authorization: Bearer user:dev@example.com\r\n"
	for _, tc := range []struct {
		name, address, request string
		status                 int
		says                   string
	}{
		{"proxy", e.address, "GET http://run.googleapis.com/v2/" + nightly + " HTTP/1.1\r\nHost: run.googleapis.com\r\n" + token + "\r\n", 200, runner},
		{"host", e.address, "GET /v2/" + nightly + " HTTP/1.1\r\nHost: run.googleapis.com\r\n" + token + "\r\n", 200, runner},
		{"path", e.address, "GET /run.googleapis.com/v2/" + nightly + " HTTP/1.1\r\nHost: " + e.address + "\r\n" + token + "\r\n", 200, runner},
		{"path with a region", e.address, "GET /us-central1-run.googleapis.com/apis/run.googleapis.com/v1/namespaces/demo-proj/jobs/nightly HTTP/1.1\r\nHost: localhost\r\n" + token + "\r\n", 200, runner},
		{"which API", e.address, "GET /v2/" + nightly + " HTTP/1.1\r\nHost: " + e.address + "\r\n" + token + "\r\n", 404, "does not say which one it is for"},
		{"no token", e.address, "GET /v2/" + nightly + " HTTP/1.1\r\nHost: run.googleapis.com\r\n\r\n", 401, "missing required authentication credential"},
		{"no token, allowed", anonymous.address, "GET /v2/" + nightly + " HTTP/1.1\r\nHost: run.googleapis.com\r\n\r\n", 200, runner},
		{"another's token", anonymous.address, "GET /v2/" + nightly + " HTTP/1.1\r\nHost: run.googleapis.com\r\nAuthorization: Bearer user:x@example.com\r\n\r\n", 403, "run.jobs.get"},
		{"tunnel", e.address, "CONNECT us-central1-run.googleapis.com:443 HTTP/1.1\r\nHost: us-central1-run.googleapis.com:443\r\n\r\n", 405, "set CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN=http://run.googleapis.com/"},
		{"tunnel elsewhere", e.address, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 405, "no API at that host"},
		{"proxy to elsewhere", e.address, "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n" + token + "\r\n", 501, `no API at host`},
		{"no HTTP", e.address, "hello\r\n\r\n", 400, "400 Bad Request"},
		{"no host", e.address, "GET http:///x HTTP/1.1\r\n\r\n", 400, ""},
		{"odd escapes", e.address, "GET http://run.googleapis.com/%zz HTTP/1.1\r\nHost: run.googleapis.com\r\n\r\n", 400, ""},
		{"half a body", e.address, "POST http://run.googleapis.com/v2/" + nightly + ":run HTTP/1.1\r\nHost: run.googleapis.com\r\nContent-Length: 1\r\n" + token + "\r\n{", 400, "Invalid JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			status, body := exchange(t, tc.address, tc.request)
			assert.Equal(t, tc.status, status, body)
			assert.Contains(t, body, tc.says)
		})
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	e := startEmulator(t)
	exchange(t, e.address, "GET http://run.googleapis.com/v2/"+nightly+" HTTP/1.1\r\nHost: run.googleapis.com\r\nAuthorization: Bearer user:dev@example.com\r\n\r\n")
	exchange(t, e.address, "GET http://run.googleapis.com/v2/secret HTTP/1.1\r\nHost: run.googleapis.com\r\nAuthorization: Bearer very-secret\r\n\r\n")
	e.stop()
	lines := strings.Split(strings.TrimSpace(e.log.String()), "\n")
	require.Len(t, lines, 2)
	assert.Regexp(t, `msg=run\.projects\.locations\.jobs\.get caller=user:dev@example\.com status=200 duration=\d`, lines[0])
	assert.Regexp(t, `msg="GET /v2/secret" caller="" status=404`, lines[1])
	assert.NotContains(t, e.log.String(), "very-secret")
}

// A client that leaves in the middle of its request, or before the answer,
// leaves nothing behind.
//
//nolint:paralleltest // it counts goroutines
func TestHangUps(t *testing.T) {
	e := startEmulator(t)
	before := runtime.NumGoroutine()
	for _, request := range []string{
		"POST http://run.googleapis.com/v2/x HTTP/1.1\r\nHost: run.googleapis.com\r\nContent-Length: 100\r\n\r\n{",
		"GET http://run.goog", "", "GET http://run.googleapis.com/v2/" + nightly + " HTTP/1.1\r\nHost: run.googleapis.com\r\n\r\n",
	} {
		for range 20 {
			var d net.Dialer
			conn, err := d.DialContext(t.Context(), "tcp", e.address)
			require.NoError(t, err)
			_, err = io.WriteString(conn, request)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		}
	}
	status, _ := exchange(t, e.address, "GET http://run.googleapis.com/v2/"+nightly+" HTTP/1.1\r\nHost: run.googleapis.com\r\nAuthorization: Bearer user:dev@example.com\r\n\r\n")
	assert.Equal(t, http.StatusOK, status)
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() < before+60 }, 10*time.Second, 10*time.Millisecond)
}

func TestSave(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.json")
	e := startEmulator(t, "-state", file, "-save")
	e.stop()
	saved, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(demo), string(saved))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())

	e = startEmulator(t, "-state", file, "-save")
	client, err := identity.NewClient(t.Context(), fake.Remote(e.address, owner)...)
	require.NoError(t, err)
	job, err := identity.ParseWorkload(nightly)
	require.NoError(t, err)
	account, err := identity.ParseServiceAccount(bot)
	require.NoError(t, err)
	_, err = client.Attach(t.Context(), job, account, nil)
	require.NoError(t, err)
	e.stop()
	saved, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(saved), `"serviceAccount": "`+bot+`"`)
}

// SIGINT ends the program under load: calls that were begun are answered, and
// the exit status is 0.
func TestInterruptedUnderLoad(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "emulator")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-listen", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	address := addressPattern.FindStringSubmatch(line)[1]

	svc, err := runv2.NewService(t.Context(), fake.Remote(address, owner)...)
	require.NoError(t, err)
	var answered atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := svc.Projects.Locations.Jobs.Get(nightly).Do(); err != nil {
					return
				}
				answered.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return answered.Load() > 100 }, 10*time.Second, time.Millisecond)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.NoError(t, cmd.Wait())
	wg.Wait()
}

// Each variable that is printed is one that a shell takes, and curl reaches
// each API through them.
func TestPrintedForShells(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"sh", "curl", "mktemp"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	e := startEmulator(t)
	text := welcome(e.address, "", demoProject, owner)
	exports := text[strings.Index(text, "export"):strings.Index(text, "gcloud run jobs list")]
	curl := text[strings.Index(text, "curl --proxy"):strings.Index(text, "# Go")]
	script := exports + curl + `
for api in RUN IAM CLOUDRESOURCEMANAGER RECOMMENDER ORGPOLICY SERVICEUSAGE POLICYTROUBLESHOOTER; do
  eval url=\$CLOUDSDK_API_ENDPOINT_OVERRIDES_$api
  curl --silent --show-error --output /dev/null --write-out '%{http_code} ' \
    --proxy "$CLOUDSDK_PROXY_TYPE://$CLOUDSDK_PROXY_ADDRESS:$CLOUDSDK_PROXY_PORT" \
    --header "Authorization: Bearer $(cat "$CLOUDSDK_AUTH_ACCESS_TOKEN_FILE")" "${url}v1/nothing"
done
rm -r "$CLOUDSDK_CONFIG"
`
	out, err := exec.CommandContext(t.Context(), "sh", "-euc", script).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), `"serviceAccount": "`+runner+`"`)
	// Policy Troubleshooter has no v1.
	assert.True(t, strings.HasSuffix(string(out), "404 404 404 404 501 404 501 "), "%s", out)
}
