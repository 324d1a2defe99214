// Package preflight tells before a deploy whether it would work, and what is
// the smallest fix if not.
//
//	checker, err := preflight.NewChecker(ctx)
//	report, err := checker.Check(ctx, preflight.Target{Workload: w, Identity: sa})
//	fmt.Print(report)
//	if err := report.Err(); err != nil { … } // names each failure and its fix
//
// A Cloud Run workload may run as a service account if the account is there
// and enabled, if the deployer may act as it and may deploy, if the project's
// Cloud Run service agent may mint its tokens, and, where it is of another
// project, if an organization policy of that project lets it be used. Check
// looks at each of these and says [Pass], [Fail] or [Unknown], with the evidence.
// It never writes.
//
// # Three values
//
// What can't be read is Unknown, with the permission that would be needed to
// know: never Pass, never Fail. Few deployers may read policies, so Unknown is
// common and [Report.Err] ignores it; [Report.ErrStrict] doesn't.
//
// Where the deployer is the caller, testIamPermissions answers exactly, whatever
// groups, conditions and deny policies are behind it, and needs no permission.
// Of other principals, Policy Troubleshooter is asked, if [Troubleshoot]
// says so; else the allow and deny policies from the resource up to the
// organization are read and evaluated here. Each [Finding] says how it was found.
//
// # Fixes
//
// A failure has the narrowest [Fix] that is known to work: a grant is on the
// account, never on its project. A [Fixer] applies fixes, waits until they are
// in effect, and only then are they said to be. A permission that is missing
// without a known role gets no guessed fix.
package preflight
