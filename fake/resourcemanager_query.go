package fake

import (
	"strings"
	"unicode"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// hierarchyQuery is a search expression of Resource Manager, ready to be
// asked of resources: has reports whether a field of one has a value.
type hierarchyQuery func(has func(field, value string) bool) bool

// parseHierarchyQuery reads a query or filter: conditions "field:value" or
// "field=value" with AND, OR, NOT and parentheses. Values may be in quotes.
// Conditions side by side match if any of them does, as it is documented, but
// for parent.type and parent.id, which are two halves of one. Fields, in lower
// case, are those that known takes. An empty query matches all.
//
// What the real one answers to a malformed query is not known, the messages
// are the fake's.
func parseHierarchyQuery(text string, known func(field string) bool) (hierarchyQuery, error) {
	tokens, err := hierarchyTokens(text)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return func(func(field, value string) bool) bool { return true }, nil
	}
	p := &hierarchyParser{tokens: tokens, known: known}
	q, err := p.expression(0)
	if err == nil && len(p.tokens) > 0 {
		err = invalidQuery("unexpected %q", p.tokens[0])
	}
	return q, err
}

func invalidQuery(format string, args ...any) error {
	return wire.Invalid("Invalid query: "+format+".", args...).WithReason("badRequest")
}

// hierarchyTokens splits a query into parentheses and words. Quotes, which may
// be escaped, keep spaces in a word.
func hierarchyTokens(text string) ([]string, error) {
	var tokens []string
	var word strings.Builder
	quoted := false
	end := func() {
		if word.Len() > 0 {
			tokens = append(tokens, word.String())
			word.Reset()
		}
	}
	for _, r := range strings.ReplaceAll(text, `\"`, `"`) {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
			word.WriteRune(r)
		case unicode.IsSpace(r):
			end()
		case r == '(' || r == ')':
			end()
			tokens = append(tokens, string(r))
		default:
			word.WriteRune(r)
		}
	}
	end()
	if quoted {
		return nil, invalidQuery("a quote is not closed")
	}
	return tokens, nil
}

type hierarchyParser struct {
	tokens []string
	known  func(field string) bool
}

func (p *hierarchyParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

// maxQueryDepth is how deep parentheses and NOT may nest.
const maxQueryDepth = 50

// expression parses a chain of either AND or OR. Which of them binds closer is
// not documented: the two are not mixed without parentheses.
func (p *hierarchyParser) expression(depth int) (hierarchyQuery, error) {
	if depth > maxQueryDepth {
		return nil, invalidQuery("it is nested too deeply")
	}
	first, err := p.sequence(depth)
	if err != nil {
		return nil, err
	}
	operands, operator := []hierarchyQuery{first}, p.next()
	for operator != "" && p.next() == operator && (operator == "AND" || operator == "OR") {
		p.tokens = p.tokens[1:]
		operand, err := p.sequence(depth)
		if err != nil {
			return nil, err
		}
		operands = append(operands, operand)
	}
	if next := p.next(); next == "AND" || next == "OR" {
		return nil, invalidQuery("AND and OR are mixed without parentheses")
	}
	if operator == "AND" {
		return allOf(operands), nil
	}
	return anyOf(operands), nil
}

// sequence parses one or more operands side by side.
func (p *hierarchyParser) sequence(depth int) (hierarchyQuery, error) {
	var operands, parent []hierarchyQuery
	for {
		switch token := p.next(); token {
		case "", ")", "AND", "OR":
			if len(parent) > 0 {
				operands = append(operands, allOf(parent))
			}
			if len(operands) == 0 {
				return nil, invalidQuery("a condition is missing")
			}
			return anyOf(operands), nil
		default:
			operand, err := p.operand(depth)
			if err != nil {
				return nil, err
			}
			if field := strings.ToLower(token); strings.HasPrefix(field, "parent.type") || strings.HasPrefix(field, "parent.id") {
				parent = append(parent, operand)
			} else {
				operands = append(operands, operand)
			}
		}
	}
}

// operand parses a condition, a negation or an expression in parentheses.
func (p *hierarchyParser) operand(depth int) (hierarchyQuery, error) {
	token := p.next()
	if token == "" {
		return nil, invalidQuery("a condition is missing")
	}
	if depth > maxQueryDepth {
		return nil, invalidQuery("it is nested too deeply")
	}
	p.tokens = p.tokens[1:]
	switch token {
	case "NOT":
		q, err := p.operand(depth + 1)
		return func(has func(field, value string) bool) bool { return !q(has) }, err
	case "(":
		q, err := p.expression(depth + 1)
		if err == nil && p.next() != ")" {
			err = invalidQuery("a parenthesis is not closed")
		}
		if err != nil {
			return nil, err
		}
		p.tokens = p.tokens[1:]
		return q, nil
	}
	return p.condition(token)
}

func (p *hierarchyParser) condition(token string) (hierarchyQuery, error) {
	i := strings.IndexAny(token, ":=")
	if i <= 0 || i == len(token)-1 {
		return nil, invalidQuery("%q is not of the form field:value", token)
	}
	field, value := strings.ToLower(token[:i]), token[i+1:]
	if !p.known(field) {
		return nil, invalidQuery("there is no field %q to search by", token[:i])
	}
	return func(has func(field, value string) bool) bool { return has(field, value) }, nil
}

func allOf(operands []hierarchyQuery) hierarchyQuery {
	return func(has func(field, value string) bool) bool {
		for _, q := range operands {
			if !q(has) {
				return false
			}
		}
		return true
	}
}

func anyOf(operands []hierarchyQuery) hierarchyQuery {
	return func(has func(field, value string) bool) bool {
		for _, q := range operands {
			if q(has) {
				return true
			}
		}
		return false
	}
}

// matchesPattern compares without regard to case; a pattern may end in *.
func matchesPattern(s, pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return s != "" && len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
	}
	return strings.EqualFold(s, pattern)
}
