package access

import (
	"math/rand/v2"
	"strings"
)

// poolNames are the pools of the generated world.
func poolNames() []string {
	return []string{
		"iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/gh",
		"iam.googleapis.com/locations/global/workforcePools/staff",
		"iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/proj.svc.id.goog",
	}
}

// generator makes situations. The world is small, so that things meet.
type generator struct {
	*rand.Rand
	s *situation
}

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func (g *generator) user() string {
	return pick(g, "a@example.com", "b@example.com", "c@other.example", "d@gmail.com")
}

func (g *generator) sa() string {
	return pick(g, "s@p.iam.gserviceaccount.com", "t@p.iam.gserviceaccount.com")
}

func (g *generator) group() string {
	return pick(g, "group:g1@example.com", "group:g2@example.com", "group:g3@example.com", "group:g4@example.com")
}

func (g *generator) container() string {
	return pick(g, "projects/1", "projects/3", "folders/2", "organizations/9")
}

func (g *generator) poolSet() string {
	pool := pick(g, poolNames()...)
	return "principalSet://" + pool + "/" + pick(g, "*", "group/x", "group/y", "attribute.repo/1", "attribute.repo/2", "attribute.env/1")
}

func (g *generator) subject() string {
	pool := pick(g, poolNames()...)
	if strings.HasSuffix(pool, "goog") {
		return pool + "/subject/" + pick(g, "ns/n1/sa/k", "ns/n2/sa/k")
	}
	return pool + "/subject/" + pick(g, "u", "v")
}

// ofCaller returns a member that is or may be about the caller, to make
// interesting matches more frequent.
func (g *generator) ofCaller() string {
	p := g.s.caller
	switch p.kind {
	case "user":
		return pick(g, "user:"+p.email, "user:"+strings.ToUpper(p.email), "domain:"+p.email[strings.Index(p.email, "@")+1:], "deleted:user:"+p.email+"?uid=1")
	case "sa":
		return pick(g, "serviceAccount:"+p.email, "deleted:serviceAccount:"+p.email+"?uid=1", crmPrefix+g.container()+"/type/ServiceAccount")
	case "fed":
		return pick(g, "principal://"+p.pool+"/subject/"+p.sub, "principalSet://"+p.pool+"/attribute.repo/1", "principalSet://"+p.pool+"/*", "principalSet://"+p.pool+"/group/x")
	case "pod":
		return pick(g, "principal://"+p.pool+"/subject/"+p.sub, "principalSet://"+p.pool+"/namespace/n1", "serviceAccount:proj.svc.id.goog[n1/k]", "principalSet://"+p.pool+"/*")
	case "set":
		return p.set
	}
	return "allUsers"
}

func (g *generator) member() string {
	if g.chance(30) {
		return g.ofCaller()
	}
	switch g.IntN(12) {
	case 0, 1:
		return "user:" + g.user()
	case 2:
		return "serviceAccount:" + g.sa()
	case 3, 4, 5:
		return g.group()
	case 6:
		return "domain:" + pick(g, "example.com", "other.example")
	case 7:
		return pick(g, "allUsers", "allAuthenticatedUsers")
	case 8:
		return g.poolSet()
	case 9:
		return "principal://" + g.subject()
	case 10:
		return crmPrefix + g.container() + "/type/ServiceAccount"
	}
	return "deleted:" + pick(g, "user:"+g.user(), "serviceAccount:"+g.sa(), g.group()) + "?uid=" + pick(g, "1", "2")
}

// denyPrincipal is a principal in the v2 syntax.
func (g *generator) denyPrincipal() string {
	m := g.member()
	switch {
	case g.chance(12):
		return "principalSet://goog/public:all"
	case g.chance(8):
		return "principalSet://goog/cloudIdentityCustomerId/" + pick(g, "C1", "C2")
	case strings.HasPrefix(m, "deleted:group:"):
		return "deleted:principalSet://goog/group/" + m[len("deleted:group:"):]
	}
	m, gone := strings.CutPrefix(m, "deleted:")
	prefix := ""
	if gone {
		prefix = "deleted:"
	}
	switch {
	case strings.HasPrefix(m, "user:"):
		return prefix + "principal://goog/subject/" + m[5:]
	case strings.HasPrefix(m, "serviceAccount:") && !strings.HasSuffix(m, "]"):
		return prefix + "principal://iam.googleapis.com/projects/-/serviceAccounts/" + m[15:]
	case strings.HasPrefix(m, "group:"):
		return "principalSet://goog/group/" + m[6:]
	case strings.HasPrefix(m, "principal") && !strings.Contains(m, "/namespace/"):
		return m
	}
	return "principalSet://goog/public:all"
}

func several[T any](g *generator, atLeast, atMost int, one func() T) []T {
	var out []T
	for range atLeast + g.IntN(atMost-atLeast+1) {
		out = append(out, one())
	}
	return out
}

func (g *generator) condition() *Expr {
	if g.chance(75) {
		return nil
	}
	pool := conditionPool()
	c := pool[g.IntN(len(pool))]
	g.s.conditions[c.text] = c.model
	return &Expr{Expression: c.text}
}

