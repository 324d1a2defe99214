package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/names"
)

// advise looks for what works but should be otherwise. What can't be read
// leaves its advice out.
func (d *deploy) advise(ctx context.Context, report *Report) []Advice {
	if d.sa.IsZero() || d.project == "" {
		return nil
	}
	kinds := []func(context.Context, *Report) []Advice{
		d.adviseDefault, d.adviseShared, d.adviseBasicRole, d.adviseWideGrant, d.adviseAgentRole, d.adviseMightier,
	}
	found := make([][]Advice, len(kinds))
	sideBySide(len(kinds), func(i int) { found[i] = kinds[i](ctx, report) })
	return slices.Concat(found...)
}

func (d *deploy) identityName() string { return accountIn(d.project, d.sa).full }

func (d *deploy) adviseDefault(context.Context, *Report) []Advice {
	if k := d.sa.Kind(); k != identity.AccountComputeDefault && k != identity.AccountAppEngineDefault {
		return nil
	}
	return []Advice{{
		Code: AdviceDefaultIdentity, Resource: d.identityName(), Principal: d.sa.Member(),
		Message: d.sa.Email() + " is a default account, which whatever has no identity of its own runs as: an account for this workload alone can have fewer rights",
	}}
}

// adviseShared names other workloads of the kind and region that run as the
// identity.
func (d *deploy) adviseShared(ctx context.Context, _ *Report) []Advice {
	w := d.target.Workload
	parent := "projects/" + w.Project + "/locations/" + w.Location
	all, err := d.r.residents.get(ctx, fmt.Sprint(w.Kind, parent), func(ctx context.Context) (map[identity.ServiceAccount][]string, error) {
		return d.r.listResidents(ctx, w.Kind, parent)
	})
	if err != nil {
		return nil
	}
	var others []string
	for _, id := range all[d.sa] {
		if id != w.ID {
			others = append(others, id)
		}
	}
	if len(others) == 0 {
		return nil
	}
	named := strings.Join(others[:min(3, len(others))], ", ")
	if more := len(others) - 3; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return []Advice{{
		Code: AdviceSharedIdentity, Resource: d.identityName(), Principal: d.sa.Member(),
		Message: "other " + w.Kind.String() + "s in " + w.Location + " run as " + d.sa.Email() + " too, so that each has what all need: " + named,
	}}
}

// listResidents lists the workloads of a kind and region by their identity.
func (r *reader) listResidents(ctx context.Context, kind identity.Kind, parent string) (map[identity.ServiceAccount][]string, error) {
	list := r.listJobs
	switch kind {
	case identity.KindService:
		list = r.listServices
	case identity.KindWorkerPool:
		list = r.listWorkerPools
	default:
	}
	all := make(map[identity.ServiceAccount][]string)
	for token := ""; ; {
		page, err := ask(ctx, r, "run", r.c.Run != nil, func(ctx context.Context) (residents, error) { return list(ctx, parent, token) })
		if err != nil {
			return nil, err
		}
		for _, w := range page.workloads {
			if sa, err := identity.ParseServiceAccount(w.email); err == nil {
				all[sa] = append(all[sa], names.Last(w.name))
			}
		}
		if token = page.next; token == "" {
			return all, nil
		}
	}
}

// residents are workloads on a page of a listing, with the token of the next page.
type residents struct {
	workloads []resident
	next      string
}

type resident struct{ name, email string }

func (r *reader) listJobs(ctx context.Context, parent, token string) (residents, error) {
	page, err := r.c.Run.Projects.Locations.Jobs.List(parent).PageToken(token).Context(ctx).Do()
	if err != nil {
		return residents{}, err
	}
	out := residents{next: page.NextPageToken}
	for _, j := range page.Jobs {
		if j.Template != nil && j.Template.Template != nil {
			out.workloads = append(out.workloads, resident{j.Name, j.Template.Template.ServiceAccount})
		}
	}
	return out, nil
}

func (r *reader) listServices(ctx context.Context, parent, token string) (residents, error) {
	page, err := r.c.Run.Projects.Locations.Services.List(parent).PageToken(token).Context(ctx).Do()
	if err != nil {
		return residents{}, err
	}
	out := residents{next: page.NextPageToken}
	for _, s := range page.Services {
		if s.Template != nil {
			out.workloads = append(out.workloads, resident{s.Name, s.Template.ServiceAccount})
		}
	}
	return out, nil
}

func (r *reader) listWorkerPools(ctx context.Context, parent, token string) (residents, error) {
	page, err := r.c.Run.Projects.Locations.WorkerPools.List(parent).PageToken(token).Context(ctx).Do()
	if err != nil {
		return residents{}, err
	}
	out := residents{next: page.NextPageToken}
	for _, p := range page.WorkerPools {
		if p.Template != nil {
			out.workloads = append(out.workloads, resident{p.Name, p.Template.ServiceAccount})
		}
	}
	return out, nil
}

