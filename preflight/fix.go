package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
)

// A FixKind is what a [Fix] does. The codes are stable; kinds may be added.
type FixKind string

// The kinds, in the order in which fixes are applied.
const (
	// FixEnableAPI enables the API Service in Project.
	FixEnableAPI FixKind = "enable-api"

	// FixCreateAgent creates the service agent of the API Service in Project, if
	// it isn't there. No check proposes it, since no readable resource shows
	// whether an agent exists. A [Fixer] applies it when the server says that the
	// agent to grant to doesn't exist.
	//
	// https://cloud.google.com/iam/docs/create-service-agents
	FixCreateAgent FixKind = "create-agent"

	// FixCreateAccount creates the service account Account, without any role.
	FixCreateAccount FixKind = "create-account"

	// FixEnableAccount enables the service account Account of Project.
	FixEnableAccount FixKind = "enable-account"

	// FixGrantRole grants Role to Member on Resource, under Condition unless that is
	// zero.
	FixGrantRole FixKind = "grant-role"

	// FixAllowCrossProject sets iam.disableCrossProjectServiceAccountUsage to not
	// enforced on Project alone, so that workloads of other projects may use its
	// accounts. It changes a guardrail.
	//
	// https://cloud.google.com/iam/docs/attach-service-accounts#enabling-cross-project
	FixAllowCrossProject FixKind = "allow-cross-project"

	// FixExemptFromDeny makes Member an exception to the rule at the index Rule of
	// the deny policy Policy. It changes a guardrail.
	//
	// https://cloud.google.com/iam/docs/deny-access
	FixExemptFromDeny FixKind = "exempt-from-deny"
)

// fixKinds are all kinds, in the order in which fixes are applied: what makes
// something before what refers to it.
var fixKinds = [...]FixKind{
	FixEnableAPI, FixCreateAgent, FixCreateAccount, FixEnableAccount, FixGrantRole, FixAllowCrossProject, FixExemptFromDeny,
}

// A Fix is a change that makes a check pass. Its Kind says which of the other
// fields it has. The others are zero: [Fixer.Apply] refuses the fix otherwise. Fixes
// can be compared with ==.
//
// A zero Fix, and one of an unknown kind, can be printed and can't be applied.
//
// In JSON, a fix has its kind in the field "type" and its command in "gcloud".
//
// A check never applies a fix, see [Fixer].
type Fix struct {
	Kind FixKind

	// Project is a project's id or number, for FixEnableAPI, FixCreateAgent,
	// FixEnableAccount and FixAllowCrossProject.
	Project string
	// Service is an API, such as "run.googleapis.com", for FixEnableAPI and
	// FixCreateAgent.
	Service string

	// Account is the service account, for FixCreateAccount and FixEnableAccount.
	Account identity.ServiceAccount

	// Resource is the full name of a service account, Cloud Run workload, project,
	// folder or organization, for FixGrantRole. A relative name can't be applied.
	Resource string
	// Role is what is granted, for FixGrantRole.
	Role string
	// Member is who gets access, as in an allow policy, for FixGrantRole and
	// FixExemptFromDeny. "" stands for a deployer whose name isn't known; it shows
	// as MEMBER, and such a fix can't be applied.
	Member string
	// Condition is the condition of the grant, for FixGrantRole. The zero Condition
	// is none. One without an Expression is an error.
	Condition Condition

	// Policy is the full name of a deny policy, and Rule the index of one of its
	// rules, for FixExemptFromDeny.
	Policy string
	Rule   int
	// Permission is one that the rule denies, such as
	// "iam.serviceAccounts.actAs", for FixExemptFromDeny. If the rule at that index
	// doesn't deny it any more, the fix fails. If empty, that isn't compared.
	Permission string
	// Principal is whom that rule denies, as [Denial].Principal, for
	// FixExemptFromDeny. If the rule at that index is another one by now, the fix
	// fails. If empty, that isn't compared.
	Principal string
}

// String returns in a few words what the fix does.
func (f Fix) String() string { return actionOf(&f).text() }

// Gcloud returns the gcloud commands that do the same, quoted for a POSIX shell. If
// gcloud has none, it returns a comment that says what to do. It may have several
// lines: a deny policy is read, edited by hand and written.
func (f Fix) Gcloud() string { return actionOf(&f).gcloud() }

