package preflight

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/access"
)

// A decision says whether a principal has a permission on a resource.
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

// decide says whether a principal has a permission on a resource: exactly, if
// it is the caller; else as Policy Troubleshooter says, if it may be asked and
// can tell; else as the policies do.
func (r *reader) decide(ctx context.Context, who principal, permission string, at resource) decision {
	if who.caller {
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
	if r.options.troubleshoot {
		if d := r.troubleshoot(ctx, who, permission, at); d.outcome != access.Unknown {
			return r.explainDenial(ctx, who, permission, at, d)
		}
	}
	if at.kind == otherResource {
		why := "this package does not read the policies of such a resource; Policy Troubleshooter may tell (option Troubleshoot)"
		if r.options.troubleshoot {
			why = "Policy Troubleshooter could not tell, and this package does not read the policies of such a resource"
		}
		return decision{evidence: Evidence{Method: ByPolicies}, causes: []Cause{{Message: why, Resource: at.full}}}
	}
	return r.decideByPolicies(ctx, who, permission, at)
}

// decideByTest asks for one of several permissions that are tested in one call.
func (r *reader) decideByTest(ctx context.Context, permission string, at resource, together ...string) decision {
	d := decision{evidence: Evidence{Method: ByTest}}
	has, err := r.test(ctx, at, together...)
	switch {
	case hasCode(err, http.StatusNotFound):
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

// A chain is a resource with all that it is in, and what could be read of
// their policies.
type chain struct {
	levels []access.Level
	errs   map[string]error // by the level's resource
	kinds  map[string]resource
}

// decideByPolicies reads the policies from the resource upwards and evaluates
// them.
func (r *reader) decideByPolicies(ctx context.Context, who principal, permission string, at resource) decision {
	know := newKnown(who)
	ch := &chain{errs: make(map[string]error), kinds: make(map[string]resource)}
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

// attributesOf are what conditions see of a resource. A project's name is by
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
			} else if hasCode(err, http.StatusNotFound) {
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

// without are the levels as if there were no deny policies.
func (ch *chain) without() []access.Level {
	out := slices.Clone(ch.levels)
	for i := range out {
		out[i].Deny = access.NoDeny()
	}
	return out
}

// unseen is the level that stands for what a project of unknown ancestry is in.
func unseen(project string) string {
	return managerPrefix + "projects/" + project + " (the folders and the organization above it)"
}

// containers returns what a resource is in, from its project upwards, or
// itself if it is one. If that can't be read, the project alone with the error.
func (r *reader) containers(ctx context.Context, at resource) ([]resource, error) {
	start := at
	if at.kind == accountResource || at.kind == workloadResource {
		start = projectOf(at.project)
	}
	names, err := r.above(ctx, start)
	if err != nil {
		return []resource{start}, err
	}
	out := make([]resource, len(names))
	for i, name := range names {
		out[i] = containerOf(name)
	}
	return out, nil
}

// fill reads the allow policies of the chain: the resource's own, those above,
// or both. What is left out is as if it could not be read.
func (r *reader) fill(ctx context.Context, ch *chain, at resource, own, above bool) {
	var all []resource
	isContainer := at.kind != accountResource && at.kind != workloadResource
	if !isContainer {
		all = append(all, at)
	}
	var wg sync.WaitGroup
	if own && !isContainer {
		wg.Go(func() { _, _ = r.allow(ctx, at) })
	}
	if above && !isContainer { // before it is known what else is above
		wg.Go(func() { _, _ = r.allow(ctx, projectOf(at.project)) })
	}
	if isContainer {
		wg.Go(func() { _, _ = r.allow(ctx, at) })
	}
	containers, err := r.containers(ctx, at)
	all = append(all, containers...)
	if above {
		sideBySide(len(containers), func(i int) { _, _ = r.allow(ctx, containers[i]) })
	}
	wg.Wait()

	ch.levels = ch.levels[:0]
	for i, res := range all {
		level := access.Level{Resource: res.full}
		ch.kinds[res.full] = res
		itself := i == 0 && !isContainer
		if itself && own || !itself && above {
			policy, err := r.allow(ctx, res)
			if err != nil {
				ch.errs[res.full] = err
			} else {
				level.Allow = policy.compiled
			}
		}
		if itself {
			level.Deny = access.NoDeny()
		}
		ch.levels = append(ch.levels, level)
	}
	if err != nil {
		name := unseen(at.project)
		ch.levels = append(ch.levels, access.Level{Resource: name})
		ch.errs[name] = err
	}
}

func (r *reader) prefetchDenies(ctx context.Context, at resource) {
	var wg sync.WaitGroup
	if at.project != "" {
		wg.Go(func() { _, _ = r.deny(ctx, projectOf(at.project)) })
	}
	containers, _ := r.containers(ctx, at)
	sideBySide(len(containers), func(i int) { _, _ = r.deny(ctx, containers[i]) })
	wg.Wait()
}

// fillDenies reads the deny policies of the chain.
func (r *reader) fillDenies(ctx context.Context, ch *chain, at resource) {
	r.prefetchDenies(ctx, at)
	for i := range ch.levels {
		res, ok := ch.kinds[ch.levels[i].Resource]
		if ch.levels[i].Deny != nil || !ok {
			continue
		}
		policies, err := r.deny(ctx, res)
		if err != nil {
			ch.errs[denyKey(res.full)] = err
			continue
		}
		ch.levels[i].Deny = policies
	}
}

func denyKey(full string) string { return "deny " + full }

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

// cause puts something that isn't known in this package's terms, with the
// permission that would help.
func (r *reader) cause(ctx context.Context, c access.Cause, ch *chain) Cause {
	out := Cause{Message: c.String()}
	res, known := ch.kinds[c.Level]
	switch c.Kind {
	case access.CausePolicy:
		out.Resource, out.Err = c.Level, ch.errs[c.Level]
		if known {
			out.Permissions = helping(out.Err, res.readPermission())
		} else {
			out.Permissions = helping(out.Err, "resourcemanager.projects.get")
		}
	case access.CauseDenyPolicies:
		out.Resource, out.Err = c.Level, ch.errs[denyKey(c.Level)]
		if known {
			out.Permissions = helping(out.Err, "iam.denypolicies.list", "iam.denypolicies.get")
		} else {
			out.Err = ch.errs[c.Level]
			out.Permissions = helping(out.Err, "resourcemanager.projects.get", "iam.denypolicies.list", "iam.denypolicies.get")
		}
	case access.CauseRole:
		out.Resource = "//iam.googleapis.com/" + c.Role
		_, out.Err = r.role(ctx, c.Role)
		out.Permissions = helping(out.Err, "iam.roles.get")
	case access.CauseSet, access.CauseMember:
		out.Principal = c.Set.String()
		out.Resource = c.Level
	default:
		out.Resource, out.Err = c.Level, c.Err
	}
	if out.Err != nil && len(out.Permissions) == 0 {
		out.Message += ": " + serverText(out.Err)
	}
	return out
}

// causeOf is a cause that reading something failed.
func causeOf(what, resource string, err error, permissions ...string) Cause {
	return Cause{
		Message: what + " can't be read: " + serverText(err), Resource: resource, Permissions: helping(err, permissions...), Err: err,
	}
}

// permissionsOf are the distinct permissions that causes name.
func permissionsOf(causes []Cause) []string {
	set := make(map[string]bool)
	for _, c := range causes {
		for _, p := range c.Permissions {
			set[p] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
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

// serverText is the message of a server's error, or the error's text.
func serverText(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if g, ok := errors.AsType[*googleapi.Error](err); ok && g.Message != "" {
		text = g.Message
	}
	if apiDisabled(err) { // the rest is how to enable it in a browser
		text, _, _ = strings.Cut(text, " Enable it by visiting")
	}
	return strings.Join(strings.Fields(text), " ")
}

// apiDisabled says whether a call was refused since its API isn't enabled.
func apiDisabled(err error) bool {
	g, ok := errors.AsType[*googleapi.Error](err)
	return ok && g.Code == http.StatusForbidden && strings.Contains(g.Body, `"SERVICE_DISABLED"`)
}

// helping are the permissions that would have made a call succeed, if it was
// for lack of them that it failed.
func helping(err error, permissions ...string) []string {
	if !hasCode(err, http.StatusForbidden) || apiDisabled(err) {
		return nil
	}
	return permissions
}
