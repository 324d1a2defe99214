package access

import "strings"

// syntax says which of the two identifier syntaxes applies: a principal of a
// deny rule isn't accepted in an allow policy, nor the other way round.
type syntax uint8

const (
	v1 syntax = 1 // members of allow policies
	v2 syntax = 2 // principals of deny policies
)

const resourceManager = "cloudresourcemanager.googleapis.com"

// ParseMember parses a member of an allow policy (IAM v1), in any form that
// Google's page on principal identifiers lists. Email addresses and domains are
// compared case-insensitively; everything else is kept as it is.
func ParseMember(s string) (Member, error) {
	m, err := parseMember(s, v1)
	if err != nil {
		return Member{}, err
	}
	return m, nil
}

// parseMember returns a member of KindOther with an error, so that a policy
// that was read can be kept although part of it isn't understood.
func parseMember(s string, syn syntax) (Member, error) {
	if rest, ok := strings.CutPrefix(s, "deleted:"); ok {
		return parseDeleted(s, rest, syn)
	}
	if rest, ok := strings.CutPrefix(s, "principal://"); ok {
		return parseSingle(s, rest, syn)
	}
	if rest, ok := strings.CutPrefix(s, "principalSet://"); ok {
		return parseSet(s, rest, syn)
	}
	if syn == v2 {
		return bad(s, "a deny rule takes principal://… and principalSet://… only")
	}
	switch s {
	case "allUsers":
		return allUsers(), nil
	case "allAuthenticatedUsers":
		return allAuthenticatedUsers(), nil
	}
	prefix, rest, ok := strings.Cut(s, ":")
	if !ok {
		return bad(s, "no prefix such as user: or serviceAccount:")
	}
	switch prefix {
	case "user":
		return parseEmail(s, rest, User)
	case "group":
		return parseEmail(s, rest, Group)
	case "serviceAccount":
		if pool, pod, ok := strings.Cut(rest, "["); ok {
			return parseKubernetes(s, pool, pod)
		}
		return parseEmail(s, rest, ServiceAccount)
	case "domain":
		d := lower(rest)
		if !strings.Contains(d, ".") || strings.ContainsAny(d, "@/ \t\n:") || d[0] == '.' {
			return bad(s, "not a domain name")
		}
		return Member{kind: KindDomain, id: "domain:" + d, value: d}, nil
	}
	return bad(s, "no such kind of member")
}

func parseEmail(s, email string, build func(string) Member) (Member, error) {
	user, domain, ok := strings.Cut(email, "@")
	if !ok || user == "" || domain == "" || strings.ContainsAny(email, " \t\n/?") || strings.Contains(domain, "@") {
		return bad(s, "not an email address")
	}
	return build(email), nil
}

// parseKubernetes parses PROJECT.svc.id.goog[NAMESPACE/ACCOUNT], which is
// matched as it is written.
func parseKubernetes(s, pool, pod string) (Member, error) {
	pod, closed := strings.CutSuffix(pod, "]")
	ns, sa, ok := strings.Cut(pod, "/")
	if !closed || !ok || ns == "" || sa == "" || !strings.HasSuffix(pool, gkeSuffix) {
		return bad(s, "not of the form serviceAccount:PROJECT.svc.id.goog[NAMESPACE/ACCOUNT]")
	}
	return Member{kind: KindKubernetes, id: s, scope: pool, name: ns, value: sa}, nil
}

// gkeSuffix ends the ID of the pool that GKE makes in a project.
const gkeSuffix = ".svc.id.goog"

func parseSingle(s, rest string, syn syntax) (Member, error) {
	if syn == v2 {
		if email, ok := strings.CutPrefix(rest, "goog/subject/"); ok {
			return parseEmail(s, email, User)
		}
		if email, ok := strings.CutPrefix(rest, "iam.googleapis.com/projects/-/serviceAccounts/"); ok {
			return parseEmail(s, email, ServiceAccount)
		}
	}
	if domain, path, ok := cutTrustDomain(rest); ok {
		service, what, ok := strings.Cut(strings.TrimPrefix(path, "resources/"), "/")
		if !strings.HasPrefix(path, "resources/") || !ok || service == "" || what == "" {
			return bad(s, "an agent identity is principal://TRUST_DOMAIN/resources/SERVICE/PATH")
		}
		return Member{kind: KindAgent, id: s, scope: domain, value: service + "/" + what}, nil
	}
	pool, what, ok := cutPool(rest)
	if !ok {
		return bad(s, "no such kind of principal")
	}
	name, value, _ := strings.Cut(what, "/")
	switch {
	case value == "":
	case name == "subject":
		return Member{kind: KindFederated, id: s, scope: pool, value: value}, nil
	case name == uidAttribute && syn == v1:
		return Member{kind: KindKubernetesUID, id: s, scope: pool, name: name, value: value}, nil
	}
	return bad(s, "an identity of a pool is principal://POOL/subject/SUBJECT")
}

const (
	uidAttribute     = "kubernetes.serviceaccount.uid"
	clusterAttribute = "kubernetes.cluster"
)

