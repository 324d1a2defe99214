package fake

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// caller is who makes a call.
type caller struct {
	member string // "user:…", "serviceAccount:…", "principal://…" or Admin
}

// email returns the name by which resources record the caller.
func (c caller) email() string {
	if _, email, ok := strings.Cut(c.member, ":"); ok && !strings.HasPrefix(c.member, "principal:") {
		return email
	}
	return c.member
}

// parseCaller reads a member string.
func parseCaller(s string) (caller, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case s == Admin:
		return caller{Admin}, nil
	case (kind == "user" || kind == "serviceAccount") && isEmail(rest):
		return caller{kind + ":" + strings.ToLower(rest)}, nil
	case kind == "principal" && strings.HasPrefix(rest, "//iam.googleapis.com/") && len(rest) > len("//iam.googleapis.com/"):
		return caller{s}, nil
	}
	return caller{}, fmt.Errorf("caller %q is neither fake.Admin nor a member such as %q, %q or %q", s,
		"user:dev@example.com", "serviceAccount:bot@my-project.iam.gserviceaccount.com",
		"principal://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/pool/subject/s")
}

// parseEmail is parseCaller for where callers are named by their email alone, too.
func parseEmail(s string) (caller, error) {
	switch {
	case isEmail(s) && strings.HasSuffix(s, ".gserviceaccount.com"):
		return caller{"serviceAccount:" + strings.ToLower(s)}, nil
	case isEmail(s):
		return caller{"user:" + strings.ToLower(s)}, nil
	}
	return parseCaller(s)
}

func isEmail(s string) bool {
	name, domain, ok := strings.Cut(s, "@")
	return ok && name != "" && strings.Contains(domain, ".") && !strings.ContainsAny(s, ": /\t\r\n") && !strings.Contains(domain, "@")
}

const authAdvice = "Expected OAuth 2 access token, login cookie or other valid authentication credential. " +
	"See https://developers.google.com/identity/sign-in/web/devconsole-project."

// callerOf reads the bearer token of a request: a member string or, as it is
// typed by hand, a bare email.
func callerOf(r *http.Request) (caller, error) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return caller{}, wire.NewError(http.StatusUnauthorized, "UNAUTHENTICATED",
			"Request is missing required authentication credential. %s", authAdvice)
	}
	who, err := parseEmail(strings.TrimSpace(token))
	if err != nil {
		return caller{}, unauthenticated()
	}
	return who, nil
}

// unauthenticated returns the answer to missing, invalid or revoked
// credentials.
func unauthenticated() *wire.Error {
	return wire.NewError(http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication credentials. %s", authAdvice)
}

// callerIsDead reports whether the caller is a service account that is deleted or
// disabled.
func (c *call) callerIsDead(st *state) bool {
	email, ok := strings.CutPrefix(c.caller.member, "serviceAccount:")
	if !ok {
		return false
	}
	a := st.accounts[email]
	return a != nil && (a.deleted || a.disabled)
}
