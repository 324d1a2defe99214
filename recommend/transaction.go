package recommend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/hold"
)

// A transaction is a plan that is being applied.
//
// Every write is preceded by a note in the journal, with which this run shows
// that nobody else has gone on in its place. A run that was overtaken can so be
// late with one write at most, and the phases see to it that this one takes no
// role from a workload that was moved: roles that were granted are taken back in
// undo, which excludes what comes after grant; and a run that goes on in grant
// writes every policy anew, so that a grant or a removal that is late meets
// another etag.
type transaction struct {
	c       *Client
	plan    Plan
	options ApplyOptions
	journal journal
	resumed bool // an earlier run noted something
	fresh   bool // a grant was not there when it was looked at, and is, whoever made it

	entry   entry
	results []StepResult
	// overwritten are losses of what others wrote, which end nothing.
	overwritten []error
}

// begin takes over what is known of the steps.
func (t *transaction) begin(e entry) {
	t.entry = e
	if e.phase == "" {
		t.entry.phase = phaseGrant
	}
	t.results = make([]StepResult, len(t.plan.Steps))
	for i, m := range e.marks {
		t.results[i] = StepResult{Step: t.plan.Steps[i], Outcome: OutcomeNotReached}
		if m != markNone {
			t.set(i, m)
		}
	}
}

// set notes what is known of a step, for the next note.
func (t *transaction) set(i int, m mark) {
	t.entry.marks[i] = m
	outcomes := map[mark]Outcome{
		markNone: OutcomeNotReached, markOpen: OutcomeOpen, markDone: OutcomeDone, markLikely: OutcomeDone, markFound: OutcomeUnneeded,
		markRefused: OutcomeRefused, markUndone: OutcomeUndone, markLeft: OutcomeLeft,
	}
	t.tell(i, outcomes[m])
}

func (t *transaction) tell(i int, outcome Outcome) {
	r := StepResult{Step: t.plan.Steps[i], Outcome: outcome}
	if outcome == OutcomeLeft {
		r.Undo = r.Step.undoCommand()
	}
	if t.results[i] == r {
		return
	}
	t.results[i] = r
	if t.options.Progress != nil && outcome != OutcomeOpen && outcome != OutcomeNotReached {
		t.options.Progress(r)
	}
}

// of returns the indices of the steps of some kinds.
func (t *transaction) of(kinds ...StepKind) []int {
	var all []int
	for i, s := range t.plan.Steps {
		if slices.Contains(kinds, s.Kind) {
			all = append(all, i)
		}
	}
	return all
}

// run goes on in the phase that was reached.
func (t *transaction) run(ctx context.Context) error {
	ctx = hold.With(ctx, t.hold)
	switch {
	case t.entry.phase == phaseUndo:
		return t.failing(t.undo(ctx))
	case t.entry.phase == phaseAttach && t.entry.failure != "":
		return t.failing(t.goBack(ctx))
	}
	if t.entry.phase == phaseGrant {
		if err := t.grant(ctx); refused(err) && t.begun() {
			return t.fail(ctx, phaseUndo, t.undo, err)
		} else if err != nil {
			return err
		}
		t.entry.phase = phaseAttach
	}
	if t.entry.phase == phaseAttach {
		if err := t.attach(ctx); refused(err) {
			return t.fail(ctx, phaseAttach, t.goBack, err)
		} else if err != nil {
			return err
		}
		t.entry.phase = phaseRemove
	}
	if err := t.remove(ctx); err != nil {
		return err
	}
	if err := t.verify(ctx, t.of(StepCreateAccount, StepGrantRole, StepAttach, StepRemoveRole)); err != nil {
		return err
	}
	return t.journal.end(ctx, t.entry, StateSucceeded)
}

// hold shows that nobody else has gone on in place of this run.
func (t *transaction) hold(ctx context.Context) error {
	if err := t.journal.note(ctx, t.entry); err != nil {
		return &lookError{err}
	}
	return nil
}

// announce notes a step that is about to be carried out, of which was is known. If
// that fails, it isn't carried out.
func (t *transaction) announce(ctx context.Context, i int, was mark) error {
	err := t.hold(ctx)
	if err != nil {
		t.set(i, was)
	}
	return err
}

// begun reports whether anything may have been written: as long as nothing was,
// there is nothing to undo, and the recommendation stays as it is.
func (t *transaction) begun() bool {
	return t.resumed || slices.ContainsFunc(t.of(StepCreateAccount, StepGrantRole), func(i int) bool {
		return t.entry.marks[i] != markNone && t.entry.marks[i] != markFound
	})
}

// fail takes a plan back of which a step was refused.
func (t *transaction) fail(ctx context.Context, in phase, takeBack func(context.Context) error, why error) error {
	t.entry.phase, t.entry.failure = in, why.Error()
	return errors.Join(why, takeBack(ctx))
}

// failing is the error of a run that took back what an earlier one began.
func (t *transaction) failing(err error) error {
	return errors.Join(fmt.Errorf("an earlier run failed (%s), and its plan was being taken back", t.entry.failure), err)
}

// grant creates accounts and grants roles.
func (t *transaction) grant(ctx context.Context) error {
	for _, i := range t.of(StepCreateAccount, StepGrantRole) {
		if err := t.bring(ctx, i); err != nil {
			return fmt.Errorf("%s: %w", t.plan.Steps[i], err)
		}
	}
	if err := t.verify(ctx, t.of(StepGrantRole)); err != nil {
		return err
	}
	if err := t.settle(ctx); err != nil {
		return err
	}
	return t.rehearse(ctx)
}

