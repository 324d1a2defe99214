package preflight

import "time"

// A Code names a check, or a piece of advice. Codes are stable; messages may
// change with any release.
type Code string

// The checks, in the order in which a report has them.
const (
	// CheckIdentity: the account exists and is enabled.
	CheckIdentity Code = "identity"
	// CheckActAs: the deployer may act as the identity.
	CheckActAs Code = "deployer-act-as"
	// CheckDeploy: the deployer may create or update the workload, and read it.
	CheckDeploy Code = "deployer-deploy"
	// CheckAPI: the Cloud Run API is enabled in the workload's project.
	CheckAPI Code = "run-api"
	// CheckAgent: the project's Cloud Run service agent may mint tokens for the
	// identity.
	CheckAgent Code = "service-agent"
	// CheckOrgPolicy: the identity's project lets workloads of other projects
	// use its accounts. Only where the identity is of another project.
	CheckOrgPolicy Code = "cross-project-policy"
	// CheckNeed: the identity has what it needs at run time. One finding for
	// each [Need] and permission.
	CheckNeed Code = "runtime-access"
	// CheckDryRun: the server took the very change with validateOnly. Only
	// with [DryRun].
	CheckDryRun Code = "dry-run"
)

// The advice.
const (
	// AdviceDefaultIdentity: the identity is a default one of its project.
	AdviceDefaultIdentity Code = "default-identity"
	// AdviceSharedIdentity: other workloads of the project's region run as it.
	AdviceSharedIdentity Code = "shared-identity"
	// AdviceBasicRole: the identity has owner or editor.
	AdviceBasicRole Code = "basic-role"
	// AdviceWideGrant: the right to act as the identity, or to mint its tokens,
	// is granted on a project, folder or organization.
	AdviceWideGrant Code = "wide-grant"
	// AdviceAgentRole: roles/run.serviceAgent is held by something that is no
	// service agent.
	AdviceAgentRole Code = "agent-role"
	// AdviceMightier: the identity may do what its deployer may not.
	AdviceMightier Code = "mightier-identity"
	// AdviceCannotWait: the deployer may not read Cloud Run's operations. This
	// library then looks at the workload instead; other tools may fail.
	AdviceCannotWait Code = "cannot-wait"
)

// A Finding is the result of a check.
type Finding struct {
	Code    Code    `json:"code"`
	Verdict Verdict `json:"verdict"`

	// Resource is what it is about, as a full resource name. Principal is whose
	// access to it is in question, as a member, and Permission to do what; both
	// are empty where no access is.
	Resource   string `json:"resource"`
	Principal  string `json:"principal,omitempty"`
	Permission string `json:"permission,omitempty"`

	// Message says it in a sentence.
	Message string `json:"message"`

	// Evidence is how it was found.
	Evidence Evidence `json:"evidence"`

	// Causes are what would have to be known, of an Unknown.
	Causes []Cause `json:"causes,omitempty"`

	// Fix is the smallest change that is known to make it pass, nil if there is
	// none.
	Fix Fix `json:"fix,omitempty"`
}

// Advice is something that works but should be otherwise. It is never a failure.
type Advice struct {
	Code      Code   `json:"code"`
	Resource  string `json:"resource"`
	Principal string `json:"principal,omitempty"`
	Role      string `json:"role,omitempty"`
	Message   string `json:"message"`
}

// A Method is a way of finding something out.
type Method string

const (
	// ByTest is testIamPermissions, as the caller. It is exact.
	ByTest Method = "testIamPermissions"
	// ByTroubleshooter is Policy Troubleshooter.
	ByTroubleshooter Method = "troubleshooter"
	// ByPolicies means policies that were read and evaluated here.
	ByPolicies Method = "policies"
	// ByRead means that the resource was read, or could not be.
	ByRead Method = "read"
	// ByDryRun is a request with validateOnly.
	ByDryRun Method = "dry-run"
)

// Evidence is how a finding was made.
type Evidence struct {
	Method Method `json:"method"`

	// Grant is a binding that grants the permission, of a Pass by policies.
	Grant *Grant `json:"grant,omitempty"`

	// Denial is the deny rule that denies it, of a Fail.
	Denial *Denial `json:"denial,omitempty"`

	// Detail is what else there is to know: a text of the server's.
	Detail string `json:"detail,omitempty"`
}

// A Grant is a binding that grants a permission.
type Grant struct {
	Resource  string     `json:"resource"` // whose policy has it
	Role      string     `json:"role"`
	Member    string     `json:"member"`
	Condition *Condition `json:"condition,omitempty"`
	// Expires is when the grant ends; zero if time alone doesn't end it.
	Expires time.Time `json:"expires,omitzero"`
}

// A Denial is a rule of a deny policy.
type Denial struct {
	Resource  string `json:"resource"` // that the policy is attached to
	Policy    string `json:"policy"`   // its name
	Rule      int    `json:"rule"`     // the rule's index
	Principal string `json:"principal"`
}

// A Condition is the condition of a binding.
//
// https://cloud.google.com/iam/docs/conditions-overview
type Condition struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Expression  string `json:"expression"`
}

// A Cause is something that would have to be known.
type Cause struct {
	// Message says what isn't known.
	Message string `json:"message"`
	// Resource is what would have to be read.
	Resource string `json:"resource,omitempty"`
	// Permissions are what the caller would need to read it, as far as that
	// would help.
	Permissions []string `json:"permissions,omitempty"`
	// Principal is the group, or other set, whose members aren't known.
	Principal string `json:"principal,omitempty"`
	// Err is what reading it ended with.
	Err error `json:"-"`
}
