package preflight

import "encoding/json"

// MarshalJSON adds the field "verdict" to the report's own.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	return json.Marshal(struct {
		Verdict Verdict `json:"verdict"`
		plain
	}{r.Verdict(), plain(r)})
}

// MarshalJSON writes the fix, if there is one, with its type and its command,
// see [Fix].
func (f Finding) MarshalJSON() ([]byte, error) {
	type plain Finding
	out := struct {
		plain
		Fix *jsonFix `json:"fix,omitempty"`
	}{plain: plain(f)}
	if f.Fix != nil {
		out.Fix = &jsonFix{f.Fix}
	}
	out.plain.Fix = nil
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (f *Finding) UnmarshalJSON(text []byte) error {
	type plain Finding
	in := struct {
		*plain
		Fix *jsonFix `json:"fix"`
	}{plain: (*plain)(f)}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	f.Fix = nil
	if in.Fix != nil {
		f.Fix = in.Fix.Fix
	}
	return nil
}
