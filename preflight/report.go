package preflight

import (
	"fmt"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/render"
)

// A Report is the result of all checks of a target. Its JSON is stable: fields
// may be added, none changes its meaning.
type Report struct {
	Target Target `json:"target"`

	// Identity is the account that was checked: the target's, or what a zero one
	// there stands for. It is zero if that could not be found out.
	Identity identity.ServiceAccount `json:"identity,omitzero"`
	// IdentityProject is the id of the account's project, ProjectNumber the
	// number of the workload's; empty where they could not be found out.
	IdentityProject string `json:"identityProject,omitempty"`
	ProjectNumber   string `json:"projectNumber,omitempty"`
	// Deployer is whose rights were checked, as a member; empty if the caller's
	// name isn't known.
	Deployer string `json:"deployer,omitempty"`
	// Agent is the Cloud Run service agent of the workload's project, as a
	// member; empty if it isn't known.
	Agent string `json:"agent,omitempty"`

	Findings []Finding `json:"findings"`
	Advice   []Advice  `json:"advice,omitempty"`
}

// Verdict is Fail if a finding is, else Unknown if a finding is, else Pass. A
// report without findings is Unknown.
func (r Report) Verdict() Verdict {
	if len(r.Findings) == 0 {
		return Unknown
	}
	all := Pass
	for _, f := range r.Findings {
		switch f.Verdict {
		case Fail:
			return Fail
		case Pass:
		default:
			all = Unknown
		}
	}
	return all
}

// Err returns nil unless a finding is Fail; then an error that names each of
// them and its fix.
func (r Report) Err() error { return r.err(Fail) }

// ErrStrict is [Report.Err] where Unknown counts as well.
func (r Report) ErrStrict() error { return r.err(Fail, Unknown) }

func (r Report) err(which ...Verdict) error {
	var lines []string
	for _, v := range which {
		for _, f := range r.Findings {
			if f.Verdict != v {
				continue
			}
			text := fmt.Sprintf("%s: %s: %s", f.Verdict, f.Code, render.Line(f.Message))
			if f.Fix != nil {
				text += "\n  fix: " + strings.ReplaceAll(f.Fix.Gcloud(), "\n", "\n    ")
			}
			lines = append(lines, text)
		}
	}
	switch {
	case len(r.Findings) == 0 && len(which) > 1:
		lines = append(lines, "unknown: nothing was checked")
	case len(lines) == 0:
		return nil
	}
	return fmt.Errorf("preflight of %s:\n%s", r.Target.Workload.Name(), strings.Join(lines, "\n"))
}
