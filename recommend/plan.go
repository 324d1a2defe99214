package recommend

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/allowpolicy"
	"github.com/runidentity/runidentity/internal/names"
)

// A StepKind is what a step does.
type StepKind string

// The kinds of steps, in the order in which a plan has them. In this order a
// workload never lacks what it needs.
const (
	StepCreateAccount StepKind = "create-account"
	StepGrantRole     StepKind = "grant-role"
	StepAttach        StepKind = "attach"
	StepRemoveRole    StepKind = "remove-role"
)

// A Step is one change.
type Step struct {
	Kind   StepKind `json:"kind"`
	Reason string   `json:"reason"`

	// Account is the account that the step creates, or attaches to Workload.
	// Before is the account that Workload has before the step. [StepAttach] takes
	// both, also if Before is the project's default one.
	Account  identity.ServiceAccount `json:"account,omitzero"`
	Workload identity.Workload       `json:"workload,omitzero"`
	Before   identity.ServiceAccount `json:"before,omitzero"`

	// Member is who gets or loses Role on Resource. If there is a Condition,
	// ConditionTitle says which binding is meant: a grant needs it, and without it a
	// removal means all bindings of that condition.
	Member         string `json:"member,omitempty"`
	Role           string `json:"role,omitempty"`
	Resource       string `json:"resource,omitempty"`
	Condition      string `json:"condition,omitempty"`
	ConditionTitle string `json:"conditionTitle,omitempty"`
}

// validate refuses a step that lacks something.
func (s Step) validate() error {
	switch s.Kind {
	case StepCreateAccount:
		if s.Account.Kind() != identity.AccountUserManaged {
			return fmt.Errorf("account %q: it must be a user-managed one, such as %q", s.Account, "shop@web-prod.iam.gserviceaccount.com")
		}
	case StepAttach:
		if s.Account.IsZero() || s.Before.IsZero() || s.Account == s.Before {
			return fmt.Errorf("account %q, before %q: it takes two accounts, the new one and the one to go back to", s.Account, s.Before)
		}
		return s.Workload.Validate()
	case StepGrantRole, StepRemoveRole:
		if !strings.Contains(s.Role, "roles/") || !strings.Contains(s.Member, ":") && !strings.HasPrefix(s.Member, "all") {
			return fmt.Errorf("role %q, member %q: it takes both, such as %q and %q", s.Role, s.Member, "roles/run.invoker", "user:dev@example.com")
		}
		// IAM demands a title. One without a condition would be a binding that holds always.
		if s.Condition == "" && s.ConditionTitle != "" || s.Kind == StepGrantRole && s.Condition != "" && s.ConditionTitle == "" {
			return fmt.Errorf("condition %q, title %q: a title takes a condition, and a condition that is granted a title", s.Condition, s.ConditionTitle)
		}
		if !allowpolicy.Supports(s.Resource) {
			return unsupported(s.Resource)
		}
	default:
		return fmt.Errorf("kind %q: it isn't known", s.Kind)
	}
	return nil
}

// contradicts refuses a step that can't be in one plan with an earlier one, as the
// plan could not end with both in effect, or could not tell which of them did what.
func (s Step) contradicts(number int, earlier Step) error {
	reason := earlier.Reason
	earlier.Reason = s.Reason
	switch {
	case s == earlier:
		return fmt.Errorf("it is step %d (%s) once more", number, reason)
	case s.Kind == StepAttach && earlier.Kind == StepAttach && mayBeOne(s.Workload.String(), earlier.Workload.String()):
		return fmt.Errorf("step %d is about the same workload%s", number, sameProject(s.Workload.String(), earlier.Workload.String()))
	case s.Kind == StepRemoveRole && earlier.Kind == StepGrantRole && mayBeOne(s.Role, earlier.Role) && mayBeOne(s.Resource, earlier.Resource) &&
		strings.EqualFold(s.Member, earlier.Member) && s.Condition == earlier.Condition &&
		(s.Condition == "" || s.ConditionTitle == "" || s.ConditionTitle == earlier.ConditionTitle):
		return fmt.Errorf("it takes away what step %d grants%s", number, sameProject(s.Role+s.Resource, earlier.Role+earlier.Resource))
	}
	return nil
}

