package fake

import (
	"strconv"
	"strings"

	"google.golang.org/api/cloudresourcemanager/v1"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

func (c *call) getProjectV1(st *state) ([]byte, error) {
	p, err := c.permittedProject(st, "resourcemanager.projects.get")
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(p.jsonV1()), nil
}

func (p *project) jsonV1() *cloudresourcemanager.Project {
	out := &cloudresourcemanager.Project{
		ProjectId: p.id, ProjectNumber: p.number, Name: p.displayName, Labels: p.labels,
		LifecycleState: stateActive, CreateTime: timestamp(p.created),
	}
	if p.parent != nil {
		out.Parent = resourceID(p.above())
	}
	return out
}

// resourceID returns the name of a resource ("folders/2") as v1 writes it.
func resourceID(name string) *cloudresourcemanager.ResourceId {
	kind, id, _ := strings.Cut(name, "/")
	return &cloudresourcemanager.ResourceId{Type: strings.TrimSuffix(kind, "s"), Id: id}
}

// listProjectsV1 finds the projects that match the filter and that the caller
// may get. With a filter on parent.type and parent.id, the real one may answer
// from another index, which is more consistent: the fake has but one.
func (c *call) listProjectsV1(st *state) ([]byte, error) {
	page, next, err := c.matchingProjects(st, c.query.Get("filter"))
	if err != nil {
		return nil, err
	}
	resp := &cloudresourcemanager.ListProjectsResponse{NextPageToken: next}
	for _, p := range page {
		resp.Projects = append(resp.Projects, p.jsonV1())
	}
	return wire.MustEncode(resp), nil
}

// getAncestry answers the project's id and the numbers of all that it is in,
// from the project upwards. Who may read the project may see them all.
func (c *call) getAncestry(st *state) ([]byte, error) {
	if _, err := c.object(); err != nil {
		return nil, err
	}
	p, err := c.permittedProject(st, "resourcemanager.projects.get")
	if err != nil {
		return nil, err
	}
	resp := &cloudresourcemanager.GetAncestryResponse{}
	for name := range p.ancestors {
		id := resourceID(name)
		if id.Type == "project" {
			id.Id = p.id
		}
		resp.Ancestor = append(resp.Ancestor, &cloudresourcemanager.Ancestor{ResourceId: id})
	}
	return wire.MustEncode(resp), nil
}

func (c *call) getOrganizationV1(st *state) ([]byte, error) {
	o, err := c.permittedContainer(st, "resourcemanager.organizations.get")
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(o.organizationV1()), nil
}

func (c *container) organizationV1() *cloudresourcemanager.Organization {
	return &cloudresourcemanager.Organization{
		Name: c.id, DisplayName: c.displayName, LifecycleState: stateActive, CreationTime: timestamp(c.created),
		Owner: &cloudresourcemanager.OrganizationOwner{DirectoryCustomerId: c.customer},
	}
}

// searchOrganizationsV1 has its parameters in the body.
func (c *call) searchOrganizationsV1(st *state) ([]byte, error) {
	var req cloudresourcemanager.SearchOrganizationsRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	c.query.Set("pageSize", strconv.FormatInt(req.PageSize, 10))
	c.query.Set("pageToken", req.PageToken)
	page, next, err := c.matchingOrganizations(st, req.Filter)
	if err != nil {
		return nil, err
	}
	resp := &cloudresourcemanager.SearchOrganizationsResponse{NextPageToken: next}
	for _, o := range page {
		resp.Organizations = append(resp.Organizations, o.organizationV1())
	}
	return wire.MustEncode(resp), nil
}
