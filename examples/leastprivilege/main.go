// Command leastprivilege shows what Google recommends about the account that a
// Cloud Run workload runs as, plans it, and applies one of the plans if asked.
//
//	go run ./examples/leastprivilege
//	go run ./examples/leastprivilege -apply default-account-editor -remove roles/editor
//	go run ./examples/leastprivilege -apply storefront-own-identity
//
// As it is, it works on a Google Cloud in memory. With -live it works on the real
// one, with Application Default Credentials.
//
// Nothing is taken away that -remove doesn't name. Before anything changes, -save
// keeps the plan in a file, from which -resume goes on after a crash: a plan that
// is made again, once half of it is done, would be another one. With -live, -apply
// needs -save.
//
// With -json it prints an object: plans, a list of [recommend.Plan]; result, the
// [recommend.Result] of a plan that was begun or tried with -dry-run; dryRun, true
// with -dry-run; and unread, a list of what can't be read.
//
// It exits with 0 when it showed, or applied, what it was asked to; with 1 when
// that was refused or failed; with 2 when it was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/examples/internal/demo"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	b := demo.NewBackend()
	code := run(ctx, b.ClientOptions(demo.Administrator), os.Args[1:], os.Stdout, os.Stderr)
	b.Close()
	stop()
	os.Exit(code)
}

// run is the program but for its process and for the cloud that it works on
// without -live.
func run(ctx context.Context, inMemory []option.ClientOption, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, help)
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "leastprivilege: %v (-h shows how to use it)\n", err)
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	a := answer{DryRun: o.dryRun}
	p, err := newProgram(ctx, o, inMemory)
	if err == nil {
		err = p.do(ctx, &a)
	}
	if printErr := a.print(stdout, o); err == nil {
		err = printErr
	}
	if err != nil {
		fmt.Fprintln(stderr, "leastprivilege:", err)
		return exitFailed
	}
	return exitDone
}