// bring carries out a step of the phase grant. A run that goes on carries it out
// even if it is so.
func (t *transaction) bring(ctx context.Context, i int) error {
	s := t.plan.Steps[i]
	so, err := t.c.isSo(ctx, s)
	if err != nil {
		return err
	}
	if so && !t.resumed {
		t.set(i, markFound)
		return nil
	}
	was := t.entry.marks[i]
	if !so {
		t.fresh = true
		t.set(i, markOpen)
	}
	if err := t.announce(ctx, i, was); err != nil {
		return err
	}
	made, sure, err := t.c.carryOut(ctx, s, so)
	switch {
	case made && sure:
		t.set(i, markDone)
	case refused(err) && !so:
		t.set(i, markRefused)
	case err != nil:
	case made, was == markOpen, !so && was.ours():
		t.set(i, markLikely)
	case !so || was == markNone:
		t.set(i, markFound)
	}
	return err
}

// settle waits until grants are likely to be in effect everywhere.
func (t *transaction) settle(ctx context.Context) error {
	grants := t.of(StepGrantRole)
	if len(grants) == 0 || t.options.Settle < 0 || !t.fresh && !t.resumed {
		return nil // an earlier run may have been cut short while it waited
	}
	wait := t.options.Settle
	if wait == 0 {
		wait = 2 * time.Minute
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait %s until the grants are in effect: %w", wait, ctx.Err())
	case <-timer.C:
		return nil
	}
}

// rehearse asks Cloud Run what it would say to each attach, while everything can
// still be taken back. Only a refusal counts.
func (t *transaction) rehearse(ctx context.Context) error {
	for _, i := range t.of(StepAttach) {
		s := t.plan.Steps[i]
		_, err := t.c.isSo(ctx, s)
		if err == nil && s.Workload.Location == "global" {
			continue // Cloud Run is reported to carry such a request out
		}
		if err == nil {
			_, err = t.c.identity.Attach(ctx, s.Workload, s.Account, &identity.AttachOptions{ValidateOnly: true, WaitForAccount: newAccountTakes})
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", s, ctx.Err())
		}
		if refused(err) {
			t.set(i, markRefused)
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// attach makes workloads run as their new accounts.
func (t *transaction) attach(ctx context.Context) error {
	// Grants may be gone since: while they settled, or since the run before.
	if err := t.verify(ctx, t.of(StepGrantRole)); err != nil {
		return err
	}
	for _, i := range t.of(StepAttach) {
		if err := t.move(ctx, i); err != nil {
			return fmt.Errorf("%s: %w", t.plan.Steps[i], err)
		}
	}
	return nil
}

func (t *transaction) move(ctx context.Context, i int) error {
	s := t.plan.Steps[i]
	so, err := t.c.isSo(ctx, s)
	switch {
	case errors.Is(err, ErrBlocked):
		if t.entry.marks[i] == markNone { // else an earlier run may have moved it
			t.set(i, markRefused)
		}
		return err
	case err != nil:
		return &lookError{err}
	}
	was := t.entry.marks[i]
	if !so {
		t.set(i, markOpen)
	}
	if err := t.announce(ctx, i, was); err != nil {
		return err
	}
	// Even if it is so: the change may not be in effect yet.
	change, err := t.attachTo(ctx, s.Workload, s.Account)
	switch before := t.entry.marks[i]; {
	case err != nil:
	case change.Written:
		t.set(i, markDone)
	case before == markOpen:
		t.set(i, markLikely)
	case before == markNone:
		t.set(i, markFound)
	}
	if err == nil && change.ReceivesTraffic == identity.No {
		return &lookError{fmt.Errorf("the revision that runs as %s receives no traffic, and the one that does runs as before: send the traffic to the latest one", s.Account)}
	}
	return err
}

// attachTo makes a workload run as an account. An error after Cloud Run accepted
// the write leaves open what became of it, unless Cloud Run said that it failed.
func (t *transaction) attachTo(ctx context.Context, w identity.Workload, sa identity.ServiceAccount) (identity.Change, error) {
	change, err := t.c.identity.Attach(ctx, w, sa, &identity.AttachOptions{WaitForAccount: newAccountTakes})
	_, failed := errors.AsType[*identity.OperationError](err)
	switch {
	case err == nil || failed:
		return change, err
	case change.Done: // and a job's other writer was overwritten
		t.overwritten = append(t.overwritten, err)
		return change, nil
	case change.Written && !isOpen(err):
		err = &identity.UnfinishedError{Operation: change.Operation, Err: err}
	}
	return change, err
}

// verify reads steps back.
func (t *transaction) verify(ctx context.Context, steps []int) error {
	for _, i := range steps {
		s := t.plan.Steps[i]
		so, err := t.c.isSo(ctx, s)
		if err != nil {
			return &lookError{fmt.Errorf("%s: read it back: %w", s, err)}
		}
		if !so {
			return &lookError{fmt.Errorf("%s: it was so, and isn't any more: someone else changed it (%s)", s, s.Gcloud())}
		}
	}
	return nil
}

// look finds out what there is to do.
func (t *transaction) look(ctx context.Context) error {
	if t.entry.failure != "" {
		return fmt.Errorf("an earlier run failed (%s): to apply the plan again takes it back", t.entry.failure)
	}
	for i, s := range t.plan.Steps {
		so, err := t.c.isSo(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		switch {
		case !so:
			t.tell(i, OutcomeWould)
		case t.entry.marks[i] == markNone:
			t.tell(i, OutcomeUnneeded)
		case t.entry.marks[i] == markOpen:
			t.tell(i, OutcomeDone)
		}
	}
	return nil
}
