package preflight

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/rest"
)

// cause puts something that isn't known in this package's terms, with the
// permission that would help.
func (r *reader) cause(ctx context.Context, c access.Cause, ch *chain) Cause {
	of, itself := ch.resourceOf(c.Level)
	out := Cause{Message: c.String(), Resource: of.named()}
	switch c.Kind {
	case access.CausePolicy:
		out.Err = ch.errs[c.Level]
		if itself {
			out.Permissions = helping(out.Err, of.readPermission())
		} else {
			out.Permissions = helping(out.Err, of.getPermission())
		}
	case access.CauseDenyPolicies:
		const list, get = "iam.denypolicies.list", "iam.denypolicies.get"
		if itself {
			out.Err = ch.errs[denyKey(c.Level)]
			out.Permissions = helping(out.Err, list, get)
		} else {
			out.Err = ch.errs[c.Level]
			out.Permissions = helping(out.Err, of.getPermission(), list, get)
		}
	case access.CauseRole:
		out.Resource = iamPrefix + c.Role
		_, out.Err = r.role(ctx, c.Role)
		out.Permissions = helping(out.Err, "iam.roles.get")
	case access.CauseSet, access.CauseMember:
		out.Principal = c.Set.String()
	default:
		out.Err = c.Err
	}
	if out.Err != nil && len(out.Permissions) == 0 {
		out.Message += ": " + serverText(out.Err)
	}
	return out
}

// causeOf returns the cause that reading something failed.
func causeOf(what, resource string, err error, permissions ...string) Cause {
	return Cause{
		Message: what + " can't be read: " + serverText(err), Resource: resource, Permissions: helping(err, permissions...), Err: err,
	}
}

// permissionsOf returns the distinct permissions that causes name.
func permissionsOf(causes []Cause) []string {
	set := make(map[string]bool)
	for _, c := range causes {
		for _, p := range c.Permissions {
			set[p] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// serverText returns the message of a server's error, or the error's text.
func serverText(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if g, ok := errors.AsType[*googleapi.Error](err); ok && g.Message != "" {
		text = g.Message
	}
	if apiDisabled(err) { // the rest is how to enable it in a browser
		text, _, _ = strings.Cut(text, " Enable it by visiting")
	}
	return strings.Join(strings.Fields(text), " ")
}

// apiDisabled reports whether a call was refused since its API isn't enabled.
func apiDisabled(err error) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	return ok && g.Code == http.StatusForbidden && strings.Contains(g.Body, `"SERVICE_DISABLED"`)
}

// helping returns the permissions that would have made a call succeed, if it was
// for lack of them that it failed.
func helping(err error, permissions ...string) []string {
	if !rest.HasCode(err, http.StatusForbidden) || apiDisabled(err) {
		return nil
	}
	return permissions
}
