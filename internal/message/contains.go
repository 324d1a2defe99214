// Package message reads, writes and compares messages of Google's APIs in their JSON
// form, of which nothing gets lost.
package message

import (
	"encoding/json"
	"strings"
)

// Contains reports whether have says all that want does, both as [Decode] reads
// them. have may say more, as the server adds defaults. That is how one's own write
// is recognised when its answer got lost. What proto3 takes for absent may be absent.
// Numbers are compared by value, and 64-bit integers, which are texts in JSON, may be
// numbers.
func Contains(have, want any) bool {
	if have == nil {
		return isEmpty(want)
	}
	switch want := want.(type) {
	case nil:
		return true
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for name, value := range want {
			if !Contains(h[name], value) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(want) {
			return false
		}
		for i := range want {
			if !Contains(h[i], want[i]) {
				return false
			}
		}
		return true
	case json.Number:
		switch h := have.(type) {
		case json.Number:
			return equal(h, want)
		case string:
			return h == want.String()
		}
		return false
	case string:
		if h, ok := have.(json.Number); ok {
			return h.String() == want
		}
	}
	return have == want
}

// equal compares numbers, however they are spelled. Integers are not made floats,
// of which large ones are alike.
func equal(a, b json.Number) bool {
	if a == b || !strings.ContainsAny(a.String()+b.String(), ".eE") {
		return a == b
	}
	x, errX := a.Float64()
	y, errY := b.Float64()
	return errX == nil && errY == nil && x == y
}

// isEmpty reports whether a value is one that the API may leave out.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, value := range v {
			if !isEmpty(value) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	case json.Number:
		f, err := v.Float64()
		return err == nil && f == 0
	case string:
		return v == ""
	case bool:
		return !v
	}
	return v == nil
}
