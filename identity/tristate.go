package identity

import "fmt"

// A Tristate is an answer that may not be known. The zero value is Unknown.
type Tristate int8

// The values of a Tristate.
const (
	Unknown Tristate = iota
	No
	Yes
)

// String returns "unknown", "no" or "yes". Any other value is "unknown".
func (t Tristate) String() string {
	switch t {
	case No:
		return "no"
	case Yes:
		return "yes"
	default:
		return "unknown"
	}
}

// MarshalText returns what String does.
func (t Tristate) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what MarshalText writes. Any other text is an error, the empty
// one as well.
func (t *Tristate) UnmarshalText(text []byte) error {
	for _, v := range []Tristate{Unknown, No, Yes} {
		if string(text) == v.String() {
			*t = v
			return nil
		}
	}
	return fmt.Errorf("%q is none of %q, %q, %q", text, Unknown, No, Yes)
}

func tristate(b bool) Tristate {
	if b {
		return Yes
	}
	return No
}
