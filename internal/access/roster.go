package access

// Set is a set with its direct members, for a [Roster]. Members may be sets:
// groups nest, and the set of a folder's service accounts contains those of its
// projects.
type Set struct {
	// Member is the set.
	Member Member
	// Members are its direct members.
	Members []Member
	// Unreadable reports that not all of its members are known. Those that are
	// count.
	Unreadable bool
}

// Roster is a [Directory] made from lists of direct members. It is immutable
// and safe for concurrent use; nesting may have cycles.
type Roster struct {
	// parents are the sets that list a member, by the member's id.
	parents map[string][]Member
	// listed are the sets that were given, by id: true if unreadable.
	listed map[string]bool
	// blind are the sets whose members aren't (all) known: the unreadable ones
	// and, in an open roster, those that are nested in others without being
	// given themselves.
	blind []Member
	open  bool
}

// NewRoster returns a roster that knows everything: a set that isn't given has
// no members, except that a domain has the users with its name.
func NewRoster(sets ...Set) *Roster { return newRoster(false, sets) }

// NewOpenRoster returns a roster that knows only the sets given: whether
// another set contains a principal isn't known. That includes domains, since a
// user of a secondary domain is a member of the primary one.
//
// A caller may know about one principal only, from a service that checks
// membership including nested groups. It gives each set that was checked, with
// that principal as its member or with no members.
func NewOpenRoster(sets ...Set) *Roster { return newRoster(true, sets) }

func newRoster(open bool, sets []Set) *Roster {
	r := &Roster{parents: map[string][]Member{}, listed: map[string]bool{}, open: open}
	for _, s := range sets {
		if s.Unreadable && !r.listed[s.Member.id] {
			r.blind = append(r.blind, s.Member)
		}
		r.listed[s.Member.id] = r.listed[s.Member.id] || s.Unreadable
	}
	for _, s := range sets {
		for _, m := range s.Members {
			_, listed := r.listed[m.id]
			if open && m.IsSet() && !listed && r.parents[m.id] == nil {
				r.blind = append(r.blind, m)
			}
			r.parents[m.id] = append(r.parents[m.id], s.Member)
		}
	}
	return r
}

// setsOf implements [Directory].
func (r *Roster) setsOf(m Member) sets {
	s := sets{in: r.above(m)}
	if !r.open && len(r.blind) == 0 {
		return s
	}
	in := make(map[string]bool, len(s.in))
	for _, c := range s.in {
		in[c.set.id] = true
	}
	s.unknown = func(set Member) []Member {
		_, listed := r.listed[set.id]
		switch {
		case in[set.id]:
			return nil
		case listed:
			return r.blindBelow(set)
		case r.open:
			return []Member{set}
		}
		return nil
	}
	return s
}

// above returns all sets that contain m, nearest first, each once and with one
// of its shortest chains.
func (r *Roster) above(m Member) []containment {
	var found []containment
	seen := map[string]bool{m.id: true}
	add := func(sets []Member, via []Member) {
		for _, set := range sets {
			if !seen[set.id] {
				seen[set.id] = true
				found = append(found, containment{set: set, via: via})
			}
		}
	}
	add(r.parents[m.id], nil)
	if m.kind == KindUser {
		// A group can have a whole domain as a member.
		add([]Member{domainOf(m)}, nil)
	}
	for i := 0; i < len(found); i++ { //nolint:intrange // found grows on the way
		c := found[i]
		if parents := r.parents[c.set.id]; len(parents) > 0 {
			via := make([]Member, 0, len(c.via)+1)
			add(parents, append(append(via, c.set), c.via...))
		}
	}
	return found
}

// blindBelow returns the sets at or below set whose members aren't known.
func (r *Roster) blindBelow(set Member) []Member {
	var found []Member
	for _, b := range r.blind {
		if b.id == set.id || r.nested(b, set) {
			found = append(found, b)
		}
	}
	return found
}

// nested reports whether inner is in outer, directly or through other sets.
func (r *Roster) nested(inner, outer Member) bool {
	for _, c := range r.above(inner) {
		if c.set.id == outer.id {
			return true
		}
	}
	return false
}
