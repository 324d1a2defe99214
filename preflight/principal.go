package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
)

// A principal is whose access is in question.
type principal struct {
	member access.Member
	// caller says that it is who calls the APIs, whose name may not be known.
	caller bool
	// project is the id or number of the project that a service account or
	// service agent is of, if that is known.
	project string
	// agent says that it is a service agent.
	agent bool
	// sparing says that policies above an account are to be read only if those
	// of the account grant nothing.
	sparing bool
}

func (p principal) String() string {
	if p.member.IsZero() {
		return ""
	}
	return p.member.String()
}

// words names the principal in a sentence.
func (p principal) words() string {
	switch {
	case p.caller && p.member.IsZero():
		return "the caller"
	case p.caller:
		return shortMember(p.String()) + " (the caller)"
	}
	return shortMember(p.String())
}

// shortMember returns the email of a user or an account, and otherwise the member.
func shortMember(member string) string {
	for _, kind := range []string{"user:", "serviceAccount:"} {
		if email, ok := strings.CutPrefix(member, kind); ok {
			return email
		}
	}
	return member
}

// parsePrincipal reads the member of a [Target].
func parsePrincipal(s string) (principal, error) {
	const examples = `such as "user:dev@example.com" or "serviceAccount:bot@web-prod.iam.gserviceaccount.com"`
	m, err := access.ParseMember(s)
	if err != nil {
		return principal{}, fmt.Errorf("deployer %q: %w; it must be a member of an allow policy, %s", s, err, examples)
	}
	switch m.Kind() {
	case access.KindUser, access.KindServiceAccount, access.KindKubernetes, access.KindFederated, access.KindKubernetesUID,
		access.KindAgent, access.KindGroup, access.KindPool, access.KindPoolGroup, access.KindPoolAttribute, access.KindNamespace,
		access.KindCluster, access.KindAgentPool, access.KindAgentAttribute, access.KindServiceAccounts:
		return withProject(principal{member: m}), nil
	default:
	}
	return principal{}, fmt.Errorf("deployer %q: it must be a user, a service account, a group, or an identity or set of identities of a pool, %s", s, examples)
}

// withProject fills in the project of a service account.
func withProject(p principal) principal {
	if p.member.Kind() == access.KindServiceAccount {
		if sa, err := identity.ParseServiceAccount(p.member.Email()); err == nil {
			p.agent = sa.Kind() == identity.AccountServiceAgent
			if project, ok := sa.Project(); ok {
				p.project = project
			}
		}
	}
	return p
}

// maxGroups is how many groups are asked for their members for one decision.
const maxGroups = 200

// known is what has been found out about a principal for a decision: nothing at
// first, then what the decision turned out to depend on.
type known struct {
	id    access.Identity
	sets  map[access.Member]access.Set
	tried map[access.Member]bool
}

func newKnown(p principal) *known {
	return &known{id: access.Identity{Member: p.member}, sets: make(map[access.Member]access.Set), tried: make(map[access.Member]bool)}
}

func (k *known) subject() *access.Subject {
	if len(k.sets) == 0 {
		return access.NewSubject(k.id, nil)
	}
	sets := make([]access.Set, 0, len(k.sets))
	for _, s := range k.sets {
		sets = append(sets, s)
	}
	return access.NewSubject(k.id, access.NewOpenRoster(sets...))
}

// learn finds out what causes name, and reports whether there was anything new.
func (k *known) learn(ctx context.Context, r *reader, p principal, causes []access.Cause) bool {
	var sets []access.Member
	for _, c := range causes {
		if c.Set.IsZero() || k.tried[c.Set] || len(k.tried) >= maxGroups {
			continue
		}
		k.tried[c.Set] = true
		sets = append(sets, c.Set)
	}
	found := make([]func(), len(sets))
	sideBySide(len(sets), func(i int) {
		set := sets[i]
		switch set.Kind() {
		case access.KindGroup:
			if members, err := r.members(ctx, set.Email()); err == nil {
				found[i] = func() { k.sets[set] = access.Set{Member: set, Members: members} }
			}
		case access.KindServiceAccounts, access.KindServiceAgents:
			if in, ok := r.inContainer(ctx, p, set); ok {
				members := []access.Member{}
				if in {
					members = append(members, p.member)
				}
				found[i] = func() { k.sets[set] = access.Set{Member: set, Members: members} }
			}
		case access.KindDeleted:
			// Whether a deleted account is this one, its unique id tells.
			if k.id.UID != "" || p.agent || p.project == "" || p.member.Kind() != access.KindServiceAccount {
				return
			}
			sa, err := identity.ParseServiceAccount(p.member.Email())
			if err != nil {
				return
			}
			if a, err := r.account(ctx, p.project, sa); err == nil {
				found[i] = func() { k.id.UID = a.UniqueId }
			}
		default:
		}
	})
	learned := false
	for _, f := range found {
		if f != nil {
			f()
			learned = true
		}
	}
	return learned
}

// members asks whoever uses the checker for the members of a group.
func (r *reader) members(ctx context.Context, email string) ([]access.Member, error) {
	return r.groups.get(ctx, email, func(ctx context.Context) ([]access.Member, error) {
		if r.c.GroupMembers == nil {
			return nil, errNotAllowed
		}
		names, err := r.c.GroupMembers(ctx, email)
		if err != nil {
			return nil, err
		}
		members := make([]access.Member, 0, len(names))
		for _, name := range names {
			m, err := access.ParseMember(name)
			if err != nil {
				return nil, err
			}
			members = append(members, m)
		}
		return members, nil
	})
}

// inContainer reports whether the set of the accounts, or agents, of a project,
// folder or organization has the principal, and whether that could be told.
func (r *reader) inContainer(ctx context.Context, p principal, set access.Member) (in, ok bool) {
	if p.member.Kind() != access.KindServiceAccount {
		// Accounts only are in such a set, and a set of people has none.
		return false, !p.member.IsSet() && p.member.Kind() != access.KindKubernetes
	}
	if p.agent != (set.Kind() == access.KindServiceAgents) {
		return false, true
	}
	if p.project == "" {
		return false, false
	}
	_, container, found := strings.Cut(set.String(), "cloudresourcemanager.googleapis.com/")
	if !found {
		return false, false
	}
	container = container[:strings.LastIndex(container, "/type/")]
	names, err := r.above(ctx, projectOf(p.project))
	if err != nil {
		return false, false
	}
	if slices.Contains(names, container) {
		return true, true
	}
	if !strings.HasPrefix(container, "projects/") {
		return false, true
	}
	number, err := r.number(ctx, strings.TrimPrefix(names[0], "projects/"))
	return "projects/"+number == container, err == nil
}
