package preflight

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/rest"
)

const (
	actAs    = "iam.serviceAccounts.actAs"
	getToken = "iam.serviceAccounts.getAccessToken"

	roleAccountUser  = "roles/iam.serviceAccountUser"
	roleTokenCreator = "roles/iam.serviceAccountTokenCreator"
	roleServiceAgent = "roles/run.serviceAgent"
	roleDeveloper    = "roles/run.developer"

	crossProjectConstraint = "iam.disableCrossProjectServiceAccountUsage"
)

// checkIdentity checks whether the account is there and enabled. What acting as
// it came to may tell where the account can't be read.
func (d *deploy) checkIdentity(at resource, acting Finding) Finding {
	f := Finding{Code: CheckIdentity, Resource: at.full, Principal: d.sa.Member(), Evidence: Evidence{Method: ByRead}}
	email := d.sa.Email()
	switch err := d.readErr; {
	case err == nil && d.account.Disabled:
		f.Verdict = Fail
		f.Message = email + " is disabled, and Cloud Run answers as if it weren't there"
		f.Fix = &Fix{Kind: FixEnableAccount, Account: d.sa, Project: d.project}
	case err == nil:
		f.Verdict = Pass
		f.Message = email + " is there and enabled, in project " + d.account.ProjectId
	case rest.HasCode(err, http.StatusNotFound) && d.project != "":
		f.Verdict = Fail
		f.Message = "there is no account " + email + " in project " + d.project
		f.Evidence.Detail = serverText(err)
		if d.sa.Kind() == identity.AccountUserManaged && canCreate(email) {
			f.Fix = &Fix{Kind: FixCreateAccount, Account: d.sa}
		} else {
			f.Message += "; it is one that Google makes, when the API that it is for is enabled"
		}
	default:
		f.Message = "whether " + email + " is there and enabled can't be read"
		if acting.Verdict == Pass && acting.Evidence.Method == ByTestIAMPermissions {
			f.Message = email + " is there, but whether it is enabled can't be read"
		}
		f.Evidence.Detail = serverText(err)
		f.Causes = []Cause{causeOf("the account", at.full, err, "iam.serviceAccounts.get")}
		f.Message += because(f.Causes)
	}
	return f
}

// canCreate reports whether an account of that address can be created: since an
// id has 6 to 30 characters, it may be one that was made otherwise.
func canCreate(email string) bool {
	id, _, _ := strings.Cut(email, "@")
	return len(id) >= 6 && len(id) <= 30 && id[0] >= 'a' && id[0] <= 'z'
}

// checkActAs checks whether the deployer may attach the account.
func (d *deploy) checkActAs(ctx context.Context, at resource) Finding {
	fix := grantOf(roleAccountUser, d.who, at)
	made := d.r.decide(ctx, d.who, actAs, at)
	if d.who.caller && made.outcome == access.Denied && d.missing(ctx, at) {
		// Nothing can be asked of an account that isn't there; once it is, what
		// is granted above it counts.
		if above := d.r.decide(ctx, d.who, actAs, projectOf(d.project)); above.outcome == access.Granted {
			made = above
		}
	}
	f := accessFinding(CheckDeployerActAs, d.who, actAs, at, made, fix)
	if f.Verdict == Fail && !made.byDeny && made.evidence.Denial == nil {
		f.Message += ", which it takes to attach the account"
	}
	return f
}

// missing reports whether the account is certainly not there.
func (d *deploy) missing(ctx context.Context, at resource) bool {
	_, err := d.r.account(ctx, at.project, d.sa)
	return d.project != "" && rest.HasCode(err, http.StatusNotFound)
}

