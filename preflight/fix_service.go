package preflight

import (
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/render"
)

// EnableAPI enables an API in a project.
type EnableAPI struct {
	Project string `json:"project"`
	Service string `json:"service"` // such as "run.googleapis.com"
}

// String implements [Fix].
func (f EnableAPI) String() string { return "enable " + f.Service + " in project " + f.Project }

// Gcloud implements [Fix].
func (f EnableAPI) Gcloud() string {
	return render.Command("gcloud", "services", "enable", f.Service, "--project="+f.Project)
}

// Request implements [Fix].
func (f EnableAPI) Request() Request {
	return Request{
		Method: "serviceusage.services.enable", Verb: "POST",
		URL: "https://serviceusage.googleapis.com/v1/projects/" + f.Project + "/services/" + f.Service + ":enable",
	}
}

// SideEffect implements [Fix].
func (f EnableAPI) SideEffect() string {
	return "makes the API's service agent and gives it its role on the project; takes serviceusage.services.enable"
}

// Guardrail implements [Fix].
func (f EnableAPI) Guardrail() bool { return false }

func (f EnableAPI) kind() fixKind { return kindEnableAPI }

func (f EnableAPI) check() error {
	if f.Project == "" || f.Service == "" {
		return lacks(f, "the project or the service", runAPI)
	}
	return nil
}

// CreateAgent creates the service agent of an API in a project, if it isn't
// there. No check proposes it, since nothing that may be read tells; a [Fixer]
// does it when the server says that the agent to grant to doesn't exist.
//
// https://cloud.google.com/iam/docs/create-service-agents
type CreateAgent struct {
	Project string `json:"project"`
	Service string `json:"service"`
}

// String implements [Fix].
func (f CreateAgent) String() string {
	return "create the service agent of " + f.Service + " in project " + f.Project
}

// Gcloud implements [Fix].
func (f CreateAgent) Gcloud() string {
	return render.Command("gcloud", "beta", "services", "identity", "create", "--service="+f.Service, "--project="+f.Project)
}

// Request implements [Fix].
func (f CreateAgent) Request() Request {
	return Request{
		Method: "serviceusage.services.generateServiceIdentity", Verb: "POST",
		URL: "https://serviceusage.googleapis.com/v1beta1/projects/" + f.Project + "/services/" + f.Service + ":generateServiceIdentity",
	}
}

// SideEffect implements [Fix].
func (f CreateAgent) SideEffect() string {
	return "none if the agent is there; takes serviceusage.services.enable"
}

// Guardrail implements [Fix].
func (f CreateAgent) Guardrail() bool { return false }

func (f CreateAgent) kind() fixKind { return kindCreateAgent }

func (f CreateAgent) check() error {
	if f.Project == "" || f.Service == "" {
		return lacks(f, "the project or the service", runAPI)
	}
	return nil
}

// CreateAccount creates a service account, without any role.
type CreateAccount struct {
	Account identity.ServiceAccount `json:"account"`
}

// String implements [Fix].
func (f CreateAccount) String() string { return "create the account " + f.Account.Email() }

// Gcloud implements [Fix].
func (f CreateAccount) Gcloud() string {
	id, project := f.parts()
	return render.Command("gcloud", "iam", "service-accounts", "create", id, "--project="+project)
}

func (f CreateAccount) parts() (id, project string) {
	id, _, _ = strings.Cut(f.Account.Email(), "@")
	project, _ = f.Account.Project()
	return id, project
}

// Request implements [Fix].
func (f CreateAccount) Request() Request {
	id, project := f.parts()
	return Request{
		Method: "iam.projects.serviceAccounts.create", Verb: "POST",
		URL: "https://iam.googleapis.com/v1/projects/" + project + "/serviceAccounts", Body: body(map[string]string{"accountId": id}),
	}
}

// SideEffect implements [Fix].
func (f CreateAccount) SideEffect() string {
	return "the account has no rights yet, and takes a minute or more to be seen everywhere; takes iam.serviceAccounts.create"
}

// Guardrail implements [Fix].
func (f CreateAccount) Guardrail() bool { return false }

func (f CreateAccount) kind() fixKind { return kindCreateAccount }

func (f CreateAccount) check() error {
	if f.Account.IsZero() {
		return lacks(f, "the account", "runner@data-prod.iam.gserviceaccount.com")
	}
	return nil
}

// EnableAccount enables a service account.
type EnableAccount struct {
	Account identity.ServiceAccount `json:"account"`
	Project string                  `json:"project"`
}

// String implements [Fix].
func (f EnableAccount) String() string { return "enable the account " + f.Account.Email() }

// Gcloud implements [Fix].
func (f EnableAccount) Gcloud() string {
	return render.Command("gcloud", "iam", "service-accounts", "enable", f.Account.Email(), "--project="+f.Project)
}

// Request implements [Fix].
func (f EnableAccount) Request() Request {
	return Request{
		Method: "iam.projects.serviceAccounts.enable", Verb: "POST",
		URL: "https://iam.googleapis.com/v1/" + accountIn(f.Project, f.Account).name + ":enable",
	}
}

// SideEffect implements [Fix].
func (f EnableAccount) SideEffect() string {
	return "everything else that runs as the account works again as well: someone disabled it; takes iam.serviceAccounts.enable"
}

// Guardrail implements [Fix].
func (f EnableAccount) Guardrail() bool { return false }

func (f EnableAccount) kind() fixKind { return kindEnableAccount }

func (f EnableAccount) check() error {
	if f.Account.IsZero() {
		return lacks(f, "the account", "runner@data-prod.iam.gserviceaccount.com")
	}
	return nil
}
