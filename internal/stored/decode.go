package stored

import (
	"bytes"
	"encoding/json"
)

// DecodeStrictly reads JSON and refuses fields that aren't known. It is for what does
// something else without one of its fields, such as a condition.
func DecodeStrictly(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
