package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// statusError is an error as Google's APIs answer it: a google.rpc.Status in
// JSON under "error".
type statusError struct {
	code    int    // HTTP status
	status  string // canonical code, such as "NOT_FOUND"
	message string
	// reason, where set, adds the older errors[] that some APIs still send.
	reason string
	// details are added as they are, each with its "@type".
	details []any
}

func (e *statusError) Error() string { return e.message }

func (e *statusError) body() []byte {
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
	}{Code: e.code, Message: e.message, Status: e.status, Details: e.details}
	if e.reason != "" {
		status.Errors = []item{{e.message, "global", e.reason}}
	}
	return mustEncode(map[string]any{"error": status})
}

func newError(code int, status, format string, args ...any) *statusError {
	return &statusError{code: code, status: status, message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *statusError {
	return newError(http.StatusBadRequest, "INVALID_ARGUMENT", format, args...)
}

func notFound(format string, args ...any) *statusError {
	return newError(http.StatusNotFound, "NOT_FOUND", format, args...)
}

func alreadyExists(format string, args ...any) *statusError {
	return newError(http.StatusConflict, "ALREADY_EXISTS", format, args...)
}

func aborted(format string, args ...any) *statusError {
	return newError(http.StatusConflict, "ABORTED", format, args...)
}

func denied(format string, args ...any) *statusError {
	return newError(http.StatusForbidden, "PERMISSION_DENIED", format, args...)
}

// withReason adds errors[] with that reason.
func (e *statusError) withReason(reason string) *statusError {
	e.reason = reason
	return e
}

// statusName is the canonical code that Google's APIs put beside an HTTP
// status.
func statusName(code int) string {
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

// mustEncode encodes a value that is known to be encodable.
func mustEncode(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("fake: encode %T: %v", v, err))
	}
	return out
}
