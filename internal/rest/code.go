package rest

import (
	"errors"

	"google.golang.org/api/googleapi"
)

// HasCode reports whether an error wraps a server's answer with that HTTP status.
func HasCode(err error, code int) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	return ok && g.Code == code
}
