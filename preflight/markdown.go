package preflight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/render"
)

// Markdown returns the report for a pull request: a table, the commands that fix
// what failed, and a Mermaid diagram of who needs what on whom.
func (r Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Preflight %s: `%s` as `%s`\n\n%s.\n\n", r.Verdict().mark(), render.Code(r.Target.Workload.Name()), render.Code(r.identityWords()), r.summary())
	b.WriteString("| | check | finding | how it was found |\n|---|---|---|---|\n")
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.Verdict.mark(), render.Cell(titleOf(f.Code)), render.Cell(f.Message), render.Cell(f.Evidence.words()))
	}
	if fixes := Fixes(r); len(fixes) > 0 {
		b.WriteString("\n**Smallest fixes**\n\n")
		for _, f := range fixes {
			note := ""
			if f.ChangesGuardrail() {
				note = " ⚠ " + render.Cell(f.SideEffect())
			}
			fmt.Fprintf(&b, "- %s%s\n", render.Cell(f.String()), note)
		}
		commands := make([]string, len(fixes))
		for i, f := range fixes {
			commands[i] = f.Gcloud()
		}
		fmt.Fprintf(&b, "\n%s", render.Block("sh", strings.Join(commands, "\n")))
	}
	if len(r.Advice) > 0 {
		b.WriteString("\n**Advice**\n\n")
		for _, a := range r.Advice {
			fmt.Fprintf(&b, "- %s\n", render.Cell(a.Message))
		}
	}
	if d := r.diagram(); d != "" {
		fmt.Fprintf(&b, "\n```mermaid\n%s```\n", d)
	}
	return b.String()
}

// words returns how a finding was made.
func (e Evidence) words() string {
	switch {
	case e.Grant != nil:
		text := e.Grant.Role + " for " + e.Grant.Member + " on " + shortName(e.Grant.Resource)
		if !e.Grant.Expires.IsZero() {
			text += " until " + e.Grant.Expires.UTC().Format("2006-01-02 15:04 MST")
		}
		return text
	case e.Denial != nil:
		return "deny policy " + names.Last(e.Denial.Policy) + " on " + shortName(e.Denial.Resource)
	case e.Detail != "":
		return string(e.Method) + ": " + e.Detail
	}
	return string(e.Method)
}

// diagram draws who needs what on whom: an edge for each finding about access,
// and one for each other thing that a resource has to be.
func (r Report) diagram() string {
	var nodes, edges []string
	id := func(label string) string {
		i := slices.Index(nodes, label)
		if i < 0 {
			i = len(nodes)
			nodes = append(nodes, label)
		}
		return fmt.Sprintf("n%d", i)
	}
	for _, f := range r.Findings {
		if f.Permission == "" {
			continue
		}
		who := f.Principal
		if who == "" {
			who = "the caller"
			if f.Code == CheckServiceAgent {
				who = "the service agent"
			}
		}
		edges = append(edges, fmt.Sprintf("  %s -->|%s| %s\n", id(who), label(f.Verdict.mark()+" "+f.Permission), id(shortName(f.Resource))))
	}
	if len(edges) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("graph LR\n")
	for i, n := range nodes {
		fmt.Fprintf(&b, "  n%d[%s]\n", i, label(n))
	}
	for _, e := range edges {
		b.WriteString(e)
	}
	return b.String()
}

// label returns a quoted Mermaid label. Mermaid reads entities by their number after
// a #, and Markdown within labels.
func label(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range render.Line(s) {
		if strings.ContainsRune("\"#;&<>`*_|[](){}\\@", r) {
			fmt.Fprintf(&b, "#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}
