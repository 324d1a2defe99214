package preflight

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/rest"
)

// A decision is whether a principal has a permission on a resource.
type decision struct {
	outcome  access.Outcome
	missing  bool // the server says that there is no such resource
	byDeny   bool // a deny policy denies it, whichever
	evidence Evidence
	causes   []Cause
}

func (d decision) verdict() Verdict {
	switch d.outcome {
	case access.Granted:
		return Pass
	case access.Denied:
		return Fail
	default:
	}
	return Unknown
}

// decide finds out whether a principal has a permission on a resource: exactly, if
// it is the caller; else as Policy Troubleshooter says, if it may be asked and
// can tell; else as the policies do.
func (r *reader) decide(ctx context.Context, who principal, permission string, at resource) decision {
	if who.caller && at.kind != otherResource { // whose tests are of APIs that this package doesn't call
		return r.explainDenial(ctx, who, permission, at, r.decideByTest(ctx, permission, at, permission))
	}
	key := who.member.String() + " " + permission + " " + at.full
	if at.kind == workloadResource { // of one target only
		return r.decideForOther(ctx, who, permission, at)
	}
	d, _ := r.decisions.get(ctx, key, func(ctx context.Context) (decision, error) {
		return r.decideForOther(ctx, who, permission, at), nil
	})
	return d
}

// explainDenial looks for the deny rule behind an answer that says no, as a grant
// would not help then. The answer stays what it is.
func (r *reader) explainDenial(ctx context.Context, who principal, permission string, at resource, d decision) decision {
	if d.outcome != access.Denied || d.missing || who.member.IsZero() || at.kind == otherResource || !access.Deniable(access.PermissionFQDN(permission)) {
		return d
	}
	who.caller = false
	if p := r.decideByPolicies(ctx, who, permission, at); p.outcome == access.Denied && p.evidence.Denial != nil {
		d.evidence.Denial, d.byDeny = p.evidence.Denial, true
	}
	return d
}

func (r *reader) decideForOther(ctx context.Context, who principal, permission string, at resource) decision {
	if r.options.Troubleshoot {
		if d := r.troubleshoot(ctx, who, permission, at); d.outcome != access.Unknown {
			return r.explainDenial(ctx, who, permission, at, d)
		}
	}
	if at.kind == otherResource {
		why := "this package does not read the policies of such a resource; Policy Troubleshooter may tell (CheckOptions.Troubleshoot)"
		if r.options.Troubleshoot {
			why = "Policy Troubleshooter could not tell, and this package does not read the policies of such a resource"
		}
		return decision{evidence: Evidence{Method: ByPolicies}, causes: []Cause{{Message: why, Resource: at.full}}}
	}
	return r.decideByPolicies(ctx, who, permission, at)
}

// decideByTest asks for one of several permissions that are tested in one call.
func (r *reader) decideByTest(ctx context.Context, permission string, at resource, together ...string) decision {
	d := decision{evidence: Evidence{Method: ByTestIAMPermissions}}
	has, err := r.test(ctx, at, together...)
	switch {
	case rest.HasCode(err, http.StatusNotFound):
		d.outcome, d.missing = access.Denied, true
		d.evidence.Detail = "the server says that there is no such resource: " + serverText(err)
	case err != nil:
		d.causes = []Cause{{Message: "testIamPermissions failed: " + serverText(err), Resource: at.full, Err: err}}
	case has[permission]:
		d.outcome = access.Granted
	default:
		d.outcome = access.Denied
	}
	return d
}

// decideByPolicies reads the policies from the resource upwards and evaluates
// them.
func (r *reader) decideByPolicies(ctx context.Context, who principal, permission string, at resource) decision {
	know := newKnown(who)
	ch := newChain()
	deniable := access.Deniable(access.PermissionFQDN(permission))

	// Deny policies count only if something grants the permission, but waiting
	// to see takes a round trip more.
	var denies sync.WaitGroup
	if deniable && (r.eager || at.kind == accountResource) {
		denies.Go(func() { r.prefetchDenies(ctx, at) })
	}
	defer denies.Wait()

	attrs, numberErr := r.attributesOf(ctx, at)
	req := access.Request{Permission: permission, Resource: attrs, Time: time.Now()}
	roles := make(map[string]*access.Role)

	// What is bound on the account itself is enough to know, often, and the
	// policies above it take rights that few have. A workload's own policy is
	// the other way round: most grants are above it.
	stages := []func(){func() { r.fill(ctx, ch, at, true, true) }}
	switch {
	case r.eager && !who.sparing:
	case at.kind == accountResource:
		stages = []func(){func() { r.fill(ctx, ch, at, true, false) }, func() { r.fill(ctx, ch, at, true, true) }}
	case at.kind == workloadResource:
		stages = []func(){func() { r.fill(ctx, ch, at, false, true) }, func() { r.fill(ctx, ch, at, true, true) }}
	}
	var x *access.Explanation
	for _, fill := range stages {
		fill()
		x = r.explain(ctx, know, who, req, ch.without(), roles)
		if x.Outcome == access.Granted {
			break
		}
	}
	if x.Outcome != access.Denied && deniable {
		r.fillDenies(ctx, ch, at)
		x = r.explain(ctx, know, who, req, ch.levels, roles)
	}
	if numberErr != nil && x.Outcome == access.Denied && x.Denial == nil && hasConditions(x) {
		// A condition on the resource's name could not be evaluated.
		return decision{evidence: Evidence{Method: ByPolicies}, causes: []Cause{causeOf("the project's number", at.full, numberErr, "resourcemanager.projects.get")}}
	}
	return r.decisionOf(ctx, x, ch)
}

