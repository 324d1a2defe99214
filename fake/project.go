package fake

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/access"
)

// project is a Google Cloud project.
type project struct {
	node
	id               string
	number           int64
	displayName      string
	labels           map[string]string
	created, updated time.Time
	deleted          bool
	services         map[string]bool // APIs that are enabled
	agent            bool            // the Cloud Run service agent is there
}

// firstProjectNumber is the number of the first project that is added without
// one; the next ones count up from it.
const firstProjectNumber = 200000000001

// AddProject adds a project and returns its number: its id is p.ProjectId, its number
// that of p.Name ("projects/123456789012"), or one of the backend's choosing if p.Name
// is empty. p.Parent is a folder or organization that is there, or empty.
//
// All APIs that the fake has are enabled in it. It has a Compute Engine default service
// account, to which nothing is granted, and a Cloud Run service agent with
// roles/run.serviceAgent.
//
// AddProject panics if ProjectId is empty, if the project is there already or the
// parent is not.
func (b *Backend) AddProject(p *cloudresourcemanager.Project) int64 {
	var number int64
	b.write(time.Now(), func(st *state) { number = st.addProject(p) })
	return number
}

func (st *state) addProject(p *cloudresourcemanager.Project) int64 {
	number := firstProjectNumber + st.newSerial() - 1
	if p.Name != "" {
		n, err := strconv.ParseInt(strings.TrimPrefix(p.Name, "projects/"), 10, 64)
		if err != nil || n <= 0 {
			panic(fmt.Sprintf(`fake: AddProject: Name %q is not of the form "projects/123456789012"`, p.Name))
		}
		number = n
	}
	if p.ProjectId == "" {
		panic(`fake: AddProject: ProjectId is empty; an example is "my-project"`)
	}
	parent := st.parentNode(p.Parent)
	if p.Parent != "" && parent == nil {
		panic(fmt.Sprintf("fake: AddProject: there is no parent %q; add it first", p.Parent))
	}
	for _, key := range []string{p.ProjectId, strconv.FormatInt(number, 10)} {
		if st.projects[key] != nil {
			panic(fmt.Sprintf("fake: AddProject: project %s is there already", key))
		}
	}
	added := st.putProject(p.ProjectId, number, parent)
	added.displayName, added.labels = p.DisplayName, maps.Clone(p.Labels)
	for _, service := range []string{"iam.googleapis.com", "run.googleapis.com", "cloudresourcemanager.googleapis.com",
		"orgpolicy.googleapis.com", "policytroubleshooter.googleapis.com", "recommender.googleapis.com", "serviceusage.googleapis.com"} {
		added.services[service] = true
	}
	st.createAgent(added, time.Now())
	return number
}

// putProject stores a project without APIs.
func (st *state) putProject(id string, number int64, parent *node) *project {
	now := time.Now()
	p := &project{id: id, number: number, created: now, updated: now, services: make(map[string]bool)}
	p.full, p.parent = resourceManager+p.resourceID(), parent
	p.attrs = access.Resource{
		Name: p.resourceID(), Type: "cloudresourcemanager.googleapis.com/Project", Service: "cloudresourcemanager.googleapis.com",
	}
	st.projects[id] = p
	st.projects[strconv.FormatInt(number, 10)] = p
	st.putAccount(p, &account{email: p.computeDefault(), displayName: "Compute Engine default service account"})
	return p
}

// createAgent makes the project's Cloud Run service agent and gives it its
// role, as enabling the API does.
func (st *state) createAgent(p *project, now time.Time) {
	st.addAgent(p)
	st.grantAgent(p, now, now)
}

// addAgent makes the service agent, without a role.
func (st *state) addAgent(p *project) {
	if !p.agent {
		p.agent = true
		st.directoryChanged()
	}
}

// removeAgent unmakes the service agent and takes its role on the project from
// it.
func (st *state) removeAgent(p *project, now time.Time) {
	p.agent = false
	st.directoryChanged()
	st.putBindings(p, p.withoutAgent(), now, now)
}

// grantAgent gives the service agent its role, unless it has it, in force from
// a time on.
func (st *state) grantAgent(p *project, now, from time.Time) {
	member := "serviceAccount:" + p.runAgent()
	for _, binding := range p.policy.bindings {
		if binding.Role == agentRole && binding.Condition == nil && slices.Contains(binding.Members, member) {
			return
		}
	}
	bindings := slices.Clone(p.policy.bindings)
	i := slices.IndexFunc(bindings, func(b *iam.Binding) bool { return b.Role == agentRole && b.Condition == nil })
	if i < 0 {
		bindings = append(bindings, &iam.Binding{Role: agentRole, Members: []string{member}})
		slices.SortStableFunc(bindings, func(a, b *iam.Binding) int { return strings.Compare(a.Role, b.Role) })
	} else {
		members := append(slices.Clone(bindings[i].Members), member)
		slices.Sort(members)
		bindings[i] = &iam.Binding{Role: agentRole, Members: members}
	}
	st.putBindings(p, bindings, now, from)
}

// agentRole is the role that Google grants the Cloud Run service agent.
const agentRole = "roles/run.serviceAgent"

// withoutAgent returns the bindings of the project's policy without the service
// agent's binding to its role.
func (p *project) withoutAgent() []*iam.Binding {
	var bindings []*iam.Binding
	for _, binding := range p.policy.bindings {
		if binding.Role == agentRole && binding.Condition == nil {
			members := slices.DeleteFunc(slices.Clone(binding.Members), func(m string) bool { return m == "serviceAccount:"+p.runAgent() })
			if len(members) == 0 {
				continue
			}
			binding = &iam.Binding{Role: agentRole, Members: members}
		}
		bindings = append(bindings, binding)
	}
	return bindings
}

// putBindings changes the project's policy as Google itself does: nothing that
// it holds is refused.
func (st *state) putBindings(p *project, bindings []*iam.Binding, now, from time.Time) {
	p.policy.bindings = bindings
	st.stampPolicy(&p.policy, now)
	p.policy.effective = append(p.policy.kept(now), effectivePolicy{
		from: from, bindings: bindings, allow: st.compiler.Allow(policyOf(bindings)),
	})
}

// resourceID returns the project's name in Resource Manager, which has its
// number.
func (p *project) resourceID() string { return "projects/" + strconv.FormatInt(p.number, 10) }

// computeDefault returns the email of the project's default service identity.
func (p *project) computeDefault() string {
	return strconv.FormatInt(p.number, 10) + "-compute@developer.gserviceaccount.com"
}

// mustProject finds a project for seeding.
func (st *state) mustProject(seeder, id string) *project {
	p := st.projects[id]
	if p == nil || p.deleted {
		panic(fmt.Sprintf("fake: %s: there is no project %q; add it with AddProject first", seeder, id))
	}
	return p
}
