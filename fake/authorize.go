package fake

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/access"
)

// may reports whether the caller has a permission on a resource.
func (c *call) may(st *state, permission string, n *node) bool {
	if c.caller.member == Admin {
		return true
	}
	return c.has(st, c.caller.member, permission, n)
}

// has reports whether a principal has a permission on a resource, now.
func (c *call) has(st *state, member, permission string, n *node) bool {
	subject := st.subject(member)
	e := st.evaluator(permission)
	d := e.Decide(st.request(subject, permission, n, c.now))
	if d.Outcome == access.Unknown {
		c.reportUnknown(st, member, permission, n)
	}
	return d.Outcome == access.Granted
}

// evaluator answers for one permission: what an abridged role tells depends on
// it.
func (st *state) evaluator(permission string) access.Evaluator {
	return access.Evaluator{Roles: func(name string) *access.Role { return st.roleFor(name, permission) }, Deniable: access.Deniable}
}

// request asks the evaluator about a node and all that it is in.
func (st *state) request(subject *access.Subject, permission string, n *node, now time.Time) access.Request {
	levels := make([]access.Level, 0, 6)
	for at := n; at != nil; at = at.parent {
		levels = append(levels, access.Level{Resource: at.full, Allow: at.policy.at(now), Deny: at.deny.at(now)})
	}
	return access.Request{Subject: subject, Permission: permission, Resource: n.attrs, Time: now, Levels: levels}
}

// reportUnknown fails the test for a decision that the fake can't make: it
// depends on a role whose permissions it does not know.
func (c *call) reportUnknown(st *state, member, permission string, n *node) {
	if !c.tested {
		return
	}
	e := st.evaluator(permission)
	var causes []string
	for _, cause := range e.Explain(st.request(st.subject(member), permission, n, c.now)).Causes {
		causes = append(causes, cause.String())
	}
	c.report("whether %s has %s on %s is not known: %s", member, permission, n.full, strings.Join(causes, "; "))
}

// subject returns a principal ready for decisions.
func (st *state) subject(member string) *access.Subject {
	if s, ok := st.subjects.Load(member); ok {
		return s.(*access.Subject) //nolint:errcheck // subjects holds nothing else
	}
	m, err := access.ParseMember(member)
	if err != nil {
		m = access.Anonymous()
	}
	id := access.Identity{Member: m, Complete: true}
	if a := st.accounts[m.Email()]; a != nil {
		id.UID = a.uniqueID
	}
	if f := st.federated[member]; f != nil {
		id.Attributes, id.Groups = f.attributes, f.groups
	}
	s := access.NewSubject(id, st.directory())
	st.subjects.Store(member, s)
	return s
}

// Grant binds a role to a member on a resource: an organization, folder,
// project, service account or Cloud Run workload, named in full
// ("//iam.googleapis.com/…") or relative ("projects/web-prod"). The grant is
// effective at once.
//
// Grant panics if the resource is not there, and on a custom role, group or service
// account that is not. Users and domains need not be. Whether a predefined role
// exists is not checked, as Google has more than the fake knows: a decision that
// depends on one that it does not know is a refusal, and fails the test of [Start].
func (b *Backend) Grant(resource, role, member string) {
	b.grant("Grant", resource, &iam.Binding{Role: role, Members: []string{member}})
}

// GrantIf grants as [Backend.Grant] does, with a condition: a CEL expression such
// as `request.time < timestamp("2030-01-01T00:00:00Z")`. It panics on an expression
// that the API would refuse, and on a basic role (roles/editor and the like), which
// can't be granted with a condition.
func (b *Backend) GrantIf(resource, role, member, expression string) {
	b.grant("GrantIf", resource, &iam.Binding{
		Role: role, Members: []string{member}, Condition: &iam.Expr{Title: "seeded", Expression: expression},
	})
}

// grant adds a binding to the policy in force, and to those that will be: what
// calls have changed and is not seen yet stays so.
func (b *Backend) grant(seeder, resource string, binding *iam.Binding) {
	b.write(time.Now(), func(st *state) {
		n := st.mustFind(seeder, resource)
		now := time.Now()
		had := n.policy.kept(now)
		p := clonePolicy(n.policy.json(3))
		p.Bindings = append(p.Bindings, binding)
		st.mustSetPolicy(seeder, resource, n, p, now)

		if len(had) == 0 || had[0].from.After(now) {
			had = slices.Insert(had, 0, effectivePolicy{from: now})
		}
		for i, e := range had {
			bindings, err := st.checkBindings(n, &iam.Policy{Bindings: append(slices.Clone(e.bindings), binding)}, now)
			if err != nil { // of a binding that was there: it names what is gone since
				bindings = append(slices.Clone(e.bindings), binding)
			}
			had[i] = effectivePolicy{e.from, bindings, st.compiler.Allow(policyOf(bindings))}
		}
		n.policy.effective = had
	})
}

// SetPolicy replaces the allow policy of a resource, effective at once. That of a
// project holds the role of its service agent, which is lost unless p has it. SetPolicy
// panics if there is no such resource, and on what the API would refuse. An etag is
// not compared. If p is nil, the policy becomes empty.
func (b *Backend) SetPolicy(resource string, p *iam.Policy) {
	b.write(time.Now(), func(st *state) {
		n := st.mustFind("SetPolicy", resource)
		now := time.Now()
		st.mustSetPolicy("SetPolicy", resource, n, clonePolicy(p), now)
	})
}

// mustSetPolicy calls setPolicy for seeding: it panics on a refusal.
func (st *state) mustSetPolicy(seeder, resource string, n *node, p *iam.Policy, now time.Time) {
	p.Version, p.Etag = 3, ""
	if err := st.setPolicy(n, p, nil, now, now); err != nil {
		panic(fmt.Sprintf("fake: %s on %s: %v", seeder, resource, err))
	}
}

// Policy returns a copy of the allow policy of a resource with its conditions. It
// panics if there is no such resource.
func (b *Backend) Policy(resource string) *iam.Policy {
	var p *iam.Policy
	b.read(time.Now(), func(st *state) { p = clonePolicy(st.mustFind("Policy", resource).policy.json(3)) })
	return p
}
