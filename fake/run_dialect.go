package fake

import (
	"strings"

	"github.com/runidentity/runidentity/fake/internal/knative"
	"github.com/runidentity/runidentity/fake/internal/wire"
)

// A dialect is how a version of Cloud Run's API speaks of resources that all
// versions share. Handlers that serve several versions ask the call's.
type dialect interface {
	// named is a resource, or all of a kind where the id is "", in a refusal.
	named(key collectionKey, id string) string
	// project is a project in a refusal.
	project(id string) string
	// in is the name of what is below a project, in one of its locations.
	in(location, rest string) string
	// spelled is a path of collections and ids as a refusal has it.
	spelled(path string) string
	// complete returns the key of an execution or revision with what it is of,
	// where the version's names do not tell.
	complete(s *runState, key collectionKey, id string) collectionKey
	// unchanged says whether two messages that are the same in version 2 are so
	// in this one, and whether the second asks for a new revision all the same:
	// forced is whether the request says so.
	unchanged(k *workloadKind, had, next written, forced bool) (same, force bool)
	// operation is a long-running operation as the version answers it.
	operation(st *state, op *operation) []byte
	// refuse completes an error.
	refuse(e *wire.Error)
}

// written is the desired state of a workload, with what only version 1 says of
// it.
type written struct {
	message wire.Object
	extras  knative.Extras
}

// dialectOf returns the dialect of an API, or nil of one that has none.
func dialectOf(api string) dialect {
	switch api {
	case "run:v1":
		return runV1{}
	case "run:v2":
		return runV2{}
	}
	return nil
}

// refusing has the dialect complete a handler's errors.
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
