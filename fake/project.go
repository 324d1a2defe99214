package fake

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/api/cloudresourcemanager/v3"
)

// project is a Google Cloud project. Its fields do not change once it is
// added.
type project struct {
	id     string
	number int64
}

// firstProjectNumber is the number of the first project that is added without
// one; the next ones count up from it.
const firstProjectNumber = 200000000001

// AddProject adds a project: its id is p.ProjectId, its number that of p.Name
// ("projects/123456789012"), or one of the backend's choosing where p.Name is
// empty. The Cloud Run and IAM APIs are enabled in it, so that it has a
// Compute Engine default service account and a Cloud Run service agent.
// AddProject returns the number, and panics if the project is there already.
func (b *Backend) AddProject(p *cloudresourcemanager.Project) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	number := firstProjectNumber + b.newSerial() - 1
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
	added := &project{id: p.ProjectId, number: number}
	for _, key := range []string{added.id, strconv.FormatInt(number, 10)} {
		if b.projects[key] != nil {
			panic(fmt.Sprintf("fake: AddProject: project %s is there already", key))
		}
	}
	b.projects[added.id] = added
	b.projects[strconv.FormatInt(number, 10)] = added
	b.putAccount(added, &account{
		email: added.computeDefault(), displayName: "Compute Engine default service account",
	})
	return number
}

// computeDefault is the email of the project's default service identity.
func (p *project) computeDefault() string {
	return strconv.FormatInt(p.number, 10) + "-compute@developer.gserviceaccount.com"
}

// mustProject finds a project for seeding. The backend is locked.
func (b *Backend) mustProject(seeder, id string) *project {
	p := b.projects[id]
	if p == nil {
		panic(fmt.Sprintf("fake: %s: there is no project %q; add it with AddProject first", seeder, id))
	}
	return p
}
