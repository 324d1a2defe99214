package outage_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/outage"
	"github.com/runidentity/runidentity/preflight"
)

const dev = "user:dev@example.com"

// fix applies fixes; what it says is the outcome of the last.
func fix(fixes ...preflight.Fix) action {
	return func(ctx context.Context, b *world) outcome {
		fixer, err := preflight.NewFixer(ctx, b.ClientOptions(fake.Admin)...)
		if err != nil {
			return outcome{claim: notDone, err: err}
		}
		steps, err := fixer.Apply(ctx, fixes, &preflight.ApplyOptions{AllowGuardrailChanges: true})
		o := outcome{err: err, steps: steps}
		for _, s := range steps {
			o.value += string(s.Outcome) + " "
		}
		switch {
		case err == nil:
			o.claim = done
		case len(steps) > 1:
			o.claim = partly
		default:
			o.claim = claimOfStep(steps[0])
		}
		return o
	}
}

// claimOfStep is what a step says of its fix.
func claimOfStep(s preflight.Step) claim {
	switch s.Outcome {
	case preflight.OutcomeApplied, preflight.OutcomeUnneeded:
		return done
	case preflight.OutcomeFailed, preflight.OutcomeUntried, preflight.OutcomeSkipped:
		return notDone
	case preflight.OutcomeUnfinished:
	}
	return maybe
}

// stepsAreTrue holds each step against the state. What was so from the beginning
// may be so although a step says that it wasn't done.
func stepsAreTrue(seed func(*world)) func(*world, outcome) error {
	return func(b *world, o outcome) error {
		steps, _ := o.steps.([]preflight.Step)
		for _, s := range steps {
			so, known := holds(b.Backend, s.Fix)
			switch claim := claimOfStep(s); {
			case !known:
			case claim == done && !so:
				return fmt.Errorf("%s: says %s, and it isn't so", s.Fix, s.Outcome)
			case claim == notDone && so:
				was := &world{Backend: cloud()}
				seed(was)
				if had, _ := holds(was.Backend, s.Fix); !had {
					return fmt.Errorf("%s: says %s, and it is so", s.Fix, s.Outcome)
				}
			}
		}
		return nil
	}
}

// holds reports whether what a fix makes so is so.
func holds(b *fake.Backend, f preflight.Fix) (so, known bool) {
	switch f.Kind {
	case preflight.FixGrantRole:
		name := f.Resource
		if _, email, ok := strings.Cut(name, "/serviceAccounts/"); ok && !hasAccount(b, email) {
			return false, true
		}
		for _, service := range []string{"run", "cloudresourcemanager"} {
			name = strings.TrimPrefix(name, "//"+service+".googleapis.com/")
		}
		return slices.ContainsFunc(b.Policy(name).Bindings, func(binding *iam.Binding) bool {
			return binding.Role == f.Role && slices.Contains(binding.Members, f.Member)
		}), true
	case preflight.FixCreateAccount:
		return hasAccount(b, f.Account.Email()), true
	default:
		return false, false
	}
}

func hasAccount(b *fake.Backend, email string) bool {
	return strings.Contains(stateOf(b), `"email": "`+email+`"`)
}

// foreignAccount is the unique id of an account that nobody asks for.
const foreignAccount = "112233445566778899000"

// foreignIAM are answers about other accounts, policies and operations.
func foreignIAM() []outage.Fault {
	const (
		account = `{"name": "projects/other-proj/serviceAccounts/other@other-proj.iam.gserviceaccount.com", "email": "other@other-proj.iam.gserviceaccount.com",
			"projectId": "other-proj", "uniqueId": "` + foreignAccount + `"}`
		policy    = `{"version": 1, "etag": "BwXTHEIRS00=", "bindings": [{"role": "roles/owner", "members": ["user:them@example.com"]}]}`
		operation = `{"name": "operations/acf.c0ffee00-0000-4000-8000-000000000001", "done": true, "response": {}}`
		failed    = `{"name": "operations/acf.c0ffee00-0000-4000-8000-000000000001", "done": true, "error": {"code": 7, "message": "Not them."}}`
		org       = `{"name": "projects/987654321098/policies/iam.disableServiceAccountCreation", "spec": {"etag": "CAAA", "rules": [{"enforce": false}]}}`
	)
	var all []outage.Fault
	for name, body := range map[string]string{
		"another's account": account, "another's policy": policy, "another's operation": operation, "another's failed operation": failed,
		"another's org policy": org,
	} {
		all = append(all, outage.Answer(name, http.StatusOK, body), outage.AnswerAfter(name+", after", http.StatusOK, body))
	}
	slices.SortFunc(all, func(a, b outage.Fault) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func grantOn(resource, role string) preflight.Fix {
	return preflight.Fix{Kind: preflight.FixGrantRole, Resource: resource, Role: role, Member: dev}
}

// disabled seeds the project with an API that is off.
func disabled(service string) func(*world) {
	return func(b *world) {
		b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: "projects/web-prod/services/" + service, State: "DISABLED"})
	}
}

func enforced(b *world) {
	b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{
		Name: "projects/web-prod/policies/iam.disableCrossProjectServiceAccountUsage",
		Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{Enforce: true}}},
	})
}

