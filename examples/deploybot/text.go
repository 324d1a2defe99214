package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/identity"
)

// printText writes the result for people, within 80 columns where the names
// and commands allow.
func (r *result) printText(w io.Writer, live bool) {
	if !live {
		fmt.Fprint(w, "Demo on a Google Cloud in memory. To work on the real one: -live\n\n")
	}
	if len(r.Preflight.Findings) > 0 {
		r.printPreflight(w)
	}
	if r.Change == nil {
		return
	}
	fmt.Fprintln(w, r.Change.Workload)
	fmt.Fprintln(w, "  identity before ", account(r.Change.Old))
	fmt.Fprintln(w, "  identity after  ", account(r.Change.New))
	fmt.Fprintf(w, "\n%s\n", r.effect())
	r.printDiff(w)
	defer r.printRecommendations(w)
	if len(r.Calls) > 0 {
		fmt.Fprint(w, "\nAPI calls that the change took, with their HTTP status\n")
		for _, c := range r.Calls {
			fmt.Fprintf(w, "  %d  %s\n", c.Status, c.Method)
		}
		if len(r.Fixes) == 0 {
			fmt.Fprintf(w, "The checks before took %d, none of which writes.\n", r.Checks)
		}
	}
}

func account(sa identity.ServiceAccount) string {
	if sa.IsZero() {
		return "(none given: the project's default)"
	}
	return sa.Email()
}

// effect says what the change means for what runs.
func (r *result) effect() string {
	kind := r.Change.Workload.Kind
	switch {
	case !r.Change.Written && r.Change.ReceivesTraffic == identity.No:
		return fmt.Sprintf("Nothing to change: the %v has this identity already.\n"+
			"But its latest revision, which runs as it, receives no traffic.", kind)
	case !r.Change.Written:
		return fmt.Sprintf("Nothing to change: the %v has this identity already.", kind)
	case !r.Change.Done:
		return "Written, but not known to be in effect."
	case kind == identity.KindJob:
		return "Executions that start from now on run as the new identity."
	}
	switch r.Change.ReceivesTraffic {
	case identity.Yes:
		return "A new revision runs as the new identity and receives traffic."
	case identity.No:
		return "A new revision runs as the new identity, but receives no traffic:\n" +
			"all of it goes to older ones, which keep their identity."
	default:
		return "A new revision runs as the new identity."
	}
}

// printDiff writes what changed: with values only what Attach changed.
func (r *result) printDiff(w io.Writer) {
	kind := r.Change.Workload.Kind
	if ours := r.changed(byAttach); len(ours) > 0 {
		fmt.Fprintf(w, "\nChanged in the %v's JSON\n", kind)
		for _, d := range ours {
			fmt.Fprintf(w, "  %s\n    - %s\n    + %s\n", d.Path, value(d.Old), value(d.New))
		}
	}
	others := r.changed(byOther)
	if len(others) > 0 {
		fmt.Fprint(w, "\nAlso changed, not by this bot (values not shown)\n")
		for _, d := range others {
			fmt.Fprintf(w, "  %s\n", d.Path)
		}
	}
	if server := r.changed(byServer); len(server) > 0 {
		title := "Everything else is unchanged, but for what Cloud Run itself records"
		if len(others) > 0 {
			title = "Recorded by Cloud Run itself"
		}
		fields := make([]string, len(server))
		for i, d := range server {
			fields[i] = field(d.Path)
		}
		fmt.Fprintf(w, "\n%s\n  %s\n", title, strings.Join(slices.Compact(fields), ", "))
	}
}

// changed returns the differences of one origin.
func (r *result) changed(by string) []difference {
	var found []difference
	for _, d := range r.Diff {
		if d.By == by {
			found = append(found, d)
		}
	}
	return found
}

// value is a JSON value as text.
func value(v any) string {
	if v == nil {
		return "(none)"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