// checkAgent checks whether the project's Cloud Run service agent may mint tokens
// for the account.
func (d *deploy) checkAgent(ctx context.Context, at resource) Finding {
	if d.r.eager {
		// Who the agent is takes a call; meanwhile, what it depends on is read.
		var early sync.WaitGroup
		early.Go(func() { _, _ = d.r.allow(ctx, at) })
		early.Go(func() { d.r.prefetchDenies(ctx, at) })
		defer early.Wait()
	}
	number, err := d.r.number(ctx, d.runProject)
	if err != nil {
		project := projectOf(d.runProject).full
		f := Finding{
			Code: CheckServiceAgent, Resource: at.full, Permission: getToken, Evidence: Evidence{Method: ByRead, Detail: serverText(err)},
			Causes: []Cause{causeOf("the number of the project, which names its service agent,", project, err,
				"serviceusage.services.get", "resourcemanager.projects.get")},
		}
		f.Message = "the Cloud Run service agent isn't known" + because(f.Causes)
		return f
	}
	agent := agentOf(number)
	who := principal{member: access.ServiceAccount(agent.Email()), project: d.runProject, agent: true, sparing: d.who.caller}
	if d.cross == identity.No {
		who.sparing = false // its role is on the project
	}
	fix := grantOf(roleTokenCreator, who, at)
	if d.cross == identity.No {
		fix = grantOf(roleServiceAgent, who, projectOf(d.runProject))
	}
	f := accessFinding(CheckServiceAgent, who, getToken, at, d.r.decide(ctx, who, getToken, at), fix)
	if f.Fix != nil && *f.Fix == *fix { // no deny rule is in the way
		f.Message = "the service agent " + agent.Email() + " of project " + d.runProject + " may not mint tokens for " + d.sa.Email()
	}
	return f
}

// checkOrgPolicy checks whether the account's project lets workloads of other
// projects use its accounts.
//
// https://cloud.google.com/iam/docs/attach-service-accounts#enabling-cross-project
func (d *deploy) checkOrgPolicy(ctx context.Context) Finding {
	f := Finding{Code: CheckCrossProjectPolicy, Evidence: Evidence{Method: ByRead}}
	if d.cross == identity.Unknown {
		f.Resource = accountIn("-", d.sa).full
		f.Message = "whether the account is of another project isn't known, and so not whether an organization policy applies"
		f.Causes = []Cause{causeOf("the project of the account", f.Resource, d.readErr, "iam.serviceAccounts.get", "resourcemanager.projects.get")}
		return f
	}
	f.Resource = projectOf(d.project).full
	policy, err := d.r.effectivePolicy(ctx, d.project, crossProjectConstraint)
	switch {
	case rest.HasCode(err, http.StatusNotFound):
		f.Evidence.Detail = serverText(err)
		f.Message = "the server has no effective policy for " + crossProjectConstraint + " on project " + d.project +
			", which may be in no organization; whether Cloud Run enforces it then isn't documented"
		f.Causes = []Cause{{Message: "there is no effective policy", Resource: f.Resource, Err: err}}
		return f
	case err != nil:
		f.Evidence.Detail = serverText(err)
		f.Causes = []Cause{causeOf("the effective organization policy", f.Resource, err, "orgpolicy.policy.get")}
		f.Message = "whether " + crossProjectConstraint + " is enforced on project " + d.project + " can't be read" + because(f.Causes)
		return f
	}
	enforced, told, why := enforcement(policy.Spec)
	switch {
	case !told:
		f.Message = "the effective policy for " + crossProjectConstraint + " on project " + d.project + " doesn't say whether it is enforced" + why
		f.Causes = []Cause{{Message: "the effective policy doesn't say", Resource: f.Resource}}
	case enforced:
		f.Verdict = Fail
		f.Message = crossProjectConstraint + " is enforced on project " + d.project + ", so that its accounts can't be attached in project " + d.runProject
		f.Fix = &Fix{Kind: FixAllowCrossProject, Project: d.project}
	default:
		f.Verdict = Pass
		f.Message = crossProjectConstraint + " isn't enforced on project " + d.project
	}
	return f
}

// enforcement reports whether an effective policy enforces a boolean constraint, and
// whether it tells; why not, it says as the end of a sentence.
func enforcement(spec *orgpolicy.GoogleCloudOrgpolicyV2PolicySpec) (enforced, told bool, why string) {
	if spec == nil || len(spec.Rules) == 0 {
		return false, false, ""
	}
	enforced = spec.Rules[0].Enforce
	for _, rule := range spec.Rules {
		ofAList := rule.Values != nil || rule.AllowAll || rule.DenyAll
		if ofAList || rule.Condition != nil || rule.Enforce != enforced {
			return false, false, ": its rules differ by condition"
		}
	}
	return enforced, true, ""
}
