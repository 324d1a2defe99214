package preflight

import (
	"context"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/render"
)

// createAccount is what [FixCreateAccount] does.
type createAccount Fix

func (f *createAccount) fields() []field { return []field{{name: "account", at: &f.Account}} }

func (f *createAccount) check() error {
	if f.Account.IsZero() {
		return lacks(f, "the account", "runner@data-prod.iam.gserviceaccount.com")
	}
	return nil
}

func (f *createAccount) parts() (id, project string) {
	id, _, _ = strings.Cut(f.Account.Email(), "@")
	project, _ = f.Account.Project()
	return id, project
}

func (f *createAccount) text() string { return "create the account " + f.Account.Email() }

func (f *createAccount) gcloud() string {
	id, project := f.parts()
	return render.Command("gcloud", "iam", "service-accounts", "create", id, "--project="+project)
}

func (f *createAccount) request() Request {
	id, project := f.parts()
	return Request{
		Method: "iam.projects.serviceAccounts.create", Verb: "POST",
		URL: "https://iam.googleapis.com/v1/projects/" + project + "/serviceAccounts", Body: body(map[string]string{"accountId": id}),
	}
}

func (f *createAccount) sideEffect() string {
	return "the account has no rights yet, and takes a minute or more to be seen everywhere; takes iam.serviceAccounts.create"
}

func (f *createAccount) changesGuardrail() bool { return false }

func (f *createAccount) apply(ctx context.Context, by *applier) (bool, error) {
	a, err := by.accounts.EnsureServiceAccount(ctx, f.Account, &identity.EnsureServiceAccountOptions{Wait: by.wait})
	return a.Created, err
}