func denied(b *world) {
	b.AddDenyPolicy("projects/web-prod", &iamv2.GoogleIamV2Policy{Name: "freeze", Rules: []*iamv2.GoogleIamV2PolicyRule{{DenyRule: &iamv2.GoogleIamV2DenyRule{
		DeniedPrincipals: []string{"principalSet://goog/public:all"}, DeniedPermissions: []string{"iam.googleapis.com/serviceAccounts.actAs"},
	}}}})
}

// withAccount seeds an account besides.
func withAccount(disabled bool, granted ...string) func(*world) {
	return func(b *world) {
		b.AddServiceAccount(&iam.ServiceAccount{Email: added.Email(), Disabled: disabled})
		for _, role := range granted {
			b.Grant(accountFull(added), role, dev)
		}
	}
}

func preflightOperations() []*operation {
	const jobFull = "//run.googleapis.com/" + jobName
	onAccount, onJob := grantOn(accountFull(runner), "roles/iam.serviceAccountUser"), grantOn(jobFull, "roles/run.developer")
	onProject := grantOn("//cloudresourcemanager.googleapis.com/projects/web-prod", "roles/run.viewer")
	create := preflight.Fix{Kind: preflight.FixCreateAccount, Account: added}
	onAdded := grantOn(accountFull(added), "roles/iam.serviceAccountUser")
	enable := preflight.Fix{Kind: preflight.FixEnableAPI, Project: "web-prod", Service: "run.googleapis.com"}
	exempt := preflight.Fix{
		Kind: preflight.FixExemptFromDeny, Policy: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2F123456789012/denypolicies/freeze", Rule: 0,
		Permission: "iam.serviceAccounts.actAs", Member: dev,
	}
	agent := preflight.Fix{Kind: preflight.FixCreateAgent, Project: "123456789012", Service: "run.googleapis.com"}
	foreign := foreignIAM()
	nothing := func(*world) {}
	// Who may not read what is in place makes it so once more, and has only the
	// answer to that, which for an account is empty, to tell whether it is.
	unreadable := []string{"403", "403 says 503"}
	return []*operation{
		{name: "fix: grant on account", seed: nothing, run: fix(onAccount), foreign: foreign},
		{name: "fix: grant on job", seed: withJob(before), run: fix(onJob), foreign: foreign},
		{name: "fix: grant on project", seed: nothing, run: fix(onProject), foreign: foreign},
		{name: "fix: grant, in place", seed: withAccount(false, "roles/iam.serviceAccountUser"), run: fix(onAdded), foreign: foreign},
		{name: "fix: enable API", seed: disabled("run.googleapis.com"), run: fix(enable), foreign: foreign},
		{name: "fix: enable API, in place", seed: nothing, run: fix(enable), foreign: foreign, believes: unreadable},
		// Nothing that may be read tells whether an agent is there, and an operation
		// doesn't say what it is about.
		{name: "fix: create agent", seed: disabled("run.googleapis.com"), run: fix(agent), foreign: foreign, believes: []string{"another's operation"}},
		{name: "fix: create agent, in place", seed: nothing, run: fix(agent), foreign: foreign},
		{name: "fix: create account", seed: nothing, run: fix(create), foreign: foreign},
		{name: "fix: create account, in place", seed: withAccount(false), run: fix(create), foreign: foreign},
		{name: "fix: enable account", seed: withAccount(true), run: fix(preflight.Fix{Kind: preflight.FixEnableAccount, Account: added, Project: "web-prod"}), foreign: foreign, believes: unreadable},
		{name: "fix: enable account, in place", seed: withAccount(false), run: fix(preflight.Fix{Kind: preflight.FixEnableAccount, Account: added, Project: "web-prod"}), foreign: foreign, believes: unreadable},
		{name: "fix: allow cross-project, no policy", seed: nothing, run: fix(preflight.Fix{Kind: preflight.FixAllowCrossProject, Project: "web-prod"}), foreign: foreign},
		{name: "fix: allow cross-project, enforced", seed: enforced, run: fix(preflight.Fix{Kind: preflight.FixAllowCrossProject, Project: "web-prod"}), foreign: foreign},
		{name: "fix: exempt from deny", seed: denied, run: fix(exempt), foreign: foreign},
		{name: "fix: several", seed: withJob(before), run: fix(onJob, create, onAdded, onProject), between: stepsAreTrue(withJob(before)), foreign: foreign},
		// A job that the server says isn't there is created, which takes other grants.
		{
			name: "repair", seed: withJob(before), run: repair, between: stepsAreTrue(withJob(before)), foreign: foreign,
			believes: []string{"404", "404 says 200"},
		},
	}
}

// repair checks whether dev may deploy the job as an account that isn't there,
// and applies what the report says.
func repair(ctx context.Context, b *world) outcome {
	o := outcome{claim: partly}
	checker, err := preflight.NewChecker(ctx, b.ClientOptions(fake.Admin)...)
	if err == nil {
		var fixer *preflight.Fixer
		if fixer, err = preflight.NewFixer(ctx, b.ClientOptions(fake.Admin)...); err == nil {
			var report preflight.Report
			var steps []preflight.Step
			report, err = checker.Check(ctx, preflight.Target{Workload: identity.MustParseWorkload(jobName), Identity: added, Deployer: dev}, &preflight.CheckOptions{NoAdvice: true})
			if err == nil {
				report, steps, err = fixer.Repair(ctx, checker, report, &preflight.RepairOptions{Check: preflight.CheckOptions{NoAdvice: true}})
			}
			o.steps, o.value = steps, report.Verdict().String()
		}
	}
	o.err = err
	return o
}
