package fake

import (
	"slices"
	"sync"
	"time"
)

// weather is what happens to calls before they are carried out.
type weather struct {
	mu         sync.RWMutex // guards what follows
	faults     map[string][]*Fault
	latency    map[string]time.Duration
	operations map[string]time.Duration
	// accounts and grants are how long new ones take to be seen everywhere.
	accounts, grants time.Duration
}

// everyMethod stands for methods that have no setting of their own.
const everyMethod = ""

func (w *weather) inject(method string, f *Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.faults == nil {
		w.faults = make(map[string][]*Fault)
	}
	w.faults[method] = append(w.faults[method], f)
}

func (w *weather) propagate(accounts, grants time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accounts, w.grants = accounts, grants
}

// set changes one of the tables for the methods, or for all if none is named.
func (w *weather) set(times *map[string]time.Duration, d time.Duration, methods []string) {
	if len(methods) == 0 {
		methods = []string{everyMethod}
	} else {
		mustKnow(methods...)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if *times == nil {
		*times = make(map[string]time.Duration)
	}
	for _, m := range methods {
		(*times)[m] = d
	}
}

// next takes the fault that hits a call of the method, if any.
func (w *weather) next(method string) (fault Fault, faulty bool, latency time.Duration) {
	w.mu.RLock()
	latency = setting(w.latency, method)
	calm := len(w.faults[method]) == 0
	w.mu.RUnlock()
	if calm {
		return Fault{}, false, latency
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	faults := w.faults[method]
	for i, f := range faults {
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		hit := *f
		if f.Times == 1 {
			w.faults[method] = slices.Delete(slices.Clone(faults), i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return hit, true, latency
	}
	return Fault{}, false, latency
}

// delays are how long the effects of a call take.
type delays struct {
	operation        time.Duration // until an operation that it starts is done
	accounts, grants time.Duration // until what it makes is seen everywhere
}

func (w *weather) delays(method string) delays {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return delays{setting(w.operations, method), w.accounts, w.grants}
}

func setting(times map[string]time.Duration, method string) time.Duration {
	if d, ok := times[method]; ok {
		return d
	}
	return times[everyMethod]
}
