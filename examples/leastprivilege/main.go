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
// Nothing is taken away that -remove doesn't name. With -json it prints an
// object: plans, a list of [recommend.Plan]; applied, a [recommend.Result], of
// -apply; and unread, a list of what can't be read.
//
// It exits with 0 when it showed, or applied, what it was asked to; with 1 when
// that was refused or failed; with 2 when it was called wrongly.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

const help = `usage: leastprivilege [-workload NAME] [-account EMAIL] [-grant ROLE,…]
                      [-apply ID [-remove ROLE,…] [-dry-run] [-take-over]
                      [-owner NAME]] [-live] [-json]

Shows what Google recommends about the account that a Cloud Run workload runs
as. Without -live it works on a Google Cloud in memory.

  -workload NAME  projects/PROJECT/locations/REGION/services/ID, or of a job or
                  worker pool; without -live, a service of the demo
  -account EMAIL  the account to create where one of its own is recommended
  -grant ROLE,…   roles for it, on the workload's project
  -apply ID       apply the recommendation whose name ends in ID
  -remove ROLE,…  roles that may be taken away; no other one is
  -dry-run        say what -apply would do
  -take-over      go on with what another owner has claimed
  -owner NAME     who applies it (leastprivilege); the same one goes on after a
                  crash
  -live           work on the real Google Cloud
  -json           print JSON

Exit codes: 0 done, 1 refused or failed, 2 bad usage.
`

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program but for its process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
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
	var a answer
	err = a.find(ctx, o)
	if printErr := a.print(stdout, o); err == nil {
		err = printErr
	}
	if err != nil {
		fmt.Fprintln(stderr, "leastprivilege:", err)
		return exitFailed
	}
	return exitDone
}

// options are what the command line says.
type options struct {
	workload         identity.Workload
	account          identity.ServiceAccount
	grants, remove   []string
	apply, owner     string
	dryRun, takeOver bool
	live, json       bool
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("leastprivilege", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run says it
	flags.TextVar(&o.workload, "workload", identity.MustParseWorkload(demo.Service), "")
	flags.TextVar(&o.account, "account", identity.ServiceAccount{}, "")
	var grants, remove string
	flags.StringVar(&grants, "grant", "", "")
	flags.StringVar(&remove, "remove", "", "")
	flags.StringVar(&o.apply, "apply", "", "")
	flags.StringVar(&o.owner, "owner", "leastprivilege", "")
	flags.BoolVar(&o.dryRun, "dry-run", false, "")
	flags.BoolVar(&o.takeOver, "take-over", false, "")
	flags.BoolVar(&o.live, "live", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o.grants, o.remove = words(grants), words(remove)
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.live && !given["workload"]:
		return o, errors.New("-live needs -workload: its default is of the demo")
	case o.apply == "" && (o.dryRun || o.takeOver):
		return o, errors.New("-dry-run and -take-over say how -apply works: name what to apply")
	}
	if !o.live && o.account.IsZero() {
		o.account = identity.MustParseServiceAccount("storefront@web-prod.iam.gserviceaccount.com")
		o.grants = append(o.grants, "roles/run.invoker")
	}
	return o, nil
}

// words are those of a list with commas.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// An answer is what was found and done.
type answer struct {
	Plans   []recommend.Plan  `json:"plans"`
	Unread  []string          `json:"unread,omitempty"`
	Applied *recommend.Result `json:"applied,omitempty"`
}

// print writes the answer in the form that is asked for.
func (a *answer) print(stdout io.Writer, o options) error {
	if o.json {
		enc := json.NewEncoder(stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(a)
	}
	if !o.live {
		fmt.Fprint(stdout, "Demo on a Google Cloud in memory. To work on the real one: -live\n")
	}
	for _, p := range a.Plans {
		fmt.Fprintf(stdout, "\n%s", p)
	}
	if len(a.Plans) == 0 {
		fmt.Fprintf(stdout, "\nNo recommendations for %s.\n", o.workload)
	}
	for _, why := range a.Unread {
		fmt.Fprintf(stdout, "\nCan't be read: %s\n", why)
	}
	if a.Applied == nil {
		return nil
	}
	fmt.Fprintf(stdout, "\napplied %s\n", a.Applied.Recommendation.Name)
	for _, s := range a.Applied.Steps {
		fmt.Fprintf(stdout, "  %-8s %s\n", s.Outcome, s.Step)
	}
	_, err := fmt.Fprintf(stdout, "  the recommendation is %s\n", strings.ToLower(string(a.Applied.Recommendation.State)))
	return err
}
