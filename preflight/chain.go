package preflight

import (
	"context"
	"slices"
	"sync"

	"github.com/runidentity/runidentity/internal/access"
)

// A chain is a resource with all that it is in, and what could be read of
// their policies.
type chain struct {
	levels []access.Level
	errs   map[string]error // by the level's resource
	kinds  map[string]resource
	// top is the highest resource that is known, if what is above it can't be read.
	top resource
}

func newChain() *chain {
	return &chain{errs: make(map[string]error), kinds: make(map[string]resource)}
}

// resourceOf returns the resource that a level is about, and reports whether the
// level is that resource itself and not what is above it.
func (ch *chain) resourceOf(level string) (of resource, itself bool) {
	if level == unseen(ch.top) {
		return ch.top, false
	}
	return ch.kinds[level], true
}

// without returns the levels as if there were no deny policies.
func (ch *chain) without() []access.Level {
	out := slices.Clone(ch.levels)
	for i := range out {
		out[i].Deny = access.NoDeny()
	}
	return out
}

// unseen returns the level that stands for what a resource of unknown ancestry is in.
func unseen(below resource) string {
	return below.full + " (the folders and the organization above it)"
}

// containers returns what a resource is in, from its project upwards, or
// itself if it is one. If that can't be read, the project alone with the error.
func (r *reader) containers(ctx context.Context, at resource) ([]resource, error) {
	start := at
	if at.kind == accountResource || at.kind == workloadResource {
		start = projectOf(at.project)
	}
	names, err := r.above(ctx, start)
	if err != nil {
		return []resource{start}, err
	}
	out := make([]resource, len(names))
	for i, name := range names {
		out[i] = containerOf(name)
	}
	return out, nil
}

// fill reads the allow policies of the chain: the resource's own, those above,
// or both. What is left out is as if it could not be read.
func (r *reader) fill(ctx context.Context, ch *chain, at resource, own, above bool) {
	var all []resource
	isContainer := at.kind != accountResource && at.kind != workloadResource
	if !isContainer {
		all = append(all, at)
	}
	var wg sync.WaitGroup
	if own && !isContainer {
		wg.Go(func() { _, _ = r.allow(ctx, at) })
	}
	if above && !isContainer { // before it is known what else is above
		wg.Go(func() { _, _ = r.allow(ctx, projectOf(at.project)) })
	}
	if isContainer {
		wg.Go(func() { _, _ = r.allow(ctx, at) })
	}
	containers, err := r.containers(ctx, at)
	all = append(all, containers...)
	if above {
		sideBySide(len(containers), func(i int) { _, _ = r.allow(ctx, containers[i]) })
	}
	wg.Wait()

	ch.levels = ch.levels[:0]
	for i, res := range all {
		level := access.Level{Resource: res.full}
		ch.kinds[res.full] = res
		itself := i == 0 && !isContainer
		if itself && own || !itself && above {
			policy, err := r.allow(ctx, res)
			if err != nil {
				ch.errs[res.full] = err
			} else {
				level.Allow = policy.compiled
			}
		}
		if itself {
			level.Deny = access.NoDeny()
		}
		ch.levels = append(ch.levels, level)
	}
	if err != nil {
		ch.top = containers[len(containers)-1]
		name := unseen(ch.top)
		ch.levels = append(ch.levels, access.Level{Resource: name})
		ch.errs[name] = err
	}
}

func (r *reader) prefetchDenies(ctx context.Context, at resource) {
	var wg sync.WaitGroup
	if at.project != "" {
		wg.Go(func() { _, _ = r.deny(ctx, projectOf(at.project)) })
	}
	containers, _ := r.containers(ctx, at)
	sideBySide(len(containers), func(i int) { _, _ = r.deny(ctx, containers[i]) })
	wg.Wait()
}

// fillDenies reads the deny policies of the chain.
func (r *reader) fillDenies(ctx context.Context, ch *chain, at resource) {
	r.prefetchDenies(ctx, at)
	for i := range ch.levels {
		res, ok := ch.kinds[ch.levels[i].Resource]
		if ch.levels[i].Deny != nil || !ok {
			continue
		}
		policies, err := r.deny(ctx, res)
		if err != nil {
			ch.errs[denyKey(res.full)] = err
			continue
		}
		ch.levels[i].Deny = policies
	}
}

func denyKey(full string) string { return "deny " + full }
