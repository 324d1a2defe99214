package fake

import (
	"sync"

	"github.com/runidentity/runidentity/internal/discovery"
)

// serviceCatalogue are the titles of the services that the fake knows: those
// of its APIs and common others.
var serviceCatalogue = sync.OnceValue(func() map[string]string {
	titles := map[string]string{
		"artifactregistry.googleapis.com":    "Artifact Registry API",
		"bigquery.googleapis.com":            "BigQuery API",
		"binaryauthorization.googleapis.com": "Binary Authorization API",
		"cloudasset.googleapis.com":          "Cloud Asset API",
		"cloudbuild.googleapis.com":          "Cloud Build API",
		"cloudfunctions.googleapis.com":      "Cloud Functions API",
		"cloudkms.googleapis.com":            "Cloud Key Management Service (KMS) API",
		"cloudscheduler.googleapis.com":      "Cloud Scheduler API",
		"cloudtasks.googleapis.com":          "Cloud Tasks API",
		"compute.googleapis.com":             "Compute Engine API",
		"container.googleapis.com":           "Kubernetes Engine API",
		"eventarc.googleapis.com":            "Eventarc API",
		"firestore.googleapis.com":           "Cloud Firestore API",
		"iamcredentials.googleapis.com":      "IAM Service Account Credentials API",
		"logging.googleapis.com":             "Cloud Logging API",
		"monitoring.googleapis.com":          "Cloud Monitoring API",
		"pubsub.googleapis.com":              "Cloud Pub/Sub API",
		"secretmanager.googleapis.com":       "Secret Manager API",
		"sql-component.googleapis.com":       "Cloud SQL",
		"sqladmin.googleapis.com":            "Cloud SQL Admin API",
		"storage.googleapis.com":             "Cloud Storage API",
		"sts.googleapis.com":                 "Security Token Service API",
		"vpcaccess.googleapis.com":           "Serverless VPC Access API",
		"workflows.googleapis.com":           "Workflows API",
	}
	for _, api := range discovery.All() {
		titles[api.Host] = api.Title
	}
	return titles
})
