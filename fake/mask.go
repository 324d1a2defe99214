package fake

import (
	"strings"

	"github.com/runidentity/runidentity/internal/discovery"
)

// parseMask reads an updateMask. Paths may be in snake_case, as in protos, or
// in lowerCamelCase, as in JSON. No mask and "*" mean the whole message: nil.
func parseMask(mask string) [][]string {
	if mask == "" || mask == "*" {
		return nil
	}
	var paths [][]string
	for path := range strings.SplitSeq(mask, ",") {
		segments := strings.Split(strings.TrimSpace(path), ".")
		for i, s := range segments {
			segments[i] = camelCase(s)
		}
		paths = append(paths, segments)
	}
	return paths
}

func camelCase(s string) string {
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

// checkMask refuses paths that the message does not have.
func (c checker) checkMask(schema string, paths [][]string) error {
	for _, path := range paths {
		at := schema
		for i, name := range path {
			f, ok := c.schemas[at][name]
			if !ok || (i < len(path)-1 && !canDescend(f)) {
				return invalid("Invalid update mask path: %q does not name a field of the message.", strings.Join(path, "."))
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

// applyMask copies the masked fields of from into to; one that from does not
// have is cleared.
func applyMask(to, from object, paths [][]string) {
	for _, path := range paths {
		last := path[len(path)-1]
		value := lookup(from, path...)
		parent := to
		if len(path) > 1 {
			if value == nil && lookup(to, path[:len(path)-1]...) == nil {
				continue
			}
			parent = child(to, path[:len(path)-1]...)
		}
		if value == nil {
			delete(parent, last)
			continue
		}
		parent[last] = cloneValue(value)
	}
}
