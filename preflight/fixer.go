package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/serviceusage/v1"
	usagebeta "google.golang.org/api/serviceusage/v1beta1"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/allowpolicy"
	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
	"github.com/runidentity/runidentity/internal/settings"
)

// A Fixer applies fixes. [NewFixer] makes one; a zero Fixer returns errors. It is
// safe for concurrent use.
type Fixer struct {
	policies *allowpolicy.Client
	accounts *identity.Client
	iam      *iam.Service
	deny     *rest.Client // IAM v2
	org      *rest.Client // Organization Policy
	usage    *serviceusage.Service
	agents   *usagebeta.APIService
}

// NewFixer returns a fixer that uses Application Default Credentials unless the
// options say otherwise. It refuses [option.WithEndpoint], as [NewChecker] does.
func NewFixer(ctx context.Context, opts ...option.ClientOption) (*Fixer, error) {
	if err := settings.RefuseEndpoint(opts...); err != nil {
		return nil, fmt.Errorf("new fixer: %w", err)
	}
	f := new(Fixer)
	err := errors.Join(
		connect(ctx, &f.policies, allowpolicy.New, opts),
		connect(ctx, &f.accounts, identity.NewClient, opts),
		connect(ctx, &f.iam, rest.Service("iam", iam.NewService), opts),
		connect(ctx, &f.deny, api("iam"), opts),
		connect(ctx, &f.org, api("orgpolicy"), opts),
		connect(ctx, &f.usage, rest.Service("serviceusage", serviceusage.NewService), opts),
		connect(ctx, &f.agents, rest.Service("serviceusage", usagebeta.NewService), opts),
	)
	if err != nil {
		return nil, fmt.Errorf("new fixer: %w", err)
	}
	return f, nil
}

// api connects to an API whose JSON goes back as it came.
func api(name string) func(context.Context, ...option.ClientOption) (*rest.Client, error) {
	return func(ctx context.Context, opts ...option.ClientOption) (*rest.Client, error) {
		return rest.New(ctx, name, opts...)
	}
}

// ApplyOptions are the options of [Fixer.Apply].
type ApplyOptions struct {
	// AllowGuardrailChanges lets fixes change what an organization forbade on
	// purpose: its policies and deny policies, see [Fix.ChangesGuardrail]. By default
	// such fixes are skipped.
	AllowGuardrailChanges bool

	// DryRun skips every fix and sends nothing. The steps have the fixes in the order
	// in which they would be applied. By default fixes are applied.
	DryRun bool

	// Wait bounds how long Apply waits for one fix: for an operation that the server
	// started, or for an account that was just created and isn't seen yet. 0 or less
	// means 5 minutes.
	//
	// [Fixer.Repair] waits for fixes to take effect until as long after it began. It
	// stops earlier if the next pause, of up to 30 seconds, would end after that.
	Wait time.Duration
}

func (o ApplyOptions) wait() time.Duration {
	if o.Wait > 0 {
		return o.Wait
	}
	return 5 * time.Minute
}

// skips reports whether a fix isn't to be applied.
func (o ApplyOptions) skips(f Fix) bool {
	return o.DryRun || f.ChangesGuardrail() && !o.AllowGuardrailChanges
}

// errNoFixer is the error of a Fixer that wasn't made by NewFixer.
var errNoFixer = errors.New("the Fixer is empty: make it with preflight.NewFixer, which connects it")

// Apply sorts fixes as [Fixes] does, applies one after the other, and returns what
// became of each. If opts is nil, the defaults of [ApplyOptions] hold.
//
// A fix that is given twice has two steps: if the first is applied, the second is
// [OutcomeUnneeded]. If a grant needs a service agent that isn't there, a step of
// [FixCreateAgent] comes before it.
//
// Apply ends with the first fix that is not known to be made. The error then wraps
// the server's, and the steps say what became of the others. It is an
// [*identity.UnfinishedError] if that fix may be made all the same.
//
// A fix that lacks something, such as the name of the deployer, is an error before
// anything is done, also with [ApplyOptions.DryRun]. There are no steps then. A fix
// that is skipped is no error.
func (f *Fixer) Apply(ctx context.Context, fixes []Fix, opts *ApplyOptions) ([]Step, error) {
	if f == nil || f.policies == nil {
		return nil, fmt.Errorf("apply fixes: %w", errNoFixer)
	}
	for _, fix := range fixes {
		if err := checkFix(fix); err != nil {
			return nil, fmt.Errorf("apply fixes: %w", err)
		}
	}
	var o ApplyOptions
	if opts != nil {
		o = *opts
	}
	by := &applier{Fixer: f, wait: o.wait()}
	ordered := slices.Clone(fixes)
	sortFixes(ordered)
	var steps []Step
	for i, fix := range ordered {
		if o.skips(fix) {
			steps = append(steps, Step{fix, OutcomeSkipped})
			continue
		}
		made, err := by.make(ctx, fix, steps)
		steps = append(steps, made...)
		if err != nil {
			for _, rest := range ordered[i+1:] {
				steps = append(steps, Step{rest, OutcomeUntried})
			}
			return steps, fmt.Errorf("%s: %w", fix, err)
		}
	}
	return steps, nil
}

