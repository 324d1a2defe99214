package access

// deny reports whether the deny policies deny the permission.
func (r *run) deny() Answer {
	if !r.split {
		r.perm, r.canDeny = splitPermission(r.req.Permission)
		r.split = true
	}
	if !r.canDeny {
		return No
	}
	result := No
	for i := range r.req.Levels {
		d := r.req.Levels[i].Deny
		if d == nil {
			if r.isDeniable() {
				result = result.or(r.ask(atomKey{kind: atomDenyPolicies, n: i}, about{}))
			}
			continue
		}
		for p := range d.policies {
			rules := d.policies[p].rules
			for j := range rules {
				if result = result.or(r.rule(i, &rules[j])); result == Yes {
					return Yes
				}
			}
		}
	}
	return result
}

// isDeniable reports whether deny policies support the permission.
func (r *run) isDeniable() bool {
	if r.deniable == Maybe {
		r.deniable = answer(r.e.Deniable == nil || r.e.Deniable(PermissionFQDN(r.req.Permission)))
	}
	return r.deniable == Yes
}

// rule reports whether a deny rule denies the permission to the subject. It looks
// at what is certain before it asks anything.
func (r *run) rule(level int, rule *denyRule) Answer {
	if !rule.denies(r.perm) || !r.isDeniable() || r.named(&rule.excepted) {
		return No
	}
	cond := Yes
	if rule.cond != nil {
		out, _ := rule.cond.eval(r.attributes())
		if cond = out.denies(); cond == No {
			return No
		}
	}
	var v Answer
	if r.req.Subject.id.Member.IsSet() {
		v = r.deniesPart(level, rule)
	} else {
		v = Yes
		if !r.named(&rule.denied) {
			v = r.among(level, &rule.denied)
		}
		if v != No {
			v = v.and(r.among(level, &rule.excepted).not())
		}
	}
	if v != No && cond == Maybe {
		cond = r.ask(atomKey{kind: atomCondition, a: rule.cond.text, n: level, deny: true}, about{rule: rule})
	}
	return v.and(cond)
}

// named reports whether one of the principals certainly is the subject or
// contains it.
func (r *run) named(p *principals) bool {
	if len(p.members) == 0 {
		return false
	}
	keys := r.req.Subject.keys
	for k := range keys {
		if _, ok := p.index[keys[k].member.id]; ok {
			return true
		}
	}
	return false
}

// among reports whether one of the principals, none of which is named as a key of
// the subject, contains it.
func (r *run) among(level int, p *principals) Answer {
	s := r.req.Subject
	result := No
	if s.certain && !p.other {
		return result
	}
	for _, m := range p.members {
		result = result.or(r.any(s.roots(m), level, true))
	}
	return result
}

// deniesPart reports whether the rule denies the permission to the subject, a set:
// to all of it or to a part. An exception for a part of those denied doesn't
// help the set; one that contains all of them does.
func (r *run) deniesPart(level int, rule *denyRule) Answer {
	s := r.req.Subject
	all := r.among(level, &rule.excepted)
	result := No
	for _, p := range rule.denied.members {
		v := r.contains(level, p)
		if v != Yes {
			v = v.or(r.partly(level, p))
		}
		if v == No {
			continue
		}
		excepted := all
		inner := NewSubject(Identity{Member: p}, s.dir)
		for _, x := range rule.excepted.members {
			excepted = excepted.or(r.containsInner(level, x, inner))
		}
		result = result.or(v.and(excepted.not()))
	}
	return result
}

// contains reports whether m contains the subject.
func (r *run) contains(level int, m Member) Answer {
	s := r.req.Subject
	if _, ok := s.key(m); ok {
		return Yes
	}
	return r.any(s.roots(m), level, true)
}

// partly reports whether a part of the subject, a set, is in p.
func (r *run) partly(level int, p Member) Answer {
	v := r.req.Subject.overlap(p)
	if v == Maybe {
		v = r.ask(atomKey{kind: atomPart, a: p.id, n: level, deny: true}, about{set: &p})
	}
	return v
}

// containsInner reports whether m contains another principal or set than the
// subject.
func (r *run) containsInner(level int, m Member, inner *Subject) Answer {
	if _, ok := inner.key(m); ok {
		return Yes
	}
	result := No
	roots := inner.roots(m)
	for i := range roots {
		result = result.or(r.ask(atomKey{kind: atomInner, a: roots[i].id, b: inner.id.Member.id, n: level, deny: true}, about{set: &roots[i]}))
	}
	return result
}
