package access

import "time"

// Evaluator answers requests with what its caller knows of roles. It may be
// copied, and is safe for concurrent use if its functions are.
type Evaluator struct {
	// Roles returns a role by its name, nil if its permissions aren't known.
	// If Roles is nil, none is known.
	Roles func(name string) *Role
	// Deniable reports whether deny policies support a permission, given in the
	// form of [PermissionFQDN]. If nil, they support all.
	Deniable func(permission string) bool
}

// Request asks whether a subject has a permission on a resource.
type Request struct {
	// Subject is who asks. If nil, nothing is known of who asks.
	Subject *Subject
	// Permission is the permission's name as roles list it
	// (iam.serviceAccounts.actAs).
	Permission string
	// Resource holds the attributes of the resource for conditions.
	Resource Resource
	// Time is the time of the request, for conditions.
	Time time.Time
	// Levels are the resource itself and its ancestors, from the resource
	// upwards. If the hierarchy isn't known to its top, a last level without
	// policies says so; without any level, nothing is granted.
	Levels []Level
}

// Level is a resource with the policies that are attached to it.
type Level struct {
	// Resource is the full resource name, for explanations.
	Resource string
	// Allow is its allow policy, nil if that can't be read.
	Allow *AllowPolicy
	// Deny are its deny policies, nil if they can't be read. [NoDeny] is for
	// resources that have none.
	Deny *DenyPolicies
}

// Decision is the answer to a request.
type Decision struct {
	Outcome Outcome
	// End says when the grant ends, if Outcome is Granted: when the last of the
	// bindings that grant the permission now ceases to. Deny rules aren't
	// considered.
	End End
}

// Decide answers a request.
func (e *Evaluator) Decide(req Request) Decision {
	r := newRun(e, &req)
	allow := r.allow()
	if allow == No {
		return Decision{Outcome: Denied}
	}
	deny := r.deny()
	switch outcome := outcomeOf(allow, deny); outcome {
	case Unknown:
		return Decision{Outcome: r.refine(allow, deny, false).outcome()}
	case Granted:
		return Decision{Outcome: outcome, End: r.end}
	default:
		return Decision{Outcome: outcome}
	}
}

// outcomeOf combines what the allow policies grant and the deny policies deny.
func outcomeOf(allow, deny Answer) Outcome {
	switch allow.and(deny.not()) {
	case Yes:
		return Granted
	case No:
		return Denied
	}
	return Unknown
}

// run is the evaluation of one request.
type run struct {
	e     *Evaluator
	req   *Request
	attrs *attributes
	// hash is that of the permission, for roles.
	hash uint64
	// perm is the permission in parts, once split.
	perm     permission
	split    bool
	canDeny  bool
	deniable Answer // Maybe until asked

	// end is the end of the grants found.
	end End
	// claims are what allow left open.
	claims []claim

	// mode says what happens to what isn't known.
	mode  mode
	atoms []atom
	// assumed are the atoms that are taken as true, a bit each.
	assumed uint64
}

func newRun(e *Evaluator, req *Request) run {
	if req.Subject == nil {
		req.Subject = NewSubject(Identity{}, nil)
	}
	return run{e: e, req: req, hash: hashOf(req.Permission)}
}
