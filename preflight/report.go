package preflight

import (
	"errors"
	"fmt"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/render"
)

// A Report is the result of all checks of a target. Its JSON may be stored: it has
// a version, fields may be added, none changes its meaning. See
// [Report.MarshalJSON].
type Report struct {
	Target Target `json:"target"`

	// Identity is the account that was checked: the target's, or if the target names
	// none, the account that the workload has or would get. It is zero if that could
	// not be found out.
	Identity identity.ServiceAccount `json:"identity,omitzero"`
	// IdentityProject is the id of the project that Identity is in; its number if the
	// id isn't known, empty if neither is.
	IdentityProject string `json:"identityProject,omitempty"`
	// ProjectNumber is the number of the workload's project; empty if it isn't known.
	ProjectNumber string `json:"projectNumber,omitempty"`
	// Deployer is whose rights were checked, as a member; empty if the caller's name
	// isn't known.
	Deployer string `json:"deployer,omitempty"`
	// Agent is the Cloud Run service agent of the workload's project, as a member;
	// empty if it isn't known.
	Agent string `json:"agent,omitempty"`

	Findings []Finding `json:"findings"`
	Advice   []Advice  `json:"advice,omitempty"`
}

// Verdict returns Fail if any finding failed, otherwise Unknown if any is unknown,
// otherwise Pass. For a report without findings it returns Unknown.
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

// Err returns an error that names each finding that is Fail, with its fix; nil if
// there is none. What is Unknown doesn't count. A report without findings is an
// error: nothing was checked.
func (r Report) Err() error { return r.err(Fail) }

// ErrStrict returns what [Report.Err] does, but what is Unknown counts as well.
func (r Report) ErrStrict() error { return r.err(Fail, Unknown) }

func (r Report) err(which ...Verdict) error {
	if len(r.Findings) == 0 {
		if r.Target.Workload == (identity.Workload{}) {
			return errors.New("preflight: nothing was checked: the report is empty")
		}
		return fmt.Errorf("preflight of %s: nothing was checked", r.Target.Workload)
	}
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
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("preflight of %s:\n%s", r.Target.Workload.Name(), strings.Join(lines, "\n"))
}
