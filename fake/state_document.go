package fake

import (
	"encoding/json"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/orgpolicy/v2"
)

// stateVersion is that of the files that Dump writes and Load reads.
const stateVersion = 1

// stateDocument is a cloud in one JSON document, see [Backend.Dump]. Its sections are
// in the order in which they can be added.
type stateDocument struct {
	Version             int                                       `json:"version"`
	Organizations       []*cloudresourcemanager.Organization      `json:"organizations,omitempty"`
	Folders             []*cloudresourcemanager.Folder            `json:"folders,omitempty"`
	Projects            []*stateProject                           `json:"projects,omitempty"`
	Services            []*stateService                           `json:"services,omitempty"`
	ServiceAccounts     []*stateAccount                           `json:"serviceAccounts,omitempty"`
	FederatedIdentities []*stateFederated                         `json:"federatedIdentities,omitempty"`
	Groups              []*stateGroup                             `json:"groups,omitempty"`
	Roles               []*iam.Role                               `json:"roles,omitempty"`
	CustomConstraints   []*stateConstraint                        `json:"customConstraints,omitempty"`
	OrgPolicies         []*orgpolicy.GoogleCloudOrgpolicyV2Policy `json:"orgPolicies,omitempty"`
	Run                 []*stateRun                               `json:"run,omitempty"`
	Policies            []*statePolicy                            `json:"policies,omitempty"`
	DenyPolicies        []*stateDenyPolicy                        `json:"denyPolicies,omitempty"`
	Recommender         []json.RawMessage                         `json:"recommender,omitempty"`
}

type stateProject struct {
	// Name is "projects/NUMBER"; without it, a number is made up.
	Name        string            `json:"name,omitempty"`
	ProjectID   string            `json:"projectId"`
	DisplayName string            `json:"displayName,omitempty"`
	Parent      string            `json:"parent,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	// Services are those that are enabled; nil are those of AddProject.
	Services []string `json:"services"`
	// Agent reports whether the Cloud Run service agent is there; nil is whether
	// Cloud Run is enabled.
	Agent *bool `json:"runServiceAgent,omitempty"`
}

// stateService is a service that the fake does not know of itself.
type stateService struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

type stateAccount struct {
	Email       string `json:"email"`
	ProjectID   string `json:"projectId,omitempty"` // where the address does not tell it
	UniqueID    string `json:"uniqueId,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
	Description string `json:"description,omitempty"`
	Disabled    bool   `json:"disabled,omitempty"`
	// Deleted is of use for accounts that every project has.
	Deleted bool `json:"deleted,omitempty"`
}

type stateFederated struct {
	Principal  string            `json:"principal"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Groups     []string          `json:"groups,omitempty"`
}

type stateGroup struct {
	Email   string   `json:"email"`
	Members []string `json:"members"`
}

type stateConstraint struct {
	Organization string          `json:"organization"` // "organizations/1"
	Constraint   json.RawMessage `json:"constraint"`   // as the API writes it
}

// stateRun is a job, service, worker pool, execution or revision.
type stateRun struct {
	Name     string          `json:"name"`
	Resource json.RawMessage `json:"resource"` // as v2 of the API writes it
	// Knative is what only v1 says of it, by JSON pointer.
	Knative json.RawMessage `json:"knative,omitempty"`
}

type statePolicy struct {
	Resource     string             `json:"resource"`
	Bindings     []*iam.Binding     `json:"bindings,omitempty"`
	AuditConfigs []*iam.AuditConfig `json:"auditConfigs,omitempty"`
}

type stateDenyPolicy struct {
	AttachedTo string                   `json:"attachedTo"`
	Policy     *iamv2.GoogleIamV2Policy `json:"policy"`
}
