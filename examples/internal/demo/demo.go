// Package demo is the Google Cloud that the examples work on when they are not
// given a real one: a [fake.Backend] with a company's two projects.
//
// Project web-prod runs a job that writes the night's invoices. It runs as the
// project's default service account, as jobs do that nobody gave an identity.
// The data that it exports to belongs to project data-prod, which has a service
// account for the purpose, and another one that nobody prepared for it. A service
// of web-prod runs as the default account as well, and Recommender has found out
// what less would do.
package demo

import (
	_ "embed"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/fake"
)

// The names of what is there.
const (
	// Project is where the job runs.
	Project = "web-prod"

	// DataProject is where the data is.
	DataProject = "data-prod"

	// Job is the job that writes invoices.
	Job = "projects/web-prod/locations/europe-west1/jobs/nightly-invoices"

	// JobIdentity is the account that the job runs as: the default one of its
	// project.
	JobIdentity = "123456789012-compute@developer.gserviceaccount.com"

	// ExportIdentity is the account that was made for the job, in DataProject.
	ExportIdentity = "invoice-export@data-prod.iam.gserviceaccount.com"

	// ReportIdentity is another account in DataProject, which neither Deployer
	// nor Project's Cloud Run service agent may use yet.
	ReportIdentity = "report-writer@data-prod.iam.gserviceaccount.com"

	// Administrator is who may grant access in both projects, as a member: it is
	// who the examples apply fixes as.
	Administrator = "user:admin@example.com"

	// Deployer is the account of a bot that deploys to Project, as a member: it
	// is who the examples call the APIs as.
	Deployer = "serviceAccount:" + deployBot

	deployBot = "deploy-bot@web-prod.iam.gserviceaccount.com"
)

//go:embed nightly-invoices.json
var job []byte

// NewBackend returns the cloud as it is before an example does anything.
func NewBackend() *fake.Backend {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: Project, Name: "projects/123456789012"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: DataProject, Name: "projects/210987654321"})
	b.AddServiceAccount(&iam.ServiceAccount{
		Email:       deployBot,
		DisplayName: "Deploys to Cloud Run",
	})
	b.AddServiceAccount(&iam.ServiceAccount{
		Email:       ExportIdentity,
		DisplayName: "Invoice export",
		Description: "Identity of the job nightly-invoices in web-prod",
	})
	b.AddServiceAccount(&iam.ServiceAccount{
		Email:       ReportIdentity,
		DisplayName: "Report writer",
	})
	b.AddRunJSON(Job, job)

	// The bot deploys to its project and may act as the accounts that jobs run
	// as. That of the other project is also web-prod's service agent's to use,
	// and data-prod lets its accounts be attached elsewhere.
	b.Grant("projects/"+Project, "roles/run.developer", Deployer)
	b.Grant("projects/-/serviceAccounts/"+JobIdentity, "roles/iam.serviceAccountUser", Deployer)
	b.Grant("projects/-/serviceAccounts/"+ExportIdentity, "roles/iam.serviceAccountUser", Deployer)
	b.Grant("projects/-/serviceAccounts/"+ExportIdentity, "roles/iam.serviceAccountTokenCreator",
		"serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com")

	// To check what a deploy needs, the bot also reads who may do what.
	for _, project := range []string{Project, DataProject} {
		for _, role := range []string{"roles/iam.securityReviewer", "roles/orgpolicy.policyViewer", "roles/serviceusage.serviceUsageViewer", "roles/browser"} {
			b.Grant("projects/"+project, role, Deployer)
		}
		b.Grant("projects/"+project, "roles/owner", Administrator)
	}
	b.SetOrgPolicy(&orgpolicy.GoogleCloudOrgpolicyV2Policy{
		Name: "projects/" + DataProject + "/policies/iam.disableCrossProjectServiceAccountUsage",
		Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{
			Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{ForceSendFields: []string{"Enforce"}}}, // false
		},
	})
	addRecommendations(b)
	return b
}