// mayBeOne reports whether two names may be those of one resource: of a project's
// id and its number, or an account's address and its unique id, a plan can't tell.
func mayBeOne(one, other string) bool {
	one, other = spelled(one), spelled(other)
	if a, b := strings.LastIndex(one, "/serviceAccounts/"), strings.LastIndex(other, "/serviceAccounts/"); a >= 0 && b >= 0 &&
		strings.Contains(one, "@") != strings.Contains(other, "@") {
		return mayBeOne(one[:a], other[:b])
	}
	return names.Same(one, other) || names.Same(other, one)
}

// spelled returns one of the spellings of a resource: full names may lack their
// slashes, and addresses of accounts don't depend on the case.
func spelled(resource string) string {
	resource = strings.TrimPrefix(resource, "//")
	if at := strings.LastIndex(resource, "/serviceAccounts/"); at >= 0 {
		resource = resource[:at] + strings.Replace(strings.ToLower(resource[at:]), "/serviceaccounts/", "/serviceAccounts/", 1)
	}
	return resource
}

// sameProject says which other name would have been clear.
func sameProject(one, other string) string {
	if one == other {
		return ""
	}
	return ", if the names are those of one project: use its id, or its number, in both"
}

func unsupported(resource string) error {
	return fmt.Errorf("resource %q: it must be the full name of a project, folder, organization, service account or Cloud Run workload, such as %q",
		resource, "//cloudresourcemanager.googleapis.com/projects/data-prod")
}

// A Grant is a role on a resource.
type Grant struct {
	Role     string `json:"role"`
	Resource string `json:"resource"` // a full resource name
}

// PlanOptions hold the decisions that a recommendation leaves to whoever applies
// it. Nil means the zero value, which removes nothing: a plan that would have to is
// blocked, and shows what it takes.
type PlanOptions struct {
	// Account is the account that [ActionNewIdentity] attaches, and creates if it
	// doesn't exist. Current is what the service runs as now, to go back to, also
	// if it is the project's default one. [ActionNewIdentity] takes both; for other
	// actions they are ignored.
	Account, Current identity.ServiceAccount
	// Grants are the roles that Account gets. A recommendation says which
	// permissions the service used; which roles have them is not for a program to
	// guess. Each grant makes a step, also one that is there twice. If there are none,
	// the plan has a problem that isn't blocking; a basic role, such as roles/editor,
	// is a blocking one. No other action than [ActionNewIdentity] makes steps of Grants.
	Grants []Grant
	// Remove names the roles that the plan may take away, such as "roles/editor".
	// A plan takes no other role away. If the recommendation proposes to, the step
	// is in [Plan.Kept], and the plan has a blocking problem.
	Remove []string
	// Among holds other recommendations. NewPlan looks in them for those that
	// exclude this one.
	Among []Recommendation

	// MaxAge is how old a recommendation may be. Zero or less means 14 days.
	// MinObserved is how long the use must have been observed. Zero or less means
	// 60 days. Outside these limits the plan has a problem that isn't blocking.
	MaxAge, MinObserved time.Duration
	// Now is the time to compare with. Zero means the current time.
	Now time.Time
}

// A Problem is a reason not to apply a plan, or to think twice.
type Problem struct {
	Message string `json:"message"`
	// Blocking reports whether the problem keeps the plan from being applied.
	Blocking bool `json:"blocking"`
}

// A Plan is what it takes to apply a recommendation. It is data, to show, to
// store and to decide on. Its JSON is stable and has a version. Fields may be
// added to a version, and none changes its meaning.
type Plan struct {
	Recommendation string `json:"recommendation"` // the name
	Etag           string `json:"etag"`           // the recommendation's when the plan was made
	Action         Action `json:"action"`
	// Steps are what Apply carries out, in this order.
	Steps []Step `json:"steps"`
	// Kept are the removals that [PlanOptions].Remove doesn't name. They block the
	// plan.
	Kept []Step `json:"kept,omitempty"`
	// Problems are blocking or warnings. [Plan.Err] tells whether one is blocking.
	Problems []Problem `json:"problems,omitempty"`
}

