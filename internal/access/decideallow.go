package access

import "slices"

// claim is what may grant the permission, for all that is known: a binding, or
// an allow policy that can't be read. The other bindings don't grant it,
// whatever turns out about what isn't known, so that only claims have to be
// looked at again.
type claim struct {
	level int
	// binding is nil for a policy.
	binding *binding
	// role and cond are what is certain of the binding.
	role, cond Answer
	// roots are the sets of which one would have to contain the subject, none
	// if the binding certainly concerns it.
	roots []Member
}

// allow reports whether the allow policies grant the permission. If the answer
// is Maybe, it leaves claims.
func (r *run) allow() Answer {
	if r.allowNamed() == Yes {
		return Yes
	}
	r.claimOpen()
	if len(r.claims) > 0 {
		return Maybe
	}
	return No
}

// allowNamed answers from the bindings that name a key of the subject.
func (r *run) allowNamed() Answer {
	result := No
	keys := r.req.Subject.keys
	for i := range r.req.Levels {
		p := r.req.Levels[i].Allow
		if p == nil {
			r.claims = append(r.claims, claim{level: i})
			continue
		}
		for k := range keys {
			for _, n := range p.bindingsOf(&keys[k]) {
				b := &p.bindings[n]
				role, cond := r.certain(b)
				switch {
				case role == No || cond == No:
				case role == Maybe || cond == Maybe || b.hidden:
					r.claims = append(r.claims, claim{level: i, binding: b, role: role, cond: cond})
				case r.grants(b, result):
					return Yes
				default:
					result = Yes
				}
			}
		}
	}
	return result
}

// grants notes the end of a grant, and reports whether no other grant can outlast
// it, so that there is no need to look for one.
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

// claimOpen claims the bindings with members that may contain the subject
// without being one of its keys.
//
// A policy may have hundreds of groups of which nothing is known, in bindings of
// roles that have nothing to do with the permission. So claimOpen asks the roles
// first, each once, and only then what might contain the subject.
func (r *run) claimOpen() {
	s := r.req.Subject
	var without roleMemo
	var buffer [8]place
	for i := range r.req.Levels {
		p := r.req.Levels[i].Allow
		if p == nil || (s.certain && !p.other) {
			continue
		}
		if s.id.Member.kind == KindOther {
			r.claimAll(i)
			continue
		}
		places := buffer[:0]
		for j := range p.openRoles {
			use := &p.openRoles[j]
			if without.has(use.role, use.id) {
				continue
			}
			if role := r.roleOf(use.role); role.lacks(r.hash) || role.grants(r.req.Permission, r.hash) == No {
				without.add(use.role)
				continue
			}
			places = append(places, use.places...)
		}
		r.claimPlaces(i, places)
	}
}

// claimAll claims bindings for a subject that isn't understood: it could be any
// member.
func (r *run) claimAll(level int) {
	for i, ref := range r.req.Levels[level].Allow.refs {
		for _, b := range ref.bindings {
			r.claimPlace(level, place{int32(i), b})
		}
	}
}

// claimPlaces claims bindings in the order of the policy, which that of the
// causes follows.
func (r *run) claimPlaces(level int, places []place) {
	slices.SortFunc(places, place.compare)
	for _, at := range places {
		r.claimPlace(level, at)
	}
}

// claimPlace claims a binding for one of its members, if that may contain the
// subject.
func (r *run) claimPlace(level int, at place) {
	s := r.req.Subject
	p := r.req.Levels[level].Allow
	b, m := &p.bindings[at.binding], p.refs[at.ref].member
	if _, ok := s.key(m); ok {
		return
	}
	roots := s.roots(m)
	if len(roots) == 0 {
		return
	}
	if role, cond := r.certain(b); role != No && cond != No {
		r.claims = append(r.claims, claim{level: level, binding: b, role: role, cond: cond, roots: roots})
	}
}

// settle answers as allow does, from the claims that it left.
func (r *run) settle(claims []claim) Answer {
	result := No
	for i := range claims {
		c := &claims[i]
		if c.binding == nil {
			result = result.or(r.ask(atomKey{kind: atomPolicy, n: c.level}, about{}))
		} else {
			v := r.asked(c.level, c.binding, c.role, c.cond)
			if v != No && len(c.roots) > 0 {
				v = v.and(r.any(c.roots, c.level, false))
			}
			result = result.or(v)
		}
		if result == Yes {
			return Yes
		}
	}
	return result
}

// binding reports whether a binding grants the permission to its members.
func (r *run) binding(level int, b *binding) Answer {
	role, cond := r.certain(b)
	if role == No || cond == No {
		return No
	}
	return r.asked(level, b, role, cond)
}

// certain answers for a binding's role and its condition without asking. The
// condition isn't evaluated if the role decides.
func (r *run) certain(b *binding) (role, cond Answer) {
	role = r.roleOf(b.role).grants(r.req.Permission, r.hash)
	if role == No {
		return No, Maybe
	}
	return role, r.condition(b)
}

func (r *run) condition(b *binding) Answer {
	if b.cond == nil {
		return Yes
	}
	out, _ := b.cond.eval(r.attributes())
	return out.allows()
}

// asked asks for what isn't certain of a binding.
func (r *run) asked(level int, b *binding, role, cond Answer) Answer {
	if role == Maybe {
		role = r.ask(atomKey{kind: atomRole, a: b.role.name, n: level}, about{binding: b})
	}
	if cond == Maybe {
		cond = r.ask(atomKey{kind: atomCondition, a: b.cond.text, n: level}, about{binding: b})
	}
	if b.hidden {
		cond = cond.and(r.ask(atomKey{kind: atomHidden, a: b.full, n: level}, about{binding: b}))
	}
	return role.and(cond)
}

func (r *run) roleOf(name *roleName) *Role {
	if r.e.Roles == nil {
		return nil
	}
	return r.e.Roles(name.name)
}

func (r *run) attributes() *attributes {
	if r.attrs == nil {
		r.attrs = &attributes{time: r.req.Time, resource: r.req.Resource}
	}
	return r.attrs
}

// any reports whether one of the sets contains the subject.
func (r *run) any(roots []Member, level int, deny bool) Answer {
	if r.mode == modeDecide && len(roots) > 0 {
		return Maybe
	}
	result := No
	for i := range roots {
		result = result.or(r.ask(atomKey{kind: atomMember, a: roots[i].id, n: level, deny: deny}, about{set: &roots[i]}))
	}
	return result
}
