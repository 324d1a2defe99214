package access

import "fmt"

// Kind is the kind of a [Member].
type Kind uint8

// The kinds of members. Those marked "set" stand for many principals.
const (
	// KindOther is an identifier that this package doesn't understand. Whether
	// a principal matches it can't be known.
	KindOther Kind = iota
	// KindAnonymous is a caller without credentials; never in a policy.
	KindAnonymous
	// KindUser is user:EMAIL, a Google Account.
	KindUser
	// KindServiceAccount is serviceAccount:EMAIL.
	KindServiceAccount
	// KindKubernetes is serviceAccount:PROJECT.svc.id.goog[NAMESPACE/ACCOUNT].
	KindKubernetes
	// KindFederated is principal://POOL/subject/SUBJECT, one identity of a
	// workload or workforce identity pool.
	KindFederated
	// KindKubernetesUID is principal://POOL/kubernetes.serviceaccount.uid/UID.
	KindKubernetesUID
	// KindAgent is principal://TRUST_DOMAIN/resources/SERVICE/PATH, an agent
	// identity.
	KindAgent
	// KindGroup is group:EMAIL (set).
	KindGroup
	// KindDomain is domain:DOMAIN (set).
	KindDomain
	// KindCustomer is principalSet://goog/cloudIdentityCustomerId/ID (set).
	KindCustomer
	// KindAllUsers is allUsers, in deny rules principalSet://goog/public:all
	// (set).
	KindAllUsers
	// KindAllAuthenticatedUsers is allAuthenticatedUsers (set).
	KindAllAuthenticatedUsers
	// KindPool is principalSet://POOL/* (set).
	KindPool
	// KindPoolGroup is principalSet://POOL/group/GROUP (set).
	KindPoolGroup
	// KindPoolAttribute is principalSet://POOL/attribute.NAME/VALUE (set).
	KindPoolAttribute
	// KindNamespace is principalSet://POOL/namespace/NAMESPACE (set).
	KindNamespace
	// KindCluster is principalSet://POOL/kubernetes.cluster/CLUSTER (set).
	KindCluster
	// KindAgentPool is principalSet://TRUST_DOMAIN/* (set).
	KindAgentPool
	// KindAgentAttribute is principalSet://TRUST_DOMAIN/attribute.NAME/VALUE
	// (set).
	KindAgentAttribute
	// KindServiceAccounts is
	// principalSet://cloudresourcemanager.googleapis.com/CONTAINER/type/ServiceAccount,
	// all service accounts of a project, folder or organization (set).
	KindServiceAccounts
	// KindServiceAgents is the same with type/ServiceAgent; only in deny rules
	// (set).
	KindServiceAgents
	// KindDeleted is any of them with the prefix deleted: and, for most, the
	// suffix ?uid=UID.
	KindDeleted
)

// Member identifies a principal or a set of principals, as bindings and deny
// rules do. Members are comparable: two forms of one identifier (letter case of
// an email address, the v1 and the v2 form) are equal. The zero Member is of
// KindOther and matches nothing.
type Member struct {
	kind Kind
	// id is the canonical form, the one that compiled policies are indexed by.
	id string
	// scope is the pool or trust domain, without the scheme.
	scope string
	// name is the attribute's name (attribute.department, kubernetes.cluster),
	// the type of a resource container's set, or the uid of a deleted member.
	name string
	// value is the email address, domain, subject, attribute value, container.
	value string
}

// Kind returns the kind of the member.
func (m Member) Kind() Kind { return m.kind }

// String returns the canonical form, in the v1 syntax where it has one. It is
// the given text if the member isn't understood.
func (m Member) String() string { return m.id }

// IsZero reports whether m is the zero Member.
func (m Member) IsZero() bool { return m.id == "" }

// MarshalText renders the member as String does.
func (m Member) MarshalText() ([]byte, error) { return []byte(m.id), nil }

// Email returns the email address, in lower case, of a user, service account
// or group, deleted or not, else "".
func (m Member) Email() string {
	switch m.kind {
	case KindUser, KindServiceAccount, KindGroup:
		return m.value
	case KindDeleted:
		if inner, err := parseMember(m.value, v1); err == nil {
			return inner.Email()
		}
	}
	return ""
}

// IsSet reports whether the member stands for many principals.
func (m Member) IsSet() bool {
	return m.kind >= KindGroup && m.kind <= KindServiceAgents
}

// deleted returns the form that IAM rewrites m to when it is deleted: the
// prefix deleted: and, if uid isn't empty, the suffix ?uid=UID.
func (m Member) deleted(uid string) Member {
	id := "deleted:" + m.id
	if uid != "" {
		id += "?uid=" + uid
	}
	return Member{kind: KindDeleted, id: id, name: uid, value: m.id}
}

// Anonymous returns the caller without credentials.
func Anonymous() Member { return Member{kind: KindAnonymous, id: "anonymous"} }

// allUsers returns allUsers.
func allUsers() Member { return Member{kind: KindAllUsers, id: "allUsers"} }

// allAuthenticatedUsers returns allAuthenticatedUsers.
func allAuthenticatedUsers() Member {
	return Member{kind: KindAllAuthenticatedUsers, id: "allAuthenticatedUsers"}
}

// User returns user:EMAIL.
func User(email string) Member { return account(KindUser, "user:", lower(email)) }

// ServiceAccount returns serviceAccount:EMAIL.
func ServiceAccount(email string) Member {
	return account(KindServiceAccount, "serviceAccount:", lower(email))
}

// Group returns group:EMAIL.
func Group(email string) Member { return account(KindGroup, "group:", lower(email)) }

// ServiceAccountsOf returns the set of all service accounts of a container:
// projects/NUMBER, folders/NUMBER or organizations/NUMBER.
func ServiceAccountsOf(container string) Member {
	return containerSet(KindServiceAccounts, container, "ServiceAccount")
}

// ServiceAgentsOf returns the set of all service agents of a container.
func ServiceAgentsOf(container string) Member {
	return containerSet(KindServiceAgents, container, "ServiceAgent")
}

func account(kind Kind, prefix, email string) Member {
	return Member{kind: kind, id: prefix + email, value: email}
}

func containerSet(kind Kind, container, typ string) Member {
	return Member{
		kind:  kind,
		id:    fmt.Sprintf("principalSet://%s/%s/type/%s", resourceManager, container, typ),
		name:  typ,
		value: container,
	}
}

// other returns a member that isn't understood, kept to say so.
func other(text string) Member { return Member{kind: KindOther, id: text} }
