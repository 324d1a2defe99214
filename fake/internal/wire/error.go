package wire

import (
	"fmt"
	"net/http"
)

// Error is an error as Google's APIs answer it: a google.rpc.Status in
// JSON under "error".
type Error struct {
	Code    int    // HTTP status
	Status  string // canonical code, such as "NOT_FOUND"
	Message string
	// Reason, where set, adds the older errors[] that some APIs still send.
	Reason string
	// Details are added as they are, each with its "@type".
	Details []any
}

func (e *Error) Error() string { return e.Message }

// Body returns the error as an answer has it.
func (e *Error) Body() []byte {
	type item struct {
		Message string `json:"message"`
		Domain  string `json:"domain"`
		Reason  string `json:"reason"`
	}
	status := struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Errors  []item `json:"errors,omitempty"`
		Status  string `json:"status"`
		Details []any  `json:"details,omitempty"`
	}{Code: e.Code, Message: e.Message, Status: e.Status, Details: e.Details}
	if e.Reason != "" {
		status.Errors = []item{{e.Message, "global", e.Reason}}
	}
	return MustEncode(map[string]any{"error": status})
}

// NewError makes an error of an HTTP status and a canonical code.
func NewError(code int, status, format string, args ...any) *Error {
	return &Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes a 400 INVALID_ARGUMENT.
func Invalid(format string, args ...any) *Error {
	return NewError(http.StatusBadRequest, "INVALID_ARGUMENT", format, args...)
}

// NotFound makes a 404 NOT_FOUND.
func NotFound(format string, args ...any) *Error {
	return NewError(http.StatusNotFound, "NOT_FOUND", format, args...)
}

// AlreadyExists makes a 409 ALREADY_EXISTS.
func AlreadyExists(format string, args ...any) *Error {
	return NewError(http.StatusConflict, "ALREADY_EXISTS", format, args...)
}

// Aborted makes a 409 ABORTED.
func Aborted(format string, args ...any) *Error {
	return NewError(http.StatusConflict, "ABORTED", format, args...)
}

// Denied makes a 403 PERMISSION_DENIED.
func Denied(format string, args ...any) *Error {
	return NewError(http.StatusForbidden, "PERMISSION_DENIED", format, args...)
}

// WithReason adds errors[] with that reason.
func (e *Error) WithReason(reason string) *Error {
	e.Reason = reason
	return e
}

// StatusName returns the canonical code that Google's APIs put beside an HTTP
// status.
func StatusName(code int) string {
	switch code {
	case http.StatusBadRequest:
		return "INVALID_ARGUMENT"
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusConflict:
		return "ABORTED"
	case http.StatusPreconditionFailed:
		return "FAILED_PRECONDITION"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case http.StatusNotImplemented:
		return "UNIMPLEMENTED"
	case http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	case http.StatusGatewayTimeout:
		return "DEADLINE_EXCEEDED"
	default:
		if code >= 500 {
			return "INTERNAL"
		}
		return "UNKNOWN"
	}
}
