package access

import (
	"fmt"
	"time"
)

// Outcome is the answer to a request.
type Outcome uint8

// The outcomes. Unknown is the zero value, so that a forgotten one is cautious.
const (
	// Unknown means that something that isn't known could change the answer.
	Unknown Outcome = iota
	// Denied means that the principal doesn't have the permission: nothing
	// grants it, or a deny rule denies it.
	Denied
	// Granted means that the principal has the permission.
	Granted
)

// String returns the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case Unknown:
		return "unknown"
	case Denied:
		return "denied"
	case Granted:
		return "granted"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// MarshalText renders the outcome as String does.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Answer is a truth value of which Maybe, "not known", is the zero value.
type Answer uint8

// The answers.
const (
	// Maybe means that it isn't known.
	Maybe Answer = iota
	// No means certainly not.
	No
	// Yes means certainly.
	Yes
)

// String returns "unknown", "no" or "yes".
func (a Answer) String() string {
	switch a {
	case Maybe:
		return "unknown"
	case No:
		return "no"
	case Yes:
		return "yes"
	}
	return fmt.Sprintf("Answer(%d)", uint8(a))
}

// MarshalText renders the answer as String does.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// and returns the conjunction: No wins, then Maybe.
func (a Answer) and(b Answer) Answer {
	switch {
	case a == No || b == No:
		return No
	case a == Maybe || b == Maybe:
		return Maybe
	}
	return Yes
}

// or returns the disjunction: Yes wins, then Maybe.
func (a Answer) or(b Answer) Answer {
	switch {
	case a == Yes || b == Yes:
		return Yes
	case a == Maybe || b == Maybe:
		return Maybe
	}
	return No
}

// not returns the negation; Maybe stays Maybe.
func (a Answer) not() Answer {
	switch a {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Maybe
}

// answer converts a bool.
func answer(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

// EndKind says what is known about the end of a grant.
type EndKind uint8

// The kinds of ends.
const (
	// EndUnknown means that the condition depends on time in a way that
	// doesn't tell its end (office hours, for example). End.At, if set, is
	// then the latest possible end.
	EndUnknown EndKind = iota
	// EndNever means that time alone doesn't end the grant.
	EndNever
	// EndAt means that the grant ends at End.At.
	EndAt
)

// String returns "unknown", "never" or "at".
func (k EndKind) String() string {
	switch k {
	case EndUnknown:
		return "unknown"
	case EndNever:
		return "never"
	case EndAt:
		return "at"
	}
	return fmt.Sprintf("EndKind(%d)", uint8(k))
}

// MarshalText renders the kind as String does.
func (k EndKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// End says when a grant ends that holds now.
type End struct {
	Kind EndKind
	At   time.Time
}

// later returns the end of the union of two grants that both hold now.
func (e End) later(o End) End {
	switch {
	case e.Kind == EndNever || o.Kind == EndNever:
		return End{Kind: EndNever}
	case e.Kind == EndAt && o.Kind == EndAt:
		if o.At.After(e.At) {
			return o
		}
		return e
	}
	if e.At.IsZero() || o.At.IsZero() {
		return End{}
	}
	// One of the two may end before its latest. If the other one certainly
	// outlasts that, it tells the end of both.
	if o.At.After(e.At) {
		return o
	}
	if o.At.Equal(e.At) && o.Kind == EndAt {
		return o
	}
	return e
}
