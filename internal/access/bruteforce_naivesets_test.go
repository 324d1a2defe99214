package access

import (
	"slices"
	"strings"
)

// The part of the naive evaluator that is about members and sets.

const crmPrefix = "principalSet://cloudresourcemanager.googleapis.com/"

// setKey returns the key in situation.sets of a member that is such a set.
func setKey(member string) (string, bool) {
	switch {
	case strings.HasPrefix(member, "group:"), strings.HasPrefix(member, "domain:"):
		return strings.ToLower(member), true
	case strings.HasPrefix(member, "customer:"):
		return member, true
	case strings.HasPrefix(member, crmPrefix) && strings.HasSuffix(member, "/type/ServiceAccount"):
		return "crm:" + strings.TrimSuffix(member[len(crmPrefix):], "/type/ServiceAccount"), true
	}
	return "", false
}

// stands reports whether a member is the principal p or, for a set p, contains all
// of it. tag keeps the questions about other principals than the caller apart.
func (s *situation) stands(w *world, member string, p principal, tag string) bool {
	if p.kind == "set" && strings.EqualFold(member, p.set) && !strings.HasPrefix(member, "principal") {
		return true
	}
	if p.kind == "set" && member == p.set {
		return true
	}
	switch {
	case member == "allUsers":
		return true
	case member == "allAuthenticatedUsers":
		_, google := setKey(p.set)
		return p.kind == "user" || p.kind == "sa" || google
	case strings.HasPrefix(member, "user:"):
		return p.kind == "user" && strings.EqualFold(member[5:], p.email)
	case strings.HasPrefix(member, "serviceAccount:") && strings.HasSuffix(member, "]"):
		return p.kind == "pod" && member == "serviceAccount:proj.svc.id.goog["+p.ns+"/"+p.ks+"]"
	case strings.HasPrefix(member, "serviceAccount:"):
		return p.kind == "sa" && strings.EqualFold(member[15:], p.email)
	case strings.HasPrefix(member, "deleted:"):
		kind := map[string]string{"user": "user:", "sa": "serviceAccount:"}[p.kind]
		return kind != "" && p.uid != "" && strings.EqualFold(member, "deleted:"+kind+p.email+"?uid="+p.uid)
	case strings.HasPrefix(member, "principal://"):
		return (p.kind == "fed" || p.kind == "pod") && member == "principal://"+p.pool+"/subject/"+p.sub
	}
	if key, ok := setKey(member); ok {
		return s.inSet(w, key, p, tag, map[string]bool{})
	}
	return s.inPool(w, strings.TrimPrefix(member, "principalSet://"), p, tag)
}

// kindOfSet is the first part of a key.
func kindOfSet(key string) string { k, _, _ := strings.Cut(key, ":"); return k }

// possible says which kinds of sets can contain which principals at all.
func possible(p principal, set string) bool {
	kind := p.kind
	if kind == "set" {
		key, ok := setKey(p.set)
		if !ok {
			return false
		}
		kind = kindOfSet(key)
	}
	switch kind {
	case "user":
		if set == "domain" || set == "customer" {
			return !strings.HasSuffix(strings.ToLower(p.email), "@gmail.com")
		}
		return set == "group"
	case "sa", "crm":
		return set != "domain"
	case "group":
		return true
	case "domain", "customer":
		return set != "crm"
	}
	return false
}

// inSet searches a set and those nested in it.
func (s *situation) inSet(w *world, key string, p principal, tag string, seen map[string]bool) bool {
	if seen[key] {
		return false
	}
	seen[key] = true
	kind := kindOfSet(key)
	if p.kind == "user" && kind == "domain" && strings.HasSuffix(strings.ToLower(p.email), "@"+key[len("domain:"):]) {
		return true
	}
	if p.kind == "set" {
		if own, ok := setKey(p.set); ok && own == key {
			return true
		}
	}
	model, listed := s.sets[key]
	if s.knows == "none" {
		listed = false
	}
	if !listed {
		switch {
		case !possible(p, kind):
			return false
		case s.knows == "all":
			return false
		case s.knows == "none" && kind == "domain" && (p.kind == "user" || kindOfSetOf(p) == "domain"):
			return false
		}
		return w.ask("in " + key + tag)
	}
	// Every branch is asked, so that a certain answer isn't missed.
	found := false
	for _, m := range model.members {
		switch {
		case p.kind == "user" && m == "user:"+strings.ToLower(p.email):
			found = true
		case p.kind == "sa" && m == "serviceAccount:"+strings.ToLower(p.email):
			found = true
		case !strings.HasPrefix(m, "user:") && !strings.HasPrefix(m, "serviceAccount:"):
			found = s.inSet(w, m, p, tag, seen) || found
		}
	}
	return found || (model.dark && possible(p, kind) && w.ask("in "+key+tag))
}

func kindOfSetOf(p principal) string {
	key, _ := setKey(p.set)
	return kindOfSet(key)
}

