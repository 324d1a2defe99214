package access

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// logic is a tree of logical operators over parts of an expression. A part is
// evaluated by CEL, or it is foreign and may have any result.
type logic struct {
	operator string // of package operators; empty for a part
	args     []*logic
	program  cel.Program // nil for a foreign part
}

// eval returns the results that the expression may have. CEL's && and || are
// commutative in errors: false && error is false, true || error is true.
func (l *logic) eval(a *attributes, failure *error) outcomes {
	switch l.operator {
	case operators.LogicalNot:
		x := l.args[0].eval(a, failure)
		out := x & isError
		if x&isTrue != 0 {
			out |= isFalse
		}
		if x&isFalse != 0 {
			out |= isTrue
		}
		return out
	case operators.LogicalAnd:
		return combine(l.args[0].eval(a, failure), l.args[1].eval(a, failure), isFalse, isTrue)
	case operators.LogicalOr:
		return combine(l.args[0].eval(a, failure), l.args[1].eval(a, failure), isTrue, isFalse)
	}
	if l.program == nil {
		return isAnything
	}
	v, _, err := l.program.Eval(a)
	if err != nil {
		*failure = err
		return isError
	}
	if v == types.True {
		return isTrue
	}
	return isFalse
}

// combine returns the possible results of && (strong is false) and || (strong
// is true): strong if one operand is that, else an error if one is that, else
// weak.
func combine(x, y, strong, weak outcomes) outcomes {
	var out outcomes
	for _, a := range [...]outcomes{isTrue, isFalse, isError} {
		for _, b := range [...]outcomes{isTrue, isFalse, isError} {
			switch {
			case x&a == 0 || y&b == 0:
			case a == strong || b == strong:
				out |= strong
			case a == isError || b == isError:
				out |= isError
			default:
				out |= weak
			}
		}
	}
	return out
}

// splitter analyzes and compiles a parsed expression.
type splitter struct {
	env  *cel.Env
	info *ast.SourceInfo
}

// leaf compiles a part that has nothing foreign.
func (s *splitter) leaf(e ast.Expr) (*logic, error) {
	text, err := cel.ExprToString(e, s.info)
	if err != nil {
		return nil, err
	}
	return s.whole(text)
}

// whole compiles a text in one piece.
func (s *splitter) whole(text string) (*logic, error) {
	program, err := s.program(text, cel.BoolType)
	if err != nil {
		return nil, err
	}
	return &logic{program: program}, nil
}

func (s *splitter) program(text string, want *cel.Type) (cel.Program, error) {
	checked, issues := s.env.Compile(text)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	if !checked.OutputType().IsExactType(want) {
		return nil, fmt.Errorf("%s isn't of type %s", text, want)
	}
	program, err := s.env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		// A constant that doesn't convert, timestamp("never") for example,
		// isn't refused by IAM: the condition then never allows access.
		// Without optimization the failure comes with the evaluation.
		return s.env.Program(checked)
	}
	return program, nil
}

// split takes an expression apart at its logical operators, so that what can be
// evaluated is.
func (s *splitter) split(e ast.Expr) (*logic, error) {
	if op, args := logical(e); op != "" && len(s.foreign(e)) > 0 {
		l := &logic{operator: op}
		for _, arg := range args {
			part, err := s.split(arg)
			if err != nil {
				return nil, err
			}
			l.args = append(l.args, part)
		}
		return l, nil
	}
	if len(s.foreign(e)) > 0 {
		return &logic{}, nil
	}
	return s.leaf(e)
}

// logical returns the logical operator that e is an application of, and its
// operands.
func logical(e ast.Expr) (string, []ast.Expr) {
	if e.Kind() != ast.CallKind {
		return "", nil
	}
	call := e.AsCall()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot:
		return call.FunctionName(), call.Args()
	}
	return "", nil
}

// countOperators counts the logical operators, which IAM limits.
func countOperators(e ast.Expr) int {
	n := 0
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		if op, _ := logical(e); op != "" {
			n++
		}
	}))
	return n
}

// foreign returns the attributes and functions of an expression that aren't
// supported, as they are written, each once and in order.
func (s *splitter) foreign(e ast.Expr) []string {
	var found []string
	add := func(name string) {
		if !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	var walk func(ast.Expr)
	walk = func(e ast.Expr) {
		if path := attributePath(e); path != "" {
			if !supported(path) {
				add(path)
			}
			return
		}
		switch e.Kind() {
		case ast.CallKind:
			call := e.AsCall()
			name := call.FunctionName()
			if call.IsMemberFunction() {
				path := attributePath(call.Target())
				switch {
				case path != "" && !supported(path) && !s.env.HasFunction(name):
					// resource.matchTag(…), api.getAttribute(…)
					add(path + "." + name)
				case !s.env.HasFunction(name):
					add(name)
					walk(call.Target())
				default:
					walk(call.Target())
				}
			} else if !s.env.HasFunction(name) {
				add(name)
			}
			for _, arg := range call.Args() {
				walk(arg)
			}
		case ast.SelectKind:
			walk(e.AsSelect().Operand())
		case ast.ListKind:
			for _, x := range e.AsList().Elements() {
				walk(x)
			}
		case ast.MapKind:
			for _, x := range e.AsMap().Entries() {
				walk(x.AsMapEntry().Key())
				walk(x.AsMapEntry().Value())
			}
		case ast.StructKind:
			add(e.AsStruct().TypeName())
		}
	}
	walk(e)
	return found
}

// uses reports whether the expression mentions the attribute.
func (s *splitter) uses(e ast.Expr, attribute string) bool {
	found := false
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		found = found || attributePath(e) == attribute
	}))
	return found
}

// attributePath returns request.auth.access_levels for a chain of selections
// that starts with a name, else "".
func attributePath(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent()
	case ast.SelectKind:
		if sel := e.AsSelect(); !sel.IsTestOnly() {
			if path := attributePath(sel.Operand()); path != "" {
				return path + "." + sel.FieldName()
			}
		}
	}
	return ""
}

func supported(path string) bool {
	switch path {
	case attrTime, attrName, attrType, attrService:
		return true
	}
	return false
}
