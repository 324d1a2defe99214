package fake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// stateReader cuts a document into the elements of its lists, and finds the
// lines of errors.
type stateReader struct{ data []byte }

// stateElement is an element of a list, and where it begins.
type stateElement struct {
	raw json.RawMessage
	at  int
}

// stateSections are the names of the document's lists.
var stateSections = sync.OnceValue(func() []string {
	var names []string
	for f := range reflect.TypeFor[stateDocument]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
})

func (d *stateReader) fail(at int, field string, err error) error {
	at = min(max(at, 0), len(d.data))
	return &StateError{Line: 1 + bytes.Count(d.data[:at], []byte("\n")), Field: field, Err: err}
}

// sections reads the document down to the elements of its lists.
func (d *stateReader) sections() (map[string][]stateElement, error) {
	var whole any
	if err := json.Unmarshal(d.data, &whole); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, d.fail(int(syntax.Offset)-1, "", err)
		}
		return nil, d.fail(len(d.data), "", err)
	}
	if _, ok := whole.(map[string]any); !ok {
		return nil, d.fail(0, "", fmt.Errorf(`the state is a JSON object, as in {"version": %d}`, stateVersion))
	}
	dec := json.NewDecoder(bytes.NewReader(d.data))
	_, _ = dec.Token() // {
	out := make(map[string][]stateElement)
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, d.fail(int(dec.InputOffset()), "", err)
		}
		name, _ := token.(string)
		at := int(dec.InputOffset())
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, d.fail(at, name, err)
		}
		at = int(dec.InputOffset()) - len(raw)
		switch {
		case seen[name]:
			return nil, d.fail(at, name, errors.New("this field is there twice"))
		case !slices.Contains(stateSections(), name):
			return nil, d.fail(at, name, fmt.Errorf("unknown field; there are %s", strings.Join(stateSections(), ", ")))
		case name == "version":
			if string(raw) != strconv.Itoa(stateVersion) {
				return nil, d.fail(at, name, fmt.Errorf("%s is not a version that is known: %d is", raw, stateVersion))
			}
		default:
			elements, err := d.elements(name, raw, at)
			if err != nil {
				return nil, err
			}
			out[name] = elements
		}
		seen[name] = true
	}
	if !seen["version"] {
		return nil, d.fail(0, "version", fmt.Errorf("missing; %d is the one that is known", stateVersion))
	}
	return out, nil
}

func (d *stateReader) elements(name string, raw json.RawMessage, at int) ([]stateElement, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if token, err := dec.Token(); err != nil || token != json.Delim('[') {
		if string(raw) == "null" {
			return nil, nil
		}
		return nil, d.fail(at, name, errors.New("expected a list"))
	}
	var out []stateElement
	for dec.More() {
		var item json.RawMessage
		if err := dec.Decode(&item); err != nil {
			return nil, d.fail(at+int(dec.InputOffset()), name, err)
		}
		e := stateElement{raw: item, at: at + int(dec.InputOffset()) - len(item)}
		if len(item) == 0 || item[0] != '{' {
			return nil, d.fail(e.at, fmt.Sprintf("%s[%d]", name, len(out)), errors.New("expected an object"))
		}
		out = append(out, e)
	}
	return out, nil
}

var unknownField = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^json: unknown field "(.*)"$`) })

// within says in which line of an element, and in which of its fields, an
// error is. For an error that is not about the JSON it is the first line.
func (d *stateReader) within(e stateElement, field string, err error) error {
	var mismatch *json.UnmarshalTypeError
	switch unknown := unknownField().FindStringSubmatch(err.Error()); {
	case errors.As(err, &mismatch):
		if mismatch.Field != "" {
			field += "." + mismatch.Field
		}
		return d.fail(e.at+int(mismatch.Offset)-1, field, fmt.Errorf("expected %s, not a JSON %s", mismatch.Type, mismatch.Value))
	case unknown != nil:
		at := bytes.Index(e.raw, []byte(`"`+unknown[1]+`"`))
		return d.fail(e.at+at, field+"."+unknown[1], errors.New("unknown field"))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return d.fail(e.at+len(e.raw), field, err)
	}
	return d.fail(e.at, field, err)
}
