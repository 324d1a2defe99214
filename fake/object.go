package fake

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// object is a JSON object as the fake works on it. Numbers are json.Number,
// so that their literals stay as they were sent.
type object = map[string]any

// decodeObject reads a request's body: one JSON object, or nothing.
func decodeObject(body []byte) (object, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return object{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, invalid("Invalid JSON payload received. %s", parseFlaw(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("Invalid JSON payload received. Unexpected data after the end of the object.")
	}
	o, ok := v.(object)
	if !ok {
		return nil, invalid("Invalid JSON payload received. Root element must be a message.")
	}
	return o, nil
}

func parseFlaw(err error) string {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return "Unexpected end of string."
	}
	return "Parsing terminated: " + strings.TrimPrefix(err.Error(), "json: ") + "."
}

// mustDecode reads JSON that the fake wrote itself.
func mustDecode(raw []byte) object {
	o, err := decodeObject(raw)
	if err != nil {
		panic("fake: stored JSON: " + err.Error())
	}
	return o
}

// child returns the object at a path, made on the way where it is missing.
func child(o object, path ...string) object {
	for _, name := range path {
		next, ok := o[name].(object)
		if !ok {
			next = object{}
			o[name] = next
		}
		o = next
	}
	return o
}

// lookup returns the value at a path, or nil.
func lookup(o object, path ...string) any {
	for _, name := range path[:len(path)-1] {
		next, ok := o[name].(object)
		if !ok {
			return nil
		}
		o = next
	}
	return o[path[len(path)-1]]
}

// text returns the string at a path, or "".
func text(o object, path ...string) string {
	s, _ := lookup(o, path...).(string)
	return s
}

// setDefault sets a field that is not there.
func setDefault(o object, name string, value any) {
	if _, ok := o[name]; !ok {
		o[name] = value
	}
}

// clone copies a tree of JSON values.
func clone[T any](v T) T {
	return cloneValue(v).(T) //nolint:errcheck // a copy has the type of what it is a copy of
}

func cloneValue(v any) any {
	switch v := v.(type) {
	case object:
		out := maps.Clone(v)
		for name, value := range out {
			out[name] = cloneValue(value)
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i, value := range out {
			out[i] = cloneValue(value)
		}
		return out
	default:
		return v
	}
}

// equal says whether two trees are the same JSON, number literals included.
func equal(a, b any) bool { return reflect.DeepEqual(a, b) }
