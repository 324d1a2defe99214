package access

import (
	"errors"
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
)

// Expr is a condition as policies have it.
type Expr struct {
	Title       string
	Description string
	Expression  string
}

// Resource holds the attributes that conditions see of the resource that is
// accessed. Few types of resources have them: Google lists those, and service
// accounts and the resources of Cloud Run aren't among them.
//
// An empty Type or Service is what other types of resources have, and differs
// from every value that a condition compares it with. An empty Name means that
// the resource doesn't provide it: a part of a condition that uses it then never
// grants access, not even by being negated.
type Resource struct {
	// Name is resource.name: the relative name, without a leading slash.
	Name string
	// Type is resource.type: storage.googleapis.com/Object, for example.
	Type string
	// Service is resource.service: storage.googleapis.com, for example.
	Service string
}

// Compiler compiles policies and their conditions. It keeps the conditions that
// it has compiled, by their text, and the names of roles. It is safe for
// concurrent use.
type Compiler struct {
	env   func() (*cel.Env, error)
	zones zones

	mu         sync.Mutex
	conditions map[string]*condition
	roles      map[string]*roleName
}

// maxConditions and maxRoles bound what a compiler keeps.
const (
	maxConditions = 4096
	maxRoles      = 4096
)

// NewCompiler returns a compiler. It builds what conditions need when the first
// one comes.
func NewCompiler() *Compiler {
	c := &Compiler{conditions: map[string]*condition{}, roles: map[string]*roleName{}}
	c.env = sync.OnceValues(func() (*cel.Env, error) { return newEnv(&c.zones) })
	return c
}

// condition is a compiled condition. It is immutable and safe for concurrent
// use.
type condition struct {
	text string
	// logic is the expression, split at its logical operators if parts of it
	// can't be evaluated, else in one piece. Nil if it can't be parsed.
	logic *logic
	// usesTime says that the expression needs the time of the request.
	usesTime bool
	// usesResource says that it mentions resource.name, .type or .service.
	usesResource bool
	// end is when a grant ends that the condition allows now, as far as the
	// expression tells: request.time < timestamp("…"), possibly with further
	// parts in && with it.
	end End
	// operators is the number of &&, || and ! in it.
	operators int
	err       *ConditionError
}

// CheckCondition reports an expression that isn't valid, or that uses attributes
// or functions which aren't supported here: the error is a *[ConditionError].
func (c *Compiler) CheckCondition(expression string) error {
	if cond := c.condition(expression); cond.err != nil {
		return cond.err
	}
	return nil
}

func (c *Compiler) condition(expression string) *condition {
	c.mu.Lock()
	cond := c.conditions[expression]
	c.mu.Unlock()
	if cond != nil {
		return cond
	}
	// Two goroutines may compile the same text; either result will do.
	cond = c.compile(expression)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.conditions) >= maxConditions {
		clear(c.conditions)
	}
	c.conditions[expression] = cond
	return cond
}

func (c *Compiler) compile(expression string) *condition {
	cond := &condition{text: expression}
	fail := func(err error) *condition {
		cond.err = &ConditionError{Expression: expression, Err: err}
		cond.logic = nil
		return cond
	}
	env, err := c.env()
	if err != nil {
		return fail(err)
	}
	if expression == "" {
		return fail(errors.New("empty"))
	}
	parsed, issues := env.Parse(expression)
	if issues.Err() != nil {
		return fail(issues.Err())
	}
	s := &splitter{env: env, info: parsed.NativeRep().SourceInfo()}
	root := parsed.NativeRep().Expr()
	cond.operators = countOperators(root)
	cond.usesTime = s.uses(root, attrTime)
	cond.usesResource = s.uses(root, attrName) || s.uses(root, attrType) || s.uses(root, attrService)
	foreign := s.foreign(root)
	if len(foreign) > 0 {
		cond.logic, err = s.split(root)
	} else {
		cond.logic, err = s.whole(expression)
	}
	if err != nil {
		return fail(err)
	}
	if len(foreign) > 0 {
		cond.err = &ConditionError{Expression: expression, Attributes: foreign}
	}
	cond.end = s.end(root, false)
	return cond
}

// outcomes is the set of the results that an expression may have, given what
// isn't known.
type outcomes uint8

const (
	isTrue outcomes = 1 << iota
	isFalse
	isError
	isAnything = isTrue | isFalse | isError
)

// allows reports whether a binding with the condition applies: only if the
// condition is true.
func (o outcomes) allows() Answer {
	switch {
	case o == isTrue:
		return Yes
	case o&isTrue == 0:
		return No
	}
	return Maybe
}

// denies reports whether a deny rule with the condition applies: if the condition
// is true or can't be evaluated.
func (o outcomes) denies() Answer {
	switch {
	case o == isFalse:
		return No
	case o&isFalse == 0:
		return Yes
	}
	return Maybe
}

// eval returns the possible results, and the error if there is one: that of the
// evaluation, or why parts of the expression aren't evaluated.
func (c *condition) eval(a *attributes) (outcomes, error) {
	if c.logic == nil {
		return isAnything, c.err
	}
	if c.usesTime && a.time.IsZero() {
		return isAnything, fmt.Errorf("condition %q: the time of the request isn't given", c.text)
	}
	var failure error
	out := c.logic.eval(a, &failure)
	switch {
	case failure != nil && out&isError != 0:
		return out, failure
	case c.err != nil && out.allows() == Maybe:
		return out, c.err
	}
	return out, nil
}
