package access

// Directory tells which sets contain a principal, beyond what the identifiers
// themselves tell (an email address its domain, an identity its pool): groups,
// and, for service accounts, the sets of projects, folders and organizations.
// It may also name further identifiers of the same principal.
//
// It is asked once for each [Subject], and for other members only if a deny
// rule has to be compared with a set.
type Directory interface {
	// setsOf returns what is known of the sets that contain m, directly or
	// through other sets. For a set it returns the sets that contain all of m.
	setsOf(m Member) sets
}

// sets is what a [Directory] knows of the sets that contain a principal.
type sets struct {
	// in are the sets that certainly contain it.
	in []containment
	// unknown returns, for a set that isn't among in, the sets whose members
	// would have to be known to tell whether it contains the principal: the set
	// itself, or sets nested in it. It returns nothing if the set certainly
	// doesn't contain the principal. A nil unknown means that there are no such
	// sets: in is complete. The result is the caller's.
	unknown func(set Member) []Member
}

// containment is a set that contains a principal.
type containment struct {
	// set is the set.
	set Member
	// via is the chain of sets from set to the principal, without both: set
	// contains via[0], which contains via[1], and so on. It is empty if the
	// principal is listed in set itself.
	via []Member
}

// noDirectory is a [Directory] that knows nothing: whether a principal is in a
// group or in a resource container's set is Unknown. A nil Directory is the
// same.
type noDirectory struct{}

// setsOf implements [Directory].
func (noDirectory) setsOf(m Member) sets {
	return sets{unknown: func(set Member) []Member {
		// A domain's users are told by their email addresses; that they could
		// also have secondary domains is for a directory to say.
		if set.kind == KindDomain && (m.kind == KindUser || m.kind == KindDomain) {
			return nil
		}
		return []Member{set}
	}}
}
