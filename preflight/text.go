package preflight

import (
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"

	"github.com/runidentity/runidentity/internal/render"
)

// mark returns what stands for a verdict in text and tables.
func (v Verdict) mark() string {
	switch v {
	case Pass:
		return "✓"
	case Fail:
		return "✗"
	default:
	}
	return "?"
}

// titles say in words what is checked.
var titles = map[Code]string{
	CheckIdentity: "identity exists", CheckDeployerActAs: "deployer may act as it", CheckDeployerDeploy: "deployer may deploy",
	CheckRunAPI: "Cloud Run API enabled", CheckServiceAgent: "service agent may use it", CheckCrossProjectPolicy: "cross-project use allowed",
	CheckRuntimeAccess: "runtime access", CheckDryRun: "dry run",
}

// summary counts the findings.
func (r Report) summary() string {
	counts := r.counts()
	parts := make([]string, 0, 4)
	for _, c := range []struct {
		n    int
		word string
	}{{counts[Fail], "failed"}, {counts[Unknown], "unknown"}, {counts[Pass], "passed"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	if len(parts) == 0 {
		return "nothing was checked"
	}
	return strings.Join(parts, ", ")
}

func (r Report) counts() map[Verdict]int {
	counts := make(map[Verdict]int)
	for _, f := range r.Findings {
		counts[f.Verdict]++
	}
	return counts
}

// identityWords names the identity in a heading.
func (r Report) identityWords() string {
	if r.Identity.IsZero() {
		return "an identity that isn't known"
	}
	return r.Identity.Email()
}

// String returns the report for a terminal of 80 columns: each check with what was
// found, and the commands that fix what failed. Commands are not broken into lines.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "preflight of %s\n  as %s: %s\n\n", r.Target.Workload.Name(), r.identityWords(), r.summary())
	for _, f := range r.Findings {
		const indent = "      "
		if f.Verdict == Pass {
			b.WriteString(wrap(strings.TrimSpace(titleOf(f.Code)+" "+f.passedBy()), "  ✓ ", indent))
			continue
		}
		fmt.Fprintf(&b, "  %s %s\n%s", f.Verdict.mark(), titleOf(f.Code), wrap(f.Message, indent, indent))
		for i, c := range f.Causes {
			if i > 0 { // the message has the first
				b.WriteString(wrap("unknown: "+c.Message, indent, indent+"  "))
			}
		}
		if d := f.Evidence.Detail; d != "" && !strings.Contains(f.Message, d) {
			b.WriteString(wrap("server: "+d, indent, indent+"  "))
		}
		if f.Fix != nil {
			b.WriteString(wrap("fix: "+f.Fix.String(), indent, indent+"  "))
			for text := range strings.SplitSeq(f.Fix.Gcloud(), "\n") {
				fmt.Fprintf(&b, "%s  %s\n", indent, render.Line(text))
			}
			if f.Fix.ChangesGuardrail() {
				b.WriteString(wrap("careful: "+f.Fix.SideEffect(), indent+"  ", indent+"  "))
			}
		}
	}
	for i, a := range r.Advice {
		if i == 0 {
			b.WriteString("\n  Advice\n")
		}
		b.WriteString(wrap(a.Message, "  - ", "    "))
	}
	return b.String()
}

// passedBy returns in few words how a check passed.
func (f Finding) passedBy() string {
	switch g := f.Evidence.Grant; {
	case g != nil && !g.Expires.IsZero():
		return "(" + f.Permission + ", by " + g.Role + " on " + shortName(g.Resource) + " until " + g.Expires.UTC().Format("2006-01-02 15:04 MST") + ")"
	case g != nil:
		return "(" + f.Permission + ", by " + g.Role + " on " + shortName(g.Resource) + ")"
	case f.Permission != "":
		return "(" + f.Permission + ", " + string(f.Evidence.Method) + ")"
	}
	return ""
}

func titleOf(c Code) string {
	if t, ok := titles[c]; ok {
		return t
	}
	return string(c)
}

// wrap breaks a text between words into lines of at most 80 columns, where the
// words allow, with one indent for the first and another for the others.
func wrap(text, first, others string) string {
	const width = 80
	var b strings.Builder
	b.WriteString(first)
	at := utf8.RuneCountInString(first)
	for i, word := range strings.Fields(render.Line(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteString("\n" + others)
			at = utf8.RuneCountInString(others)
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	b.WriteByte('\n')
	return b.String()
}

// LogValue returns the report for a structured log: the workload, the identity, the
// verdict, the counts and the codes of what failed or isn't known. The deployer isn't
// in it.
func (r Report) LogValue() slog.Value {
	counts := r.counts()
	attrs := []slog.Attr{
		slog.String("workload", r.Target.Workload.Name()), slog.String("identity", r.Identity.Email()),
		slog.String("verdict", r.Verdict().String()),
		slog.Int("passed", counts[Pass]), slog.Int("failed", counts[Fail]), slog.Int("unknown", counts[Unknown]),
	}
	for _, v := range []Verdict{Fail, Unknown} {
		var codes []string
		for _, f := range r.Findings {
			if f.Verdict == v {
				codes = append(codes, string(f.Code))
			}
		}
		if len(codes) > 0 {
			attrs = append(attrs, slog.String(v.String()+"Checks", strings.Join(codes, " ")))
		}
	}
	return slog.GroupValue(attrs...)
}
