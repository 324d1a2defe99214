package preflight

import (
	"github.com/runidentity/runidentity/identity"
)

// A Target is a deploy in question.
type Target struct {
	// Workload is what is deployed. It need not exist.
	Workload identity.Workload `json:"workload"`

	// Identity is the service account that the workload is to run as. Zero means the
	// one that the workload has, or if there is no workload yet, the default one of
	// its project.
	Identity identity.ServiceAccount `json:"identity,omitzero"`

	// Deployer is who deploys, as a member of an allow policy:
	// "user:dev@example.com", "serviceAccount:bot@web-prod.iam.gserviceaccount.com",
	// "group:…", "principal://…" or "principalSet://…". Empty means the caller, see
	// [Checker.Caller].
	//
	// https://cloud.google.com/iam/docs/principal-identifiers
	Deployer string `json:"deployer,omitempty"`

	// Needs are what the identity needs at run time. If empty, nothing is checked
	// about that.
	Needs []Need `json:"needs,omitempty"`
}

// A Need is access that the identity needs at run time: permissions, a role or both
// on a resource.
type Need struct {
	// Resource is a full resource name, such as
	// "//cloudresourcemanager.googleapis.com/projects/data-prod" or
	// "//storage.googleapis.com/projects/_/buckets/invoices". For projects, folders,
	// organizations, service accounts and Cloud Run workloads it may be the relative
	// name, such as "projects/data-prod".
	//
	// Policies of other resources are not read: access to them is Unknown unless
	// Policy Troubleshooter can tell, see [CheckOptions.Troubleshoot].
	//
	// https://cloud.google.com/iam/docs/full-resource-names
	Resource string `json:"resource"`

	// Permissions are single permissions, for example "storage.objects.get". If one is
	// missing, the fix grants Role. If Role is empty, it grants the predefined role
	// with the fewest permissions among those that have this one.
	Permissions []string `json:"permissions,omitempty"`

	// Role, such as "roles/storage.objectViewer", means all permissions that the role
	// has, however they are granted. If one is missing, the fix grants this role.
	// Without Role and Permissions, a Need is an error.
	Role string `json:"role,omitempty"`
}
