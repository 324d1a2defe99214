package outage_test

import (
	"google.golang.org/api/cloudresourcemanager/v3"

	"github.com/runidentity/runidentity/fake"
)

func cloud() *fake.Backend {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	return b
}
