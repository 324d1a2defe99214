package preflight

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/internal/access"
)

// A Fix is a change that makes a check pass: a [GrantRole], [EnableAPI],
// [CreateAgent], [CreateAccount], [EnableAccount], [AllowCrossProject] or
// [ExemptFromDeny]. Fixes are comparable with ==. In JSON they have the name of
// their type in the field "type", and the command in "gcloud".
//
// A check never applies one, see [Fixer].
type Fix interface {
	// String says in a few words what it does.
	String() string
	// Gcloud is a gcloud command that does the same, quoted for a POSIX shell.
	// Where there is none, it is a comment that says what to do.
	Gcloud() string
	// Request is the API call that does it.
	Request() Request
	// SideEffect says what else it brings about and who may do it.
	SideEffect() string
	// Guardrail says whether it changes what an organization forbade on
	// purpose: its policy, or a deny policy.
	Guardrail() bool

	kind() fixKind
	// check says what it lacks to be applied.
	check() error
}

// lacks is the error of a fix without something.
func lacks(f Fix, what, example string) error {
	return fmt.Errorf("%s: %s is missing, such as %q", f, what, example)
}

// nobody is the error of a fix for a member whose name isn't known.
func nobody(f Fix) error {
	return fmt.Errorf("%s: whom to grant to isn't known; set Checker.Caller or Target.Deployer", f)
}

// A Request is an API call, to show.
type Request struct {
	Method string `json:"method"` // the discovery ID
	Verb   string `json:"verb"`
	URL    string `json:"url"`
	// Body is the JSON that is sent. Of a policy that is read, changed and
	// written, it is only what is added.
	Body string `json:"body,omitempty"`
}

// fixKind is the type of a fix, in the order in which fixes are applied.
type fixKind uint8

const (
	kindEnableAPI fixKind = iota
	kindCreateAgent
	kindCreateAccount
	kindEnableAccount
	kindGrantRole
	kindAllowCrossProject
	kindExemptFromDeny
)

var fixNames = [...]string{
	"enable-api", "create-agent", "create-account", "enable-account", "grant-role", "allow-cross-project", "exempt-from-deny",
}

// newFix returns a pointer to an empty fix of a type that JSON names.
func newFix(name string) (any, error) {
	switch fixKind(slices.Index(fixNames[:], name)) { //nolint:gosec // -1 is none of them
	case kindEnableAPI:
		return new(EnableAPI), nil
	case kindCreateAgent:
		return new(CreateAgent), nil
	case kindCreateAccount:
		return new(CreateAccount), nil
	case kindEnableAccount:
		return new(EnableAccount), nil
	case kindGrantRole:
		return new(GrantRole), nil
	case kindAllowCrossProject:
		return new(AllowCrossProject), nil
	case kindExemptFromDeny:
		return new(ExemptFromDeny), nil
	}
	return nil, fmt.Errorf("fix of type %q: not one of %s", name, strings.Join(fixNames[:], ", "))
}

// Fixes returns the fixes of reports, each once, in an order in which they can
// be applied: what makes something before what refers to it.
func Fixes(reports ...Report) []Fix {
	var all []Fix
	for _, r := range reports {
		for _, f := range r.Findings {
			if f.Fix != nil && !slices.Contains(all, f.Fix) {
				all = append(all, f.Fix)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Fix) int { return int(a.kind()) - int(b.kind()) })
	return all
}

// jsonFix is a fix in JSON.
type jsonFix struct{ Fix }

// MarshalJSON adds the type and the command to the fix's own fields.
func (j jsonFix) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(j.Fix)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	for name, value := range map[string]string{"type": fixNames[j.kind()], "gcloud": j.Gcloud()} {
		if fields[name], err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (j *jsonFix) UnmarshalJSON(text []byte) error {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return err
	}
	p, err := newFix(head.Type)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, p); err != nil {
		return err
	}
	switch f := p.(type) {
	case *EnableAPI:
		j.Fix = *f
	case *CreateAgent:
		j.Fix = *f
	case *CreateAccount:
		j.Fix = *f
	case *EnableAccount:
		j.Fix = *f
	case *GrantRole:
		j.Fix = *f
	case *AllowCrossProject:
		j.Fix = *f
	case *ExemptFromDeny:
		j.Fix = *f
	}
	return nil
}

// unknownMember stands for the deployer whose name isn't known.
const unknownMember = "MEMBER"

func memberOr(member string) string {
	if member == "" {
		return unknownMember
	}
	return member
}

// body is the JSON of what a request adds.
func body(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

// denyPrincipal is a member in the syntax of deny policies.
//
// https://cloud.google.com/iam/docs/principal-identifiers
func denyPrincipal(member string) string {
	m, err := access.ParseMember(member)
	if err != nil {
		return memberOr(member)
	}
	switch m.Kind() {
	case access.KindUser:
		return "principal://goog/subject/" + m.Email()
	case access.KindServiceAccount:
		return "principal://iam.googleapis.com/projects/-/serviceAccounts/" + m.Email()
	case access.KindGroup:
		return "principalSet://goog/group/" + m.Email()
	default:
	}
	return member
}
