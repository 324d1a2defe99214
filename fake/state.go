package fake

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/runidentity/runidentity/internal/access"
)

// state is all that the cloud holds. Only [Backend.read] and [Backend.write] hand
// it out, to handlers and to the methods that seed the cloud.
//
// The compiler does not hold three rules; reviewers and the race detector do:
//   - A handler registered with reads changes nothing but roster, subjects and
//     account.reads, which are safe for concurrent use.
//   - A pointer to what may still change is used only by functions that were
//     handed the state.
//   - A method that seeds the cloud calls no other method of the Backend from
//     within read or write.
type state struct {
	// etags reports whether Cloud Run enforces them, see [Backend.EnforceEtags].
	etags bool
	// crossProjectText is that of [Backend.SetCrossProjectText], or "".
	crossProjectText string

	containers   map[string]*container         // by "organizations/1", "folders/2"
	projects     map[string]*project           // by id and by number
	accounts     map[string]*account           // by email and by unique id
	groups       map[string][]access.Member    // by email
	federated    map[string]*federatedIdentity // by principal://…
	roles        map[string]*role              // custom and seeded ones, by name
	orgPolicies  orgPolicyState
	recommender  recommenderState
	run          runState
	serviceUsage serviceUsageState
	serial       int64 // makes ids that differ
	lastWrite    time.Time

	// What follows is made from the above when it is needed, and forgotten
	// when that changes.
	compiler *access.Compiler
	roster   atomic.Pointer[access.Roster]
	subjects sync.Map // *access.Subject by member
}

func (st *state) init() {
	st.containers = make(map[string]*container)
	st.projects = make(map[string]*project)
	st.accounts = make(map[string]*account)
	st.groups = make(map[string][]access.Member)
	st.federated = make(map[string]*federatedIdentity)
	st.roles = make(map[string]*role)
	st.compiler = access.NewCompiler()
}

// read hands out the state for reading, after ending the operations that are due.
// Ending one is a change: look then runs alone.
func (b *Backend) read(now time.Time, look func(*state)) {
	due := false
	b.cloud.Read(func(st *state) {
		if due = st.run.due(now); !due {
			look(st)
		}
	})
	if due {
		b.write(now, look)
	}
}

// write hands out the state for changes, after ending the operations that are due.
func (b *Backend) write(now time.Time, change func(*state)) {
	b.cloud.Write(func(st *state) {
		st.settle(now)
		change(st)
	})
}
