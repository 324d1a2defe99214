package refusal_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/refusal"
)

// code, status and rpcError have the form of gRPC's codes.Code, *status.Status and
// errors.
type (
	code   uint32
	status struct {
		code    code
		message string
	}
	rpcError struct{ status *status }
)

func (s *status) Code() code            { return s.code }
func (s *status) Message() string       { return s.message }
func (e *rpcError) GRPCStatus() *status { return e.status }
func (e *rpcError) Error() string       { return "rpc error" }

// odd has methods of these names and of another form.
type odd struct{}

func (odd) GRPCStatus(int) string { return "" }
func (odd) Error() string         { return "odd" }

func TestGRPC(t *testing.T) {
	t.Parallel()
	const actAs = "Permission 'iam.serviceaccounts.actAs' denied on service account a@p.iam.gserviceaccount.com (or it may not exist)."
	for name, tt := range map[string]struct {
		err  error
		want error
	}{
		"act as":             {&rpcError{&status{7, actAs}}, refusal.ErrActAsDenied},
		"act as, not denied": {&rpcError{&status{3, actAs}}, nil},
		"not found":          {&rpcError{&status{5, "no"}}, refusal.ErrNotFound},
		"exists":             {&rpcError{&status{6, "no"}}, refusal.ErrAlreadyExists},
		"aborted":            {&rpcError{&status{10, "no"}}, refusal.ErrConflict},
		"unavailable":        {&rpcError{&status{14, "no"}}, nil},
		"no status":          {&rpcError{}, nil},
		"a nil error":        {(*rpcError)(nil), nil},
		"another form":       {odd{}, nil},
		"within another":     {errors.Join(errors.New("x"), fmt.Errorf("create: %w", &rpcError{&status{7, actAs}})), refusal.ErrActAsDenied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "a nil error" {
				require.NotPanics(t, func() { _ = refusal.Wrap(tt.err) })
				return
			}
			told := refusal.Wrap(tt.err)
			if tt.want == nil {
				assert.Equal(t, tt.err, told)
				return
			}
			require.ErrorIs(t, told, tt.want)
			require.ErrorIs(t, told, tt.err)
			assert.Equal(t, told, refusal.Wrap(told), "it is said once")
		})
	}
}