func (g *generator) binding() Binding {
	role := pick(g, "roles/yes", "roles/yes", "roles/yes", "roles/no", "roles/off", "roles/gone", "roles/dark", "roles/other")
	if g.chance(2) {
		role += "_withcond_0123456789abcdef"
	}
	return Binding{Role: role, Members: several(g, 0, 3, g.member), Condition: g.condition()}
}

func (g *generator) denyRule() DenyRule {
	perms := func() string {
		return pick(g, "iam.googleapis.com/serviceAccounts.actAs", "iam.googleapis.com/serviceAccounts.*", "iam.googleapis.com/*.*",
			"iam.googleapis.com/*.actAs", "iam.googleapis.com/roles.*", "run.googleapis.com/*.*", "cloudresourcemanager.googleapis.com/projects.delete",
			"resourcemanager.googleapis.com/*.*")
	}
	r := DenyRule{
		DeniedPrincipals: several(g, 0, 3, g.denyPrincipal), ExceptionPrincipals: several(g, 0, 2, g.denyPrincipal),
		DeniedPermissions: several(g, 1, 3, perms), Condition: g.condition(),
	}
	if g.chance(15) {
		r.ExceptionPermissions = several(g, 1, 1, perms)
	}
	return r
}

func (g *generator) caller() principal {
	switch g.IntN(14) {
	case 0, 1, 2, 3, 4:
		return principal{kind: "user", email: g.user(), uid: pick(g, "", "1", "2")}
	case 5, 6, 7:
		return principal{kind: "sa", email: g.sa(), uid: pick(g, "", "1", "2")}
	case 8, 9:
		p := principal{kind: "fed", pool: pick(g, poolNames()[:2]...), sub: pick(g, "u", "v"), full: g.chance(60)}
		p.attrs = map[string]string{}
		if g.chance(50) {
			p.attrs["attribute.repo"] = pick(g, "1", "2")
		}
		if g.chance(30) {
			p.groups = []string{pick(g, "x", "y")}
		}
		return p
	case 10:
		ns := pick(g, "n1", "n2")
		return principal{kind: "pod", pool: poolNames()[2], sub: "ns/" + ns + "/sa/k", ns: ns, ks: "k", full: g.chance(60)}
	case 11:
		return principal{kind: "nobody"}
	case 12:
		return principal{kind: "set", set: pick(g, g.group(), "domain:example.com", crmPrefix+g.container()+"/type/ServiceAccount", "allUsers")}
	}
	return principal{kind: "set", set: g.poolSet()}
}

// directory fills the sets.
func (g *generator) directory() {
	s := g.s
	s.knows = pick(g, "all", "all", "all", "some", "none")
	s.sets = map[string]setModel{}
	accounts := func() string {
		return pick(g, "user:"+g.user(), "serviceAccount:"+g.sa())
	}
	for _, name := range []string{"group:g1@example.com", "group:g2@example.com", "group:g3@example.com", "group:g4@example.com"} {
		if g.chance(25) {
			continue
		}
		s.sets[name] = setModel{
			members: append(several(g, 0, 2, accounts), several(g, 0, 1, func() string { return pick(g, g.group(), g.group(), "domain:example.com") })...),
			dark:    g.chance(12),
		}
	}
	if g.chance(70) {
		sa := "serviceAccount:" + g.sa()
		s.sets["crm:projects/1"] = setModel{members: []string{sa}, dark: g.chance(8)}
		s.sets["crm:folders/2"] = setModel{members: []string{"crm:projects/1"}}
		s.sets["crm:organizations/9"] = setModel{members: []string{"crm:folders/2"}, dark: g.chance(5)}
	}
	if g.chance(50) {
		s.sets["customer:C1"] = setModel{members: []string{"user:" + g.user()}, dark: g.chance(8)}
	}
	if g.chance(20) {
		s.sets["domain:example.com"] = setModel{members: []string{"user:c@other.example"}, dark: g.chance(10)}
	}
}

func newSituation(seed, i uint64) *situation {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, i))}
	s := &situation{
		perm: pick(g, actAs, actAs, actAs, "resourcemanager.projects.delete"), now: tableTime(), deniable: g.chance(95),
		conditions: map[string]conditionModel{},
		roles: map[string]roleModel{
			"roles/yes":   {RoleActive, []string{actAs, "resourcemanager.projects.delete"}},
			"roles/other": {RoleActive, []string{"run.jobs.get", "resourcemanager.projects.delete"}},
			"roles/no":    {RoleActive, []string{"run.jobs.get"}},
			"roles/off":   {RoleDisabled, []string{actAs}},
			"roles/gone":  {RoleDeleted, []string{actAs}},
			"roles/dark":  {RoleUnknown, nil},
		},
	}
	g.s = s
	if g.chance(50) {
		s.res = Resource{Name: "projects/1/things/x", Type: "svc.googleapis.com/Thing", Service: "svc.googleapis.com"}
	}
	s.caller = g.caller()
	g.directory()
	for range 1 + g.IntN(3) {
		l := situationLevel{allow: several(g, 0, 3, g.binding), allowDark: g.chance(5), denyDark: g.chance(5)}
		if g.chance(35) {
			l.deny = several(g, 1, 2, func() DenyPolicy { return DenyPolicy{Name: "d", Rules: several(g, 0, 2, g.denyRule)} })
		}
		s.levels = append(s.levels, l)
	}
	return s
}