// inPool decides POOL/*, POOL/group/G, POOL/attribute.N/V and POOL/namespace/N.
func (s *situation) inPool(w *world, set string, p principal, tag string) bool {
	pool, what := cutAfterPool(set)
	if p.kind == "set" {
		ownPool, own := cutAfterPool(strings.TrimPrefix(p.set, "principalSet://"))
		switch {
		case ownPool == "" || ownPool != pool:
			return false
		case what == "*":
			return true
		case strings.HasPrefix(what, "attribute.") || strings.HasPrefix(what, "namespace/"):
			name, _, _ := strings.Cut(what, "/")
			ownName, _, _ := strings.Cut(own, "/")
			if name == ownName {
				return false // another value of it
			}
		}
		return w.ask("in " + set + tag)
	}
	if (p.kind != "fed" && p.kind != "pod") || p.pool != pool {
		return false
	}
	name, value, _ := strings.Cut(what, "/")
	switch {
	case what == "*":
		return true
	case name == "group":
		if slices.Contains(p.groups, value) {
			return true
		}
	case name == "namespace":
		return p.kind == "pod" && p.ns == value
	default:
		if v, ok := p.attrs[name]; ok {
			return v == value
		}
	}
	return !p.full && w.ask("in "+set+tag)
}

func cutAfterPool(s string) (pool, what string) {
	for _, pool := range poolNames() {
		if strings.HasPrefix(s, pool+"/") {
			return pool, s[len(pool)+1:]
		}
	}
	return "", ""
}

// ruleDeniesSet: a set is denied if a part of it certainly is, unless an
// exception contains all of the set or all of those denied.
func (s *situation) ruleDeniesSet(w *world, r DenyRule) bool {
	for _, text := range r.DeniedPrincipals {
		d := v1Of(text)
		if !s.stands(w, d, s.caller, "") && !s.touches(w, d) {
			continue
		}
		exempt := false
		for _, x := range r.ExceptionPrincipals {
			e := v1Of(x)
			exempt = exempt || s.stands(w, e, s.caller, "") || s.stands(w, e, asPrincipal(d), " for "+d)
		}
		if !exempt {
			return true
		}
	}
	return false
}

// asPrincipal makes a principal of a member's text, of which nothing more is
// known.
func asPrincipal(member string) principal {
	switch {
	case strings.HasPrefix(member, "user:"):
		return principal{kind: "user", email: member[5:]}
	case strings.HasPrefix(member, "serviceAccount:"):
		return principal{kind: "sa", email: member[15:]}
	case strings.HasPrefix(member, "principal://"):
		pool, what := cutAfterPool(member[len("principal://"):])
		sub := strings.TrimPrefix(what, "subject/")
		p := principal{kind: "fed", pool: pool, sub: sub}
		if parts := strings.Split(sub, "/"); len(parts) == 4 {
			p.kind, p.ns, p.ks = "pod", parts[1], parts[3]
		}
		return p
	case strings.HasPrefix(member, "deleted:"):
		return principal{kind: "nobody"}
	}
	return principal{kind: "set", set: member}
}

// touches reports whether some of the caller, a set, are in d.
func (s *situation) touches(w *world, d string) bool {
	if strings.HasPrefix(d, "deleted:") {
		return false
	}
	inner := asPrincipal(d)
	least, most := false, false
	for _, v := range []bool{false, true} {
		constant := &world{names: map[string]int{}}
		got := s.stands(&world{names: constant.names, choices: repeat(v)}, s.caller.set, inner, "")
		if v {
			most = got
		} else {
			least = got
		}
	}
	switch {
	case least:
		return true
	case most:
		return w.ask("part " + d)
	case inner.kind != "set":
		return false
	}
	if apart(s.caller.set, d) {
		return false
	}
	return w.ask("part " + d)
}

func repeat(v bool) []bool {
	out := make([]bool, 64)
	for i := range out {
		out[i] = v
	}
	return out
}

// apart reports whether two sets, neither of which contains the other, certainly
// have no members in common.
func apart(a, b string) bool {
	if a == "allUsers" || b == "allUsers" {
		return false
	}
	poolA, whatA := cutAfterPool(strings.TrimPrefix(a, "principalSet://"))
	poolB, whatB := cutAfterPool(strings.TrimPrefix(b, "principalSet://"))
	if poolA != poolB {
		return true
	}
	if poolA == "" {
		ka, _ := setKey(a)
		kb, _ := setKey(b)
		crm := kindOfSet(ka) == "crm" || kindOfSet(kb) == "crm"
		domain := kindOfSet(ka) == "domain" || kindOfSet(kb) == "domain"
		return crm && domain
	}
	nameA, _, _ := strings.Cut(whatA, "/")
	nameB, _, _ := strings.Cut(whatB, "/")
	return nameA == nameB && nameA != "group"
}