// Request returns the API call that does it, to show. For an unknown kind it is zero.
func (f Fix) Request() Request { return actionOf(&f).request() }

// SideEffect returns in a few words what else the fix brings about, and the
// permission that it takes to apply it. For a zero Fix, and one of an unknown kind, it
// returns a text that says that this isn't known.
func (f Fix) SideEffect() string { return actionOf(&f).sideEffect() }

// ChangesGuardrail reports whether the fix changes what an organization forbade
// on purpose: an organization policy or a deny policy. A [Fixer] skips it unless
// [ApplyOptions] allow it. For an unknown kind it returns true, as it may.
func (f Fix) ChangesGuardrail() bool { return actionOf(&f).changesGuardrail() }

// A Request is an API call, to show.
type Request struct {
	// Method is the discovery ID, such as "iam.projects.serviceAccounts.create".
	Method string `json:"method"`
	// Verb is the HTTP method.
	Verb string `json:"verb"`
	URL  string `json:"url"`
	// Body is the JSON that is sent. For a policy, which is read, changed and
	// written, it is only what is added.
	Body string `json:"body,omitempty"`
}

// Fixes returns the fixes of reports, each once, those that change a guardrail
// included. They are in the order in which they are applied: what makes something
// before what refers to it.
func Fixes(reports ...Report) []Fix {
	var all []Fix
	for _, r := range reports {
		for _, f := range r.Findings {
			if f.Fix != nil && !slices.Contains(all, *f.Fix) {
				all = append(all, *f.Fix)
			}
		}
	}
	sortFixes(all)
	return all
}

// sortFixes puts fixes in the order in which they are applied.
func sortFixes(fixes []Fix) {
	slices.SortStableFunc(fixes, func(a, b Fix) int {
		return slices.Index(fixKinds[:], a.Kind) - slices.Index(fixKinds[:], b.Kind)
	})
}

// An action is what a kind of fix does. It is the fix itself under another
// type.
type action interface {
	// fields are the fields of the fix that the kind has.
	fields() []field
	// check returns what the fix lacks to be applied, as an error.
	check() error
	text() string
	gcloud() string
	request() Request
	sideEffect() string
	changesGuardrail() bool
	// apply makes it so, once, and reports whether that made a difference. An
	// error that is an [*identity.UnfinishedError] leaves open whether it did.
	apply(ctx context.Context, by *applier) (changed bool, err error)
}

// actionOf returns what a fix does.
func actionOf(f *Fix) action {
	switch f.Kind {
	case FixEnableAPI:
		return (*enableAPI)(f)
	case FixCreateAgent:
		return (*createAgent)(f)
	case FixCreateAccount:
		return (*createAccount)(f)
	case FixEnableAccount:
		return (*enableAccount)(f)
	case FixGrantRole:
		return (*grantRole)(f)
	case FixAllowCrossProject:
		return (*allowCrossProject)(f)
	case FixExemptFromDeny:
		return (*exemptFromDeny)(f)
	default:
		return (*unknownFix)(f)
	}
}

// checkFix returns as an error why a fix can't be applied.
func checkFix(f Fix) error {
	if err := actionOf(&f).check(); err != nil {
		return err
	}
	return foreignFields(f)
}

// foreignFields returns as an error that a fix has a field that is not for its kind.
func foreignFields(f Fix) error {
	if own := ownFields(f); own != f {
		return fmt.Errorf("%s: a fix of kind %q has no field but %s; set the others to zero", f, f.Kind, strings.Join(fieldNames(f), ", "))
	}
	return nil
}

// lacks returns the error of a fix without something.
func lacks(a action, what, example string) error {
	return fmt.Errorf("%s: %s is missing, such as %q", a.text(), what, example)
}

// nobody returns the error of a fix for a member whose name isn't known.
func nobody(a action) error {
	return fmt.Errorf("%s: whom to grant to isn't known; set Checker.Caller or Target.Deployer", a.text())
}

// unknownMember stands for the deployer whose name isn't known.
const unknownMember = "MEMBER"

func memberOr(member string) string {
	if member == "" {
		return unknownMember
	}
	return member
}

// body returns the JSON of what a request adds.
func body(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(text)
}

// denyPrincipal returns a member in the syntax of deny policies.
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
