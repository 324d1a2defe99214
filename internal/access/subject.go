package access

import (
	"maps"
	"slices"
	"strings"
)

// Identity is a principal, or a set of principals, whose access is in question,
// with what its identifier doesn't tell.
type Identity struct {
	// Member is the identifier. A set as the subject ([Member.IsSet]) has what
	// all of its members have: what is granted to it or to a set that is known
	// to contain it. If a deny rule certainly concerns a part of it, the set as
	// such is denied.
	Member Member
	// UID is the unique ID of an account, if known. A binding that was made for
	// an account that was deleted and undeleted since (deleted:…?uid=UID)
	// matches the account with that very ID.
	UID string
	// Attributes are the attributes of an identity of a pool, by name as in a
	// principalSet: attribute.repository, kubernetes.cluster,
	// kubernetes.serviceaccount.uid.
	Attributes map[string]string
	// Groups are the groups of an identity of a pool, as its provider maps
	// them.
	Groups []string
	// Complete reports that Attributes and Groups are all that it has. Otherwise
	// whether a set by an attribute or group that isn't named contains it is
	// Unknown.
	Complete bool
}

// Subject is an [Identity] made ready for decisions: the sets that contain it
// are looked up once. It is immutable and safe for concurrent use.
type Subject struct {
	id  Identity
	dir Directory
	// keys are the identifiers that match it, most specific first.
	keys []key
	// unknown is the directory's, nil if there is nothing it doesn't know.
	unknown func(Member) []Member
	// certain says that nothing that is understood can contain it but its keys.
	certain bool
}

// key is an identifier that matches a subject, and how.
type key struct {
	member Member
	// hash is that of the member's id, for allow policies.
	hash uint64
	via  []Member
}

// NewSubject looks the identity up in the directory. If dir is nil, nothing is
// known of sets.
func NewSubject(id Identity, dir Directory) *Subject {
	if dir == nil {
		dir = noDirectory{}
	}
	s := &Subject{id: id, dir: dir}
	sets := dir.setsOf(id.Member)
	s.unknown = sets.unknown
	m := id.Member
	if m.kind == KindDeleted {
		// Nobody is behind a deleted identifier, so nothing matches it.
		s.unknown, s.certain = nil, true
		return s
	}
	// Itself, its deleted form, its domain or pool, and the two sets of all.
	s.keys = make([]key, 0, len(sets.in)+5)
	if m.kind != KindAnonymous && !m.IsZero() {
		s.add(m)
	}
	if id.UID != "" && m.Email() != "" {
		s.add(m.deleted(id.UID))
	}
	for _, c := range sets.in {
		s.keys = append(s.keys, newKey(c.set, c.via))
	}
	s.addImplied(m)
	if isGoogleAccount(m.kind) {
		s.add(allAuthenticatedUsers())
	}
	if m.kind != KindAllUsers {
		s.add(allUsers())
	}
	switch {
	case m.kind == KindAnonymous, m.kind == KindAllUsers, m.kind == KindAllAuthenticatedUsers:
		s.certain = true
	case isGoogleAccount(m.kind):
		s.certain = s.unknown == nil
	case m.kind == KindFederated:
		s.certain = id.Complete
	}
	return s
}

func (s *Subject) add(m Member) { s.keys = append(s.keys, newKey(m, nil)) }

func newKey(m Member, via []Member) key { return key{member: m, hash: hashOf(m.id), via: via} }

// addImplied adds the sets that an identifier itself tells.
func (s *Subject) addImplied(m Member) {
	switch m.kind {
	case KindUser:
		s.add(domainOf(m))
	case KindFederated, KindKubernetesUID:
		for _, g := range s.id.Groups {
			s.add(poolSet(KindPoolGroup, m.scope, "group", g))
		}
		for _, name := range slices.Sorted(maps.Keys(s.id.Attributes)) {
			value := s.id.Attributes[name]
			switch {
			case isAttribute(name):
				s.add(poolSet(KindPoolAttribute, m.scope, name, value))
			case name == clusterAttribute:
				s.add(poolSet(KindCluster, m.scope, name, value))
			case name == uidAttribute:
				s.add(Member{kind: KindKubernetesUID, id: "principal://" + m.scope + "/" + name + "/" + value, scope: m.scope, name: name, value: value})
			}
		}
		if pod, ok := podOf(m); ok {
			s.add(poolSet(KindNamespace, m.scope, "namespace", pod.name))
			s.add(pod)
		}
		s.add(poolSet(KindPool, m.scope, "", ""))
	case KindPoolGroup, KindPoolAttribute, KindNamespace, KindCluster:
		s.add(poolSet(KindPool, m.scope, "", ""))
	case KindAgent:
		for _, name := range slices.Sorted(maps.Keys(s.id.Attributes)) {
			if isAttribute(name) {
				s.add(poolSet(KindAgentAttribute, m.scope, name, s.id.Attributes[name]))
			}
		}
		if container, ok := containerOfAgent(m); ok {
			s.add(poolSet(KindAgentAttribute, m.scope, platformContainer, container))
		}
		s.add(poolSet(KindAgentPool, m.scope, "", ""))
	case KindAgentAttribute:
		s.add(poolSet(KindAgentPool, m.scope, "", ""))
	}
}

// key returns the key with which m matches the subject.
func (s *Subject) key(m Member) (key, bool) {
	for _, k := range s.keys {
		if k.member.id == m.id {
			return k, true
		}
	}
	return key{}, false
}

// isGoogleAccount reports whether allAuthenticatedUsers contains the members of a
// kind: Google Accounts and service accounts, and sets of them. Federated
// identities aren't in it.
func isGoogleAccount(k Kind) bool {
	switch k {
	case KindUser, KindServiceAccount, KindGroup, KindDomain, KindCustomer,
		KindServiceAccounts, KindServiceAgents:
		return true
	}
	return false
}

func domainOf(user Member) Member {
	_, d, _ := cutLast(user.value, '@')
	return Member{kind: KindDomain, id: "domain:" + d, value: d}
}

func poolSet(kind Kind, scope, name, value string) Member {
	m := Member{kind: kind, scope: scope, name: name, value: value}
	if kind == KindPool || kind == KindAgentPool {
		m.id = "principalSet://" + scope + "/*"
	} else {
		m.id = "principalSet://" + scope + "/" + name + "/" + value
	}
	return m
}

// podOf returns the older form of the identity of a Kubernetes service account,
// PROJECT.svc.id.goog[NAMESPACE/ACCOUNT], of principal://…/PROJECT.svc.id.goog/
// subject/ns/NAMESPACE/sa/ACCOUNT. The ID of GKE's pool tells its project.
func podOf(m Member) (Member, bool) {
	_, pool, _ := cutLast(m.scope, '/')
	parts := strings.Split(m.value, "/")
	if m.kind != KindFederated || !strings.HasSuffix(pool, gkeSuffix) ||
		len(parts) != 4 || parts[0] != "ns" || parts[2] != "sa" {
		return Member{}, false
	}
	return Member{
		kind: KindKubernetes, id: "serviceAccount:" + pool + "[" + parts[1] + "/" + parts[3] + "]",
		scope: pool, name: parts[1], value: parts[3],
	}, true
}

const platformContainer = "attribute.platformContainer"

// containerOfAgent returns SERVICE/projects/NUMBER of an agent identity, by
// which the set of a project's agents is named.
func containerOfAgent(m Member) (string, bool) {
	parts := strings.Split(m.value, "/")
	if len(parts) < 3 || parts[1] != "projects" {
		return "", false
	}
	return strings.Join(parts[:3], "/"), true
}
