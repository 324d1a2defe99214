package preflight

import (
	"context"

	"github.com/runidentity/runidentity/internal/access"
)

// checkDeploy checks whether the deployer may create or update the workload, and
// read it.
//
// https://cloud.google.com/run/docs/reference/iam/roles
func (d *deploy) checkDeploy(ctx context.Context) ([]Finding, []Advice) {
	prefix := runPermissions(d.target.Workload.Kind)
	create, update, get := prefix+"create", prefix+"update", prefix+"get"
	const wait = "run.operations.get"
	project := projectOf(d.runProject)

	var creates, updates, gets, waits decision
	if d.who.caller {
		// What is granted on the project holds for what is in it. Operations
		// can't be asked about on a workload.
		all := []string{create, update, get, wait}
		on := func(p string) decision { return d.r.decideByTest(ctx, p, project, all...) }
		creates, updates, gets, waits = on(create), on(update), on(get), on(wait)
		creates = d.r.explainDenial(ctx, d.who, create, project, creates)
		// What isn't granted there may be on the workload, if that is there.
		for permission, made := range map[string]*decision{update: &updates, get: &gets} {
			if made.outcome == access.Granted {
				continue
			}
			if own := d.r.decideByTest(ctx, permission, d.workload, update, get); !own.missing {
				*made = d.r.explainDenial(ctx, d.who, permission, d.workload, own)
			}
		}
	} else {
		of := []*decision{&creates, &updates, &gets, &waits}
		sideBySide(len(of), func(i int) {
			permission, at := []string{create, update, get, wait}[i], project
			if i == 1 || i == 2 {
				at = d.workload
			}
			if i == 3 && d.r.options.NoAdvice {
				return
			}
			*of[i] = d.r.decide(ctx, d.who, permission, at)
		})
	}

	developer := grantOf(roleDeveloper, d.who, d.workload)
	onProject := grantOf(roleDeveloper, d.who, project)
	var findings []Finding
	write, isUpdate := d.writeFinding(ctx, creates, updates, gets, create, update, developer, onProject)
	findings = append(findings, write)
	if isUpdate { // what is created isn't read before
		findings = append(findings, accessFinding(CheckDeployerDeploy, d.who, get, d.workload, gets, developer))
	}
	var advice []Advice
	if waits.outcome == access.Denied && !d.r.options.NoAdvice {
		advice = append(advice, Advice{
			Code: AdviceCannotWait, Resource: project.full, Principal: d.who.String(),
			Message: d.who.words() + " lacks " + wait + ": this library then watches the " + d.target.Workload.Kind.String() +
				" instead of the operation; other tools may report a failed deploy",
		})
	}
	return findings, advice
}

// writeFinding returns the finding on creating or updating, whichever the deploy
// does. That depends on whether the workload is there, which is asked only if it
// matters. isUpdate reports that the deploy certainly updates, or that it makes no
// difference.
func (d *deploy) writeFinding(ctx context.Context, creates, updates, gets decision, create, update string, developer, onProject *Fix) (f Finding, isUpdate bool) {
	project := projectOf(d.runProject)
	updating := accessFinding(CheckDeployerDeploy, d.who, update, d.workload, updates, developer)
	creating := accessFinding(CheckDeployerDeploy, d.who, create, project, creates, onProject)
	if creates.outcome == access.Granted && updates.outcome == access.Granted && gets.outcome == access.Granted {
		updating.Message += "; it may create it as well"
		return updating, true
	}
	exists, err := d.r.exists(ctx, d.target.Workload)
	switch {
	case err == nil && exists:
		return updating, true
	case err == nil:
		creating.Message += " (the " + d.target.Workload.Kind.String() + " isn't there yet)"
		return creating, false
	}
	if creates.outcome == access.Denied && updates.outcome == access.Denied {
		return updating, false
	}
	updating.Verdict, updating.Fix = Unknown, nil
	updating.Causes = append(append(updating.Causes, creating.Causes...),
		causeOf("whether the "+d.target.Workload.Kind.String()+" is there", d.workload.full, err, runPermissions(d.target.Workload.Kind)+"get"))
	updating.Evidence = Evidence{Method: ByRead, Detail: serverText(err)}
	updating.Message = "whether the deploy creates or updates, and may, can't be told" + because(updating.Causes)
	return updating, false
}

// checkAPI checks whether the Cloud Run API is enabled in the workload's project.
func (d *deploy) checkAPI(ctx context.Context) Finding {
	project := projectOf(d.runProject)
	f := Finding{Code: CheckRunAPI, Resource: project.full, Evidence: Evidence{Method: ByRead}}
	s, err := d.r.service(ctx, d.runProject, runAPI)
	switch {
	case err != nil:
		f.Evidence.Detail = serverText(err)
		f.Causes = []Cause{causeOf("the state of "+runAPI, project.full, err, "serviceusage.services.get")}
		f.Message = "whether the Cloud Run API is enabled in project " + d.runProject + " can't be read" + because(f.Causes)
	case s.State == "ENABLED":
		f.Verdict = Pass
		f.Message = "the Cloud Run API is enabled in project " + d.runProject
	case s.State == "DISABLED":
		f.Verdict = Fail
		f.Message = "the Cloud Run API isn't enabled in project " + d.runProject
		f.Fix = &Fix{Kind: FixEnableAPI, Project: d.runProject, Service: runAPI}
	default:
		f.Message = "the server doesn't say whether the Cloud Run API is enabled in project " + d.runProject
		f.Causes = []Cause{{Message: "the state is " + s.State, Resource: project.full}}
	}
	return f
}
