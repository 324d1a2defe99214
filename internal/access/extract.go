package access

import (
	"fmt"
	"strings"
)

// extract returns the part of s that the template's identifier stands for. A
// template is PREFIX{identifier}SUFFIX, prefix and suffix being optional:
//
//   - neither: all of s;
//   - a prefix: what follows its first occurrence;
//   - a suffix: what precedes its first occurrence;
//   - both: what is between the first occurrence of the prefix and the first
//     occurrence of the suffix after it.
//
// If one of them isn't found, the result is empty.
func extract(s, template string) (string, error) {
	prefix, suffix, err := splitTemplate(template)
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(s, prefix)
	if !ok {
		return "", nil
	}
	if suffix == "" {
		return rest, nil
	}
	value, _, ok := strings.Cut(rest, suffix)
	if !ok {
		return "", nil
	}
	return value, nil
}

// splitTemplate returns what surrounds the template's one identifier.
func splitTemplate(template string) (prefix, suffix string, err error) {
	prefix, rest, ok := strings.Cut(template, "{")
	if !ok {
		return "", "", fmt.Errorf("extract(%q): no {identifier}", template)
	}
	id, suffix, ok := strings.Cut(rest, "}")
	if !ok || !isIdentifier(id) {
		return "", "", fmt.Errorf("extract(%q): the identifier in braces must be letters, digits and underscores", template)
	}
	if strings.ContainsAny(prefix+suffix, "{}") {
		return "", "", fmt.Errorf("extract(%q): more than one identifier", template)
	}
	return prefix, suffix, nil
}

func isIdentifier(s string) bool {
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		default:
			return false
		}
	}
	return s != ""
}
