package fake

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/runidentity/runidentity/internal/access"
)

// state is all that the cloud holds. Handlers and seeding are handed it by
// [Backend.read] and [Backend.write], and by nothing else: see the package's
// documentation.
//
// Two rules are for reviewers and the race detector, not for the compiler. What
// is registered with reads changes nothing but roster, subjects and the counter
// account.reads, which are safe for concurrent use; and no pointer into the state
// leaves the call that it was handed to, unless it is used within another one.
type state struct {
	// etags says whether Cloud Run enforces them, see [EnforceEtags].
	etags bool
	// crossProjectText is that of [CrossProjectText], or "".
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

// read hands a function the state to look at, all operations ended that are due.
// Ending one is a change, so that the function then has the state to itself.
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

// write hands a function the state to change, all operations ended that are due.
func (b *Backend) write(now time.Time, change func(*state)) {
	b.cloud.Write(func(st *state) {
		st.settle(now)
		change(st)
	})
}
