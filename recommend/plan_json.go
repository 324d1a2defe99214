package recommend

import (
	"encoding/json"

	"github.com/runidentity/runidentity/internal/stored"
)

// planVersion is that of the JSON which MarshalJSON writes and UnmarshalJSON reads.
const planVersion = 1

// MarshalJSON writes the plan's fields, with "version": 1 before them.
func (p Plan) MarshalJSON() ([]byte, error) {
	type plain Plan
	if p.Steps == nil {
		p.Steps = []Step{}
	}
	return json.Marshal(struct {
		Version int `json:"version"`
		plain
	}{planVersion, plain(p)})
}

// UnmarshalJSON reads what MarshalJSON wrote. It returns an error if the version
// is missing or unknown.
func (p *Plan) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	if err := stored.CheckVersion("plan", text, planVersion); err != nil {
		return err
	}
	type plain Plan
	var read plain
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	*p = Plan(read)
	return nil
}
