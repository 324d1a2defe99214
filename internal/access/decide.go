package access

import "time"

// Evaluator answers requests with what its caller knows of roles. It may be
// copied, and is safe for concurrent use if its functions are.
type Evaluator struct {
	// Roles returns a role by its name, nil if its permissions aren't known. A
	// nil Roles knows none.
	Roles func(name string) *Role
	// Deniable reports whether deny policies support a permission, given in the
	// form of [PermissionFQDN]. A nil Deniable means that they support all.
	Deniable func(permission string) bool
}

// Request asks whether a subject has a permission on a resource.
type Request struct {
	// Subject is who asks. Nil is someone of whom nothing is known.
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
	// perm is the permission in parts, once split.
	perm     permission
	split    bool
	canDeny  bool
	deniable Answer // Maybe until asked

	// end is the end of the grants found.
	end End

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
	return run{e: e, req: req}
}

// allow says whether the allow policies grant the permission.
func (r *run) allow() Answer {
	result := No
	s := r.req.Subject
	for i := range r.req.Levels {
		p := r.req.Levels[i].Allow
		if p == nil {
			result = result.or(r.ask(atomKey{kind: atomPolicy, n: i}, nil))
			continue
		}
		for k := range s.keys {
			for _, b := range p.bindingsOf(s.keys[k].member) {
				v := r.binding(i, &p.bindings[b])
				if v == Yes && r.grants(&p.bindings[b], result) {
					return Yes
				}
				result = result.or(v)
			}
		}
	}
	if result == Yes {
		return Yes
	}
	for i := range r.req.Levels {
		p := r.req.Levels[i].Allow
		if p == nil || (s.certain && !p.other) {
			continue
		}
		result = result.or(r.open(i, p))
	}
	return result
}

// grants notes the end of a grant, and reports whether looking for further ones
// is idle, because none can outlast it.
func (r *run) grants(b *binding, before Answer) bool {
	end := End{Kind: EndNever}
	if b.cond != nil {
		end = b.cond.end
	}
	if before == Yes {
		end = r.end.later(end)
	}
	r.end = end
	return end.Kind == EndNever
}

// open says whether the bindings grant the permission to members that may
// contain the subject.
func (r *run) open(level int, p *AllowPolicy) Answer {
	s := r.req.Subject
	refs := p.refs[:p.open]
	if s.id.Member.kind == KindOther {
		refs = p.refs
	}
	result := No
	for i := range refs {
		roots := s.roots(refs[i].member)
		if len(roots) == 0 {
			continue
		}
		if _, ok := s.key(refs[i].member); ok {
			continue
		}
		for _, b := range refs[i].bindings {
			if v := r.binding(level, &p.bindings[b]); v != No {
				result = result.or(v.and(r.any(roots, level, false)))
			}
		}
	}
	return result
}

// binding says whether a binding grants the permission to its members. What is
// certain is looked at before anything is asked.
func (r *run) binding(level int, b *binding) Answer {
	role := r.roleOf(b).Grants(r.req.Permission)
	if role == No {
		return No
	}
	cond := Yes
	if b.cond != nil {
		out, _ := b.cond.eval(r.attributes())
		if cond = out.allows(); cond == No {
			return No
		}
	}
	if role == Maybe {
		role = r.ask(atomKey{kind: atomRole, a: b.role, n: level}, b)
	}
	if cond == Maybe {
		cond = r.ask(atomKey{kind: atomCondition, a: b.cond.text, n: level}, b)
	}
	if b.hidden {
		cond = cond.and(r.ask(atomKey{kind: atomHidden, a: b.full, n: level}, b))
	}
	return role.and(cond)
}

func (r *run) roleOf(b *binding) *Role {
	if r.e.Roles == nil {
		return nil
	}
	return r.e.Roles(b.role)
}

func (r *run) attributes() *attributes {
	if r.attrs == nil {
		r.attrs = &attributes{time: r.req.Time, resource: r.req.Resource}
	}
	return r.attrs
}

// any says whether one of the sets contains the subject.
func (r *run) any(roots []Member, level int, deny bool) Answer {
	if r.mode == modeDecide && len(roots) > 0 {
		return Maybe
	}
	result := No
	for _, root := range roots {
		result = result.or(r.ask(atomKey{kind: atomMember, a: root.id, n: level, deny: deny}, root))
	}
	return result
}
