package fake

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// Dump writes all that the backend holds as one JSON document, which
// [Backend.Load] reads: what was seeded and what calls have made of it. The same
// cloud gives the same bytes, and a document that is loaded and dumped again does
// not change. A team can so keep a fixture of its real projects under version
// control and edit it by hand.
//
// The document is an object with "version": 1 and these lists, each of which
// may be left out:
//
//   - organizations, folders: name, displayName, parent (of folders),
//     directoryCustomerId (of organizations), as Resource Manager v3 has them;
//   - projects: name ("projects/NUMBER"), projectId, displayName, parent,
//     labels, services (the names of those that are enabled; null are those of
//     [Backend.AddProject]) and runServiceAgent;
//   - services: name and title of services that the fake does not know;
//   - serviceAccounts: email, projectId, uniqueId, displayName, description,
//     disabled, deleted;
//   - federatedIdentities: principal, attributes, groups;
//   - groups: email, members;
//   - roles: as IAM writes them, custom ones and those of [Backend.AddRole];
//   - customConstraints: organization and constraint; orgPolicies: as the Org
//     Policy API v2 writes them;
//   - run: name (in full), resource (as Cloud Run v2 writes it) and knative
//     (what only v1 says of it);
//   - policies: resource, bindings, auditConfigs; denyPolicies: attachedTo and
//     policy;
//   - recommender: recommendations and insights, as the API writes them.
//
// Dump ends changes that are under way first, and writes grants that are not seen
// yet as if they were. It leaves out what was deleted, calls, faults, latencies,
// operations and etags of policies. It doesn't redact secrets: it writes the values
// of environment variables as they are.
func (b *Backend) Dump(w io.Writer) error {
	var out *stateDocument
	b.write(time.Now(), func(st *state) { out = st.document(time.Now()) })
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (st *state) document(now time.Time) *stateDocument {
	for len(st.run.pending) > 0 {
		st.settle(st.run.pending[0].at)
	}
	s := &stateDocument{Version: stateVersion}
	st.dumpHierarchy(s, now)
	st.dumpPrincipals(s)
	st.dumpOrgPolicies(s)
	st.dumpRun(s)
	for n := range st.nodes {
		if r := st.dumpName(n); r != "" {
			dumpPolicies(s, r, n)
		}
	}
	slices.SortFunc(s.Policies, func(a, b *statePolicy) int { return cmp.Compare(a.Resource, b.Resource) })
	slices.SortFunc(s.DenyPolicies, func(a, b *stateDenyPolicy) int {
		return cmp.Or(cmp.Compare(a.AttachedTo, b.AttachedTo), cmp.Compare(a.Policy.Name, b.Policy.Name))
	})
	for _, name := range slices.Sorted(maps.Keys(st.recommender.byName)) {
		s.Recommender = append(s.Recommender, st.recommender.byName[name].raw)
	}
	return s
}

func (st *state) dumpHierarchy(s *stateDocument, now time.Time) {
	above := func(n *node) string {
		if n.parent == nil {
			return ""
		}
		return n.parent.resourceID()
	}
	for _, id := range slices.Sorted(maps.Keys(st.containers)) {
		c := st.containers[id]
		switch {
		case c.deleted:
		case strings.HasPrefix(id, "organizations/"):
			s.Organizations = append(s.Organizations, &cloudresourcemanager.Organization{
				Name: id, DisplayName: c.displayName, DirectoryCustomerId: c.customer,
			})
		default:
			s.Folders = append(s.Folders, &cloudresourcemanager.Folder{Name: id, DisplayName: c.displayName, Parent: above(&c.node)})
		}
	}
	// A folder comes after the one that it is in.
	depth := func(f *cloudresourcemanager.Folder) (n int) {
		for range st.containers[f.Name].ancestors {
			n++
		}
		return n
	}
	slices.SortStableFunc(s.Folders, func(a, b *cloudresourcemanager.Folder) int { return cmp.Compare(depth(a), depth(b)) })
	for _, key := range slices.Sorted(maps.Keys(st.projects)) {
		p := st.projects[key]
		if key != p.id || p.deleted {
			continue
		}
		agent := p.agent
		out := &stateProject{
			Name: p.resourceID(), ProjectID: p.id, DisplayName: p.displayName, Parent: above(&p.node), Labels: p.labels,
			Services: []string{}, Agent: &agent,
		}
		for _, service := range slices.Sorted(maps.Keys(p.services)) {
			if st.serviceEnabled(p, service, now) {
				out.Services = append(out.Services, service)
			}
		}
		s.Projects = append(s.Projects, out)
	}
	for _, name := range slices.Sorted(maps.Keys(st.serviceUsage.titles)) {
		s.Services = append(s.Services, &stateService{Name: name, Title: st.serviceUsage.titles[name]})
	}
}

func (st *state) dumpPrincipals(s *stateDocument) {
	for _, key := range slices.Sorted(maps.Keys(st.accounts)) {
		a := st.accounts[key]
		if key != a.email || a.project.deleted || a.deleted && a.email != a.project.computeDefault() {
			continue
		}
		out := &stateAccount{
			Email: a.email, UniqueID: a.uniqueID, DisplayName: a.displayName, Description: a.description, Disabled: a.disabled,
			Deleted: a.deleted,
		}
		if projectOfEmail(a.email) != a.project.id {
			out.ProjectID = a.project.id
		}
		s.ServiceAccounts = append(s.ServiceAccounts, out)
	}
	for _, principal := range slices.Sorted(maps.Keys(st.federated)) {
		f := st.federated[principal]
		s.FederatedIdentities = append(s.FederatedIdentities, &stateFederated{principal, f.attributes, f.groups})
	}
	for _, email := range slices.Sorted(maps.Keys(st.groups)) {
		out := &stateGroup{Email: email, Members: []string{}}
		for _, m := range st.groups[email] {
			out.Members = append(out.Members, m.String())
		}
		s.Groups = append(s.Groups, out)
	}
	for _, name := range slices.Sorted(maps.Keys(st.roles)) {
		r := st.roles[name]
		s.Roles = append(s.Roles, &iam.Role{
			Name: r.name, Title: r.title, Description: r.description, Stage: r.stage, IncludedPermissions: r.permissions, Deleted: r.deleted,
		})
	}
}

func (st *state) dumpOrgPolicies(s *stateDocument) {
	for _, organization := range slices.Sorted(maps.Keys(st.orgPolicies.custom)) {
		custom := st.orgPolicies.custom[organization]
		for _, id := range slices.Sorted(maps.Keys(custom)) {
			s.CustomConstraints = append(s.CustomConstraints, &stateConstraint{organization, wire.MustEncode(custom[id])})
		}
	}
	for _, resource := range slices.Sorted(maps.Keys(st.orgPolicies.set)) {
		n := st.orgNode(resource)
		if n == nil {
			continue
		}
		set := st.orgPolicies.set[resource]
		for _, id := range slices.Sorted(maps.Keys(set)) {
			o := wire.Clone(set[id].json(resource, id))
			delete(o, "etag")
			for _, name := range orgSpecFields {
				if spec, ok := o[name].(wire.Object); ok {
					delete(spec, "etag")
					delete(spec, "updateTime")
				}
			}
			var p orgpolicy.GoogleCloudOrgpolicyV2Policy
			if err := json.Unmarshal(wire.MustEncode(o), &p); err != nil {
				panic("fake: stored organization policy: " + err.Error())
			}
			s.OrgPolicies = append(s.OrgPolicies, &p)
		}
	}
}

func (st *state) dumpRun(s *stateDocument) {
	for key, col := range st.run.collections {
		if key.project.deleted {
			continue
		}
		for _, r := range col.byID {
			if r.deleted {
				continue
			}
			out := &stateRun{Name: r.name(), Resource: r.raw}
			if len(r.knative) > 0 {
				out.Knative = wire.MustEncode(r.knative)
			}
			s.Run = append(s.Run, out)
		}
	}
	// A workload comes before what it has made.
	slices.SortFunc(s.Run, func(a, b *stateRun) int { return cmp.Compare(a.Name, b.Name) })
}

// dumpName returns the name of a resource in the document, or "" if the
// document does not have it.
func (st *state) dumpName(n *node) string {
	name := strings.TrimPrefix(n.full[2:], n.full[2:2+strings.IndexByte(n.full[2:], '/')]+"/")
	if found := st.find(name); found != n {
		return ""
	}
	if rest, ok := strings.CutPrefix(name, "projects/"); ok {
		id, rest, below := strings.Cut(rest, "/")
		name = "projects/" + st.projects[id].id
		if below {
			name += "/" + rest
		}
	}
	return name
}

func dumpPolicies(s *stateDocument, name string, n *node) {
	if n.policy.etag != nil || len(n.policy.bindings) > 0 {
		s.Policies = append(s.Policies, &statePolicy{name, n.policy.bindings, n.policy.audit})
	}
	for _, id := range slices.Sorted(maps.Keys(n.deny.policies)) {
		p := cloneDenyPolicy(n.deny.policies[id])
		p.Name = id
		p.Etag, p.Uid, p.CreateTime, p.UpdateTime, p.Kind = "", "", "", "", ""
		s.DenyPolicies = append(s.DenyPolicies, &stateDenyPolicy{name, p})
	}
}
