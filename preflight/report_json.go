package preflight

import (
	"encoding/json"
	"errors"
	"fmt"
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
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return err
	}
	switch {
	case head.Version == nil:
		return errors.New("preflight report: version: missing; 1 is the one that is known")
	case *head.Version != reportVersion:
		return fmt.Errorf("preflight report: version: %d is not a version that is known: %d is", *head.Version, reportVersion)
	}
	type plain Report
	var read plain
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*r = Report(read)
	return nil
}
