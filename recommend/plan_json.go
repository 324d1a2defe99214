package recommend

import (
	"encoding/json"
	"fmt"

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
// is missing or unknown, and if a step has a field that isn't known: without it, the
// step would be another one.
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
	if err := checkSteps(text); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	*p = Plan(read)
	return nil
}

// checkSteps refuses fields of steps that aren't known. What a later release adds to
// a plan may be left out; what it adds to a step may be what narrows it.
func checkSteps(plan []byte) error {
	var all struct{ Steps []json.RawMessage }
	if err := json.Unmarshal(plan, &all); err != nil {
		return err
	}
	for i, text := range all.Steps {
		if err := stored.DecodeStrictly(text, new(Step)); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}