// attributesOf returns what conditions see of a resource. A project's name is by
// its number there.
func (r *reader) attributesOf(ctx context.Context, at resource) (access.Resource, error) {
	attrs := at.attributes()
	if at.kind != projectResource {
		return attrs, nil
	}
	number, err := r.number(ctx, at.project)
	attrs.Name = ""
	if err == nil {
		attrs.Name = "projects/" + number
	}
	return attrs, err
}

func hasConditions(x *access.Explanation) bool {
	for _, l := range x.Levels {
		for _, b := range l.Bindings {
			if b.Condition != nil && b.Membership != access.No && b.Permission != access.No {
				return true
			}
		}
	}
	return false
}

// explain evaluates a request, and finds out what that turns out to depend on,
// until nothing more can be found out.
func (r *reader) explain(ctx context.Context, know *known, who principal, req access.Request, levels []access.Level, roles map[string]*access.Role) *access.Explanation {
	req.Levels = levels
	e := access.Evaluator{Roles: func(name string) *access.Role { return roles[name] }, Deniable: access.Deniable}
	for {
		req.Subject = know.subject()
		x := e.Explain(req)
		var missing []string
		for _, c := range x.Causes {
			if _, tried := roles[c.Role]; c.Kind == access.CauseRole && !tried && !slices.Contains(missing, c.Role) {
				missing = append(missing, c.Role)
			}
		}
		read := make([]*access.Role, len(missing))
		sideBySide(len(missing), func(i int) {
			if role, err := r.role(ctx, missing[i]); err == nil {
				read[i] = roleOf(role)
			} else if rest.HasCode(err, http.StatusNotFound) {
				read[i] = access.NewRole(access.RoleDeleted)
			}
		})
		for i, name := range missing {
			roles[name] = read[i]
		}
		if learned := know.learn(ctx, r, who, x.Causes); !learned && len(missing) == 0 || ctx.Err() != nil {
			return x
		}
	}
}

func roleOf(role *iam.Role) *access.Role {
	state := access.RoleActive
	switch {
	case role.Deleted:
		state = access.RoleDeleted
	case role.Stage == "DISABLED":
		state = access.RoleDisabled
	}
	return access.NewRole(state, role.IncludedPermissions...)
}

// decisionOf puts an explanation in this package's terms.
func (r *reader) decisionOf(ctx context.Context, x *access.Explanation, ch *chain) decision {
	d := decision{outcome: x.Outcome, evidence: Evidence{Method: ByPolicies}}
	if g := x.Grant; g != nil {
		d.evidence.Grant = &Grant{Resource: g.Level, Role: g.Role, Member: g.Member.String()}
		if c := g.Condition; c != nil {
			d.evidence.Grant.Condition = &Condition{Title: c.Title, Description: c.Description, Expression: c.Expression}
		}
		if x.Outcome == access.Granted && x.End.Kind == access.EndAt {
			d.evidence.Grant.Expires = x.End.At
		}
	}
	if n := x.Denial; n != nil && x.Outcome == access.Denied {
		d.evidence.Denial = &Denial{Resource: n.Level, Policy: n.Policy, Rule: n.Rule, Principal: n.Principal.String()}
	}
	if x.Outcome == access.Unknown {
		for _, c := range x.Causes {
			d.causes = append(d.causes, r.cause(ctx, c, ch))
		}
	}
	return d
}

// sideBySide calls f with 0 to n-1, at most 32 at a time, and returns when all
// calls have.
func sideBySide(n int, f func(i int)) {
	const most = 32
	if n == 1 {
		f(0)
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, most)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
