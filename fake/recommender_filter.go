package fake

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

// Filters of Recommender's list methods: the fields that the discovery
// document names, in the language of https://google.aip.dev/160. Of that, the
// document shows =, :, AND, OR and parentheses; !=, NOT, -, quotes, "field:*"
// and AND left out between two restrictions are from AIP-160, and so is that OR
// binds closer than AND. What neither gives a meaning for these fields (<, >,
// wildcards within values, functions, bare values, = on a list) is refused, as
// are values that an enum does not have; that the real API refuses all of it,
// and in which words, is inferred.

const maxRecommenderFilter = 500 // characters, as documented

// recommenderFilter reports whether an item matches.
type recommenderFilter func(wire.Object) bool

// filterField is what a filter may name.
type filterField struct {
	path []string
	enum []string // of a field that has one
	list bool
}

// recommenderFields returns the documented fields for recommendations or
// insights.
func recommenderFields(schemas map[string]discovery.Schema, items string) map[string]filterField {
	const prefix = "GoogleCloudRecommenderV1"
	message, state, subtype, rank := prefix+"Recommendation", prefix+"RecommendationStateInfo", "recommenderSubtype", "priority"
	if items == "insights" {
		message, state, subtype, rank = prefix+"Insight", prefix+"InsightStateInfo", "insightSubtype", "severity"
	}
	return map[string]filterField{
		"stateInfo.state": {path: []string{"stateInfo", "state"}, enum: schemas[state]["state"].Enum},
		subtype:           {path: []string{subtype}},
		rank:              {path: []string{rank}, enum: schemas[message][rank].Enum},
		"targetResources": {path: []string{"targetResources"}, list: true},
	}
}

// parseRecommenderFilter reads a filter. An empty one matches everything.
func parseRecommenderFilter(filter string, fields map[string]filterField) (recommenderFilter, error) {
	if utf8.RuneCountInString(filter) > maxRecommenderFilter {
		return nil, wire.Invalid("Invalid filter: it is longer than %d characters.", maxRecommenderFilter)
	}
	p := &filterParser{rest: filter, fields: fields}
	p.advance()
	if p.token.kind == filterEnd {
		return func(wire.Object) bool { return true }, nil
	}
	f, err := p.expression()
	if err != nil {
		return nil, err
	}
	if p.token.kind != filterEnd {
		return nil, p.unexpected()
	}
	return f, nil
}

type filterTokenKind int

const (
	filterEnd      filterTokenKind = iota
	filterWord                     // a field, an operator word, a value without quotes
	filterQuoted                   // text is without the quotes
	filterCompare                  // text is the operator
	filterSymbol                   // a parenthesis or a minus
	filterUnclosed                 // a quote that does not end
)

type filterToken struct {
	kind filterTokenKind
	text string
}

// filterParser reads by recursive descent. The longest filter bounds its depth.
type filterParser struct {
	rest   string
	token  filterToken // the next one
	fields map[string]filterField
}

// advance reads the next token. A minus is one of its own unless it is part of
// a value.
func (p *filterParser) advance() {
	isValue := p.token.kind == filterCompare
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
	if p.rest == "" {
		p.token = filterToken{kind: filterEnd}
		return
	}
	var size int
	kind := filterWord
	switch c := p.rest[0]; {
	case c == '(' || c == ')' || c == '-' && !isValue:
		size, kind = 1, filterSymbol
	case c == '"' || c == '\'':
		p.quoted(c)
		return
	case strings.IndexByte("<>!", c) >= 0 && strings.HasPrefix(p.rest[1:], "="):
		size, kind = 2, filterCompare
	case strings.IndexByte("=:<>!", c) >= 0:
		size, kind = 1, filterCompare
	default:
		size = strings.IndexAny(p.rest, " \t\r\n()\"'=:<>!")
		if size < 0 {
			size = len(p.rest)
		}
	}
	p.token = filterToken{kind, p.rest[:size]}
	p.rest = p.rest[size:]
}

// quoted reads a string. A backslash takes the next character as it is.
func (p *filterParser) quoted(quote byte) {
	var text strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == quote:
			p.token, p.rest = filterToken{filterQuoted, text.String()}, p.rest[i+1:]
			return
		case c == '\\' && i+1 < len(p.rest):
			i++
			text.WriteByte(p.rest[i])
		default:
			text.WriteByte(c)
		}
	}
	p.token, p.rest = filterToken{filterUnclosed, p.rest}, ""
}