// adviseBasicRole advises that the identity is owner or editor of a project that
// is in play.
func (d *deploy) adviseBasicRole(ctx context.Context, _ *Report) []Advice {
	var advice []Advice
	for _, project := range d.projects() {
		who := d.subjectOf()
		g := d.r.boundRole(ctx, who, projectOf(project), "roles/owner", "roles/editor")
		if g == nil {
			continue
		}
		advice = append(advice, Advice{
			Code: AdviceBasicRole, Resource: g.Level, Principal: who.String(), Role: g.Role,
			Message: d.sa.Email() + " has the basic role " + g.Role + " on " + shortName(g.Level) + ", thousands of permissions",
		})
	}
	return advice
}

// projects returns those of the account and of the workload.
func (d *deploy) projects() []string {
	if d.cross == identity.No {
		return []string{d.runProject}
	}
	return []string{d.project, d.runProject}
}

// boundRole returns a binding of one of some roles to a principal, on a
// container or above it, or nil if none is known.
//
// It asks for a permission that does not exist, and lets the roles in question be
// the only ones that have it: what grants it is then a binding of one of them, with
// its condition and its members evaluated as for any permission.
func (r *reader) boundRole(ctx context.Context, who principal, at resource, wanted ...string) *access.Grant {
	const marker = "runidentity.roles.marker"
	roles := make(map[string]*access.Role)
	ch := newChain()
	r.fill(ctx, ch, at, true, true)
	for _, level := range ch.levels {
		if level.Allow == nil {
			continue
		}
		if p, err := r.allow(ctx, ch.kinds[level.Resource]); err == nil {
			for _, b := range p.bindings {
				roles[b.Role] = access.NewRole(access.RoleActive)
			}
		}
	}
	for _, name := range wanted {
		roles[name] = access.NewRole(access.RoleActive, marker)
	}
	attrs, _ := r.attributesOf(ctx, at)
	x := r.explain(ctx, newKnown(who), who, access.Request{Permission: marker, Resource: attrs, Time: time.Now()}, ch.without(), roles)
	return x.Grant
}

// adviseWideGrant advises that a right on the account is granted for all accounts
// of a project, folder or organization.
func (d *deploy) adviseWideGrant(_ context.Context, report *Report) []Advice {
	var advice []Advice
	for _, f := range report.Findings {
		g := f.Evidence.Grant
		if f.Verdict != Pass || g == nil || !strings.HasPrefix(g.Resource, managerPrefix) || f.Code != CheckDeployerActAs && f.Code != CheckServiceAgent {
			continue
		}
		if f.Code == CheckServiceAgent && g.Role == roleServiceAgent && d.cross == identity.No {
			continue // as Google grants it
		}
		advice = append(advice, Advice{
			Code: AdviceWideGrant, Resource: g.Resource, Principal: f.Principal, Role: g.Role,
			Message: shortMember(g.Member) + " has " + g.Role + " on " + shortName(g.Resource) + ", and so " + f.Permission +
				" on every account there; on " + d.sa.Email() + " alone would do",
		})
	}
	return advice
}

// adviseAgentRole advises that something that is no service agent has the role of
// Cloud Run's.
func (d *deploy) adviseAgentRole(ctx context.Context, _ *Report) []Advice {
	var advice []Advice
	places := []resource{accountIn(d.project, d.sa)}
	for _, project := range d.projects() {
		places = append(places, projectOf(project))
	}
	for _, at := range places {
		p, err := d.r.allow(ctx, at)
		if err != nil {
			continue
		}
		for _, b := range p.bindings {
			if b.Role != roleServiceAgent {
				continue
			}
			for _, member := range b.Members {
				if sa, err := identity.ParseServiceAccount(member); err == nil && sa.Kind() == identity.AccountServiceAgent ||
					strings.HasPrefix(member, "deleted:") {
					continue
				}
				advice = append(advice, Advice{
					Code: AdviceAgentRole, Resource: at.full, Principal: member, Role: roleServiceAgent,
					Message: shortMember(member) + " has " + roleServiceAgent + " on " + at.name +
						", which is for Google's service agent only: to deploy, " + roleDeveloper + " and " + roleAccountUser + " are enough",
				})
			}
		}
	}
	return advice
}

// adviseMightier advises that the identity may change the allow policy of a
// project, and the deployer may not: whoever may deploy may then have the
// identity grant them anything.
func (d *deploy) adviseMightier(ctx context.Context, _ *Report) []Advice {
	const permission = "resourcemanager.projects.setIamPolicy"
	deployer := d.who
	if deployer.member.IsZero() {
		return nil
	}
	// By policies: testing a permission counts as using it.
	deployer.caller = false
	who := d.subjectOf()
	who.caller = false
	var advice []Advice
	for _, project := range d.projects() {
		at := projectOf(project)
		mighty := d.r.decide(ctx, who, permission, at)
		if mighty.outcome != access.Granted || d.r.decide(ctx, deployer, permission, at).outcome != access.Denied {
			continue
		}
		a := Advice{
			Code: AdviceMightierIdentity, Resource: at.full, Principal: who.String(),
			Message: d.sa.Email() + " may change the allow policy of " + at.name + ", which " + deployer.words() +
				" may not: who deploys code that runs as it has its rights",
		}
		if g := mighty.evidence.Grant; g != nil {
			a.Role = g.Role
		}
		advice = append(advice, a)
	}
	return advice
}
