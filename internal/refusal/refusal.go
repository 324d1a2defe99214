// Package refusal tells apart what Cloud Run refuses. Package identity exports
// its errors, with their documentation.
package refusal

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/api/googleapi"
)

// The errors that are told apart.
var (
	ErrNotFound      = errors.New("not found")
	ErrAlreadyExists = errors.New("exists already")
	ErrActAsDenied   = errors.New("the caller may not act as the service account, or there is no such account" +
		" (roles/iam.serviceAccountUser on the account lets it)")
	ErrAgentTokenDenied = errors.New("the Cloud Run service agent may not mint tokens for the service account" +
		" (an account of another project: roles/iam.serviceAccountTokenCreator on the account;" +
		" of the same one: roles/run.serviceAgent on the project)")
	ErrConflict = errors.New("someone else changed the workload meanwhile")
)

// An answer is how a server refused something.
type answer struct {
	code            int // of HTTP
	status, message string
}

// Wrap adds what the server's error means, where it is recognised and not said
// yet.
func Wrap(err error) error {
	var a answer
	g, ok := errors.AsType[*googleapi.Error](err)
	switch {
	case !ok:
		a = fromGRPC(err)
	case g == nil: // a nil pointer that was returned as an error, which can't even be unwrapped
		return err
	default:
		a = answer{g.Code, status(g), g.Message}
	}
	if found := Recognize(a.code, a.status, a.message); found != nil && !errors.Is(err, found) {
		return fmt.Errorf("%w: %w", found, err)
	}
	return err
}

// Recognize returns the error for an answer of Cloud Run, or nil. The status is
// the canonical code, such as "ALREADY_EXISTS".
func Recognize(code int, status, message string) error {
	lower := strings.ToLower(message)
	switch {
	case code == http.StatusNotFound:
		return ErrNotFound
	case code == http.StatusConflict && status == "ALREADY_EXISTS":
		return ErrAlreadyExists
	case code == http.StatusConflict, code == http.StatusPreconditionFailed:
		return ErrConflict
	case code != http.StatusForbidden:
		return nil
	case strings.Contains(lower, "iam.serviceaccounts.actas"):
		return ErrActAsDenied
	case strings.Contains(lower, "service agent") && strings.Contains(lower, "iam.serviceaccounts.getaccesstoken"):
		return ErrAgentTokenDenied
	}
	return nil
}

// status is the canonical code in the body of a server's error.
func status(g *googleapi.Error) string {
	var body struct {
		Error struct {
			Status string `json:"status"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(g.Body), &body) != nil {
		return ""
	}
	return body.Error.Status
}