func (p *filterParser) unexpected() error {
	switch p.token.kind {
	case filterEnd:
		return wire.Invalid("Invalid filter: it ends where more is expected.")
	case filterUnclosed:
		return wire.Invalid("Invalid filter: the string %s does not end.", p.token.text)
	default:
		return wire.Invalid("Invalid filter: %q is unexpected.", p.token.text)
	}
}

func (p *filterParser) is(kind filterTokenKind, text string) bool {
	return p.token == filterToken{kind, text}
}

// isOr also takes the word in lower case, in which the documentation once
// wrote it (`state_info.state:"DISMISSED" or state_info.state:"FAILED"`).
func (p *filterParser) isOr() bool { return p.is(filterWord, "OR") || p.is(filterWord, "or") }

// expression parses factors joined by AND, or by nothing.
func (p *filterParser) expression() (recommenderFilter, error) {
	var all []recommenderFilter
	for {
		f, err := p.factor()
		if err != nil {
			return nil, err
		}
		all = append(all, f)
		switch {
		case p.is(filterWord, "AND"):
			p.advance()
		case p.token.kind == filterEnd || p.is(filterSymbol, ")"):
			return func(o wire.Object) bool {
				return !slices.ContainsFunc(all, func(f recommenderFilter) bool { return !f(o) })
			}, nil
		}
	}
}

// factor parses terms joined by OR.
func (p *filterParser) factor() (recommenderFilter, error) {
	var either []recommenderFilter
	for {
		f, err := p.term()
		if err != nil {
			return nil, err
		}
		either = append(either, f)
		if !p.isOr() {
			return func(o wire.Object) bool {
				return slices.ContainsFunc(either, func(f recommenderFilter) bool { return f(o) })
			}, nil
		}
		p.advance()
	}
}

func (p *filterParser) term() (recommenderFilter, error) {
	if p.is(filterWord, "NOT") || p.is(filterSymbol, "-") {
		p.advance()
		f, err := p.simple()
		return func(o wire.Object) bool { return !f(o) }, err
	}
	return p.simple()
}

func (p *filterParser) simple() (recommenderFilter, error) {
	if !p.is(filterSymbol, "(") {
		return p.restriction()
	}
	p.advance()
	f, err := p.expression()
	if err != nil {
		return nil, err
	}
	if !p.is(filterSymbol, ")") {
		return nil, p.unexpected()
	}
	p.advance()
	return f, nil
}

// restriction parses a field, an operator and a value.
func (p *filterParser) restriction() (recommenderFilter, error) {
	if p.token.kind != filterWord {
		return nil, p.unexpected()
	}
	name := p.token.text
	field, ok := p.fields[wire.CamelCase(name)]
	if !ok {
		return nil, wire.Invalid("Invalid filter: %q is not a field that can be filtered by.", name)
	}
	p.advance()
	if p.token.kind != filterCompare {
		return nil, p.unexpected()
	}
	operator := p.token.text
	p.advance()
	value := p.token
	if value.kind != filterWord && value.kind != filterQuoted {
		return nil, p.unexpected()
	}
	p.advance()
	return field.compare(name, operator, value)
}

// compare makes the filter of one restriction.
func (f filterField) compare(name, operator string, value filterToken) (recommenderFilter, error) {
	want := value.text
	switch {
	case operator != ":" && (f.list || operator != "=" && operator != "!="):
		return nil, wire.Invalid("Invalid filter: operator %q does not apply to %q.", operator, name)
	case operator == ":" && value == filterToken{filterWord, "*"}:
		return f.present, nil
	case strings.Contains(want, "*"):
		return nil, wire.Invalid("Invalid filter: wildcards do not apply to %q.", name)
	case f.enum != nil && !slices.Contains(f.enum, want):
		return nil, wire.Invalid("Invalid filter: %q is not a value of %q.", want, name)
	case f.list:
		return func(o wire.Object) bool { return slices.Contains(f.values(o), any(want)) }, nil
	}
	return func(o wire.Object) bool {
		have := wire.Text(o, f.path...)
		if have == "" && f.enum != nil {
			have = f.enum[0] // the unspecified one
		}
		return (have == want) == (operator != "!=")
	}, nil
}

func (f filterField) present(o wire.Object) bool {
	if f.list {
		return len(f.values(o)) > 0
	}
	return wire.Text(o, f.path...) != ""
}

// values returns the values of a list. Anything else in its place has none:
// seeded JSON may have any shape.
func (f filterField) values(o wire.Object) []any {
	list, _ := wire.Lookup(o, f.path...).([]any) // anything else has no values
	return list
}
