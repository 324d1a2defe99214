package fake

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

// AddRunJSON adds a Cloud Run resource from the JSON in which v2 of the API answers
// it, fields that the generated types do not know included: a job, service or worker
// pool, an execution ("…/jobs/J/executions/E") or a revision. The name is the full one
// and wins over one in the JSON. What the server fills in is filled in, unless it is
// given.
//
// AddRunJSON panics on JSON that the API would refuse, such as a job without a
// container, and if the parent is not there or the resource is. The service account
// that it names need not be there.
func (b *Backend) AddRunJSON(name string, resource []byte) {
	b.write(time.Now(), func(st *state) {
		if err := st.addJSON(name, resource); err != nil {
			panic(fmt.Sprintf("fake: add %q: %v", name, err))
		}
	})
}

// RunJSON returns a Cloud Run resource as a read by v2 of the API would answer it, or
// nil if there is none of that full name.
func (b *Backend) RunJSON(name string) []byte {
	var raw []byte
	b.read(time.Now(), func(st *state) {
		if _, key, id, err := st.parseRunName(name); err == nil {
			if r := st.run.find(key, id); r != nil {
				raw = slices.Clone(r.raw)
			}
		}
	})
	return raw
}

func (st *state) addJSON(name string, raw []byte) error {
	given, err := wire.Decode(raw)
	if err != nil {
		return err
	}
	kind, key, id, err := st.parseRunName(name)
	if err != nil {
		return err
	}
	if st.run.find(key, id) != nil {
		return errors.New("it is there already")
	}
	if plural, parent, ok := strings.Cut(key.parent, "/"); ok &&
		st.run.find(collectionKey{project: key.project, location: key.location, plural: plural}, parent) == nil {
		return fmt.Errorf("there is no %s; add it first", key.parent)
	}
	api := discovery.All()["run:v2"]
	desired := wire.Clone(given)
	if err := (wire.Checker{Schemas: api.Schemas}).Normalize(kind.schema(), desired, ""); err != nil {
		return err
	}
	c := &call{
		route: &route{api: api, method: &discovery.Method{}, dialect: runV2{}}, now: time.Now(), caller: caller{Admin},
	}
	r := &resource{kind: kind, key: key, id: id}
	var o wire.Object
	if w := workloadOf(kind.plural); w != nil {
		if o, err = w.finished(c, st, r, desired, given); err != nil {
			return err
		}
	} else {
		o = given
		wire.SetDefault(o, "uid", st.newUUID())
		wire.SetDefault(o, "generation", "1")
		wire.SetDefault(o, "observedGeneration", o["generation"])
		wire.SetDefault(o, "createTime", timestamp(c.now))
		wire.SetDefault(o, "etag", etag(c.now, r.name()))
	}
	o["name"] = r.name()
	r.raw = wire.MustEncode(o)
	st.run.put(r)
	return nil
}

// finished returns a workload as its creation leaves it, with the output-only
// fields that are given in place of those that would be made up.
func (k *workloadKind) finished(c *call, st *state, r *resource, desired, given wire.Object) (wire.Object, error) {
	dropIdentifiers(desired)
	k.defaults(r.key.project, desired)
	if err := k.check(st, r, desired); err != nil {
		return nil, err
	}
	// Tokens are part of what is seeded, not a wish for an execution.
	next := wire.Clone(desired)
	delete(next, "startExecutionToken")
	delete(next, "runExecutionToken")
	next["generation"] = "1"
	if g := given["generation"]; g != nil {
		next["generation"] = fmt.Sprint(g)
	}
	c.stamp(st, r, next)
	if name := wire.Text(given, "latestCreatedRevision"); name != "" {
		wire.Child(next, "template")["revision"] = name[strings.LastIndexByte(name, '/')+1:]
	}
	k.begin(c, st, r, nil, next, false)(st, next, c.now)
	maps.Copy(next, desired)
	next["createTime"] = timestamp(c.now)
	next["creator"] = c.caller.email()
	next["uid"] = st.newUUID()
	fields := c.check().Schemas[k.schema()]
	for name, value := range given {
		if fields[name].Output || name == "etag" {
			next[name] = value
		}
	}
	next["generation"] = fmt.Sprint(next["generation"])
	return next, nil
}

func workloadOf(plural string) *workloadKind {
	for _, k := range []*workloadKind{jobs(), services(), workerPools()} {
		if k.plural == plural {
			return k
		}
	}
	return nil
}

// parseRunName reads a full name.
func (st *state) parseRunName(name string) (*runKind, collectionKey, string, error) {
	const example = `"projects/P/locations/L/jobs/J"`
	parts := strings.Split(name, "/")
	if (len(parts) != 6 && len(parts) != 8) || parts[0] != "projects" || parts[2] != "locations" {
		return nil, collectionKey{}, "", fmt.Errorf("the name is not of the form %s", example)
	}
	p := st.projects[parts[1]]
	if p == nil {
		return nil, collectionKey{}, "", fmt.Errorf("there is no project %q; add it with AddProject first", parts[1])
	}
	if !slices.Contains(discovery.All()["run:v2"].Locations, parts[3]) {
		return nil, collectionKey{}, "", fmt.Errorf("there is no Cloud Run in location %q", parts[3])
	}
	key := collectionKey{project: p, location: parts[3], plural: parts[4]}
	id := parts[5]
	w := workloadOf(parts[4])
	if w == nil {
		return nil, key, "", fmt.Errorf("%q is none of jobs, services, workerPools", parts[4])
	}
	kind := &w.runKind
	if len(parts) == 8 {
		key.parent, key.plural, id = parts[4]+"/"+parts[5], parts[6], parts[7]
		switch {
		case parts[4] == "jobs" && parts[6] == "executions":
			kind = executionKind()
		case parts[4] != "jobs" && parts[6] == "revisions":
			kind = revisionKind()
		default:
			return nil, key, "", fmt.Errorf("%s have no %s", parts[4], parts[6])
		}
	}
	if !validRunID(id) {
		return nil, key, "", fmt.Errorf("the id %q is not one that Cloud Run takes", id)
	}
	return kind, key, id, nil
}
