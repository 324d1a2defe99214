package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/runidentity/runidentity/recommend"
)

// An answer is what was found and done.
type answer struct {
	Plans  []recommend.Plan  `json:"plans,omitzero"`
	Unread []string          `json:"unread,omitempty"`
	DryRun bool              `json:"dryRun,omitempty"`
	Result *recommend.Result `json:"result,omitempty"`
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
	if a.Plans != nil && len(a.Plans) == 0 {
		fmt.Fprintf(stdout, "\nNo recommendations for %s.\n", o.workload)
	}
	for _, why := range a.Unread {
		fmt.Fprintf(stdout, "\nCan't be read: %s\n", why)
	}
	if a.Result == nil {
		return nil
	}
	fmt.Fprintf(stdout, "\n%s %s\n", a.heading(), a.Result.Recommendation.Name)
	for _, s := range a.Result.Steps {
		fmt.Fprintf(stdout, "  %-11s %s\n", s.Outcome, s.Step)
		if s.Undo != "" {
			fmt.Fprintf(stdout, "  %-11s %s\n", "", "to take it back: "+s.Undo)
		}
	}
	return nil
}

// heading says how it ended.
func (a *answer) heading() string {
	if a.DryRun {
		return "dry run, nothing was changed:"
	}
	switch a.Result.Recommendation.State {
	case recommend.StateSucceeded:
		return "applied"
	case recommend.StateFailed:
		return "failed:"
	case recommend.StateClaimed:
		return "not finished:"
	default:
		return "not applied:"
	}
}
