package recommend

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A phase is where a transaction is. It is what decides which writes may be
// under way: grants are taken back in undo only, from which there is no way to
// attach or remove.
type phase string

const (
	phaseGrant  phase = "grant"  // accounts are created, roles granted
	phaseAttach phase = "attach" // workloads get their accounts or, after a failure, their old ones
	phaseRemove phase = "remove" // roles are taken away; there is no way back
	phaseUndo   phase = "undo"   // after a failure in grant: what this transaction granted is taken back
)

// A mark is what is known of a step.
type mark byte

const (
	markNone    mark = '-' // not begun
	markOpen    mark = 'o' // not so when it was looked at, and about to be carried out
	markDone    mark = 'd' // the server's own answer said that it was carried out
	markLikely  mark = 'l' // it was about to be carried out, no answer came, and it is so
	markFound   mark = 'f' // it was so before, or someone else made it so
	markRefused mark = 'r' // refused, and not so
	markUndone  mark = 'u' // carried out and taken back
	markLeft    mark = 'x' // carried out, and stays although the plan failed
)

const allMarks = "-odlfrux"

// ours reports whether the transaction made it so, for all that is known.
func (m mark) ours() bool { return m == markDone || m == markLikely }

// An entry is what a journal holds.
type entry struct {
	plan    string // the plan's fingerprint
	phase   phase
	marks   []mark // one for each step
	failure string // why the plan fails, empty as long as it doesn't
}

// A journal keeps how far a transaction got, where later runs and other owners
// find it. All owners share one line of entries.
type journal interface {
	// note puts an entry in the place of the last one. It returns an error if
	// someone else has noted anything since that one was written or read.
	note(ctx context.Context, e entry) error
	// end does so for good, and says how the transaction ended: Succeeded or
	// Failed.
	end(ctx context.Context, e entry, state State) error
}

// The keys of the state's metadata.
const (
	keyOwner  = "owner"
	keyRun    = "run" // tells runs of the same owner apart
	keyPlan   = "plan"
	keyPhase  = "phase"
	keySteps  = "steps"
	keyReason = "reason"
)

// A claim is the journal in a recommendation's state: an entry is the metadata
// with which the recommendation is claimed, under the etag of the last one.
type claim struct {
	c          *Client
	owner, run string
	now        Recommendation
	seen       *Recommendation // as someone else left it, once it was lost to them
}

// last is the recommendation as it was last seen.
func (j *claim) last() Recommendation {
	if j.seen != nil {
		return *j.seen
	}
	return j.now
}

func newClaim(c *Client, owner string, now Recommendation) *claim {
	return &claim{c: c, owner: owner, run: rand.Text(), now: now}
}

func (j *claim) note(ctx context.Context, e entry) error {
	now, err := j.c.Claim(ctx, j.now, j.metadata(e))
	if err != nil {
		return j.lost(ctx, err)
	}
	j.now = now
	return nil
}

func (j *claim) end(ctx context.Context, e entry, state State) error {
	mark := j.c.Succeed
	if state == StateFailed {
		mark = j.c.Fail
	}
	now, err := mark(ctx, j.now, j.metadata(e))
	if err != nil {
		return j.lost(ctx, err)
	}
	j.now = now
	return nil
}

// lost tells having lost the recommendation to someone else from other errors.
func (j *claim) lost(ctx context.Context, err error) error {
	if !errors.Is(err, ErrChanged) {
		return err
	}
	now, getErr := j.c.Get(ctx, j.now.Name)
	if getErr != nil {
		return err
	}
	if now.Metadata[keyRun] == j.run {
		return err
	}
	j.seen = &now
	if now.State != StateClaimed {
		return err
	}
	if now.Metadata[keyOwner] == j.owner {
		err = errors.Join(fmt.Errorf("it is another run of %s that goes on with it", j.owner), err)
	}
	return errors.Join(&OwnedError{j.now.Name, now.Metadata[keyOwner]}, err)
}

// notAllowed is what a value of the metadata can't hold.
var notAllowed = regexp.MustCompile(`[^a-zA-Z0-9_./-]+`)

// maxReason is how much of a failure's text is kept in the metadata.
const maxReason = 200

func (j *claim) metadata(e entry) map[string]string {
	steps := make([]byte, len(e.marks))
	for i, m := range e.marks {
		steps[i] = byte(m)
	}
	all := map[string]string{
		keyOwner: j.owner, keyRun: j.run, keyPlan: e.plan, keyPhase: string(e.phase), keySteps: string(steps),
	}
	if e.failure != "" {
		all[keyReason] = notAllowed.ReplaceAllString(e.failure, "-")
		all[keyReason] = all[keyReason][:min(len(all[keyReason]), maxReason)]
	}
	return all
}

// readEntry is the entry that metadata holds, of a plan with that many steps.
func readEntry(metadata map[string]string, steps int) (entry, error) {
	e := entry{plan: metadata[keyPlan], phase: phase(metadata[keyPhase]), failure: metadata[keyReason]}
	switch e.phase {
	case phaseGrant, phaseAttach, phaseRemove, phaseUndo:
	default:
		return e, fmt.Errorf("its metadata names the phase %q, which isn't known", e.phase)
	}
	marks := metadata[keySteps]
	if len(marks) != steps || strings.Trim(marks, allMarks) != "" {
		return e, fmt.Errorf("its metadata says %q of the steps, of which the plan has %d", marks, steps)
	}
	for i := range len(marks) {
		e.marks = append(e.marks, mark(marks[i]))
	}
	return e, nil
}

// fingerprint tells plans that do different things apart. A step's reason is
// English with counts in it, and does nothing.
func (p Plan) fingerprint() string {
	steps := make([]Step, len(p.Steps))
	for i, s := range p.Steps {
		s.Reason = ""
		steps[i] = s
	}
	text, err := json.Marshal(steps)
	if err != nil {
		panic(err) // strings and their like
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
