package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// emulator is one that runs in this process, at its address.
type emulator struct {
	address string
	log     *buffer
	stop    func()
}

// buffer is what several goroutines write.
type buffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

var addressPattern = regexp.MustCompile(`http://(127\.0\.0\.1:\d+)`)

// startEmulator runs the program until the test ends.
func startEmulator(t testing.TB, args ...string) *emulator {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, stderr := &buffer{}, &buffer{}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, append([]string{"-listen", "127.0.0.1:0"}, args...), stdout, stderr) }()
	e := &emulator{log: stderr}
	e.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	t.Cleanup(e.stop)
	for range 500 {
		if m := addressPattern.FindStringSubmatch(stdout.String()); m != nil {
			e.address = m[1]
			return e
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.Fail(t, "the emulator printed no address", "%s%s", stdout, stderr)
	return nil
}

// commands is how many commands of gcloud the tests have run.
var commands atomic.Int64

func TestMain(m *testing.M) {
	code := m.Run()
	if n := commands.Load(); n > 0 {
		println("commands of gcloud:", n)
	}
	os.Exit(code)
}

// gcloud runs commands against an emulator.
type gcloud struct {
	t       testing.TB
	address string
	env     []string
	dir     string
}

// newGcloud skips the test where there is no gcloud.
func newGcloud(t testing.TB, e *emulator, member string) *gcloud {
	t.Helper()
	if testing.Short() {
		t.Skip("not run with -short: each command of gcloud takes more than half a second")
	}
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("gcloud is not installed")
	}
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte(member), 0o600))
	g := &gcloud{t: t, address: e.address, dir: dir}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CLOUDSDK_") {
			g.env = append(g.env, v)
		}
	}
	for _, v := range gcloudEnvironment(e.address, demoProject, filepath.Join(dir, "config"), token) {
		g.env = append(g.env, v.name+"="+v.value)
	}
	return g
}

// run returns what a command printed and its exit status.
func (g *gcloud) run(args ...string) (stdout, stderr string, status int) {
	g.t.Helper()
	commands.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "gcloud", args...)
	cmd.Env, cmd.Dir = g.env, g.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(g.t, err)
	}
	assert.NotContains(g.t, errs.String(), "gcloud crashed", "gcloud %s", strings.Join(args, " "))
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// ok runs commands, written as in a shell without quotes, that have to
// succeed, and returns what the last one printed.
func (g *gcloud) ok(lines ...string) (stdout string) {
	g.t.Helper()
	for _, line := range lines {
		out, errs, status := g.run(strings.Fields(line)...)
		require.Zero(g.t, status, "gcloud %s: %s", line, errs)
		stdout = out
	}
	return stdout
}

// refused runs a command that has to fail, and returns what it said.
func (g *gcloud) refused(line string) (stderr string) {
	g.t.Helper()
	out, errs, status := g.run(strings.Fields(line)...)
	assert.NotZero(g.t, status, "gcloud %s: %s", line, out)
	return errs
}

// file writes a file beside the command.
func (g *gcloud) file(name, content string) {
	g.t.Helper()
	require.NoError(g.t, os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o600))
}