// ErrBlocked means that a plan must not be applied. [Plan.Err] returns it for a
// problem that is blocking, and [Client.Apply] also for what it finds.
var ErrBlocked = errors.New("the plan must not be applied")

// Err returns nil if no problem is blocking. Otherwise it returns an error that
// wraps [ErrBlocked] and names the problems.
func (p Plan) Err() error {
	var why []string
	for _, problem := range p.Problems {
		if problem.Blocking {
			why = append(why, problem.Message)
		}
	}
	if len(why) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrBlocked, strings.Join(why, "; "))
}

// NewPlan makes the plan for a recommendation. It returns an error if the options
// lack something that the recommendation needs, or have something invalid. What
// speaks against applying the plan is in [Plan.Problems], and is no error: a plan for
// [ActionReview] or [ActionUnusedAccount] has no steps and a blocking problem.
func NewPlan(r Recommendation, opts *PlanOptions) (Plan, error) {
	var c PlanOptions
	if opts != nil {
		c = *opts
	}
	p := &draft{Plan{Recommendation: r.Name, Etag: r.Etag, Action: r.Action, Steps: []Step{}}}
	p.judge(r, c)
	switch r.Action {
	case ActionNewIdentity:
		if err := p.newIdentity(r, c); err != nil {
			return Plan{}, fmt.Errorf("plan for %s: %w", r.Name, err)
		}
	case ActionRemoveRole, ActionReplaceRole:
		if !allowpolicy.Supports(r.Resource) {
			p.block("the allow policy of " + r.Resource + " is not one that this package can change: apply it by hand")
		}
		for _, role := range r.AddRoles {
			p.Steps = append(p.Steps, Step{
				Kind: StepGrantRole, Member: r.Member, Role: role, Resource: r.Resource,
				Reason: "has what was used of " + r.Role,
			})
		}
		p.remove(r, c)
	case ActionUnusedAccount:
		p.block("the account isn't used: disable it, and delete it when nothing breaks; this is not a plan's to do")
	default:
		p.block("it takes a person: " + r.Why)
	}
	if len(p.Steps) > maxSteps {
		p.block(fmt.Sprintf("it has %d steps, and may have %d", len(p.Steps), maxSteps))
	}
	return p.Plan, nil
}

// maxSteps is how many steps fit into a recommendation's metadata, which notes
// what was done.
const maxSteps = 255

// A draft is a plan that is being made.
type draft struct{ Plan }

func (p *draft) block(message string) { p.Problems = append(p.Problems, Problem{message, true}) }
func (p *draft) warn(message string)  { p.Problems = append(p.Problems, Problem{message, false}) }

// basicRoles are those that have thousands of permissions, under their old names
// and their new ones.
//
// https://cloud.google.com/iam/docs/roles-overview#basic
var basicRoles = []string{"roles/owner", "roles/editor", "roles/viewer", "roles/admin", "roles/writer", "roles/reader"}

// judge looks for what speaks against applying a recommendation.
func (p *draft) judge(r Recommendation, c PlanOptions) {
	now, maxAge, minObserved := c.Now, c.MaxAge, c.MinObserved
	if now.IsZero() {
		now = time.Now()
	}
	if maxAge <= 0 {
		maxAge = 14 * 24 * time.Hour
	}
	if minObserved <= 0 {
		minObserved = 60 * 24 * time.Hour
	}
	switch r.State {
	case StateActive, StateClaimed:
	case StateSucceeded:
		p.block("it was applied already")
	case StateFailed:
		// Google's reference says both, that it can be claimed again and not.
		p.block("applying it failed before: Recommender makes another one when it still holds")
	case StateDismissed:
		p.block("it was dismissed")
	default:
		p.block(fmt.Sprintf("its state %q isn't known", r.State))
	}
	switch age := now.Sub(r.LastRefresh); {
	case r.LastRefresh.IsZero():
		p.warn("it doesn't tell when it was computed")
	case age > maxAge:
		p.warn(fmt.Sprintf("it was computed %d days ago: what was used since isn't in it", int(age.Hours()/24)))
	}
	switch {
	case r.Observed == 0:
		p.warn("it doesn't tell how long the use was observed")
	case r.Observed < minObserved:
		p.warn(fmt.Sprintf("the use was observed for %d days only: what is used more seldom looks unused", int(r.Observed.Hours()/24)))
	}
	for _, role := range slices.Concat(r.AddRoles, rolesOf(c.Grants)) {
		if slices.Contains(basicRoles, role) {
			p.block("it grants the basic role " + role)
		}
	}
	if r.XorGroup != "" {
		p.warn("only one recommendation of the group " + r.XorGroup + " is to be applied")
		for _, other := range c.Among {
			if other.XorGroup == r.XorGroup && other.Name != r.Name && (other.State == StateClaimed || other.State == StateSucceeded) {
				p.block(fmt.Sprintf("%s, which excludes it, is %s", other.Name, other.State))
			}
		}
	}
}

