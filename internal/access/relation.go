package access

import "slices"

// roots returns the sets whose members would have to be known to tell whether m
// contains the subject (m itself, for a set that nobody can look into), and
// nothing if m certainly doesn't. It must not be called for a key of the
// subject.
func (s *Subject) roots(m Member) []Member {
	self := s.id.Member
	if m.kind == KindDeleted || self.kind == KindDeleted {
		return nil
	}
	if self.kind == KindOther || m.kind == KindOther || samePod(self, m) {
		return []Member{m}
	}
	switch m.kind {
	case KindAllAuthenticatedUsers:
		// Nothing is documented about agents, which Google manages itself.
		if self.kind == KindAgent || self.kind == KindAgentPool || self.kind == KindAgentAttribute {
			return []Member{m}
		}
	case KindGroup, KindDomain, KindCustomer, KindServiceAccounts, KindServiceAgents:
		if s.unknown != nil && mayBeIn(self, m.kind) {
			return slices.DeleteFunc(s.unknown(m), func(root Member) bool {
				return !mayBeIn(self, root.kind)
			})
		}
	case KindPoolGroup, KindPoolAttribute, KindNamespace, KindCluster, KindKubernetesUID, KindAgentAttribute:
		if s.mayHave(m) {
			return []Member{m}
		}
	}
	return nil
}

// samePod reports whether one of two identifiers may stand for the pod of the
// other, or for a set of pods with it, without telling for certain. The older form
// of a Kubernetes identity lacks the number of the project, and an account's UID
// doesn't tell its name.
func samePod(self, m Member) bool {
	_, pool, _ := cutLast(m.scope, '/')
	switch self.kind {
	case KindKubernetes:
		switch m.kind {
		case KindFederated:
			pod, ok := podOf(m)
			return ok && pod.id == self.id
		case KindNamespace:
			return pool == self.scope && m.value == self.name
		case KindPool, KindPoolGroup, KindPoolAttribute, KindCluster, KindKubernetesUID:
			return pool == self.scope
		}
	case KindKubernetesUID:
		_, own, _ := cutLast(self.scope, '/')
		switch m.kind {
		case KindFederated:
			_, ok := podOf(m)
			return ok && m.scope == self.scope
		case KindKubernetes:
			return m.scope == own
		case KindNamespace:
			return m.scope == self.scope
		}
	}
	return false
}

// mayBeIn reports whether a set of Google's kinds can contain the principal, or
// all of the set, at all.
func mayBeIn(self Member, set Kind) bool {
	switch self.kind {
	case KindUser:
		if set == KindDomain || set == KindCustomer {
			// A consumer account is of no organization.
			d := domainOf(self).value
			return d != "gmail.com" && d != "googlemail.com"
		}
		return set == KindGroup
	case KindServiceAccount:
		// Service accounts aren't members of a domain, though they can be in
		// groups. Whether a customer's principals include those of its
		// organization isn't documented.
		return set != KindDomain
	case KindGroup:
		return true
	case KindDomain, KindCustomer:
		return set == KindGroup || set == KindDomain || set == KindCustomer
	case KindServiceAccounts, KindServiceAgents:
		return set != KindDomain
	}
	return false
}

// mayHave reports whether the subject, an identity of a pool or a set of them,
// may have the attribute that m is the set of, or be contained in it.
func (s *Subject) mayHave(m Member) bool {
	self := s.id.Member
	if self.scope == "" || self.scope != m.scope {
		return false
	}
	switch self.kind {
	case KindFederated, KindAgent, KindKubernetesUID:
		if s.id.Complete || self.kind == m.kind {
			return false
		}
		switch m.kind {
		case KindNamespace:
			// The subject tells it.
			return false
		case KindAgentAttribute:
			if _, ok := containerOfAgent(self); ok && m.name == platformContainer {
				return false
			}
		case KindPoolGroup:
			return true
		}
		// An attribute has one value.
		_, known := s.id.Attributes[m.name]
		return !known
	case KindPoolGroup, KindPoolAttribute, KindNamespace, KindCluster, KindAgentAttribute:
		if m.kind == KindKubernetesUID {
			return false
		}
		return m.kind == KindPoolGroup || self.name != m.name
	case KindPool, KindAgentPool:
		return m.kind != KindKubernetesUID
	}
	return false
}

// overlap reports whether some principals of the subject, a set that p doesn't
// contain, are among p. If that isn't known, the answer is Maybe.
func (s *Subject) overlap(p Member) Answer {
	self := s.id.Member
	if p.kind == KindDeleted || p.IsZero() {
		return No
	}
	if p.kind == KindOther || self.kind == KindOther {
		return Maybe
	}
	inner := NewSubject(Identity{Member: p}, s.dir)
	if _, ok := inner.key(self); ok {
		return Yes
	}
	if len(inner.roots(self)) > 0 {
		return Maybe
	}
	if !p.IsSet() {
		return No
	}
	if disjoint(self, p) {
		return No
	}
	return Maybe
}

// disjoint reports whether two sets certainly have no member in common.
func disjoint(a, b Member) bool {
	ua, ub := universe(a), universe(b)
	if ua != ub {
		return ua != "*" && ub != "*"
	}
	switch {
	case a.kind == KindDomain && (b.kind == KindServiceAccounts || b.kind == KindServiceAgents),
		b.kind == KindDomain && (a.kind == KindServiceAccounts || a.kind == KindServiceAgents):
		return true
	case a.kind != b.kind:
		return false
	}
	switch a.kind {
	case KindPoolAttribute, KindNamespace, KindCluster, KindAgentAttribute:
		// An identity has one value of an attribute.
		return a.name == b.name && a.value != b.value
	}
	return false
}

// universe names the world of principals that a set is a part of.
func universe(m Member) string {
	switch m.kind {
	case KindAllUsers:
		return "*"
	case KindPool, KindPoolGroup, KindPoolAttribute, KindNamespace, KindCluster, KindAgentPool, KindAgentAttribute:
		return m.scope
	}
	return "google"
}
