package fake

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/cloudresourcemanager/v3"

	"github.com/runidentity/runidentity/internal/access"
)

// node is a resource that has an allow policy: an organization, folder or
// project, a service account, a Cloud Run workload. What is granted on a node
// holds for all below it.
type node struct {
	full   string          // full resource name, "//cloudresourcemanager.googleapis.com/projects/123"
	attrs  access.Resource // what conditions see
	parent *node
	policy policyState
	deny   denyState
}

// container is an organization or a folder.
type container struct {
	node
	id          string // "organizations/1" or "folders/2"
	displayName string
	customer    string // an organization's directoryCustomerId
	created     time.Time
	updated     time.Time
	deleted     bool
}

const resourceManager = "//cloudresourcemanager.googleapis.com/"

// AddOrganization adds an organization: o.Name is "organizations/NUMBER",
// o.DisplayName its domain. It panics if the organization exists already.
func (b *Backend) AddOrganization(o *cloudresourcemanager.Organization) {
	b.write(time.Now(), func(st *state) {
		c := st.addContainer("AddOrganization", "organizations/", o.Name, nil)
		c.displayName, c.customer = o.DisplayName, o.DirectoryCustomerId
		c.attrs.Type = "cloudresourcemanager.googleapis.com/Organization"
	})
}

// AddFolder adds a folder: f.Name is "folders/NUMBER", f.Parent an organization
// or folder. It panics if the folder exists already, or the parent does not.
func (b *Backend) AddFolder(f *cloudresourcemanager.Folder) {
	b.write(time.Now(), func(st *state) {
		parent := st.containers[f.Parent]
		if parent == nil {
			panic(fmt.Sprintf("fake: AddFolder: there is no parent %q; add it first", f.Parent))
		}
		c := st.addContainer("AddFolder", "folders/", f.Name, &parent.node)
		c.displayName = f.DisplayName
		c.attrs.Type = "cloudresourcemanager.googleapis.com/Folder"
	})
}

// addContainer stores an organization or folder.
func (st *state) addContainer(seeder, kind, name string, parent *node) *container {
	number, err := strconv.ParseInt(strings.TrimPrefix(name, kind), 10, 64)
	if err != nil || number <= 0 || !strings.HasPrefix(name, kind) {
		panic(fmt.Sprintf("fake: %s: Name %q is not of the form %q", seeder, name, kind+"123456789012"))
	}
	if st.containers[name] != nil {
		panic(fmt.Sprintf("fake: %s: %s is there already", seeder, name))
	}
	return st.putContainer(name, parent)
}

func (st *state) putContainer(name string, parent *node) *container {
	now := time.Now()
	c := &container{id: name, created: now, updated: now}
	c.full, c.parent = resourceManager+name, parent
	c.attrs = access.Resource{Name: name, Service: "cloudresourcemanager.googleapis.com"}
	st.containers[name] = c
	st.directoryChanged()
	return c
}

// parentNode finds the node of a parent's name, "folders/2" or
// "organizations/1".
func (st *state) parentNode(name string) *node {
	if c := st.containers[name]; c != nil && !c.deleted {
		return &c.node
	}
	return nil
}

// ancestors yields the ids of what a node is in, from the node itself upwards:
// "projects/123", "folders/2", "organizations/1". Service accounts and
// workloads are not among them.
func (n *node) ancestors(yield func(string) bool) {
	for ; n != nil; n = n.parent {
		if id, ok := strings.CutPrefix(n.full, resourceManager); ok && !yield(id) {
			return
		}
	}
}

// find returns the node of a resource that seeding code names: in full, or
// relative as in "projects/web-prod".
func (st *state) find(resource string) *node {
	name := resource
	if rest, ok := strings.CutPrefix(resource, "//"); ok {
		_, name, _ = strings.Cut(rest, "/")
	}
	if c := st.containers[name]; c != nil && !c.deleted {
		return &c.node
	}
	parts := strings.Split(name, "/")
	if len(parts) < 2 || parts[0] != "projects" {
		return nil
	}
	p := st.projects[parts[1]]
	switch {
	case len(parts) == 4 && parts[2] == "serviceAccounts":
		if a := st.accounts[parts[3]]; a != nil && !a.deleted && (parts[1] == "-" || a.project == p) {
			return &a.node
		}
	case p == nil || p.deleted:
	case len(parts) == 2:
		return &p.node
	case len(parts) == 6:
		if _, key, id, err := st.parseRunName(name); err == nil {
			if r := st.run.find(key, id); r != nil {
				return &r.node
			}
		}
	}
	return nil
}

// mustFind calls find for seeding code: it panics if there is no such resource.
func (st *state) mustFind(seeder, resource string) *node {
	n := st.find(resource)
	if n == nil {
		panic(fmt.Sprintf(`fake: %s: there is no resource %q; examples are "projects/web-prod", "folders/123" and `+
			`"projects/web-prod/serviceAccounts/runner@web-prod.iam.gserviceaccount.com"`, seeder, resource))
	}
	return n
}

// nodes yields every resource that has an allow policy.
func (st *state) nodes(yield func(*node) bool) {
	for _, c := range st.containers {
		if !yield(&c.node) {
			return
		}
	}
	for key, p := range st.projects {
		if key == p.id && !yield(&p.node) {
			return
		}
	}
	for key, a := range st.accounts {
		if key == a.email && !yield(&a.node) {
			return
		}
	}
	for _, col := range st.run.collections {
		for _, r := range col.byID {
			if !yield(&r.node) {
				return
			}
		}
	}
}
