package preflight

import (
	"encoding/json"

	"github.com/runidentity/runidentity/internal/stored"
)

// reportVersion is that of the JSON which MarshalJSON writes and UnmarshalJSON
// reads.
const reportVersion = 1

// MarshalJSON writes the report's fields, with "version": 1 and "verdict" before
// them.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	return json.Marshal(struct {
		Version int     `json:"version"`
		Verdict Verdict `json:"verdict"`
		plain
	}{reportVersion, r.Verdict(), plain(r)})
}

// UnmarshalJSON reads what MarshalJSON wrote. A version that is missing or not known
// is an error. "verdict" is not read: it follows from the findings.
func (r *Report) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	if err := stored.CheckVersion("preflight report", text, reportVersion); err != nil {
		return err
	}
	type plain Report
	var read plain
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*r = Report(read)
	return nil
}
