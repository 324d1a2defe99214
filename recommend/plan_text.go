package recommend

import (
	"fmt"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/render"
)

// String returns in a few words what the step does. If the kind is none of the
// constants, it returns the kind alone, which is "" for the zero Step.
func (s Step) String() string {
	switch s.Kind {
	case StepCreateAccount:
		return "create the account " + s.Account.Email()
	case StepGrantRole:
		return "grant " + s.Role + " to " + s.Member + " on " + short(s.Resource)
	case StepAttach:
		return "make " + s.Workload.String() + " run as " + s.Account.Email()
	case StepRemoveRole:
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

// Gcloud returns a gcloud command that does the same, quoted for a POSIX shell.
// If there is no such command, it returns a comment.
func (s Step) Gcloud() string {
	switch s.Kind {
	case StepCreateAccount:
		id, _, _ := strings.Cut(s.Account.Email(), "@")
		project, _ := s.Account.Project()
		return render.Command("gcloud", "iam", "service-accounts", "create", id, "--project="+project)
	case StepAttach:
		group := map[identity.Kind]string{identity.KindJob: "jobs", identity.KindService: "services"}[s.Workload.Kind]
		if group == "" {
			break
		}
		return render.Command("gcloud", "run", group, "update", s.Workload.ID, "--service-account="+s.Account.Email(),
			"--region="+s.Workload.Location, "--project="+s.Workload.Project)
	case StepGrantRole:
		return s.binding("add-iam-policy-binding")
	case StepRemoveRole:
		return s.binding("remove-iam-policy-binding")
	}
	return "# " + render.Line(s.String()) + ": gcloud has no command for it"
}

// undoCommand is a gcloud command that takes the step back.
func (s Step) undoCommand() string {
	switch s.Kind {
	case StepCreateAccount:
		project, _ := s.Account.Project()
		return render.Command("gcloud", "iam", "service-accounts", "delete", s.Account.Email(), "--project="+project)
	case StepGrantRole:
		return s.binding("remove-iam-policy-binding")
	case StepAttach:
		s.Account = s.Before
		return s.Gcloud()
	case StepRemoveRole:
		return s.binding("add-iam-policy-binding")
	}
	return ""
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
		return "# " + render.Line(s.String()) + ": with the command of its service"
	}
	condition := "None"
	if s.Condition != "" {
		if s.ConditionTitle == "" {
			return "# " + render.Line(s.String()) + ": gcloud needs the title of the binding's condition, which a recommendation doesn't tell"
		}
		condition = "^##^expression=" + s.Condition + "##title=" + s.ConditionTitle
	}
	return render.Command(append(words, "--member="+s.Member, "--role="+s.Role, "--condition="+condition)...)
}

// String returns the plan as text for a terminal.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan for %s\n  %s\n", render.Line(p.Recommendation), p.Action)
	blocked := p.Err() != nil
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "  %d. %s\n     %s\n", i+1, render.Line(s.String()), render.Line(s.Reason))
		if !blocked {
			fmt.Fprintf(&b, "     %s\n", render.Line(s.Gcloud()))
		}
	}
	if len(p.Steps) == 0 {
		b.WriteString("  nothing to do\n")
	}
	for _, s := range p.Kept {
		fmt.Fprintf(&b, "  not without being named: %s (%s)\n", render.Line(s.String()), render.Line(s.Reason))
	}
	for _, problem := range p.Problems {
		mark := "careful"
		if problem.Blocking {
			mark = "blocked"
		}
		fmt.Fprintf(&b, "  %s: %s\n", mark, render.Line(problem.Message))
	}
	return b.String()
}

// Gcloud returns the commands of all steps, one on each line. It returns "" if
// the plan must not be applied.
func (p Plan) Gcloud() string {
	var b strings.Builder
	if p.Err() != nil {
		return ""
	}
	for _, s := range p.Steps {
		b.WriteString(render.Line(s.Gcloud()) + "\n")
	}
	return b.String()
}

// Markdown returns the plan as Markdown for a pull request.
func (p Plan) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Least privilege: %s\n\n`%s`\n\n", render.Cell(p.Action.String()), render.Code(p.Recommendation))
	if len(p.Steps) > 0 {
		b.WriteString("| step | why |\n|---|---|\n")
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "| %s | %s |\n", render.Cell(s.String()), render.Cell(s.Reason))
	}
	for _, s := range p.Kept {
		fmt.Fprintf(&b, "\nNot removed, as it was not named: %s\n", render.Cell(s.String()))
	}
	for _, problem := range p.Problems {
		mark := "⚠"
		if problem.Blocking {
			mark = "✗"
		}
		fmt.Fprintf(&b, "\n%s %s\n", mark, render.Cell(problem.Message))
	}
	if commands := p.Gcloud(); commands != "" {
		fmt.Fprintf(&b, "\n%s", render.Block("sh", commands))
	}
	return b.String()
}
