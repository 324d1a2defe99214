package fake

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runidentity/runidentity/internal/access"
)

// federatedIdentity is what the provider of a pool tells of an identity.
type federatedIdentity struct {
	attributes map[string]string
	groups     []string
}

// AddGroup adds members to a group, which comes into being with the first call. The
// email has no prefix, the members have: "user:dev@example.com", service accounts,
// principals of pools, other groups. They need not be there. Groups may nest. AddGroup
// panics if one of them is not a member.
func (b *Backend) AddGroup(email string, members ...string) {
	group, err := access.ParseMember("group:" + email)
	if err != nil {
		panic(fmt.Sprintf("fake: AddGroup: %v", err))
	}
	parsed := make([]access.Member, 0, len(members))
	for _, s := range members {
		m, err := access.ParseMember(s)
		if err != nil {
			panic(fmt.Sprintf("fake: AddGroup %s: %v", email, err))
		}
		parsed = append(parsed, m)
	}
	b.write(time.Now(), func(st *state) {
		st.groups[group.Email()] = append(st.groups[group.Email()], parsed...)
		if st.groups[group.Email()] == nil {
			st.groups[group.Email()] = []access.Member{}
		}
		st.directoryChanged()
	})
}

// AddFederatedIdentity says what a pool's provider tells of an identity
// ("principal://iam.googleapis.com/…/subject/S"): its attributes, by the names
// that principalSet members have ("attribute.repository"), and its groups. A second
// call replaces what the first said. An identity that is not added has none.
// AddFederatedIdentity panics if the principal is not such an identity.
func (b *Backend) AddFederatedIdentity(principal string, attributes map[string]string, groups ...string) {
	if m, err := access.ParseMember(principal); err != nil || m.Kind() != access.KindFederated {
		panic(fmt.Sprintf("fake: AddFederatedIdentity: %q is not of the form %q", principal,
			"principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/subject/s"))
	}
	b.write(time.Now(), func(st *state) {
		st.federated[principal] = &federatedIdentity{maps.Clone(attributes), slices.Clone(groups)}
		st.directoryChanged()
	})
}

// directoryChanged forgets what was known of who is in which set.
func (st *state) directoryChanged() {
	st.roster.Store(nil)
	st.subjects.Clear()
}

// directory returns all sets with their members. It is made when it is first
// needed after a change.
func (st *state) directory() access.Directory {
	if r := st.roster.Load(); r != nil {
		return r
	}
	sets := make([]access.Set, 0, len(st.groups)+len(st.containers)+len(st.projects))
	for email, members := range st.groups {
		sets = append(sets, access.Set{Member: access.Group(email), Members: members})
	}
	sets = append(sets, st.accountSets()...)
	r := access.NewRoster(sets...)
	st.roster.Store(r)
	return r
}

// accountSets returns the sets of all service accounts and service agents of
// each project, folder and organization.
func (st *state) accountSets() []access.Set {
	members := make(map[string][]access.Member)
	agents := make(map[string][]access.Member)
	for key, a := range st.accounts {
		if key == a.email && !a.deleted {
			id := a.project.resourceID()
			members[id] = append(members[id], access.ServiceAccount(a.email))
		}
	}
	inside := func(n *node) {
		if n.parent == nil {
			return
		}
		id := strings.TrimPrefix(n.full, resourceManager)
		above := strings.TrimPrefix(n.parent.full, resourceManager)
		members[above] = append(members[above], access.ServiceAccountsOf(id))
		agents[above] = append(agents[above], access.ServiceAgentsOf(id))
	}
	for key, p := range st.projects {
		if key == p.id && !p.deleted {
			agents[p.resourceID()] = append(agents[p.resourceID()], access.ServiceAccount(p.runAgent()))
			inside(&p.node)
		}
	}
	for _, c := range st.containers {
		inside(&c.node)
	}
	var sets []access.Set
	for id, m := range members {
		sets = append(sets, access.Set{Member: access.ServiceAccountsOf(id), Members: m})
	}
	for id, m := range agents {
		sets = append(sets, access.Set{Member: access.ServiceAgentsOf(id), Members: m})
	}
	return sets
}

// isAgent reports whether an address is of a Google-managed account that may be
// named in policies: Google makes these, and the fake only those of Cloud Run.
func (st *state) isAgent(email string) bool {
	name, domain, _ := strings.Cut(email, "@")
	if domain != runAgentDomain {
		number := strings.TrimPrefix(name, "service-")
		_, err := strconv.ParseInt(strings.TrimSuffix(number, "-compute"), 10, 64)
		ours := st.projects[projectOfEmail(email)] != nil || strings.HasSuffix(name, "-compute")
		return err == nil && !ours && strings.HasSuffix(domain, ".gserviceaccount.com")
	}
	p := st.projects[strings.TrimPrefix(name, "service-")]
	return p != nil && p.agent
}

// runAgentDomain is that of the Cloud Run service agents.
const runAgentDomain = "serverless-robot-prod.iam.gserviceaccount.com"

// runAgent returns the address of the project's Cloud Run service agent.
func (p *project) runAgent() string {
	return "service-" + strconv.FormatInt(p.number, 10) + "@" + runAgentDomain
}
