package access

import (
	"strings"
	"time"
)

// A second evaluator, written from Google's documentation and as naive as can
// be. It shares the input types with the real one and nothing else: members are
// text, and what isn't known is enumerated: it decides in every possible world,
// and only if the worlds differ is the outcome Unknown.

// situation is everything that there is to know, and what of it isn't known.
type situation struct {
	caller principal
	perm   string
	now    time.Time
	res    Resource
	levels []situationLevel

	sets map[string]setModel // "group:g@x", "crm:projects/1", "customer:C", "domain:d"
	// knows is "all" (a set that isn't among sets is empty), "some" (it isn't
	// known) or "none" (nothing is known of any set).
	knows      string
	roles      map[string]roleModel
	conditions map[string]conditionModel
	deniable   bool
}

type situationLevel struct {
	allow     []Binding
	allowDark bool
	deny      []DenyPolicy
	denyDark  bool
}

// principal is a caller, or with set a set as the subject.
type principal struct {
	kind   string // user, sa, pod, fed, nobody; group, pool, attr
	email  string
	uid    string
	pool   string // of fed and pod
	sub    string
	attrs  map[string]string
	groups []string
	full   bool // attrs and groups are complete
	ns, ks string
	// set is the member text of a set as the subject.
	set string
}

type setModel struct {
	members []string // "user:…", "serviceAccount:…", or a key of situation.sets
	dark    bool
}

type roleModel struct {
	state RoleState
	perms []string
}

// conditionModel is a condition with its meaning: value returns 'T', 'F' or 'E'
// given the value of the foreign part, if it has one.
type conditionModel struct {
	value   func(now time.Time, res Resource, foreign byte) byte
	foreign bool
}

// world answers what isn't known.
type world struct {
	choices []bool
	used    int
	names   map[string]int
}

func (w *world) ask(name string) bool {
	i, ok := w.names[name]
	if !ok {
		i = w.used
		w.used++
		w.names[name] = i
		if i == len(w.choices) {
			w.choices = append(w.choices, false)
		}
	}
	return w.choices[i]
}

// outcome decides in every world.
func (s *situation) outcome() Outcome {
	yes, no := false, false
	w := &world{}
	for {
		w.used, w.names = 0, map[string]int{}
		if s.granted(w) {
			yes = true
		} else {
			no = true
		}
		if yes && no {
			return Unknown
		}
		// The next world: count in binary over the questions that were asked.
		w.choices = w.choices[:w.used]
		for len(w.choices) > 0 && w.choices[len(w.choices)-1] {
			w.choices = w.choices[:len(w.choices)-1]
		}
		if len(w.choices) == 0 {
			break
		}
		w.choices[len(w.choices)-1] = true
	}
	if yes {
		return Granted
	}
	return Denied
}

// granted: a denied principal can't, whatever it is granted; else any binding of
// any level grants.
func (s *situation) granted(w *world) bool {
	for i, l := range s.levels {
		if l.denyDark {
			if s.deniable && w.ask("deny "+string(rune('0'+i))) {
				return false
			}
			continue
		}
		for _, p := range l.deny {
			for _, r := range p.Rules {
				if s.ruleDenies(w, r) {
					return false
				}
			}
		}
	}
	for i, l := range s.levels {
		if l.allowDark {
			if w.ask("allow " + string(rune('0'+i))) {
				return true
			}
			continue
		}
		for _, b := range l.allow {
			if s.bindingGrants(w, b, i) {
				return true
			}
		}
	}
	return false
}

func (s *situation) bindingGrants(w *world, b Binding, level int) bool {
	role, hidden := b.Role, false
	if i := strings.Index(role, "_withcond_"); i > 0 {
		role, hidden = role[:i], true
	}
	r := s.roles[role]
	if r.state == RoleDisabled || r.state == RoleDeleted {
		return false
	}
	if r.state == RoleUnknown {
		if !w.ask("role " + role) {
			return false
		}
	} else {
		has := false
		for _, p := range r.perms {
			has = has || p == s.perm
		}
		if !has {
			return false
		}
	}
	if hidden && !w.ask("hidden "+b.Role+string(rune('0'+level))) {
		return false
	}
	if b.Condition != nil && !s.holds(w, b.Condition.Expression, "allow") {
		return false
	}
	for _, m := range b.Members {
		if s.stands(w, m, s.caller, "") {
			return true
		}
	}
	return false
}

// holds evaluates a condition: of a binding it must be true; a rule applies if
// it is true or can't be evaluated.
func (s *situation) holds(w *world, expression, use string) bool {
	c := s.conditions[expression]
	can := map[bool]bool{}
	for _, foreign := range []byte{'T', 'F', 'E'} {
		v := c.value(s.now, s.res, foreign)
		can[v == 'T' || (use == "deny" && v == 'E')] = true
		if !c.foreign {
			break
		}
	}
	if len(can) == 2 {
		return w.ask("condition " + use + expression)
	}
	return can[true]
}

func (s *situation) ruleDenies(w *world, r DenyRule) bool {
	if !s.deniable {
		return false
	}
	listed := func(patterns []string) bool {
		for _, p := range patterns {
			if covers(p, s.perm) {
				return true
			}
		}
		return false
	}
	if !listed(r.DeniedPermissions) || listed(r.ExceptionPermissions) {
		return false
	}
	if s.caller.set != "" {
		if !s.ruleDeniesSet(w, r) {
			return false
		}
	} else {
		stands := func(list []string) bool {
			for _, p := range list {
				if s.stands(w, v1Of(p), s.caller, "") {
					return true
				}
			}
			return false
		}
		if !stands(r.DeniedPrincipals) || stands(r.ExceptionPrincipals) {
			return false
		}
	}
	return r.Condition == nil || s.holds(w, r.Condition.Expression, "deny")
}

// covers: a v2 permission, with a wildcard for the resource, the verb or both,
// and a v1 permission.
func covers(pattern, perm string) bool {
	domain, rest, _ := strings.Cut(pattern, "/")
	res, verb, _ := strings.Cut(rest, ".")
	parts := strings.Split(perm, ".")
	service := parts[0]
	if service == "resourcemanager" {
		service = "cloudresourcemanager"
	}
	return domain == service+".googleapis.com" && (res == "*" || res == parts[1]) && (verb == "*" || verb == parts[2])
}

// v1Of translates the principals of deny rules that the generator makes.
func v1Of(p string) string {
	for v2, v1 := range map[string]string{
		"principal://goog/subject/":                                  "user:",
		"principal://iam.googleapis.com/projects/-/serviceAccounts/": "serviceAccount:",
		"principalSet://goog/group/":                                 "group:",
		"principalSet://goog/cloudIdentityCustomerId/":               "customer:",
	} {
		if strings.HasPrefix(p, v2) {
			return v1 + p[len(v2):]
		}
		if strings.HasPrefix(p, "deleted:"+v2) {
			return "deleted:" + v1 + p[len("deleted:"+v2):]
		}
	}
	if p == "principalSet://goog/public:all" {
		return "allUsers"
	}
	return p
}
