package preflight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	iamv2 "google.golang.org/api/iam/v2"

	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/serviceusage/v1"
	usagebeta "google.golang.org/api/serviceusage/v1beta1"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/allowpolicy"
	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
	"github.com/runidentity/runidentity/internal/settings"
)

// A Fixer applies fixes. It is safe for concurrent use once its fields are set.
type Fixer struct {
	// Guardrails lets it apply fixes that change an organization policy or a
	// deny policy, see [Fix]. Otherwise it leaves them out.
	Guardrails bool
	// DryRun makes it say what it would do, and do nothing.
	DryRun bool
	// Wait is how long [Fixer.Repair] waits for fixes to take effect, 5 minutes
	// if it is zero: a grant takes a minute or more.
	Wait time.Duration

	policies *allowpolicy.Client
	accounts *identity.Client
	iam      *iam.Service
	deny     *iamv2.Service
	org      *orgpolicy.Service
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
		connect(ctx, &f.deny, rest.Service("iam", iamv2.NewService), opts),
		connect(ctx, &f.org, rest.Service("orgpolicy", orgpolicy.NewService), opts),
		connect(ctx, &f.usage, rest.Service("serviceusage", serviceusage.NewService), opts),
		connect(ctx, &f.agents, rest.Service("serviceusage", usagebeta.NewService), opts),
	)
	if err != nil {
		return nil, fmt.Errorf("new fixer: %w", err)
	}
	return f, nil
}

// An Outcome is what became of a fix.
type Outcome string

const (
	// Applied means that it was done, or that it is so after a request of ours
	// whose answer got lost.
	Applied Outcome = "applied"
	// Unneeded means that it was so already. Where that can't be read, for a
	// [CreateAgent] or for want of a permission, it is Applied.
	Unneeded Outcome = "unneeded"
	// Left means skipped: [Fixer.DryRun] is set, or the fix changes a guardrail
	// and [Fixer.Guardrails] isn't set.
	Left Outcome = "left"
	// Failed means that it was tried and is not done; the error says why.
	Failed Outcome = "failed"
	// Unfinished means that it was tried and may be done, or may be done yet; the
	// error says why that isn't known. Applying it again is safe.
	Unfinished Outcome = "unfinished"
	// Untried means that one before it was not done.
	Untried Outcome = "untried"
)

// A Step is a fix with what became of it.
type Step struct {
	Fix     Fix     `json:"fix"`
	Outcome Outcome `json:"outcome"`
}

// jsonStep is a step with its fix's type.
type jsonStep struct {
	Fix     *jsonFix `json:"fix"`
	Outcome Outcome  `json:"outcome"`
}

