package access

import (
	"cmp"
	"errors"
	"math/bits"
	"strings"
)

// Policy is an allow policy.
type Policy struct {
	Bindings []Binding
}

// Binding grants a role to members.
type Binding struct {
	// Role is the role's name: roles/run.admin, projects/p/roles/deployer.
	Role string
	// Members are the members, in the v1 syntax.
	Members []string
	// Condition is nil for a binding without a condition.
	Condition *Expr
}

// AllowPolicy is a compiled [Policy]. It is immutable and safe for concurrent
// use. The zero AllowPolicy has no bindings.
type AllowPolicy struct {
	bindings []binding
	// refs are the distinct members; the first open ones are those that may
	// contain a subject that they don't name.
	refs []memberRef
	open int
	// openRoles are the distinct roles of the bindings with open members.
	openRoles []roleUse
	// other says that there are members of KindOther.
	other bool
	// slots finds a ref by the member's id. It is a hash table with open
	// addressing, like the one of a [Role] and for the same reason: a map would
	// hash the identifiers of a subject again at each level.
	slots []slot
	errs  []error
}

type binding struct {
	// role is the role to look up, full is its name as written.
	role *roleName
	full string
	// hidden says that the binding has a condition that the policy doesn't
	// show, because the policy was read as version 1.
	hidden  bool
	expr    *Expr
	cond    *condition
	members []Member
}

// memberRef is a member with the bindings that have it.
type memberRef struct {
	member   Member
	bindings []int32
}

// slot is an entry of the table of members. ref is the index in refs plus one, 0
// if the slot is empty. tag is the second half of the identifier's hash: it saves
// most comparisons with identifiers that aren't looked for.
type slot struct{ tag, ref uint32 }

// roleUse is a role with the places of open members in its bindings, in order.
type roleUse struct {
	role *roleName
	// id is a copy of the role's. Reading it here spares a decision, which reads
	// hundreds, an access to another place in memory.
	id     uint32
	places []place
}

// place is where a member stands in a policy: its index in refs, and that of a
// binding that has it.
type place struct{ ref, binding int32 }

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.ref, o.ref), cmp.Compare(p.binding, o.binding))
}

// hiddenCondition is what IAM appends, with a hash, to the role of a conditional
// binding in a policy that is read as version 1.
const hiddenCondition = "_withcond_"

// Allow compiles an allow policy. The result is usable even if its Err isn't
// nil: what couldn't be compiled makes decisions that depend on it Unknown.
func (c *Compiler) Allow(p Policy) *AllowPolicy {
	members := 0
	for _, in := range p.Bindings {
		members += len(in.Members)
	}
	a := &AllowPolicy{bindings: make([]binding, len(p.Bindings)), slots: make([]slot, 1<<bits.Len(uint(2*members)))}
	for i, in := range p.Bindings {
		b := &a.bindings[i]
		b.full, b.expr = in.Role, in.Condition
		var name string
		name, _, b.hidden = strings.Cut(in.Role, hiddenCondition)
		b.role = c.role(name)
		if in.Condition != nil {
			b.cond = c.condition(in.Condition.Expression)
			if b.cond.err != nil {
				a.errs = append(a.errs, b.cond.err)
			}
		}
		b.members = make([]Member, len(in.Members))
		for j, text := range in.Members {
			m, err := parseMember(text, v1)
			if err != nil {
				a.errs = append(a.errs, err)
			}
			b.members[j] = m
		}
	}
	a.makeIndex()
	return a
}

// makeIndex collects the distinct members, those that are open first.
func (a *AllowPolicy) makeIndex() {
	for _, open := range []bool{true, false} {
		for i := range a.bindings {
			for _, m := range a.bindings[i].members {
				if isOpen(m.kind) == open {
					a.refer(m, int32(i))
				}
			}
		}
		if open {
			a.open = len(a.refs)
		}
	}
	a.useRoles()
}

// useRoles collects the roles of open members.
func (a *AllowPolicy) useRoles() {
	index := map[*roleName]int{}
	for i := range a.refs[:a.open] {
		for _, n := range a.refs[i].bindings {
			role := a.bindings[n].role
			at, ok := index[role]
			if !ok {
				at = len(a.openRoles)
				index[role] = at
				a.openRoles = append(a.openRoles, roleUse{role: role, id: role.id})
			}
			use := &a.openRoles[at]
			use.places = append(use.places, place{int32(i), n})
		}
	}
}

func (a *AllowPolicy) refer(m Member, binding int32) {
	hash := hashOf(m.id)
	s := a.find(m.id, hash)
	if s.ref == 0 {
		a.refs = append(a.refs, memberRef{member: m})
		*s = slot{tag: uint32(hash >> 32), ref: uint32(len(a.refs))}
		a.other = a.other || m.kind == KindOther
	}
	r := &a.refs[s.ref-1]
	if n := len(r.bindings); n == 0 || r.bindings[n-1] != binding {
		r.bindings = append(r.bindings, binding)
	}
}

// find returns the slot that has the member, or else the empty slot where it would
// be.
func (a *AllowPolicy) find(id string, hash uint64) *slot {
	mask, tag := uint64(len(a.slots)-1), uint32(hash>>32)
	for at := hash & mask; ; at = (at + 1) & mask {
		s := &a.slots[at]
		if s.ref == 0 || s.tag == tag && a.refs[s.ref-1].member.id == id {
			return s
		}
	}
}

// isOpen reports whether members of a kind may match a subject without being one
// of its keys.
func isOpen(k Kind) bool {
	switch k {
	case KindAnonymous, KindUser, KindServiceAccount, KindAgent, KindAllUsers, KindDeleted:
		return false
	}
	return true
}

// Err returns what keeps parts of the policy from being evaluated: errors of
// type *[memberError] and *[ConditionError], joined. IAM refuses such a policy,
// except for conditions on attributes that only this package doesn't support.
func (a *AllowPolicy) Err() error { return errors.Join(a.errs...) }

// bindingsOf returns the bindings that name a key of a subject.
func (a *AllowPolicy) bindingsOf(k *key) []int32 {
	if len(a.slots) == 0 {
		return nil
	}
	if s := a.find(k.member.id, k.hash); s.ref != 0 {
		return a.refs[s.ref-1].bindings
	}
	return nil
}
