package preflight

import "fmt"

// A Verdict is the result of a check. The zero value is Unknown. In JSON it is
// "unknown", "pass" or "fail".
type Verdict uint8

const (
	// Unknown means that it could not be found out; [Finding.Causes] say why.
	Unknown Verdict = iota
	// Pass means that what was checked is in order.
	Pass
	// Fail means that the deploy would be refused, or the workload lacks
	// something that it needs.
	Fail
)

var verdictNames = [...]string{"unknown", "pass", "fail"}

// String returns "unknown", "pass" or "fail", and for other values "Verdict(N)".
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return fmt.Sprintf("Verdict(%d)", uint8(v))
}

// MarshalText returns "unknown", "pass" or "fail". Any other value is an error.
func (v Verdict) MarshalText() ([]byte, error) {
	if int(v) >= len(verdictNames) {
		return nil, fmt.Errorf("verdict %d: not one of unknown (0), pass (1) and fail (2)", uint8(v))
	}
	return []byte(v.String()), nil
}

// UnmarshalText reads what MarshalText wrote. Any other text is an error.
func (v *Verdict) UnmarshalText(text []byte) error {
	for i, name := range verdictNames {
		if string(text) == name {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("verdict %q: not one of unknown, pass and fail", text)
}