// MarshalJSON writes the fix with its type.
func (s Step) MarshalJSON() ([]byte, error) {
	out := jsonStep{Outcome: s.Outcome}
	if s.Fix != nil {
		out.Fix = &jsonFix{s.Fix}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Step) UnmarshalJSON(text []byte) error {
	var in jsonStep
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	s.Fix, s.Outcome = nil, in.Outcome
	if in.Fix != nil {
		s.Fix = in.Fix.Fix
	}
	return nil
}

// Apply applies fixes one after the other, in the order of [Fixes], and returns
// what became of each. It ends with the first that is not known to be done; the
// error wraps the server's, and the steps say what was done before. The error is
// an [*identity.UnfinishedError] if that fix may be done all the same. A fix for a
// deployer whose name isn't known is refused before anything is done.
func (f *Fixer) Apply(ctx context.Context, fixes ...Fix) ([]Step, error) {
	for _, fix := range fixes {
		err := errors.New("there is a nil fix among them")
		if fix != nil {
			err = fix.check()
		}
		if err != nil {
			return nil, fmt.Errorf("apply fixes: %w", err)
		}
	}
	ordered := slices.Clone(fixes)
	slices.SortStableFunc(ordered, func(a, b Fix) int { return int(a.kind()) - int(b.kind()) })
	steps := make([]Step, len(ordered))
	for i, fix := range ordered {
		steps[i] = Step{fix, Untried}
	}
	for i := 0; i < len(steps); i++ {
		fix := steps[i].Fix
		if f.DryRun || fix.Guardrail() && !f.Guardrails {
			steps[i].Outcome = Left
			continue
		}
		unseen := func(error) bool { return false }
		if onNewAccount(fix, steps[:i]) {
			unseen = isMissing
		}
		outcome, err := f.apply(ctx, fix, unseen)
		if agent, ok := missingAgent(fix, err); ok {
			made, agentErr := f.apply(ctx, agent, unseen)
			steps = slices.Insert(steps, i, Step{agent, made})
			i++
			if agentErr != nil {
				err = fmt.Errorf("%w; %s: %w", err, agent, agentErr)
			} else {
				outcome, err = f.apply(ctx, fix, func(err error) bool { return errors.Is(err, allowpolicy.ErrNoSuchMember) })
			}
		}
		if steps[i].Outcome = outcome; err != nil {
			return steps, fmt.Errorf("%s: %w", fix, err)
		}
	}
	return steps, nil
}

// missingAgent returns the fix that creates the Cloud Run service agent that a
// grant failed for.
func missingAgent(fix Fix, err error) (CreateAgent, bool) {
	grant, ok := fix.(GrantRole)
	if !ok || !errors.Is(err, allowpolicy.ErrNoSuchMember) {
		return CreateAgent{}, false
	}
	number, ok := strings.CutPrefix(grant.Member, "serviceAccount:service-")
	number, _, _ = strings.Cut(number, "@")
	if !ok || !names.IsNumber(number) || agentOf(number).Member() != grant.Member {
		return CreateAgent{}, false
	}
	return CreateAgent{Project: number, Service: runAPI}, true
}

// onNewAccount says whether a fix is a grant on an account that was made by one
// before it, which takes a while to be seen everywhere.
func onNewAccount(fix Fix, before []Step) bool {
	grant, ok := fix.(GrantRole)
	return ok && slices.ContainsFunc(before, func(s Step) bool {
		made, ok := s.Fix.(CreateAccount)
		return ok && s.Outcome == Applied && strings.HasSuffix(grant.Resource, "/serviceAccounts/"+made.Account.Email())
	})
}

// isMissing says whether a call failed as it does for what isn't visible yet.
func isMissing(err error) bool {
	return hasCode(err, http.StatusNotFound) || hasCode(err, http.StatusForbidden)
}

func (f *Fixer) patience() time.Duration {
	if f.Wait > 0 {
		return f.Wait
	}
	return 5 * time.Minute
}

// apply applies a fix, again for a while if it fails for something that was just
// made and isn't seen yet.
func (f *Fixer) apply(ctx context.Context, fix Fix, unseen func(error) bool) (Outcome, error) {
	last := time.Now().Add(f.patience())
	var backoff retry.Backoff
	open := false // whether an attempt may have had its effect
	for {
		changed, err := f.attempt(ctx, fix)
		var unfinished *identity.UnfinishedError
		open = open || errors.As(err, &unfinished)
		final := err
		if unseen(err) {
			if final = backoff.PauseUntil(ctx, last, err); final == nil {
				continue
			}
		}
		switch {
		case final == nil && (changed || open), final != nil && changed:
			return Applied, final
		case final == nil:
			return Unneeded, nil
		case open:
			return Unfinished, mayBe(final)
		}
		return Failed, final
	}
}

// mayBe marks an error as one of a fix that may be done all the same.
func mayBe(err error) error {
	if _, ok := errors.AsType[*identity.UnfinishedError](err); ok {
		return err
	}
	return &identity.UnfinishedError{Err: err}
}

// attempt applies a fix once and says whether that made a difference. An error that
// is an [*identity.UnfinishedError] leaves open whether it did.
func (f *Fixer) attempt(ctx context.Context, fix Fix) (changed bool, err error) {
	switch fix := fix.(type) {
	case GrantRole:
		return f.grant(ctx, fix)
	case EnableAPI:
		return f.settle(ctx, f.enableAPI(fix))
	case CreateAgent:
		return f.settle(ctx, f.createAgent(fix))
	case CreateAccount:
		a, err := f.accounts.EnsureServiceAccount(ctx, fix.Account, &identity.EnsureServiceAccountOptions{Wait: f.patience()})
		return a.Created, err
	case EnableAccount:
		return f.settle(ctx, f.enableAccount(fix))
	case AllowCrossProject:
		return f.settle(ctx, f.allowCrossProject(fix))
	case ExemptFromDeny:
		return f.settle(ctx, f.exempt(fix))
	}
	return false, fmt.Errorf("unknown fix %T", fix)
}

func (f *Fixer) grant(ctx context.Context, fix GrantRole) (bool, error) {
	edited, err := f.policies.Edit(ctx, fix.Resource, allowpolicy.Change{
		Role: fix.Role, Member: fix.Member, Condition: allowpolicy.Condition(fix.Condition),
	})
	if errors.Is(err, allowpolicy.ErrOpen) {
		err = mayBe(err)
	}
	return len(edited.Made) > 0, err
}
