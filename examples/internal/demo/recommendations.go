package demo

import (
	_ "embed"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake"
)

// Service is a service of Project that runs as JobIdentity, too.
const Service = "projects/web-prod/locations/europe-west1/services/storefront"

// The recommendations of the demo, by the last part of their names.
const (
	// OwnIdentity proposes an account of its own for Service.
	OwnIdentity = "storefront-own-identity"
	// SmallerRole proposes smaller roles than editor for JobIdentity.
	SmallerRole = "default-account-editor"
	// UnusedRole proposes to take a role from ExportIdentity that it doesn't use.
	UnusedRole = "export-run-viewer"
)

//go:embed recommendations.txt
var recommendations string

// addRecommendations adds what Recommender would have found out, with the grants
// and the service that it is about.
func addRecommendations(b *fake.Backend) {
	b.AddRunJSON(Service, []byte(`{"template": {"serviceAccount": "`+JobIdentity+`", "containers": [{"image": "europe-docker.pkg.dev/web-prod/apps/storefront:v1"}]}}`))
	b.Grant("projects/"+Project, "roles/editor", "serviceAccount:"+JobIdentity)
	b.Grant("projects/"+DataProject, "roles/run.viewer", "serviceAccount:"+ExportIdentity)
	for _, project := range []string{Project, DataProject} {
		b.Grant("projects/"+project, "roles/recommender.iamViewer", Deployer)
	}
	refreshed := time.Now().UTC().Add(-24 * time.Hour).Format(time.RFC3339)
	for item := range strings.SplitSeq(strings.ReplaceAll(recommendations, "REFRESHED", refreshed), "\n\n") {
		name, raw, _ := strings.Cut(strings.TrimSpace(item), "\n")
		b.AddRecommenderJSON(name, []byte(raw))
	}
}
