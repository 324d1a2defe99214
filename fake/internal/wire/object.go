// Package wire reads and writes JSON as Google's APIs do: objects that keep every
// field and number literal, messages checked against a schema, field masks and
// errors. It knows nothing of any cloud.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Object is a JSON object as the fake works on it. Numbers are json.Number,
// so that their literals stay as they were sent.
type Object = map[string]any

// Decode reads a request's body: one JSON object, or nothing.
func Decode(body []byte) (Object, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return Object{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, Invalid("Invalid JSON payload received. %s", ParseFlaw(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, Invalid("Invalid JSON payload received. Unexpected data after the end of the object.")
	}
	o, ok := v.(Object)
	if !ok {
		return nil, Invalid("Invalid JSON payload received. Root element must be a message.")
	}
	return o, nil
}

// ParseFlaw says what is wrong with JSON, in the words that Google's APIs use.
func ParseFlaw(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "Unexpected end of string."
	}
	return "Parsing terminated: " + strings.TrimPrefix(err.Error(), "json: ") + "."
}

// MustDecode reads JSON that the fake wrote itself.
func MustDecode(raw []byte) Object {
	o, err := Decode(raw)
	if err != nil {
		panic("fake: stored JSON: " + err.Error())
	}
	return o
}

// MustEncode encodes a value that is known to be encodable.
func MustEncode(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("fake: encode %T: %v", v, err))
	}
	return out
}

// Child returns the object at a path, made on the way where it is missing.
func Child(o Object, path ...string) Object {
	for _, name := range path {
		next, ok := o[name].(Object)
		if !ok {
			next = Object{}
			o[name] = next
		}
		o = next
	}
	return o
}

// Lookup returns the value at a path, or nil.
func Lookup(o Object, path ...string) any {
	for _, name := range path[:len(path)-1] {
		next, ok := o[name].(Object)
		if !ok {
			return nil
		}
		o = next
	}
	return o[path[len(path)-1]]
}

// Text returns the string at a path, or "".
func Text(o Object, path ...string) string {
	s, _ := Lookup(o, path...).(string)
	return s
}

// SetDefault sets a field that is not there.
func SetDefault(o Object, name string, value any) {
	if _, ok := o[name]; !ok {
		o[name] = value
	}
}

// Clone copies a tree of JSON values.
func Clone[T any](v T) T {
	return CloneValue(v).(T) //nolint:errcheck // a copy has the type of what it is a copy of
}

// CloneValue copies a JSON value of any type, or none.
func CloneValue(v any) any {
	switch v := v.(type) {
	case Object:
		out := maps.Clone(v)
		for name, value := range out {
			out[name] = CloneValue(value)
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i, value := range out {
			out[i] = CloneValue(value)
		}
		return out
	default:
		return v
	}
}

// Equal reports whether two trees are the same JSON, number literals included.
func Equal(a, b any) bool { return reflect.DeepEqual(a, b) }

// Number returns n as a JSON number.
func Number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// EachObject calls a function with each object of a list.
func EachObject(list any, do func(Object)) {
	items, _ := list.([]any)
	for _, item := range items {
		if o, ok := item.(Object); ok {
			do(o)
		}
	}
}
