package access

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// end returns when an expression, or its negation, that is true now ceases to
// be true for good, as far as its form tells.
func (s *splitter) end(e ast.Expr, negated bool) End {
	op, args := logical(e)
	switch op {
	case operators.LogicalNot:
		return s.end(args[0], !negated)
	case operators.LogicalAnd, operators.LogicalOr:
		x, y := s.end(args[0], negated), s.end(args[1], negated)
		// Not (a && b) is not a || not b, and the other way round.
		if (op == operators.LogicalAnd) != negated {
			return earlier(x, y)
		}
		return either(x, y)
	}
	if len(s.foreign(e)) > 0 {
		return End{}
	}
	if !s.uses(e, attrTime) {
		return End{Kind: EndNever}
	}
	return s.endOfComparison(e, negated)
}

// endOfComparison returns the end of request.time < t and the like; t must be
// made of constants.
func (s *splitter) endOfComparison(e ast.Expr, negated bool) End {
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
		return End{}
	}
	args := e.AsCall().Args()
	op := e.AsCall().FunctionName()
	left, right := args[0], args[1]
	if attributePath(right) == attrTime {
		left, right = right, left
		switch op {
		case operators.Less:
			op = operators.Greater
		case operators.LessEquals:
			op = operators.GreaterEquals
		case operators.Greater:
			op = operators.Less
		case operators.GreaterEquals:
			op = operators.LessEquals
		}
	}
	if attributePath(left) != attrTime {
		return End{}
	}
	t, ok := s.constantTime(right)
	if !ok {
		return End{}
	}
	switch op {
	case operators.Less, operators.LessEquals:
		if negated {
			return End{Kind: EndNever}
		}
		return End{Kind: EndAt, At: t}
	case operators.Greater, operators.GreaterEquals:
		if negated {
			return End{Kind: EndAt, At: t}
		}
		return End{Kind: EndNever}
	}
	return End{}
}

// constantTime evaluates an expression without attributes.
func (s *splitter) constantTime(e ast.Expr) (time.Time, bool) {
	for _, a := range []string{attrTime, attrName, attrType, attrService} {
		if s.uses(e, a) {
			return time.Time{}, false
		}
	}
	text, err := cel.ExprToString(e, s.info)
	if err != nil {
		return time.Time{}, false
	}
	program, err := s.program(text, cel.TimestampType)
	if err != nil {
		return time.Time{}, false
	}
	v, _, err := program.Eval(cel.NoVars())
	if err != nil {
		return time.Time{}, false
	}
	ts, ok := v.(types.Timestamp)
	return ts.Time, ok
}

// earlier returns the end of a && b, both true now.
func earlier(a, b End) End {
	switch {
	case a.Kind == EndNever:
		return b
	case b.Kind == EndNever:
		return a
	}
	at := a.At
	if at.IsZero() || (!b.At.IsZero() && b.At.Before(at)) {
		at = b.At
	}
	if a.Kind == EndAt && b.Kind == EndAt {
		return End{Kind: EndAt, At: at}
	}
	return End{At: at}
}

// either returns the end of a || b, of which at least one is true now, but it
// isn't known which.
func either(a, b End) End {
	if a.Kind == EndNever && b.Kind == EndNever {
		return a
	}
	if a.Kind == EndNever || b.Kind == EndNever || a.At.IsZero() || b.At.IsZero() {
		return End{}
	}
	if b.At.After(a.At) {
		a = b
	}
	return End{At: a.At}
}
