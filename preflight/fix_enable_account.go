package preflight

import (
	"context"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/render"
)

// enableAccount is what [FixEnableAccount] does.
type enableAccount Fix

func (f *enableAccount) fields() []field {
	return []field{{name: "account", at: &f.Account}, {name: "project", at: &f.Project}}
}

func (f *enableAccount) check() error {
	switch {
	case f.Account.IsZero():
		return lacks(f, "the account", "runner@data-prod.iam.gserviceaccount.com")
	case f.Project == "":
		return lacks(f, "the account's project", "data-prod")
	}
	return nil
}

func (f *enableAccount) text() string { return "enable the account " + f.Account.Email() }

func (f *enableAccount) gcloud() string {
	return render.Command("gcloud", "iam", "service-accounts", "enable", f.Account.Email(), "--project="+f.Project)
}

func (f *enableAccount) request() Request {
	return Request{
		Method: "iam.projects.serviceAccounts.enable", Verb: "POST",
		URL: "https://iam.googleapis.com/v1/" + accountIn(f.Project, f.Account).name + ":enable",
	}
}

func (f *enableAccount) sideEffect() string {
	return "everything else that runs as the account works again as well: someone disabled it; takes iam.serviceAccounts.enable"
}

func (f *enableAccount) changesGuardrail() bool { return false }

func (f *enableAccount) apply(ctx context.Context, by *applier) (bool, error) {
	name := accountIn(f.Project, f.Account).name
	return settle(ctx, change{
		blind: true,
		look: func(ctx context.Context) (bool, error) {
			a, err := read(ctx, func() (*iam.ServiceAccount, error) {
				return by.iam.Projects.ServiceAccounts.Get(name).Context(ctx).Do()
			}, func(a *iam.ServiceAccount) string {
				return differs(a.Name, name)
			})
			return err == nil && !a.Disabled, err
		},
		write: func(ctx context.Context) (bool, error) {
			_, err := by.iam.Projects.ServiceAccounts.Enable(name, &iam.EnableServiceAccountRequest{}).Context(ctx).Do()
			return err == nil, err
		},
	})
}
