package fake

import (
	"net/http"
	"strings"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// runV1 is the dialect of version 1.
type runV1 struct{}

func (runV1) named(key collectionKey, id string) string {
	name := "namespaces/" + key.project.id + "/" + strings.ToLower(key.plural)
	if id == "" {
		return name
	}
	return name + "/" + id
}

func (runV1) project(id string) string { return "namespaces/" + id }

// in leaves the location out: names of version 1 have none.
func (runV1) in(_, rest string) string { return rest }

func (runV1) spelled(path string) string { return strings.ToLower(path) }

// complete looks for the execution or revision, whose name does not say of what
// it is.
func (runV1) complete(s *runState, key collectionKey, id string) collectionKey {
	for k, col := range s.collections {
		if k.project == key.project && k.location == key.location && k.plural == key.plural && col.byID[id] != nil {
			return k
		}
	}
	return key
}

// unchanged compares what only version 1 says as well; a template that differs
// in that is a new revision.
func (runV1) unchanged(k *workloadKind, had, next written, _ bool) (same, force bool) {
	was, is := k.writtenV1(had.message, had.extras), k.writtenV1(next.message, next.extras)
	return wire.Equal(was, is), !wire.Equal(wire.Lookup(was, "spec", "template"), wire.Lookup(is, "spec", "template"))
}

// operation has the resource in the form of version 1.
func (runV1) operation(st *state, op *operation) []byte {
	r := op.resource
	typeURL := strings.Replace(r.kind.typeURL(), ".v2.", ".v1.", 1)
	return op.encode(withType(typeURL, wire.MustEncode(st.resourceV1(r, wire.MustDecode(op.state()), r.knative))))
}

// refuse adds the older errors[].
func (runV1) refuse(e *wire.Error) {
	if e.Reason != "" {
		return
	}
	e.Reason = map[int]string{
		http.StatusBadRequest: "badRequest", http.StatusForbidden: "forbidden", http.StatusNotFound: "notFound",
		http.StatusConflict: "aborted", http.StatusNotImplemented: "notImplemented",
	}[e.Code]
	if e.Status == "ALREADY_EXISTS" {
		e.Reason = "alreadyExists"
	}
}