func rolesOf(grants []Grant) []string {
	var roles []string
	for _, g := range grants {
		roles = append(roles, g.Role)
	}
	return roles
}

// newIdentity gives a service an account of its own.
func (p *draft) newIdentity(r Recommendation, c PlanOptions) error {
	switch {
	case c.Account.IsZero():
		return fmt.Errorf("it proposes an account of its own for the service %s: PlanOptions.Account names it, such as %q", r.Service.ID, "shop@web-prod.iam.gserviceaccount.com")
	case c.Current.IsZero():
		return errors.New("PlanOptions.Current is missing: what the service runs as now, to go back to")
	case c.Account == c.Current:
		return fmt.Errorf("account %q: it is what the service runs as already", c.Account)
	case c.Account.Kind() != identity.AccountUserManaged:
		return fmt.Errorf("account %q: it must be a user-managed one, such as %q", c.Account, "shop@web-prod.iam.gserviceaccount.com")
	}
	if id, _, _ := strings.Cut(c.Account.Email(), "@"); len(id) < 6 || len(id) > 30 || id[0] < 'a' || id[0] > 'z' {
		return fmt.Errorf("account id %q: it must begin with a letter and have 6 to 30 characters, such as %q", id, "shop-runner")
	}
	p.Steps = append(p.Steps, Step{Kind: StepCreateAccount, Account: c.Account, Reason: "an account for " + r.Service.ID + " alone"})
	for _, g := range c.Grants {
		p.Steps = append(p.Steps, Step{
			Kind: StepGrantRole, Member: c.Account.Member(), Role: g.Role, Resource: g.Resource, Reason: "what the service needs, as chosen",
		})
	}
	for _, g := range c.Grants {
		if !allowpolicy.Supports(g.Resource) {
			return fmt.Errorf("grant of %s: %w", g.Role, unsupported(g.Resource))
		}
	}
	if len(c.Grants) == 0 {
		p.warn("the new account gets no roles: " + used(r))
	}
	p.Steps = append(p.Steps, Step{
		Kind: StepAttach, Account: c.Account, Workload: r.Service, Before: c.Current, Reason: "the service runs as its own account",
	})
	return nil
}

// used says which permissions were.
func used(r Recommendation) string {
	var all []string
	for _, i := range r.Insights {
		all = append(all, i.Exercised...)
	}
	if len(all) == 0 {
		return "which permissions the service used isn't told"
	}
	return "the service used " + strings.Join(all, ", ")
}

// remove takes a role away, if that is asked for by name.
func (p *draft) remove(r Recommendation, c PlanOptions) {
	s := Step{
		Kind: StepRemoveRole, Member: r.Member, Role: r.Role, Resource: r.Resource, Condition: r.Condition,
		Reason: "not used",
	}
	if r.Action == ActionReplaceRole {
		s.Reason = "replaced"
	}
	if r.Revoked > 0 {
		s.Reason += fmt.Sprintf("; takes %d permissions away", r.Revoked)
	}
	if slices.Contains(c.Remove, r.Role) {
		p.Steps = append(p.Steps, s)
		return
	}
	p.Kept = append(p.Kept, s)
	p.block("it takes " + r.Role + " away, which PlanOptions.Remove doesn't name")
}
