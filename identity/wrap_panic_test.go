package identity_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/identity"
)

type statusLike interface {
	Code() uint32
	Message() string
}

// untold is shaped like an error of gRPC and has no status.
type untold struct{}

func (untold) Error() string          { return "untold" }
func (untold) GRPCStatus() statusLike { return nil }

// valued has its methods on a value, and is used by a pointer that is nil.
type valued struct{ code uint32 }

func (valued) Error() string         { return "valued" }
func (v valued) GRPCStatus() *valued { return &v }
func (v valued) Code() uint32        { return v.code }
func (valued) Message() string       { return "m" }

// An error that WrapError can't read is returned as it is.
func TestWrapErrorOfHollowErrors(t *testing.T) {
	t.Parallel()
	var g *googleapi.Error
	var v *valued
	for name, err := range map[string]error{
		"no status":             untold{},
		"within":                fmt.Errorf("call: %w", untold{}),
		"a nil pointer":         v,
		"joined":                errors.Join(untold{}, v),
		"a nil googleapi error": g,
		"one that is wrapped":   wrapped{g},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.NotPanics(t, func() { assert.Equal(t, err, identity.WrapError(err)) })
		})
	}
}

type wrapped struct{ err error }

func (wrapped) Error() string   { return "wrapped" }
func (w wrapped) Unwrap() error { return w.err }
