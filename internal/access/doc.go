// Package access decides whether a principal has a permission on a resource
// of Google Cloud, from the IAM policies that apply to it, and explains why.
//
// It evaluates allow policies with their roles and conditions, deny policies
// (IAM v2) and membership in groups, domains, pools and the like. It is pure:
// it calls nothing, has no clock, and imports no other package of this module
// and no Google client. Callers convert what they have into its small types.
//
// # Three values
//
// An [Outcome] is [Granted], [Denied] or [Unknown], and Unknown is the zero
// value. What the caller doesn't know is said where it belongs: a [Role] whose
// permissions can't be read, a group whose members can't be read
// ([Directory]), a [Level] whose policy can't be read (nil), a condition on an
// attribute that this package can't evaluate. Each of them makes the outcome
// Unknown only if it could change the answer: a grant elsewhere makes an
// unreadable allow policy irrelevant, a deny rule that certainly matches makes
// everything else irrelevant.
//
// # Use
//
// Policies are compiled once and then decided upon many times. All compiled
// values are immutable and safe for concurrent use.
//
//	c := access.NewCompiler()
//	project := c.Allow(access.Policy{Bindings: bindings})
//	if err := project.Err(); err != nil {
//		// what IAM or this package would refuse: unknown member forms,
//		// conditions that don't compile or use unsupported attributes
//	}
//	denies := c.Deny(denyPolicies...)
//
//	e := access.Evaluator{Roles: roles}
//	member, err := access.ParseMember("user:dev@example.com")
//	subject := access.NewSubject(access.Identity{Member: member}, directory)
//	d := e.Decide(access.Request{
//		Subject:    subject,
//		Permission: "iam.serviceAccounts.actAs",
//		Time:       now,
//		Levels: []access.Level{
//			{Resource: "//iam.googleapis.com/projects/p/serviceAccounts/e", Allow: account, Deny: access.NoDeny()},
//			{Resource: "//cloudresourcemanager.googleapis.com/projects/p", Allow: project, Deny: denies},
//		},
//	})
//
// A backend that enforces IAM (package fake) knows everything: it refuses a
// policy whose Err or CheckLimits isn't nil, keeps a complete [Roster] of its
// groups, and asks Decide on each call and Explain for Policy Troubleshooter.
//
// A checker that reads policies from the real cloud (package preflight) knows
// less: it ignores Err, because what it can't evaluate becomes Unknown, passes
// nil for a level's policy that it may not read, and turns [Explanation.Causes]
// into findings. The causes also tell what is worth finding out: it first asks
// with no [Directory] at all, looks up the groups that the causes name, and asks
// again with an open [Roster] of them. [Decision.End] says when a grant that is
// bound in time ends.
//
// # What isn't evaluated
//
// Principal access boundary policies, access policies of Eventarc, VPC Service
// Controls, organization policies and legacy ACLs are outside of this package.
package access
