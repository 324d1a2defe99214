package preflight

import "time"

// A Code names a check, or a piece of advice. Codes are stable; messages may
// change with any release.
type Code string

// The checks, in the order in which a report has them.
const (
	// CheckIdentity is whether the account exists and is enabled.
	CheckIdentity Code = "identity"
	// CheckDeployerActAs is whether the deployer may act as the identity.
	CheckDeployerActAs Code = "deployer-act-as"
	// CheckDeployerDeploy is whether the deployer may create the workload if it isn't
	// there, or update and read it if it is. Updating and reading are a finding each.
	CheckDeployerDeploy Code = "deployer-deploy"
	// CheckRunAPI is whether the Cloud Run API is enabled in the workload's project.
	CheckRunAPI Code = "run-api"
	// CheckServiceAgent is whether the Cloud Run service agent of the workload's
	// project may mint tokens for the identity.
	CheckServiceAgent Code = "service-agent"
	// CheckCrossProjectPolicy is whether the identity's project lets workloads of
	// other projects use its accounts. A report has it only if the identity is, or
	// may be, of another project.
	CheckCrossProjectPolicy Code = "cross-project-policy"
	// CheckRuntimeAccess is whether the identity has what it needs at run time. A
	// report has one finding for each role and each permission of [Target.Needs].
	CheckRuntimeAccess Code = "runtime-access"
	// CheckDryRun is whether the server takes the very change with validateOnly. A
	// report has it only with [CheckOptions.ValidateOnly], and only if the identity is
	// known.
	CheckDryRun Code = "dry-run"
)

// The advice.
const (
	// AdviceDefaultIdentity says that the identity is a default one of its project.
	AdviceDefaultIdentity Code = "default-identity"
	// AdviceSharedIdentity says that other workloads of the kind, project and region
	// run as the identity.
	AdviceSharedIdentity Code = "shared-identity"
	// AdviceBasicRole says that the identity has roles/owner or roles/editor on its
	// own project, on the workload's, or above.
	AdviceBasicRole Code = "basic-role"
	// AdviceWideGrant says that the deployer may act as the identity, or the service
	// agent may mint its tokens, by a grant on a project, folder or organization. It is
	// given only for findings of the method [ByPolicies], which know the grant.
	AdviceWideGrant Code = "wide-grant"
	// AdviceAgentRole says that something that is no service agent has
	// roles/run.serviceAgent on the identity, its project or the workload's.
	AdviceAgentRole Code = "agent-role"
	// AdviceMightierIdentity says that the identity may change the allow policy of its
	// own project or the workload's, and the deployer may not.
	AdviceMightierIdentity Code = "mightier-identity"
	// AdviceCannotWait says that the deployer may not read Cloud Run's operations.
	// This library then looks at the workload instead; other tools may fail.
	AdviceCannotWait Code = "cannot-wait"
)

// A Finding is the result of a check.
type Finding struct {
	Code    Code    `json:"code"`
	Verdict Verdict `json:"verdict"`

	// Resource is what the check is about, as a full resource name.
	Resource string `json:"resource"`
	// Principal is who the check is about, as a member of an allow policy: the
	// deployer, the identity or the service agent. It is empty if the name isn't known,
	// or if the check is about a project.
	Principal string `json:"principal,omitempty"`
	// Permission is what the principal has to have on the resource. It is empty if the
	// check is not about a single permission.
	Permission string `json:"permission,omitempty"`

	// Message says in a sentence what was found.
	Message string `json:"message"`

	// Evidence is how it was found.
	Evidence Evidence `json:"evidence"`

	// Causes are what is missing to decide an Unknown. A Pass and a Fail have none.
	Causes []Cause `json:"causes,omitempty"`

	// Fix is the smallest change that is known to make a Fail pass. It is nil if no
	// such change is known, and for a Pass and an Unknown.
	Fix *Fix `json:"fix,omitempty"`
}

// Advice is something that works but should be otherwise. It is never a failure.
type Advice struct {
	Code Code `json:"code"` // one of the Advice constants
	// Resource is what the advice is about, as a full resource name.
	Resource string `json:"resource"`
	// Principal is whose access to the resource the advice is about, as a member, and
	// Role is the role that gives it. Either is empty if it doesn't matter.
	Principal string `json:"principal,omitempty"`
	Role      string `json:"role,omitempty"`
	// Message says it in a sentence.
	Message string `json:"message"`
}

// A Method is a way of finding something out. The codes are stable.
type Method string

const (
	// ByTestIAMPermissions is the method testIamPermissions of the resource's API,
	// as the caller. It is exact.
	ByTestIAMPermissions Method = "testIamPermissions"
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
	// Method is how it was found out. An Unknown has one as well, also if nothing was
	// called.
	Method Method `json:"method"`

	// Grant is a binding that grants the permission. It is nil if the policies weren't
	// read, or hold none. A Fail or an Unknown has one if a deny rule overrules it, or
	// may.
	Grant *Grant `json:"grant,omitempty"`

	// Denial is the deny rule that makes a Fail. It is nil if there is none, or if it
	// can't be read.
	Denial *Denial `json:"denial,omitempty"`

	// Detail is what the server said, if it said anything.
	Detail string `json:"detail,omitempty"`
}

// A Grant is a binding that grants a permission.
type Grant struct {
	Resource string `json:"resource"` // whose policy has the binding, as a full resource name
	Role     string `json:"role"`
	Member   string `json:"member"` // may be a group or another set that contains the principal
	// Condition is the binding's condition, nil if it has none.
	Condition *Condition `json:"condition,omitempty"`
	// Expires is when the grant ends; zero if time alone doesn't end it.
	Expires time.Time `json:"expires,omitzero"`
}

// A Denial is a rule of a deny policy.
type Denial struct {
	Resource  string `json:"resource"`  // what the policy is attached to, as a full resource name
	Policy    string `json:"policy"`    // the policy's full name
	Rule      int    `json:"rule"`      // the rule's index in the policy, from 0
	Principal string `json:"principal"` // whom the rule denies, as a member of an allow policy
}

// A Condition is the condition of a binding, in CEL.
//
// https://cloud.google.com/iam/docs/conditions-overview
type Condition struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Expression  string `json:"expression"`
}

// A Cause is one thing that isn't known, and for which a check is Unknown.
type Cause struct {
	// Message says what isn't known.
	Message string `json:"message"`
	// Resource is what would have to be read, as a full resource name; empty if it
	// isn't known or is no resource.
	Resource string `json:"resource,omitempty"`
	// Permissions are what the caller lacks to read it. They are empty if permissions
	// are not what is missing.
	Permissions []string `json:"permissions,omitempty"`
	// Principal is the group or other set whose members aren't known.
	Principal string `json:"principal,omitempty"`
	// Err is what reading it ended with, nil if it wasn't read. It is not in the JSON.
	Err error `json:"-"`
}
