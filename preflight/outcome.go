package preflight

// An Outcome is what became of a fix. The codes are stable.
type Outcome string

const (
	// OutcomeApplied means that the fix was made, or that what it brings about is
	// so after a request of ours whose answer got lost.
	OutcomeApplied Outcome = "applied"
	// OutcomeUnneeded means that what the fix brings about was so already. If that
	// can't be read, for a [FixCreateAgent] or for want of a permission, the
	// outcome is OutcomeApplied.
	OutcomeUnneeded Outcome = "unneeded"
	// OutcomeSkipped means that the fix wasn't tried: [ApplyOptions.DryRun] is set,
	// or the fix changes a guardrail and [ApplyOptions.AllowGuardrailChanges] isn't
	// set. Its code is "left".
	OutcomeSkipped Outcome = "left"
	// OutcomeFailed means that the fix was tried and is not made; the error says
	// why.
	OutcomeFailed Outcome = "failed"
	// OutcomeUnfinished means that the fix was tried and may be made, or may be
	// made yet; the error says why that isn't known. Applying it again is safe.
	OutcomeUnfinished Outcome = "unfinished"
	// OutcomeUntried means that the fix wasn't tried, since one before it was not made.
	OutcomeUntried Outcome = "untried"
)

// A Step is a fix with what became of it.
type Step struct {
	Fix     Fix     `json:"fix"`
	Outcome Outcome `json:"outcome"`
}
