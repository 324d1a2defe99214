// Command emulator serves a fake Google Cloud on a port of this machine, for
// gcloud and for programs in any language:
//
//	go run ./examples/emulator -listen 127.0.0.1:8089
//
// It prints how gcloud, Go, Python and Terraform are pointed at it, and logs a
// line for each call. The bearer token names the caller: a member
// ("user:dev@example.com") or an email. A call without a token is refused, as
// the real servers do, unless -anonymous says whose it is. Ctrl-C ends it.
//
// # What is there
//
// Without -state it is a demo, the file demo.json: an organization,
// 100000000001, with a folder and in it two projects. In demo-proj (number
// 123456789012) the job nightly and the service storefront run in us-central1;
// Recommender has something to say about both, and about the default service
// account's role. The project data-prod has an account that nothing in
// demo-proj may use yet. user:owner@example.com owns both projects and
// administers the organization; user:dev@example.com may deploy to demo-proj,
// as the account runner@demo-proj.iam.gserviceaccount.com alone.
//
// With -state it is what the file says, which is of the form that
// [fake.Backend.Dump] documents: a copy of demo.json is a good start. With
// -save the file is written when the emulator ends, and need not be there when
// it begins. It holds the values of environment variables as they are: secrets
// in them are yours to keep.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/runidentity/runidentity/fake"
)

//go:embed demo.json
var demo []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			_, _ = fmt.Fprintln(os.Stderr, "emulator:", err)
		}
		os.Exit(1)
	}
}

// run serves until the context ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("emulator", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:8089", "`address` to listen on, of the loopback interface; port 0 is any that is free")
	state := flags.String("state", "", "`file` with the state to begin with, instead of the demo")
	save := flags.Bool("save", false, "write the state to the -state file at the end")
	anonymous := flags.String("anonymous", "", "`member` who makes the calls that have no token, such as user:dev@example.com")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("there are no arguments but flags, and %q is none", flags.Arg(0))
	case *save && *state == "":
		return errors.New("-save needs -state, the file to write")
	}
	if err := checkMember(*anonymous); err != nil {
		return err
	}
	address, err := loopback(*listen)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	backend := fake.NewBackend()
	backend.ObserveCalls(func(c fake.Call) { logCall(log, c) })
	defer backend.Close()
	isDemo, err := load(backend, *state, *save)
	if err != nil {
		return err
	}
	project, member := demoProject, owner
	if !isDemo {
		project, member = "my-project", "user:me@example.com"
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	if _, err := io.WriteString(stdout, welcome(listener.Addr().String(), *anonymous, project, member)); err != nil {
		_ = listener.Close()
		return err
	}
	if err := serve(ctx, listener, handler(backend, *anonymous), log); err != nil {
		return err
	}
	if *save {
		return write(backend, *state)
	}
	return nil
}

// loopback refuses addresses that others could reach: a backend that takes
// every token is none to show around.
func loopback(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("-listen %q is not of the form 127.0.0.1:8089", address)
	}
	if host == "localhost" { // whatever it resolves to
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("-listen %q is not on this machine's loopback interface; an example is 127.0.0.1:8089", address)
	}
	return net.JoinHostPort(host, port), nil
}

func checkMember(member string) error {
	kind, rest, _ := strings.Cut(member, ":")
	switch {
	case member == "", kind == "principal" && strings.HasPrefix(rest, "//iam.googleapis.com/"):
		return nil
	case (kind == "user" || kind == "serviceAccount") && strings.Contains(rest, "@") && !strings.ContainsAny(rest, ": /\r\n"):
		return nil
	}
	return fmt.Errorf("-anonymous %q is no member such as user:dev@example.com or serviceAccount:bot@my-project.iam.gserviceaccount.com", member)
}

// load fills the backend with what the file says, or with the demo.
func load(backend *fake.Backend, file string, mayLack bool) (isDemo bool, err error) {
	name, state := "the demo", demo
	isDemo = true
	if file != "" {
		read, err := os.ReadFile(file) //nolint:gosec // the file that the user names
		switch {
		case errors.Is(err, fs.ErrNotExist) && mayLack:
		case err != nil:
			return false, err
		default:
			name, state, isDemo = file, read, false
		}
	}
	if err := backend.Load(bytes.NewReader(state)); err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	return isDemo, nil
}

// write replaces the file as a whole, readable by its owner alone.
func write(backend *fake.Backend, file string) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(file), ".state-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary.Name()))
		}
	}()
	if err := errors.Join(backend.Dump(temporary), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}

// serve answers until the context ends, and lets calls that are under way then
// come to their end.
func serve(ctx context.Context, listener net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	err := server.Shutdown(grace)
	if err != nil { // of calls that take longer
		err = server.Close()
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// logCall writes a line for a call: neither its token nor its body.
func logCall(log *slog.Logger, c fake.Call) {
	method := c.Method
	if method == "" {
		method = c.Verb + " " + c.Path
	}
	log.Info(method, "caller", c.Caller, "status", c.Status, "duration", c.Duration.Round(time.Microsecond))
}
