// Package knative translates between the messages of Cloud Run v2 and those of v1,
// the API of gcloud and of manifests, which has Knative's form. A [Form]
// translates; [Extras] are what one version says and the other can't.
package knative

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// A Form is one message as versions 1 and 2 of Cloud Run write it. Fields that
// it does not list exist in one version only, see [Extras].
type Form struct {
	fields []field
	// v2 and v1 do what takes more than one field, after the fields.
	v2 func(v1, v2 wire.Object) error
	v1 func(v2, v1 wire.Object)
}

// A field is a value that both versions have, each at its path.
type field struct {
	v1, v2 []string
	codec
}

// A codec writes a value of one version as the other does; no function leaves
// it as it is, and nil leaves it out.
type codec struct {
	v2 func(any) (any, error)
	v1 func(any) any
}

// path splits the names on the way to a field, written with slashes between
// them.
func path(s string) []string { return strings.Split(s, "/") }

// same returns fields that have the same names and values in both versions.
func same(names ...string) []field {
	var out []field
	for _, name := range names {
		out = append(out, field{v1: []string{name}, v2: []string{name}})
	}
	return out
}

// annotation returns a field that is an annotation in version 1.
func annotation(name, v2 string, c codec) field {
	return field{v1: []string{"metadata", "annotations", name}, v2: path(v2), codec: c}
}

// ToV2 writes a message of version 1 as version 2 does.
func (f *Form) ToV2(v1 wire.Object) (wire.Object, error) {
	out := wire.Object{}
	for _, field := range f.fields {
		value := wire.Lookup(v1, field.v1...)
		if value == nil {
			continue
		}
		if field.codec.v2 != nil {
			var err error
			if value, err = field.codec.v2(value); err != nil {
				return nil, within(err, field.v1)
			}
		}
		if value != nil {
			put(out, wire.CloneValue(value), field.v2)
		}
	}
	if f.v2 != nil {
		return out, f.v2(v1, out)
	}
	return out, nil
}

// ToV1 writes a message of version 2 as version 1 does.
func (f *Form) ToV1(v2 wire.Object) wire.Object {
	out := wire.Object{}
	for _, field := range f.fields {
		value := wire.Lookup(v2, field.v2...)
		if value == nil {
			continue
		}
		if field.codec.v1 != nil {
			value = field.codec.v1(value)
		}
		if value != nil {
			put(out, wire.CloneValue(value), field.v1)
		}
	}
	if f.v1 != nil {
		f.v1(v2, out)
	}
	return out
}

func put(o wire.Object, value any, path []string) {
	wire.Child(o, path[:len(path)-1]...)[path[len(path)-1]] = value
}

// within puts the path in front of an error's text.
func within(err error, path []string) error {
	e, ok := err.(*wire.Error) //nolint:errorlint // codecs return nothing else
	if !ok {
		return err
	}
	e.Message = strings.Join(path, ".") + ": " + e.Message
	return e
}

// one returns the codec of a field that is a message.
func one(f *Form) codec {
	return codec{
		v2: func(v any) (any, error) {
			o, ok := v.(wire.Object)
			if !ok {
				return nil, nil
			}
			return f.ToV2(o)
		},
		v1: func(v any) any {
			o, ok := v.(wire.Object)
			if !ok {
				return nil
			}
			return f.ToV1(o)
		},
	}
}

// each returns the codec of a field that is a list of messages.
func each(f *Form) codec {
	return codec{
		v2: func(v any) (any, error) {
			list, _ := v.([]any)
			out := make([]any, 0, len(list))
			for i, item := range list {
				o, _ := item.(wire.Object)
				m, err := f.ToV2(o)
				if err != nil {
					return nil, within(err, []string{strconv.Itoa(i)})
				}
				out = append(out, m)
			}
			return out, nil
		},
		v1: func(v any) any {
			list, _ := v.([]any)
			out := make([]any, 0, len(list))
			for _, item := range list {
				o, _ := item.(wire.Object)
				out = append(out, f.ToV1(o))
			}
			return out
		},
	}
}

