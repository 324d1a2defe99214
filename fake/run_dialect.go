package fake

import (
	"strings"

	"github.com/runidentity/runidentity/fake/internal/knative"
	"github.com/runidentity/runidentity/fake/internal/wire"
)

// A dialect is what differs between the versions of Cloud Run's API where they
// share a handler. The resources are the same.
type dialect interface {
	// named returns the name that a refusal gives a resource, or a whole
	// collection if the id is "".
	named(key collectionKey, id string) string
	// project returns the name that a refusal gives a project.
	project(id string) string
	// in returns what follows a project's name in that of something in one of its
	// locations.
	in(location, rest string) string
	// spelled returns a path of collections and ids as refusals spell it.
	spelled(path string) string
	// complete returns the key of an execution or revision with its parent, which
	// not every version's names contain.
	complete(s *runState, key collectionKey, id string) collectionKey
	// unchanged reports whether two messages that are equal in version 2 are equal
	// in this version too, and whether the second one needs a new revision anyway.
	// forced is set if the request asks for one.
	unchanged(k *workloadKind, had, next written, forced bool) (same, force bool)
	// operation returns a long-running operation in the version's form.
	operation(st *state, op *operation) []byte
	// refuse adds to an error what the version's errors have beyond the others'.
	refuse(e *wire.Error)
}

// written is the desired state of a workload: the message of version 2, and what
// only version 1 can say.
type written struct {
	message wire.Object
	extras  knative.Extras
}

// dialectOf returns the dialect of an API, or nil for APIs other than Cloud Run.
func dialectOf(api string) dialect {
	switch api {
	case "run:v1":
		return runV1{}
	case "run:v2":
		return runV2{}
	}
	return nil
}

// refusing returns a handler whose errors are in the call's dialect.
func refusing(h handler) handler {
	handle := h.handle
	h.handle = func(c *call, st *state) ([]byte, error) {
		out, err := handle(c, st)
		if e, ok := err.(*wire.Error); ok { //nolint:errorlint // handlers return it bare
			c.dialect.refuse(e)
		}
		return out, err
	}
	return h
}

// runV2 is the dialect of version 2, in whose form resources are kept.
type runV2 struct{}

func (runV2) named(key collectionKey, id string) string {
	if id == "" {
		return strings.TrimSuffix(key.name(), "/"+key.plural)
	}
	return key.name() + "/" + id
}

func (runV2) project(id string) string { return "projects/" + id }

func (runV2) in(location, rest string) string { return "/locations/" + location + rest }

func (runV2) spelled(path string) string { return path }

func (runV2) complete(_ *runState, key collectionKey, _ string) collectionKey { return key }

func (runV2) unchanged(_ *workloadKind, _, _ written, forced bool) (same, force bool) {
	return true, forced
}

func (runV2) operation(_ *state, op *operation) []byte { return op.json() }

func (runV2) refuse(*wire.Error) {}
