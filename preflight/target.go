package preflight

import (
	"github.com/runidentity/runidentity/identity"
)

// A Target is a deploy in question.
type Target struct {
	// Workload is what is deployed. It need not exist.
	Workload identity.Workload `json:"workload"`

	// Identity is the account that it is to run as. Zero means the one it has,
	// or the project's default one if the workload isn't there.
	Identity identity.ServiceAccount `json:"identity,omitzero"`

	// Deployer is who deploys, as a member of an allow policy:
	// "user:dev@example.com", "serviceAccount:bot@web-prod.iam.gserviceaccount.com",
	// "group:…", "principal://…" or "principalSet://…". Empty means the caller.
	//
	// https://cloud.google.com/iam/docs/principal-identifiers
	Deployer string `json:"deployer,omitempty"`

	// Needs are what the identity needs at run time. They are not checked
	// unless they are named.
	Needs []Need `json:"needs,omitempty"`
}

// A Need is access that the identity needs at run time: a permission or a role
// on a resource.
type Need struct {
	// Resource is a full resource name, such as
	// "//cloudresourcemanager.googleapis.com/projects/data-prod" or
	// "//storage.googleapis.com/projects/_/buckets/invoices", or
	// "projects/data-prod" and the like for projects, folders, organizations,
	// service accounts and Cloud Run workloads.
	//
	// https://cloud.google.com/iam/docs/full-resource-names
	Resource string `json:"resource"`

	// Permissions are such as "storage.objects.get".
	Permissions []string `json:"permissions,omitempty"`

	// Role, such as "roles/storage.objectViewer", means all permissions that it
	// has, however they are granted. It is the fix if one is missing.
	Role string `json:"role,omitempty"`
}
