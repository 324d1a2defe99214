package knative

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// requirement is one part of a label selector.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
var requirement = sync.OnceValue(func() *regexp.Regexp {
	const key, word = `[A-Za-z0-9][-A-Za-z0-9_./]*`, `[-A-Za-z0-9_.]*`
	return regexp.MustCompile(`^\s*(?:(!?)\s*(` + key + `)|(` + key + `)\s*(==|=|!=)\s*(` + word + `)|(` + key + `)\s+(in|notin)\s+\(([^()]*)\))\s*$`)
})

// ParseSelector reads a label selector: requirements with commas between them,
// all of which have to hold.
func ParseSelector(selector string) (func(labels wire.Object) bool, error) {
	var all []func(wire.Object) bool
	for _, part := range splitSelector(selector) {
		m := requirement().FindStringSubmatch(part)
		if m == nil {
			return nil, wire.Invalid("labelSelector: Invalid value %q: expected requirements such as \"app=web\", \"app in (a,b)\" or \"!app\".", selector)
		}
		all = append(all, func(labels wire.Object) bool {
			switch {
			case m[2] != "":
				_, there := labels[m[2]]
				return there == (m[1] == "")
			case m[3] != "":
				value, there := labels[m[3]]
				return (there && value == m[5]) == (m[4] != "!=")
			}
			value, there := labels[m[6]].(string)
			values := strings.Split(m[8], ",")
			for i := range values {
				values[i] = strings.TrimSpace(values[i])
			}
			return (there && slices.Contains(values, value)) == (m[7] == "in")
		})
	}
	return func(labels wire.Object) bool {
		return !slices.ContainsFunc(all, func(holds func(wire.Object) bool) bool { return !holds(labels) })
	}, nil
}

// splitSelector cuts at the commas that are not in parentheses.
func splitSelector(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	var out []string
	depth, start := 0, 0
	for i, r := range s {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}