func parseSet(s, rest string, syn syntax) (Member, error) {
	if syn == v2 {
		if email, ok := strings.CutPrefix(rest, "goog/group/"); ok {
			return parseEmail(s, email, Group)
		}
		if id, ok := strings.CutPrefix(rest, "goog/cloudIdentityCustomerId/"); ok && id != "" && !strings.Contains(id, "/") {
			return Member{kind: KindCustomer, id: s, value: id}, nil
		}
		if rest == "goog/public:all" {
			return allUsers(), nil
		}
	}
	if container, ok := strings.CutPrefix(rest, resourceManager+"/"); ok {
		return parseContainer(s, container, syn)
	}
	if domain, path, ok := cutTrustDomain(rest); ok {
		if path == "*" {
			return Member{kind: KindAgentPool, id: s, scope: domain}, nil
		}
		name, value, _ := strings.Cut(path, "/")
		if isAttribute(name) && value != "" {
			return Member{kind: KindAgentAttribute, id: s, scope: domain, name: name, value: value}, nil
		}
		return bad(s, "a set of agent identities ends in /* or /attribute.NAME/VALUE")
	}
	pool, what, ok := cutPool(rest)
	if !ok {
		return bad(s, "no such kind of principal set")
	}
	if what == "*" {
		return Member{kind: KindPool, id: s, scope: pool}, nil
	}
	name, value, _ := strings.Cut(what, "/")
	m := Member{id: s, scope: pool, name: name, value: value}
	switch {
	case value == "":
	case name == "group":
		m.kind = KindPoolGroup
		return m, nil
	case isAttribute(name):
		m.kind = KindPoolAttribute
		return m, nil
	case name == "namespace" && syn == v1:
		m.kind = KindNamespace
		return m, nil
	case name == clusterAttribute && syn == v1:
		m.kind = KindCluster
		return m, nil
	}
	return bad(s, "a set of a pool ends in /*, /group/GROUP or /attribute.NAME/VALUE")
}

// parseContainer parses projects/NUMBER/type/ServiceAccount and the like.
func parseContainer(s, rest string, syn syntax) (Member, error) {
	parts := strings.Split(rest, "/")
	if len(parts) == 4 && parts[1] != "" && parts[2] == "type" {
		container := parts[0] + "/" + parts[1]
		switch parts[0] {
		case "projects", "folders", "organizations":
			if parts[3] == "ServiceAccount" {
				return ServiceAccountsOf(container), nil
			}
			if parts[3] == "ServiceAgent" && syn == v2 {
				return ServiceAgentsOf(container), nil
			}
		}
	}
	return bad(s, "a set of a resource container is CONTAINER/NUMBER/type/ServiceAccount, in deny rules also type/ServiceAgent")
}

// parseDeleted parses what follows deleted:. IAM writes these itself when a
// principal is deleted, so policies that were read contain them.
func parseDeleted(s, rest string, syn syntax) (Member, error) {
	text, uid, hasUID := rest, "", false
	if i := strings.LastIndex(rest, "?uid="); i >= 0 {
		text, uid, hasUID = rest[:i], rest[i+len("?uid="):], true
	}
	inner, err := parseMember(text, syn)
	if err != nil {
		return bad(s, "no such kind of deleted member")
	}
	switch inner.kind {
	case KindUser, KindServiceAccount, KindGroup:
		if uid == "" {
			return bad(s, "a deleted account or group has the suffix ?uid=UID")
		}
	case KindFederated:
		if hasUID && uid == "" {
			return bad(s, "empty uid")
		}
	default:
		return bad(s, "no such kind of deleted member")
	}
	return inner.deleted(uid), nil
}

// cutPool cuts iam.googleapis.com/…/POOL/REST in two.
func cutPool(s string) (pool, rest string, ok bool) {
	parts := strings.Split(s, "/")
	var n int
	switch {
	case len(parts) > 5 && parts[1] == "locations" && parts[2] == "global" && parts[3] == "workforcePools":
		n = 5
	case len(parts) > 7 && parts[1] == "projects" && parts[3] == "locations" && parts[4] == "global" && parts[5] == "workloadIdentityPools":
		n = 7
	default:
		return "", "", false
	}
	if parts[0] != "iam.googleapis.com" || parts[n-1] == "" || parts[2] == "" {
		return "", "", false
	}
	return strings.Join(parts[:n], "/"), strings.Join(parts[n:], "/"), true
}

// cutTrustDomain cuts TRUST_DOMAIN/REST in two if it is a trust domain of
// Google's own, as agent identities have.
func cutTrustDomain(s string) (domain, rest string, ok bool) {
	domain, rest, ok = strings.Cut(s, "/")
	if !ok || !strings.HasSuffix(domain, ".system.id.goog") {
		return "", "", false
	}
	return domain, rest, true
}

func isAttribute(name string) bool {
	return strings.HasPrefix(name, "attribute.") && len(name) > len("attribute.")
}

func bad(s, reason string) (Member, error) {
	return other(s), &memberError{Member: s, Reason: reason}
}

// lower folds the letter case of an email address or a domain.
func lower(s string) string { return strings.ToLower(s) }
