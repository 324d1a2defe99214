package access

import "errors"

// mode says what run.ask answers.
type mode uint8

const (
	// modeDecide answers Maybe.
	modeDecide mode = iota
	// modeRecord answers Maybe and notes the atom.
	modeRecord
	// modeAssume answers what is assumed of the atom.
	modeAssume
)

// atomKind is the kind of a question without an answer.
type atomKind uint8

const (
	atomMember       atomKind = iota + 1 // is the subject in set a?
	atomInner                            // is principal b in set a?
	atomPart                             // is a part of the subject in a?
	atomRole                             // does role a have the permission?
	atomHidden                           // does the condition hidden in a hold?
	atomCondition                        // does condition a hold?
	atomPolicy                           // does the allow policy of level n grant it?
	atomDenyPolicies                     // do the deny policies of level n deny it?
)

// atomKey identifies a question. The level doesn't matter to those that have
// the same answer everywhere.
type atomKey struct {
	kind atomKind
	a, b string
	n    int
	deny bool
}

// same reports whether two keys are the same question.
func (k atomKey) same(o atomKey) bool {
	if k.kind != o.kind || k.a != o.a || k.b != o.b {
		return false
	}
	switch k.kind {
	case atomPolicy, atomDenyPolicies, atomHidden:
		return k.n == o.n
	case atomCondition:
		// What can't be evaluated doesn't allow, but denies: a condition's
		// value isn't the same for both.
		return k.deny == o.deny
	}
	return true
}

// atom is a question with what to say about it.
type atom struct {
	key atomKey
	about
}

// about is what a question is about: one of these, or nothing if it is about a
// policy.
type about struct {
	binding *binding
	rule    *denyRule
	set     *Member
}

// ask answers a question that has no certain answer.
func (r *run) ask(key atomKey, what about) Answer {
	if r.mode == modeDecide {
		return Maybe
	}
	for i := range r.atoms {
		if r.atoms[i].key.same(key) {
			if r.mode == modeRecord {
				return Maybe
			}
			return answer(r.assumed&(1<<i) != 0)
		}
	}
	if r.mode == modeRecord {
		r.atoms = append(r.atoms, atom{key, what})
	}
	return Maybe
}

// maxAtoms bounds the work of refine, which doubles with each open question. With
// more of them, the outcome stays Unknown.
const maxAtoms = 8

// refinement is what the possible answers to the open questions lead to.
type refinement struct {
	atoms []atom
	// outcomes has an outcome for each assignment, a bit each atom. Nil if
	// there are too many atoms.
	outcomes []Outcome
}

// refine finds out whether an unknown outcome really depends on what isn't
// known, by trying the possible answers: someone who is granted a permission as
// a member of a group and denied it as a member of the same group doesn't have
// it, whether or not the group's members can be read.
//
// Unless all are asked for, it stops at the first two assignments that differ.
// If nothing may deny, there always are two: what is open grants in the one in
// which all is true, and doesn't in the one in which nothing is.
func (r *run) refine(allow, deny Answer, all bool) refinement {
	if !all && deny == No {
		return refinement{}
	}
	rec := run{e: r.e, req: r.req, attrs: r.attrs, mode: modeRecord}
	if allow == Maybe {
		rec.settle(r.claims)
	}
	granting := len(rec.atoms)
	if deny == Maybe {
		rec.deny()
	}
	f := refinement{atoms: rec.atoms}
	if len(f.atoms) > maxAtoms {
		return f
	}
	try := func(assumed int) Outcome {
		t := run{e: r.e, req: r.req, attrs: rec.attrs, mode: modeAssume, atoms: f.atoms, assumed: uint64(assumed)}
		a, d := allow, deny
		if a == Maybe {
			a = t.settle(r.claims)
		}
		if d == Maybe {
			d = t.deny()
		}
		return outcomeOf(a, d)
	}
	if !all {
		// The likeliest to differ: nothing is true, and all that grants is.
		if first := try(0); first == Unknown || first != try(1<<granting-1) {
			return f
		}
	}
	f.outcomes = make([]Outcome, 0, 1<<len(f.atoms))
	for i := range cap(f.outcomes) {
		f.outcomes = append(f.outcomes, try(i))
		if !all && f.outcomes[i] != f.outcomes[0] {
			break
		}
	}
	return f
}

// outcome returns the outcome that all assignments have in common, or Unknown
// if there is none.
func (f refinement) outcome() Outcome {
	if len(f.outcomes) == 0 {
		return Unknown
	}
	for _, o := range f.outcomes {
		if o != f.outcomes[0] {
			return Unknown
		}
	}
	return f.outcomes[0]
}

// matters reports whether the answer to the i-th question can change the
// outcome.
func (f refinement) matters(i int) bool {
	if f.outcomes == nil {
		return true
	}
	for a, o := range f.outcomes {
		if f.outcomes[a^(1<<i)] != o {
			return true
		}
	}
	return false
}

// causes returns what would have to be known.
func (f refinement) causes(levels []Level) []Cause {
	if f.outcome() != Unknown {
		return nil
	}
	var causes []Cause
	for i, a := range f.atoms {
		if f.matters(i) {
			causes = append(causes, a.cause(levels))
		}
	}
	return causes
}

func (a atom) cause(levels []Level) Cause {
	c := Cause{Level: levels[a.key.n].Resource, Deny: a.key.deny}
	switch a.key.kind {
	case atomPolicy:
		c.Kind = CausePolicy
	case atomDenyPolicies:
		c.Kind, c.Deny = CauseDenyPolicies, true
	case atomRole:
		c.Kind, c.Role = CauseRole, a.key.a
	case atomHidden:
		c.Kind, c.Role = CauseCondition, a.key.a
		c.Err = errHidden()
	case atomMember, atomInner, atomPart:
		c.Kind, c.Part = CauseSet, a.key.kind == atomPart
		c.Set = *a.set
		if c.Set.kind == KindOther {
			c.Kind = CauseMember
		}
	case atomCondition:
		c.Kind = CauseCondition
		var cond *condition
		if a.rule != nil {
			c.Condition, cond = *a.rule.expr, a.rule.cond
		} else {
			c.Role, c.Condition, cond = a.binding.full, *a.binding.expr, a.binding.cond
		}
		if cond.err != nil {
			c.Attributes, c.Err = cond.err.Attributes, cond.err
		} else {
			c.Err = errors.New("the time of the request isn't given")
		}
	}
	return c
}