// words returns the codec of an enum, from pairs of its values in version 1 and
// in version 2.
func words(pairs ...string) codec {
	to2, to1 := make(map[string]string), make(map[string]string)
	for pair := range slices.Chunk(pairs, 2) {
		to2[pair[0]] = pair[1]
		if _, had := to1[pair[1]]; !had { // the first is the one that is written
			to1[pair[1]] = pair[0]
		}
	}
	known := slices.Sorted(maps.Keys(to2))
	return codec{
		v2: func(v any) (any, error) {
			s, _ := v.(string)
			if word, ok := to2[s]; ok {
				return word, nil
			}
			return nil, wire.Invalid("Invalid value %s: expected one of %s.", wire.MustEncode(v), strings.Join(known, ", "))
		},
		v1: func(v any) any {
			s, _ := v.(string)
			if word, ok := to1[s]; ok {
				return word
			}
			return nil
		},
	}
}

// flagText returns the codec of a boolean that version 1 writes as text.
func flagText() codec {
	return codec{
		v2: func(v any) (any, error) {
			s, _ := v.(string)
			switch strings.ToLower(s) { // gcloud writes "True"
			case "true":
				return true, nil
			case "false", "":
				return nil, nil
			}
			return nil, wire.Invalid("Invalid value %s: expected true or false.", wire.MustEncode(v))
		},
		v1: func(v any) any {
			if v == true {
				return "true"
			}
			return nil
		},
	}
}

// numberText returns the codec of a number that version 1 writes as text.
func numberText() codec {
	return codec{
		v2: func(v any) (any, error) {
			s, _ := v.(string)
			if n, err := strconv.Atoi(s); err == nil {
				return wire.Number(n), nil
			}
			return nil, wire.Invalid("Invalid value %s: expected a number.", wire.MustEncode(v))
		},
		v1: func(v any) any {
			if n, ok := v.(json.Number); ok {
				return n.String()
			}
			return nil
		},
	}
}

// jsonText returns the codec of a list or object that version 1 writes as the
// text of its JSON.
func jsonText() codec {
	return codec{
		v2: func(v any) (any, error) {
			s, _ := v.(string)
			o, err := wire.Decode([]byte(`{"value":` + s + `}`))
			if err != nil {
				return nil, wire.Invalid("Invalid value %s: expected JSON.", wire.MustEncode(v))
			}
			return o["value"], nil
		},
		v1: func(v any) any { return string(wire.MustEncode(v)) },
	}
}

// listText returns the codec of a list that version 1 writes with commas.
func listText() codec {
	return codec{
		v2: func(v any) (any, error) {
			s, _ := v.(string)
			var out []any
			for part := range strings.SplitSeq(s, ",") {
				out = append(out, strings.TrimSpace(part))
			}
			return out, nil
		},
		v1: func(v any) any {
			list, _ := v.([]any)
			var out []string
			for _, item := range list {
				s, _ := item.(string)
				out = append(out, s)
			}
			return strings.Join(out, ",")
		},
	}
}

// seconds returns the codec of a duration that version 1 writes as a number of
// seconds, as text where version 1 has an int64. Fractions are cut off.
func seconds(asText bool) codec {
	return codec{
		v2: func(v any) (any, error) {
			switch v := v.(type) {
			case json.Number:
				return v.String() + "s", nil
			case string:
				if _, err := strconv.Atoi(v); err == nil {
					return v + "s", nil
				}
			}
			return nil, wire.Invalid("Invalid value %s: expected a number of seconds.", wire.MustEncode(v))
		},
		v1: func(v any) any {
			s, _ := v.(string)
			whole, _, _ := strings.Cut(strings.TrimSuffix(s, "s"), ".")
			if asText {
				return whole
			}
			return json.Number(whole)
		},
	}
}

// restricted reports whether version 2 has no place for an annotation or label of
// that name: what it means is a field of its own there.
// https://docs.cloud.google.com/run/docs/reference/rest/v2/projects.locations.services
func restricted(name string) bool {
	space, _, _ := strings.Cut(name, "/")
	switch space {
	case "run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev":
		return true
	}
	return false
}

// unrestricted returns the codec of annotations or labels. It keeps those that
// both versions have.
func unrestricted() codec {
	return codec{v2: func(v any) (any, error) {
		all, _ := v.(wire.Object)
		out := wire.Object{}
		for name, value := range all {
			if !restricted(name) {
				out[name] = value
			}
		}
		if len(out) == 0 {
			return nil, nil
		}
		return out, nil
	}}
}
