package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/identity"
)

const help = `usage: leastprivilege [-workload NAME] [-account EMAIL] [-grant ROLE,…]
                      [-remove ROLE,…] [-apply ID [-save FILE] [-dry-run]]
       leastprivilege -resume FILE [-take-over] [-dry-run]
       and in either: [-owner NAME] [-live] [-json]

Shows what Google recommends about the account that a Cloud Run workload runs
as. Without -live it works on a Google Cloud in memory.

  -workload NAME  projects/PROJECT/locations/REGION/services/ID, or of a job or
                  worker pool; without -live, a service of the demo
  -account EMAIL  the account to create where one of its own is recommended
  -grant ROLE,…   roles for it, on the workload's project
  -remove ROLE,…  roles that may be taken away; no other one is
  -apply ID       apply the recommendation whose name ends in ID
  -save FILE      keep the plan in a new FILE before anything changes; needed
                  with -live -apply
  -resume FILE    apply the plan in FILE: begin it, or go on after a crash
  -dry-run        change nothing, and say what there is to do
  -take-over      go on with what another owner has claimed
  -owner NAME     who applies it (leastprivilege); the same one goes on after a
                  crash
  -live           work on the real Google Cloud
  -json           print JSON

Exit codes: 0 done, 1 refused or failed, 2 bad usage.
`

// options are what the command line says.
type options struct {
	workload                   identity.Workload
	account                    identity.ServiceAccount
	grants, remove             []string
	apply, save, resume, owner string
	dryRun, takeOver           bool
	live, json                 bool
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
	flags.StringVar(&o.save, "save", "", "")
	flags.StringVar(&o.resume, "resume", "", "")
	flags.StringVar(&o.owner, "owner", "leastprivilege", "")
	flags.BoolVar(&o.dryRun, "dry-run", false, "")
	flags.BoolVar(&o.takeOver, "take-over", false, "")
	flags.BoolVar(&o.live, "live", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	o.grants, o.remove = words(grants), words(remove)
	if err := o.check(given); err != nil {
		return o, err
	}
	if !o.live && o.account.IsZero() {
		o.account = identity.MustParseServiceAccount("storefront@web-prod.iam.gserviceaccount.com")
		o.grants = append(o.grants, "roles/run.invoker")
	}
	return o, nil
}

// check refuses flags that don't go together.
func (o options) check(given map[string]bool) error {
	if o.resume != "" {
		for _, name := range []string{"workload", "account", "grant", "remove", "apply", "save"} {
			if given[name] {
				return fmt.Errorf("-%s is for making a plan, and -resume has one", name)
			}
		}
		return nil
	}
	switch {
	case o.live && !given["workload"]:
		return errors.New("-live needs -workload: its default is of the demo")
	case o.apply == "" && (o.dryRun || o.save != ""):
		return errors.New("-dry-run and -save are for applying: name what to apply")
	case o.takeOver:
		return errors.New("-take-over goes on with a plan that was begun: -resume has it")
	case o.live && o.apply != "" && o.save == "" && !o.dryRun:
		return errors.New("-live -apply needs -save, from which -resume goes on after a crash")
	}
	return nil
}

// words are those of a list with commas.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
