package preflight

import (
	"context"
	"fmt"
)

// unknownFix is a fix of no kind that is known here. It does nothing.
type unknownFix Fix

func (f *unknownFix) fields() []field { return nil }

func (f *unknownFix) check() error { return unknownKind(f.Kind) }

func (f *unknownFix) text() string {
	if f.Kind == "" {
		return "no fix"
	}
	return fmt.Sprintf("unknown fix %q", string(f.Kind))
}

func (f *unknownFix) gcloud() string { return "# " + f.text() }

func (f *unknownFix) request() Request { return Request{} }

func (f *unknownFix) sideEffect() string { return "what it does isn't known" }

// changesGuardrail returns true: it may.
func (f *unknownFix) changesGuardrail() bool { return true }

func (f *unknownFix) apply(context.Context, *applier) (bool, error) {
	return false, unknownKind(f.Kind)
}
