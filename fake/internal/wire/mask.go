package wire

import (
	"strings"

	"github.com/runidentity/runidentity/internal/discovery"
)

// ParseMask reads an updateMask. Paths may be in snake_case, as in protos, or
// in lowerCamelCase, as in JSON. No mask and "*" mean the whole message: nil.
func ParseMask(mask string) [][]string {
	if mask == "" || mask == "*" {
		return nil
	}
	var paths [][]string
	for path := range strings.SplitSeq(mask, ",") {
		segments := strings.Split(strings.TrimSpace(path), ".")
		for i, s := range segments {
			segments[i] = CamelCase(s)
		}
		paths = append(paths, segments)
	}
	return paths
}

// CamelCase turns snake_case into lowerCamelCase.
func CamelCase(s string) string {
	var out strings.Builder
	upper := false
	for _, r := range s {
		switch {
		case r == '_':
			upper = true
		case upper:
			out.WriteString(strings.ToUpper(string(r)))
			upper = false
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// CheckMask refuses paths that the message does not have.
func (c Checker) CheckMask(schema string, paths [][]string) error {
	for _, path := range paths {
		at := schema
		for i, name := range path {
			f, ok := c.Schemas[at][name]
			if !ok || (i < len(path)-1 && !canDescend(f)) {
				return Invalid("Invalid update mask path: %q does not name a field of the message.", strings.Join(path, "."))
			}
			at = f.Ref
			if f.Map {
				break
			}
		}
	}
	return nil
}

func canDescend(f discovery.Field) bool { return f.Map || f.Ref != "" && !f.List }

// ApplyMask copies the masked fields of from into to; one that from does not
// have is cleared.
func ApplyMask(to, from Object, paths [][]string) {
	for _, path := range paths {
		last := path[len(path)-1]
		value := Lookup(from, path...)
		parent := to
		if len(path) > 1 {
			if value == nil && Lookup(to, path[:len(path)-1]...) == nil {
				continue
			}
			parent = Child(to, path[:len(path)-1]...)
		}
		if value == nil {
			delete(parent, last)
			continue
		}
		parent[last] = CloneValue(value)
	}
}
