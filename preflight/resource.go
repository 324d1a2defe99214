package preflight

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
)

const (
	managerPrefix = "//cloudresourcemanager.googleapis.com/"
	iamPrefix     = "//iam.googleapis.com/"
	runPrefix     = "//run.googleapis.com/"
)

type resourceKind uint8

const (
	// otherResource is one whose policies are not read here.
	otherResource resourceKind = iota
	accountResource
	workloadResource
	projectResource
	folderResource
	organizationResource
)

// A resource is something that has an allow policy.
type resource struct {
	kind resourceKind
	full string // the full resource name
	name string // the relative one, as in calls
	// project is the id or number of the project that it is in, or is.
	project  string
	workload identity.Workload // of a workload
}

func projectOf(id string) resource {
	return resource{kind: projectResource, full: managerPrefix + "projects/" + id, name: "projects/" + id, project: id}
}

func accountIn(project string, sa identity.ServiceAccount) resource {
	name := "projects/" + project + "/serviceAccounts/" + sa.Email()
	return resource{kind: accountResource, full: iamPrefix + name, name: name, project: project}
}

func workloadOf(w identity.Workload) resource {
	return resource{kind: workloadResource, full: runPrefix + w.Name(), name: w.Name(), project: w.Project, workload: w}
}

// containerOf returns a project, folder or organization by its relative name.
func containerOf(name string) resource {
	kind, id, _ := strings.Cut(name, "/")
	switch kind {
	case "folders":
		return resource{kind: folderResource, full: managerPrefix + name, name: name}
	case "organizations":
		return resource{kind: organizationResource, full: managerPrefix + name, name: name}
	}
	return projectOf(id)
}

// parseResource reads the name of a resource as in [Need].
func parseResource(s string) (resource, error) {
	bad := func(rule string) (resource, error) {
		return resource{}, fmt.Errorf("resource %q: %s; such as %q or %q", s, rule,
			managerPrefix+"projects/data-prod", "//storage.googleapis.com/projects/_/buckets/invoices")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return bad("it must not have spaces or control characters")
	}
	service, name := "", s
	if rest, ok := strings.CutPrefix(s, "//"); ok {
		if service, name, ok = strings.Cut(rest, "/"); !ok {
			return bad("a full name has the resource after the service")
		}
	}
	parts := strings.Split(name, "/")
	if slices.Contains(parts, "") {
		return bad("no part of the name may be empty")
	}
	is := func(of string) bool { return service == "" || "//"+service+"/" == of }
	switch {
	case is(managerPrefix) && len(parts) == 2 && (parts[0] == "projects" || parts[0] == "folders" || parts[0] == "organizations"):
		return containerOf(name), nil
	case is(iamPrefix) && len(parts) == 4 && parts[0] == "projects" && parts[2] == "serviceAccounts":
		sa, err := identity.ParseServiceAccount(name)
		if err != nil {
			return resource{}, err
		}
		return accountIn(parts[1], sa), nil
	case is(runPrefix) && len(parts) == 6 && parts[0] == "projects" && parts[2] == "locations":
		w, err := identity.ParseWorkload(name)
		if err != nil {
			return resource{}, err
		}
		return workloadOf(w), nil
	case service == "":
		return bad("a relative name must be of a project, folder, organization, service account or Cloud Run workload")
	}
	return resource{kind: otherResource, full: s, name: name}, nil
}

// attributes returns what conditions see of the resource. Service accounts and
// Cloud Run resources have none.
func (r resource) attributes() access.Resource {
	const service = "cloudresourcemanager.googleapis.com"
	switch r.kind {
	case projectResource:
		return access.Resource{Name: r.name, Type: service + "/Project", Service: service}
	case folderResource:
		return access.Resource{Name: r.name, Type: service + "/Folder", Service: service}
	case organizationResource:
		return access.Resource{Name: r.name, Type: service + "/Organization", Service: service}
	default:
	}
	return access.Resource{}
}

// readPermission returns what reading the resource's allow policy takes.
func (r resource) readPermission() string {
	switch r.kind {
	case accountResource:
		return "iam.serviceAccounts.getIamPolicy"
	case workloadResource:
		return runPermissions(r.workload.Kind) + "getIamPolicy"
	case projectResource:
		return "resourcemanager.projects.getIamPolicy"
	case folderResource:
		return "resourcemanager.folders.getIamPolicy"
	case organizationResource:
		return "resourcemanager.organizations.getIamPolicy"
	default:
	}
	return ""
}

// getPermission returns what reading a project or folder takes, and with it what it
// is in.
func (r resource) getPermission() string {
	if r.kind == folderResource {
		return "resourcemanager.folders.get"
	}
	return "resourcemanager.projects.get"
}

// named returns the full resource name; "" for a project that isn't known.
func (r resource) named() string {
	if r.kind == projectResource && (r.project == "" || r.project == "-") {
		return ""
	}
	return r.full
}

// runPermissions returns the beginnings of the permissions on a kind of workload.
func runPermissions(k identity.Kind) string {
	switch k {
	case identity.KindService:
		return "run.services."
	case identity.KindWorkerPool:
		return "run.workerpools."
	default:
	}
	return "run.jobs."
}
