package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/runidentity/runidentity/preflight"
)

// fixesTake is how long fixes may take to be in effect.
const fixesTake = 3 * time.Minute

// check makes the checks and, if that is asked for, applies fixes. The error
// says why not to attach.
func (r *result) check(ctx context.Context, c *cloud, o options) error {
	report, err := c.checker.Check(ctx, preflight.Target{Workload: o.workload, Identity: o.identity}, nil)
	if err != nil {
		return err
	}
	if o.fix && report.Verdict() == preflight.Fail {
		report, r.Fixes, err = c.fixer.Repair(ctx, c.checker, report, &preflight.RepairOptions{
			Apply: preflight.ApplyOptions{AllowGuardrailChanges: o.override, Wait: fixesTake},
		})
	}
	r.Preflight = report
	if err != nil {
		return err
	}
	failed, unknown := 0, 0
	for _, f := range report.Findings {
		switch f.Verdict {
		case preflight.Fail:
			failed++
		case preflight.Unknown:
			unknown++
		case preflight.Pass:
		}
	}
	switch {
	case failed > 0 && !o.fix:
		return fmt.Errorf("not attached: %d of %d checks failed (-fix applies their fixes)", failed, len(report.Findings))
	case failed > 0 && changesGuardrail(report) && !o.override:
		return errors.New("not attached: what is left is forbidden on purpose (-override changes that as well)")
	case failed > 0:
		return fmt.Errorf("not attached: %d of %d checks still fail", failed, len(report.Findings))
	case unknown > 0 && o.strict:
		return fmt.Errorf("not attached: %d of %d checks can't be made (-strict)", unknown, len(report.Findings))
	}
	return nil
}

func changesGuardrail(report preflight.Report) bool {
	for _, f := range preflight.Fixes(report) {
		if f.ChangesGuardrail() {
			return true
		}
	}
	return false
}

// printPreflight writes what was checked, for people.
func (r *result) printPreflight(w io.Writer) {
	fmt.Fprint(w, r.Preflight)
	if len(r.Fixes) > 0 {
		fmt.Fprint(w, "\nFixes\n")
		for _, s := range r.Fixes {
			fmt.Fprintf(w, "  %-9s %s\n", s.Outcome, s.Fix)
		}
	}
	fmt.Fprintln(w)
}

// writeMarkdown writes the report for a pull request.
func (r *result) writeMarkdown(file string) error {
	if file == "" || len(r.Preflight.Findings) == 0 {
		return nil
	}
	return os.WriteFile(file, []byte(r.Preflight.Markdown()), 0o600)
}
