package preflight

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/internal/stored"
)

// A field is one of the fields of a [Fix] that its kind has.
type field struct {
	name string // in JSON
	at   any    // a pointer to it
	// optional says that the JSON leaves it out if it is zero.
	optional bool
}

// ownFields returns a fix with the fields that its kind has, and no others.
func ownFields(f Fix) Fix {
	own := Fix{Kind: f.Kind}
	from := actionOf(&f).fields()
	for i, to := range actionOf(&own).fields() {
		reflect.ValueOf(to.at).Elem().Set(reflect.ValueOf(from[i].at).Elem())
	}
	return own
}

func fieldNames(f Fix) []string {
	var names []string
	for _, own := range actionOf(&f).fields() {
		names = append(names, own.name)
	}
	return names
}

// unknownKind returns the error of a fix of no kind that is known here.
func unknownKind(kind FixKind) error {
	names := make([]string, len(fixKinds))
	for i, k := range fixKinds {
		names[i] = string(k)
	}
	return fmt.Errorf("fix of type %q: not one of %s", string(kind), strings.Join(names, ", "))
}

// MarshalJSON writes the fields that the kind has, the kind as "type" and the
// command as "gcloud". A zero Fix is null; an unknown kind is an error, and so is a
// field that the kind doesn't have.
func (f Fix) MarshalJSON() ([]byte, error) {
	if f == (Fix{}) {
		return []byte("null"), nil
	}
	if !slices.Contains(fixKinds[:], f.Kind) {
		return nil, unknownKind(f.Kind)
	}
	if err := foreignFields(f); err != nil {
		return nil, err
	}
	out := map[string]any{"type": f.Kind, "gcloud": f.Gcloud()}
	for _, own := range actionOf(&f).fields() {
		if value := reflect.ValueOf(own.at).Elem(); !own.optional || !value.IsZero() {
			out[own.name] = own.at
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote. A kind or a field that isn't known is
// an error, and so is a missing field, unless MarshalJSON leaves it out if it is zero:
// what remains would be another fix. null makes the fix zero. The command is not read:
// it follows from the rest.
func (f *Fix) UnmarshalJSON(text []byte) error {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(text, &in); err != nil || in == nil {
		*f = Fix{}
		return err
	}
	var read Fix
	if kind := in["type"]; kind != nil {
		if err := json.Unmarshal(kind, &read.Kind); err != nil {
			return fmt.Errorf("type of a fix: %w", err)
		}
	}
	if !slices.Contains(fixKinds[:], read.Kind) {
		return unknownKind(read.Kind)
	}
	delete(in, "type")
	delete(in, "gcloud")
	for _, own := range actionOf(&read).fields() {
		value, ok := in[own.name]
		delete(in, own.name)
		if !ok || string(value) == "null" {
			if own.optional {
				continue
			}
			// A rule that isn't told is not the first one.
			return fmt.Errorf("%s of a fix of type %q: missing", own.name, string(read.Kind))
		}
		// A condition without one of its fields would be another one.
		if err := stored.DecodeStrictly(value, own.at); err != nil {
			return fmt.Errorf("%s of a fix of type %q: %w", own.name, string(read.Kind), err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		return fmt.Errorf("%q of a fix of type %q: not one of type, gcloud, %s", name, string(read.Kind), strings.Join(fieldNames(read), ", "))
	}
	*f = read
	return nil
}