// An applier applies the fixes of one call.
type applier struct {
	*Fixer
	wait time.Duration
}

// make applies a fix after the steps before it, and creates the service agent
// that a grant turns out to need.
func (a *applier) make(ctx context.Context, fix Fix, before []Step) ([]Step, error) {
	unseen := func(error) bool { return false }
	if onNewAccount(fix, before) {
		unseen = isMissing
	}
	outcome, err := a.persist(ctx, fix, unseen)
	agent, ok := missingAgent(fix, err)
	if !ok {
		return []Step{{fix, outcome}}, err
	}
	made, agentErr := a.persist(ctx, agent, unseen)
	if agentErr != nil {
		err = fmt.Errorf("%w; %s: %w", err, agent, agentErr)
	} else {
		outcome, err = a.persist(ctx, fix, func(err error) bool { return errors.Is(err, allowpolicy.ErrNoSuchMember) })
	}
	return []Step{{agent, made}, {fix, outcome}}, err
}

// persist applies a fix, again for a while if it fails for something that was just
// made and isn't seen yet.
func (a *applier) persist(ctx context.Context, fix Fix, unseen func(error) bool) (Outcome, error) {
	last := time.Now().Add(a.wait)
	var backoff retry.Backoff
	open := false // whether an attempt may have had its effect
	for {
		changed, err := actionOf(&fix).apply(ctx, a)
		_, unfinished := errors.AsType[*identity.UnfinishedError](err)
		open = open || unfinished
		final := err
		if unseen(err) {
			if final = backoff.PauseUntil(ctx, last, err); final == nil {
				continue
			}
		}
		switch {
		case final == nil && (changed || open), final != nil && changed:
			return OutcomeApplied, final
		case final == nil:
			return OutcomeUnneeded, nil
		case open:
			return OutcomeUnfinished, mayBe(final)
		}
		return OutcomeFailed, final
	}
}

// mayBe marks an error as one of a fix that may be made all the same.
func mayBe(err error) error {
	if _, ok := errors.AsType[*identity.UnfinishedError](err); ok {
		return err
	}
	return &identity.UnfinishedError{Err: err}
}

// missingAgent returns the fix that creates the Cloud Run service agent that a
// grant failed for.
func missingAgent(grant Fix, err error) (Fix, bool) {
	if grant.Kind != FixGrantRole || !errors.Is(err, allowpolicy.ErrNoSuchMember) {
		return Fix{}, false
	}
	number, ok := strings.CutPrefix(grant.Member, "serviceAccount:service-")
	number, _, _ = strings.Cut(number, "@")
	if !ok || !names.IsNumber(number) || agentOf(number).Member() != grant.Member {
		return Fix{}, false
	}
	return Fix{Kind: FixCreateAgent, Project: number, Service: runAPI}, true
}

// onNewAccount reports whether a fix is a grant on an account that was created by
// one before it, which takes a while to be seen everywhere.
func onNewAccount(grant Fix, before []Step) bool {
	return grant.Kind == FixGrantRole && slices.ContainsFunc(before, func(s Step) bool {
		return s.Fix.Kind == FixCreateAccount && s.Outcome == OutcomeApplied &&
			strings.HasSuffix(grant.Resource, "/serviceAccounts/"+s.Fix.Account.Email())
	})
}

// isMissing reports whether a call failed as it does for what isn't visible yet.
func isMissing(err error) bool {
	return rest.HasCode(err, http.StatusNotFound) || rest.HasCode(err, http.StatusForbidden)
}
