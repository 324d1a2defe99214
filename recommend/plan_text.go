package recommend

import (
	"fmt"
	"strings"

	"github.com/runidentity/runidentity/identity"
)

// String says in a few words what the step does.
func (s Step) String() string {
	switch s.Kind {
	case CreateAccount:
		return "create the account " + s.Account.Email()
	case GrantRole:
		return "grant " + s.Role + " to " + s.Member + " on " + short(s.Resource)
	case Attach:
		return "make " + s.Workload.String() + " run as " + s.Account.Email()
	case RemoveBinding:
		text := "take " + s.Role + " from " + s.Member + " on " + short(s.Resource)
		if s.Condition != "" {
			text += " (the binding with the condition " + s.Condition + ")"
		}
		return text
	}
	return string(s.Kind)
}

// short is a resource's relative name.
func short(full string) string {
	rest, ok := strings.CutPrefix(full, "//")
	if _, name, found := strings.Cut(rest, "/"); ok && found {
		return name
	}
	return full
}

// Gcloud is a gcloud command that does the same, quoted for a POSIX shell. Where
// there is none, it is a comment.
func (s Step) Gcloud() string {
	switch s.Kind {
	case CreateAccount:
		id, _, _ := strings.Cut(s.Account.Email(), "@")
		project, _ := s.Account.Project()
		return command("gcloud", "iam", "service-accounts", "create", id, "--project="+project)
	case Attach:
		group := map[identity.Kind]string{identity.KindJob: "jobs", identity.KindService: "services"}[s.Workload.Kind]
		if group == "" {
			break
		}
		return command("gcloud", "run", group, "update", s.Workload.ID, "--service-account="+s.Account.Email(),
			"--region="+s.Workload.Location, "--project="+s.Workload.Project)
	case GrantRole:
		return s.binding("add-iam-policy-binding")
	case RemoveBinding:
		return s.binding("remove-iam-policy-binding")
	}
	return "# " + oneLine(s.String()) + ": gcloud has no command for it"
}

func (s Step) binding(verb string) string {
	name := short(s.Resource)
	parts := strings.Split(name, "/")
	var words []string
	switch {
	case strings.HasPrefix(s.Resource, "//cloudresourcemanager.googleapis.com/projects/"):
		words = []string{"gcloud", "projects", verb, parts[1]}
	case strings.HasPrefix(s.Resource, "//cloudresourcemanager.googleapis.com/folders/"):
		words = []string{"gcloud", "resource-manager", "folders", verb, parts[1]}
	case strings.HasPrefix(s.Resource, "//cloudresourcemanager.googleapis.com/organizations/"):
		words = []string{"gcloud", "organizations", verb, parts[1]}
	case strings.HasPrefix(s.Resource, "//iam.googleapis.com/projects/") && len(parts) == 4:
		words = []string{"gcloud", "iam", "service-accounts", verb, parts[3]}
	default:
		return "# " + oneLine(s.String()) + ": with the command of its service"
	}
	condition := "None"
	if s.Condition != "" {
		if s.ConditionTitle == "" {
			return "# " + oneLine(s.String()) + ": gcloud needs the title of the binding's condition, which a recommendation doesn't tell"
		}
		condition = "^##^expression=" + s.Condition + "##title=" + s.ConditionTitle
	}
	return command(append(words, "--member="+s.Member, "--role="+s.Role, "--condition="+condition)...)
}

// command joins the words of a shell command, quoted where needed.
func command(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		plain := w != ""
		for _, r := range w {
			plain = plain && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:=@%+,", r))
		}
		if quoted[i] = w; !plain {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// oneLine is a text without line breaks and control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, s)
}

// String is the plan for a terminal.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan for %s\n  %s\n", oneLine(p.Recommendation), p.Action)
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "  %d. %s\n     %s\n     %s\n", i+1, oneLine(s.String()), oneLine(s.Reason), oneLine(s.Gcloud()))
	}
	if len(p.Steps) == 0 {
		b.WriteString("  nothing to do\n")
	}
	for _, s := range p.Kept {
		fmt.Fprintf(&b, "  not without being named: %s (%s)\n", oneLine(s.String()), oneLine(s.Reason))
	}
	for _, problem := range p.Problems {
		mark := "careful"
		if problem.Blocking {
			mark = "blocked"
		}
		fmt.Fprintf(&b, "  %s: %s\n", mark, oneLine(problem.Message))
	}
	return b.String()
}

// Gcloud are the commands of all steps, a line each.
func (p Plan) Gcloud() string {
	var b strings.Builder
	for _, s := range p.Steps {
		b.WriteString(oneLine(s.Gcloud()) + "\n")
	}
	return b.String()
}

// Markdown is the plan for a pull request.
func (p Plan) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Least privilege: %s\n\n`%s`\n\n", escape(p.Action.String()), strings.ReplaceAll(oneLine(p.Recommendation), "`", "'"))
	if len(p.Steps) > 0 {
		b.WriteString("| step | why |\n|---|---|\n")
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "| %s | %s |\n", escape(s.String()), escape(s.Reason))
	}
	for _, s := range p.Kept {
		fmt.Fprintf(&b, "\nNot removed, as it was not named: %s\n", escape(s.String()))
	}
	for _, problem := range p.Problems {
		mark := "⚠"
		if problem.Blocking {
			mark = "✗"
		}
		fmt.Fprintf(&b, "\n%s %s\n", mark, escape(problem.Message))
	}
	if commands := p.Gcloud(); commands != "" {
		fence := "```"
		for strings.Contains(commands, fence) {
			fence += "`"
		}
		fmt.Fprintf(&b, "\n%ssh\n%s%s\n", fence, commands, fence)
	}
	return b.String()
}

// escape escapes text for a table.
func escape(s string) string {
	var b strings.Builder
	for _, r := range oneLine(s) {
		if strings.ContainsRune("\\`*_{}[]<>()#+!|~&", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
