package knative

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// Extras are what one version of Cloud Run says and the other can't, by JSON
// pointer (RFC 6901). The elements of a list are named by their "name", or by
// their index where they have none of their own.
//
// They are found by writing a message in the other version and back: what got
// lost is an extra. Version 1's are kept beside the resource, whose JSON is
// that of version 2; version 2's are found anew when version 1 replaces it.
type Extras map[string]Extra

// An Extra is a value that is missing in what was written back, reads otherwise
// there, or is there alone: then Value is nil.
type Extra struct {
	Value   any `json:"value,omitempty"`
	Instead any `json:"instead,omitempty"`
}

// Lost returns the extras of a message that was written in the other version
// and back.
func Lost(original, back wire.Object) Extras {
	out := make(Extras)
	out.compare("", original, back)
	return out
}

func (e Extras) compare(at string, original, back any) {
	switch a := original.(type) {
	case wire.Object:
		if b, ok := back.(wire.Object); ok {
			for name, value := range a {
				below := at + "/" + escape(name)
				if other, there := b[name]; there {
					e.compare(below, value, other)
				} else {
					e[below] = Extra{Value: wire.CloneValue(value)}
				}
			}
			for name, value := range b {
				if _, there := a[name]; !there && !empty(value) {
					e[at+"/"+escape(name)] = Extra{Instead: wire.CloneValue(value)}
				}
			}
			return
		}
	case []any:
		if b, ok := back.([]any); ok && slices.Equal(elementKeys(a), elementKeys(b)) {
			for i, key := range elementKeys(a) {
				e.compare(at+"/"+escape(key), a[i], b[i])
			}
			return
		}
	}
	if !wire.Equal(original, back) {
		e[at] = Extra{Value: wire.CloneValue(original), Instead: wire.CloneValue(back)}
	}
}

// Restore puts the extras back into a message that was written from the other
// version. One whose place is gone, or that now says something else, is left
// out.
func (e Extras) Restore(o wire.Object) {
	for _, pointer := range slices.Sorted(maps.Keys(e)) {
		segments := strings.Split(pointer[1:], "/")
		var at any = o
		for _, s := range segments[:len(segments)-1] {
			at = element(at, unescape(s))
		}
		last, x := unescape(segments[len(segments)-1]), e[pointer]
		switch at := at.(type) {
		case wire.Object:
			current, there := at[last]
			switch {
			case there && x.Value == nil && wire.Equal(current, x.Instead):
				delete(at, last)
			case !there && x.Instead == nil, there && x.Instead != nil && wire.Equal(current, x.Instead):
				at[last] = wire.CloneValue(x.Value)
			case there && x.Instead == nil:
				fill(current, x.Value)
			}
		case []any:
			i := slices.Index(elementKeys(at), last)
			if i >= 0 && wire.Equal(at[i], x.Instead) {
				at[i] = wire.CloneValue(x.Value)
			}
		}
	}
}

// empty reports whether a value is a list without anything in it, or an object with
// nothing but such values.
func empty(v any) bool {
	switch v := v.(type) {
	case wire.Object:
		for _, inner := range v {
			if !empty(inner) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	return false
}

// fill adds what an object lacks, such as what the message said beside the
// server's defaults.
func fill(current, value any) {
	a, ok := current.(wire.Object)
	b, also := value.(wire.Object)
	if !ok || !also {
		return
	}
	for name, v := range b {
		if had, there := a[name]; there {
			fill(had, v)
		} else {
			a[name] = wire.CloneValue(v)
		}
	}
}

// Below returns the extras at and below a place, as seen from there.
func (e Extras) Below(place string) Extras {
	var out Extras
	for pointer, x := range e {
		if rest, ok := strings.CutPrefix(pointer, place); ok && strings.HasPrefix(rest, "/") {
			if out == nil {
				out = make(Extras)
			}
			out[rest] = x
		}
	}
	return out
}

func element(v any, key string) any {
	switch v := v.(type) {
	case wire.Object:
		return v[key]
	case []any:
		if i := slices.Index(elementKeys(v), key); i >= 0 {
			return v[i]
		}
	}
	return nil
}

// elementKeys names the elements of a list.
func elementKeys(list []any) []string {
	names := make([]string, len(list))
	seen := make(map[string]bool)
	for i, item := range list {
		o, _ := item.(wire.Object)
		name, _ := o["name"].(string)
		if name == "" || seen[name] {
			for i := range names {
				names[i] = strconv.Itoa(i)
			}
			return names
		}
		seen[name] = true
		names[i] = name
	}
	return names
}

func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1")
}

func unescape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~1", "/"), "~0", "~")
}
