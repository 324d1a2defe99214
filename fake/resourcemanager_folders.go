package fake

import (
	"slices"
	"strings"

	"google.golang.org/api/cloudresourcemanager/v3"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

func (c *call) getFolder(st *state) ([]byte, error) {
	f, err := c.permittedContainer(st, "resourcemanager.folders.get")
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(f.folder()), nil
}

// folder returns the container as a folder of v3.
func (c *container) folder() *cloudresourcemanager.Folder {
	return &cloudresourcemanager.Folder{
		Name: c.id, Parent: c.above(), DisplayName: c.displayName, State: stateActive,
		CreateTime: timestamp(c.created), UpdateTime: timestamp(c.updated), Etag: hierarchyEtag(c.full, c.updated),
	}
}

func (c *call) listFolders(st *state) ([]byte, error) {
	parent, err := c.listedParent(st)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*container)
	for f := range st.liveContainers("folders/") {
		if f.parent == parent {
			found[f.displayName+"\x00"+f.id] = f
		}
	}
	page, next, err := hierarchyPage(c, found)
	if err != nil {
		return nil, err
	}
	resp := &cloudresourcemanager.ListFoldersResponse{NextPageToken: next}
	for _, f := range page {
		resp.Folders = append(resp.Folders, f.folder())
	}
	return wire.MustEncode(resp), nil
}

// liveContainers yields the containers of a kind.
func (st *state) liveContainers(kind string) func(yield func(*container) bool) {
	return func(yield func(*container) bool) {
		for id, c := range st.containers {
			if strings.HasPrefix(id, kind) && !c.deleted && !yield(c) {
				return
			}
		}
	}
}

// searchFolders finds the folders that match the query and that the caller may
// get.
func (c *call) searchFolders(st *state) ([]byte, error) {
	matches, err := parseHierarchyQuery(c.query.Get("query"), isFolderField)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*container)
	for f := range st.liveContainers("folders/") {
		if matches(f.matchesFolder) && c.may(st, "resourcemanager.folders.get", &f.node) {
			found[f.id] = f
		}
	}
	page, next, err := hierarchyPage(c, found)
	if err != nil {
		return nil, err
	}
	resp := &cloudresourcemanager.SearchFoldersResponse{NextPageToken: next}
	for _, f := range page {
		resp.Folders = append(resp.Folders, f.folder())
	}
	return wire.MustEncode(resp), nil
}

func isFolderField(field string) bool {
	switch field {
	case "displayname", "parent", "state", "lifecyclestate":
		return true
	}
	return false
}

// matchesFolder reports whether a field of the folder has a value. A display name
// has it if it includes all of its words.
func (c *container) matchesFolder(field, value string) bool {
	switch field {
	case "parent":
		return matchesPattern(c.above(), value)
	case "state", "lifecyclestate":
		return matchesPattern(stateActive, value)
	}
	if strings.HasSuffix(value, "*") {
		return matchesPattern(c.displayName, value)
	}
	words := strings.Fields(strings.ToLower(c.displayName))
	for word := range strings.FieldsSeq(strings.ToLower(value)) {
		if !slices.Contains(words, word) {
			return false
		}
	}
	return true
}

func (c *call) getOrganization(st *state) ([]byte, error) {
	o, err := c.permittedContainer(st, "resourcemanager.organizations.get")
	if err != nil {
		return nil, err
	}
	return wire.MustEncode(o.organization()), nil
}

// organization returns the container as an organization of v3.
func (c *container) organization() *cloudresourcemanager.Organization {
	return &cloudresourcemanager.Organization{
		Name: c.id, DisplayName: c.displayName, DirectoryCustomerId: c.customer, State: stateActive,
		CreateTime: timestamp(c.created), UpdateTime: timestamp(c.updated), Etag: hierarchyEtag(c.full, c.updated),
	}
}

func (c *call) searchOrganizations(st *state) ([]byte, error) {
	page, next, err := c.matchingOrganizations(st, c.query.Get("query"))
	if err != nil {
		return nil, err
	}
	resp := &cloudresourcemanager.SearchOrganizationsResponse{NextPageToken: next}
	for _, o := range page {
		resp.Organizations = append(resp.Organizations, o.organization())
	}
	return wire.MustEncode(resp), nil
}

// matchingOrganizations returns a page of the organizations that match a query
// and that the caller may get.
func (c *call) matchingOrganizations(st *state, query string) ([]*container, string, error) {
	matches, err := parseHierarchyQuery(query, isOrganizationField)
	if err != nil {
		return nil, "", err
	}
	found := make(map[string]*container)
	for o := range st.liveContainers("organizations/") {
		if matches(o.matchesOrganization) && c.may(st, "resourcemanager.organizations.get", &o.node) {
			found[o.id] = o
		}
	}
	return hierarchyPage(c, found)
}

func isOrganizationField(field string) bool {
	switch field {
	case "domain", "directorycustomerid", "owner.directorycustomerid":
		return true
	}
	return false
}

func (c *container) matchesOrganization(field, value string) bool {
	if field == "domain" {
		return matchesPattern(c.displayName, value)
	}
	return matchesPattern(c.customer, value)
}
