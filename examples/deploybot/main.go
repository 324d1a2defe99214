// Command deploybot makes a Cloud Run job, service or worker pool run as
// another service account. It first checks that this would work, refuses if not,
// and shows what it changed, and what Recommender says less would do.
//
//	go run ./examples/deploybot
//
// As it is, it works on a Google Cloud in memory, which has one job. With -live
// it works on the real one, with Application Default Credentials:
//
//	go run ./examples/deploybot -live \
//		-workload projects/PROJECT/locations/LOCATION/jobs/JOB \
//		-identity NAME@PROJECT.iam.gserviceaccount.com
//
// With -manifest it checks the workloads that a YAML file or a folder of them is
// about, and tells by file and line; with -write it then puts -identity into the
// files, changing nothing else, and with -apply it creates or replaces the
// workloads with what the files say, as gcloud run jobs replace does. The JSON is an
// object with manifests, a list of file, line and preflight or error, and applied,
// a [manifest.Applied], or notApplied, why not. notReady says why what was written,
// or may have been if there is no applied, isn't known to be ready.
//
// The demo has an account that nobody prepared. The first line shows what is
// missing and how to fix it, the second fixes it:
//
//	go run ./examples/deploybot -identity report-writer@data-prod.iam.gserviceaccount.com
//	go run ./examples/deploybot -identity report-writer@data-prod.iam.gserviceaccount.com -fix
//
// With -json it prints an object: preflight, a [preflight.Report]; fixes, a list
// of [preflight.Step], of -fix; change, an [identity.Change]; diff, a list of
// path, by ("attach", "server" or "other"), old and new; and, of the cloud in
// memory, calls, a list of method and status, and checks, the number of calls
// before; recommendations, a list of [recommend.Recommendation], and unlisted, why
// some can't be read. There is no change and no diff if nothing was written.
//
// It exits with 0 when the workload runs as that account, also if it did
// before; with 1 when that was refused or failed; with 2 when it was called
// wrongly. Errors go to stderr.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/identity"
)

const help = `usage: deploybot [-workload NAME] [-identity ACCOUNT] [-fix [-override]]
                 [-strict] [-live] [-json] [-markdown FILE]
       deploybot -manifest PATH [-identity ACCOUNT [-write]] [-apply]
                 [-strict] [-live] [-json]

Checks that a Cloud Run job, service or worker pool can run as another service
account, makes it so, and shows what that changed. Without -live it works on a
Google Cloud in memory.

  -workload NAME     projects/PROJECT/locations/REGION/jobs/ID (or services/ID,
                     or workerPools/ID); without -live, the demo's job
  -identity ACCOUNT  such as runner@data-prod.iam.gserviceaccount.com;
                     without -live, an account made for that job
  -fix               apply the fixes of failed checks; in the demo, as an
                     administrator
  -override          with -fix, also change organization and deny policies
  -strict            don't attach, write or apply if a check can't be made
  -manifest PATH     check the workloads of a YAML file, or of all in a folder
  -write             with -manifest, put -identity into the files
  -apply             with -manifest, create or replace the workloads; with
                     -identity as if it were in the files
  -markdown FILE     write the checks to a file, for a pull request
  -live              work on the real Google Cloud, with Application Default
                     Credentials; needs -workload and -identity
  -json              print the result as JSON

Exit codes: 0 done, 1 refused or failed, 2 bad usage.
`

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// patience is how long a change may take before the bot stops waiting for it.
const patience = 10 * time.Minute

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
		fmt.Fprintf(stderr, "deploybot: %v (-h shows how to use it)\n", err)
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()

	there := connectToDemo
	if o.live {
		there = connect
	}
	c, err := there(ctx)
	if err == nil {
		err = deploy(ctx, c, o, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "deploybot:", err)
		return exitFailed
	}
	return exitDone
}

// deploy checks, attaches and prints. Much can be done and yet end with an
// error.
func deploy(ctx context.Context, c *cloud, o options, stdout io.Writer) error {
	if c.backend != nil {
		defer c.backend.Close()
	}
	if o.manifest != "" {
		return manifests(ctx, c, o, stdout)
	}
	var r result
	err := r.check(ctx, c, o)
	r.Checks = len(c.calls())
	if err == nil {
		err = r.attach(ctx, c.client, o.workload, o.identity)
		r.Calls = c.calls()
		if err == nil {
			r.recommend(ctx, c, o)
		}
	}
	return errors.Join(err, r.print(stdout, o), r.writeMarkdown(o.markdown))
}

// options are what the command line says.
type options struct {
	workload              identity.Workload
	identity              identity.ServiceAccount
	fix, override, strict bool
	live, json            bool
	markdown              string
	manifest              string
	write, apply          bool
	identityGiven         bool
}

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("deploybot", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run says it
	flags.TextVar(&o.workload, "workload", identity.MustParseWorkload(demo.Job), "")
	flags.TextVar(&o.identity, "identity", identity.MustParseServiceAccount(demo.ExportIdentity), "")
	flags.BoolVar(&o.fix, "fix", false, "")
	flags.BoolVar(&o.override, "override", false, "")
	flags.BoolVar(&o.strict, "strict", false, "")
	flags.StringVar(&o.markdown, "markdown", "", "")
	flags.StringVar(&o.manifest, "manifest", "", "")
	flags.BoolVar(&o.write, "write", false, "")
	flags.BoolVar(&o.apply, "apply", false, "")
	flags.BoolVar(&o.live, "live", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}

	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o.identityGiven = given["identity"]
	switch {
	case o.write && (o.manifest == "" || !o.identityGiven):
		return o, errors.New("-write puts -identity into the files of -manifest: give both")
	case o.manifest != "" && (o.fix || o.markdown != ""):
		return o, errors.New("-manifest is for many workloads: -fix and -markdown are for one")
	case o.apply && o.manifest == "":
		return o, errors.New("-apply is about the files of -manifest: give it, too")
	case o.manifest != "" && given["workload"]:
		return o, errors.New("-manifest tells the workloads: leave -workload out")
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.live && o.manifest == "" && (!given["workload"] || !given["identity"]):
		return o, errors.New("-live needs -workload and -identity: their defaults are of the demo")
	case o.override && !o.fix:
		return o, errors.New("-override says how -fix works: give both")
	case o.workload == identity.Workload{}: // of empty text
		return o, errors.New("-workload is empty")
	case o.identity.IsZero():
		return o, errors.New("-identity is empty")
	}
	return o, nil
}

// print writes the result in the form that is asked for, if there is any.
func (r *result) print(stdout io.Writer, o options) error {
	if len(r.Preflight.Findings) == 0 && r.Change == nil {
		return nil
	}
	var out bytes.Buffer
	if o.json {
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(r); err != nil {
			return err
		}
	} else {
		r.printText(&out, o.live)
	}
	_, err := out.WriteTo(stdout)
	return err
}
