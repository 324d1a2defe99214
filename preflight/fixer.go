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
	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/allowpolicy"
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
	// Applied means that it was done.
	Applied Outcome = "applied"
	// Unneeded means that it was so already.
	Unneeded Outcome = "unneeded"
	// Left means that it was left out, as a dry run, or as [Fixer.Guardrails] isn't set.
	Left Outcome = "left"
	// Failed means that it was tried; the error says why it failed.
	Failed Outcome = "failed"
	// Untried means that one before it failed.
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
// what became of each. It ends with the first that fails; the error wraps the
// server's, and the steps say what was done before. A fix for a deployer whose
// name isn't known is refused before anything is done.
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
		changed, err := f.apply(ctx, fix)
		if onNewAccount(fix, steps[:i]) && isMissing(err) {
			changed, err = f.applyAgain(ctx, fix, isMissing)
		}
		if agent, ok := missingAgent(fix, err); ok {
			made, agentErr := f.apply(ctx, agent)
			steps = slices.Insert(steps, i, Step{agent, outcomeOf(made, agentErr)})
			i++
			if agentErr != nil {
				err = fmt.Errorf("%w; %s: %w", err, agent, agentErr)
			} else {
				changed, err = f.applyAgain(ctx, fix, func(err error) bool { return errors.Is(err, allowpolicy.ErrNoSuchMember) })
			}
		}
		if steps[i].Outcome = outcomeOf(changed, err); err != nil {
			return steps, fmt.Errorf("%s: %w", fix, err)
		}
	}
	return steps, nil
}

func outcomeOf(changed bool, err error) Outcome {
	switch {
	case err != nil:
		return Failed
	case changed:
		return Applied
	}
	return Unneeded
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
	if !ok || !isNumber(number) || agentOf(number).Member() != grant.Member {
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

// applyAgain applies a fix until it doesn't fail for something that was just made
// and isn't seen yet.
func (f *Fixer) applyAgain(ctx context.Context, fix Fix, unseen func(error) bool) (bool, error) {
	last := time.Now().Add(f.patience())
	var backoff retry.Backoff
	for {
		changed, err := f.apply(ctx, fix)
		if !unseen(err) {
			return changed, err
		}
		if err := backoff.PauseUntil(ctx, last, err); err != nil {
			return false, err
		}
	}
}

func (f *Fixer) patience() time.Duration {
	if f.Wait > 0 {
		return f.Wait
	}
	return 5 * time.Minute
}

// apply applies a fix and says whether that made a difference.
func (f *Fixer) apply(ctx context.Context, fix Fix) (changed bool, err error) {
	switch fix := fix.(type) {
	case GrantRole:
		edited, err := f.policies.Edit(ctx, fix.Resource, allowpolicy.Change{
			Role: fix.Role, Member: fix.Member, Condition: allowpolicy.Condition(fix.Condition),
		})
		return len(edited.Made) > 0, err
	case EnableAPI:
		err := f.enableAPI(ctx, fix)
		return err == nil, err
	case CreateAgent:
		return true, f.createAgent(ctx, fix)
	case CreateAccount:
		a, err := f.accounts.EnsureServiceAccount(ctx, identity.AccountSpec{ServiceAccount: fix.Account, Wait: f.patience()})
		return a.Created, err
	case EnableAccount:
		_, err := retry.Do(ctx, func() (*iam.Empty, error) {
			return f.iam.Projects.ServiceAccounts.Enable(accountIn(fix.Project, fix.Account).name, &iam.EnableServiceAccountRequest{}).Context(ctx).Do()
		})
		return true, err
	case AllowCrossProject:
		return f.allowCrossProject(ctx, fix)
	case ExemptFromDeny:
		return f.exempt(ctx, fix)
	}
	return false, fmt.Errorf("unknown fix %T", fix)
}

func (f *Fixer) enableAPI(ctx context.Context, fix EnableAPI) error {
	return f.await(ctx, func(name string) (operation, error) {
		call := f.usage.Operations.Get(name).Context(ctx).Do
		if name == "" {
			service := "projects/" + fix.Project + "/services/" + fix.Service
			call = f.usage.Services.Enable(service, &serviceusage.EnableServiceRequest{}).Context(ctx).Do
		}
		op, err := call()
		switch {
		case err != nil:
			return operation{}, err
		case op.Error != nil:
			return ended(op.Name, op.Error.Code, op.Error.Message), nil
		}
		return operation{name: op.Name, done: op.Done}, nil
	})
}

func (f *Fixer) createAgent(ctx context.Context, fix CreateAgent) error {
	return f.await(ctx, func(name string) (operation, error) {
		call := f.agents.Operations.Get(name).Context(ctx).Do
		if name == "" {
			call = f.agents.Services.GenerateServiceIdentity("projects/" + fix.Project + "/services/" + fix.Service).Context(ctx).Do
		}
		op, err := call()
		switch {
		case err != nil:
			return operation{}, err
		case op.Error != nil:
			return ended(op.Name, op.Error.Code, op.Error.Message), nil
		}
		return operation{name: op.Name, done: op.Done}, nil
	})
}

// operation is a long-running operation of any API.
type operation struct {
	name    string
	done    bool
	failure error
}

// ended is an operation that failed.
func ended(name string, code int64, message string) operation {
	return operation{name, true, fmt.Errorf("the server ended %s with code %d: %s", name, code, message)}
}

// await starts an operation, with a call for no name, and waits until it has
// ended, reading it by its name; for [Fixer.Wait] at most.
func (f *Fixer) await(ctx context.Context, call func(name string) (operation, error)) error {
	op, err := retry.Do(ctx, func() (operation, error) { return call("") })
	last := time.Now().Add(f.patience())
	var backoff retry.Backoff
	for err == nil && !op.done {
		if err = backoff.PauseUntil(ctx, last, errUnderWay); err == nil {
			op, err = retry.Do(ctx, func() (operation, error) { return call(op.name) })
		}
	}
	if err != nil {
		return err
	}
	return op.failure
}

var errUnderWay = errors.New("the operation is still under way")

// maxConflicts is how often a policy is read and changed again because someone
// else wrote it in between.
const maxConflicts = 20

func (f *Fixer) allowCrossProject(ctx context.Context, fix AllowCrossProject) (bool, error) {
	parent := "projects/" + fix.Project
	name := parent + "/policies/" + crossProjectConstraint
	type policy = orgpolicy.GoogleCloudOrgpolicyV2Policy
	off := []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{ForceSendFields: []string{"Enforce"}}}
	var conflicts retry.Backoff
	for attempt := 1; ; attempt++ {
		p, err := retry.Do(ctx, func() (*policy, error) { return f.org.Projects.Policies.Get(name).Context(ctx).Do() })
		absent := hasCode(err, http.StatusNotFound)
		switch {
		case absent:
			_, err = retry.Do(ctx, func() (*policy, error) {
				return f.org.Projects.Policies.Create(parent, &policy{
					Name: name, Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: off},
				}).Context(ctx).Do()
			})
		case err == nil:
			if p.Spec == nil {
				p.Spec = &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Etag: p.Etag}
			}
			if len(p.Spec.Rules) == 1 && !p.Spec.Rules[0].Enforce && p.Spec.Rules[0].Condition == nil {
				return false, nil
			}
			p.Spec.Rules, p.Spec.Reset, p.Spec.InheritFromParent = off, false, false
			_, err = retry.Do(ctx, func() (*policy, error) {
				return f.org.Projects.Policies.Patch(name, p).UpdateMask("policy.spec").Context(ctx).Do()
			})
		}
		if !hasCode(err, http.StatusConflict) || attempt >= maxConflicts {
			return err == nil, err
		}
		if err := conflicts.Pause(ctx, err); err != nil {
			return false, err
		}
	}
}

func (f *Fixer) exempt(ctx context.Context, fix ExemptFromDeny) (bool, error) {
	principal := denyPrincipal(fix.Member)
	var conflicts retry.Backoff
	for attempt := 1; ; attempt++ {
		p, err := retry.Do(ctx, func() (*iamv2.GoogleIamV2Policy, error) { return f.deny.Policies.Get(fix.Policy).Context(ctx).Do() })
		if err != nil {
			return false, err
		}
		if fix.Rule < 0 || fix.Rule >= len(p.Rules) || p.Rules[fix.Rule].DenyRule == nil {
			return false, fmt.Errorf("the policy has no rule %d any more: check again", fix.Rule)
		}
		rule := p.Rules[fix.Rule].DenyRule
		about := access.DenyRule{DeniedPermissions: rule.DeniedPermissions, ExceptionPermissions: rule.ExceptionPermissions}
		if fix.Permission != "" && !about.Denies(fix.Permission) {
			return false, fmt.Errorf("rule %d of the policy doesn't deny %s any more: check again", fix.Rule, fix.Permission)
		}
		if slices.Contains(rule.ExceptionPrincipals, principal) {
			return false, nil
		}
		rule.ExceptionPrincipals = append(rule.ExceptionPrincipals, principal)
		err = f.await(ctx, func(name string) (operation, error) {
			call := f.deny.Policies.Operations.Get(name).Context(ctx).Do
			if name == "" {
				call = f.deny.Policies.Update(p.Name, p).Context(ctx).Do
			}
			op, err := call()
			switch {
			case err != nil:
				return operation{}, err
			case op.Error != nil:
				return ended(op.Name, op.Error.Code, op.Error.Message), nil
			}
			return operation{name: op.Name, done: op.Done}, nil
		})
		if !hasCode(err, http.StatusConflict) || attempt >= maxConflicts {
			return err == nil, err
		}
		if err := conflicts.Pause(ctx, err); err != nil {
			return false, err
		}
	}
}
