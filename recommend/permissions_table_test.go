package recommend_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// What comes before the verbs in Recommender's permissions.
const (
	iamRecs, iamUse, accountUse = "recommender.iamPolicyRecommendations.", "recommender.iamPolicyInsights.", "recommender.iamServiceAccountInsights."
	runRecs, runUse             = "recommender.runServiceIdentityRecommendations.", "recommender.runServiceIdentityInsights."
)

var (
	mailer     = identity.MustParseWorkload(mailerName)
	ownAccount = identity.MustParseServiceAccount("own-runner@web-prod.iam.gserviceaccount.com")
	oldAccount = identity.MustParseServiceAccount(compute)
)

// A measure is a call that succeeds with exactly these permissions, and with these
// predefined roles.
type measure struct {
	about, name string
	permissions []permission
	call        func(context.Context, *recommend.Client) error
	roles       map[string][]string // by resource
}

// all returns the errors that a listing yields.
func all[V any](seq func(func(V, error) bool)) error {
	var errs []error
	for _, err := range seq {
		if err != nil {
			var listing *recommend.ListError
			if errors.As(err, &listing) && !errors.Is(err, recommend.ErrDenied) {
				err = fmt.Errorf("%w is not a denial", err)
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// applySteps applies a plan with these steps.
func applySteps(ctx context.Context, c *recommend.Client, steps ...recommend.Step) error {
	r, err := c.Get(ctx, webPolicy+"other")
	if err != nil {
		return err
	}
	_, err = c.Apply(ctx, recommend.Plan{Recommendation: r.Name, Etag: r.Etag, Action: r.Action, Steps: steps}, "bot", nil)
	return err
}

// mark changes a recommendation's state, which it has read before.
func mark(ctx context.Context, c *recommend.Client, name string, after ...recommend.State) error {
	r := recommend.Recommendation{Name: name, Etag: firstEtag}
	var err error
	for _, state := range after {
		switch state {
		case recommend.StateClaimed:
			r, err = c.Claim(ctx, r, nil)
		case recommend.StateSucceeded:
			r, err = c.Succeed(ctx, r, nil)
		case recommend.StateFailed:
			r, err = c.Fail(ctx, r, nil)
		case recommend.StateDismissed:
			r, err = c.Dismiss(ctx, r)
		default:
			err = fmt.Errorf("no method marks a recommendation %s", state)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// firstEtag is that of orgCloud's recommendations.
const firstEtag = `"1"`

// readMeasures are about the methods that read.
func readMeasures() []measure {
	lists := func(on string) []permission { return needs(on, iamRecs+"list", iamUse+"list", accountUse+"list") }
	runViewer := map[string][]string{web: {"roles/run.viewer", "roles/recommender.iamViewer"}, data: {"roles/recommender.iamViewer"}}
	forOne := func(w identity.Workload) func(context.Context, *recommend.Client) error {
		return func(ctx context.Context, c *recommend.Client) error {
			return all(c.For(ctx, w, &recommend.ForOptions{Projects: []string{"data-prod"}}))
		}
	}
	return []measure{
		{"Client.For", "job", slices.Concat(needs(jobName, "run.jobs.get"), lists(web), lists(data)), forOne(job), runViewer},
		{"Client.For", "worker pool", slices.Concat(needs(mailerName, "run.workerpools.get"), lists(web), lists(data)), forOne(mailer), runViewer},
		{
			"Client.For", "service",
			slices.Concat(needs(shopName, "run.services.get"), lists(web), lists(data), needs(web, runRecs+"list", runUse+"list")), forOne(shop), runViewer,
		},
		{"Client.List", "IAM's", needs(web, iamRecs+"list"), func(ctx context.Context, c *recommend.Client) error {
			return all(c.List(ctx, []string{"web-prod"}, nil))
		}, runViewer},
		{"Client.List", "with insights", needs(web, iamRecs+"list", iamUse+"list", runRecs+"list", runUse+"list"), func(ctx context.Context, c *recommend.Client) error {
			return all(c.List(ctx, []string{"web-prod"}, &recommend.ListOptions{Regions: []string{"europe-west1"}, WithInsights: true}))
		}, runViewer},
		{"Client.Insights", "all", needs(web, iamUse+"list", accountUse+"list", runUse+"list"), func(ctx context.Context, c *recommend.Client) error {
			return all(c.Insights(ctx, []string{"web-prod"}, &recommend.InsightsOptions{Regions: []string{"europe-west1"}}))
		}, runViewer},
		{"Client.Get", "IAM's", needs(web, iamRecs+"get"), func(ctx context.Context, c *recommend.Client) error {
			_, err := c.Get(ctx, webPolicy+"other")
			return err
		}, runViewer},
		{"Client.Get", "Cloud Run's", needs(web, runRecs+"get"), func(ctx context.Context, c *recommend.Client) error {
			_, err := c.Get(ctx, webRun+"own")
			return err
		}, runViewer},
	}
}

// markMeasures are about the methods that change a recommendation's state.
func markMeasures() []measure {
	var cases []measure
	for _, path := range [][]recommend.State{
		{recommend.StateDismissed}, {recommend.StateClaimed, recommend.StateSucceeded}, {recommend.StateClaimed, recommend.StateFailed},
	} {
		name := " " + string(path[len(path)-1])
		cases = append(cases,
			measure{"Client.Claim", "IAM's" + name, needs(web, iamRecs+"update"), func(ctx context.Context, c *recommend.Client) error {
				return mark(ctx, c, webPolicy+"other", path...)
			}, map[string][]string{web: {"roles/recommender.iamAdmin"}}},
			measure{"Client.Claim", "Cloud Run's" + name, needs(web, runRecs+"update"), func(ctx context.Context, c *recommend.Client) error {
				return mark(ctx, c, webRun+"own", path...)
			}, map[string][]string{web: {"roles/run.developer"}}})
	}
	return cases
}

// applying are what Apply takes for a recommendation of IAM's, whatever the steps.
func applying() []permission { return needs(web, iamRecs+"get", iamRecs+"update") }

// policyMeasures are about the steps that change an allow policy.
func policyMeasures() []measure {
	steps := func(kind recommend.StepKind, role, on string) func(context.Context, *recommend.Client) error {
		return func(ctx context.Context, c *recommend.Client) error {
			return applySteps(ctx, c, recommend.Step{Kind: kind, Member: ownAccount.Member(), Role: role, Resource: fullName(on)})
		}
	}
	var cases []measure
	for _, on := range []struct{ resource, api, role string }{
		{"organizations/1", "resourcemanager.organizations", "roles/resourcemanager.organizationAdmin"},
		{ships, "resourcemanager.folders", "roles/resourcemanager.folderIamAdmin"},
		{web, "resourcemanager.projects", "roles/resourcemanager.projectIamAdmin"},
		{runnerResource, "iam.serviceAccounts", "roles/iam.serviceAccountAdmin"},
		{jobName, "run.jobs", "roles/run.admin"},
		{shopName, "run.services", "roles/run.admin"},
		{mailerName, "run.workerpools", "roles/run.admin"},
	} {
		permissions := slices.Concat(applying(), needs(on.resource, on.api+".getIamPolicy", on.api+".setIamPolicy"))
		roles := map[string][]string{web: {"roles/recommender.iamAdmin"}}
		roles[on.resource] = append(roles[on.resource], on.role)
		cases = append(cases, measure{"StepGrantRole", on.resource, permissions, steps(recommend.StepGrantRole, "roles/run.invoker", on.resource), roles},
			measure{"StepGrantRole", "remove, " + on.resource, permissions, steps(recommend.StepRemoveRole, "roles/iam.securityReviewer", on.resource), roles})
	}
	return cases
}

// accountMeasures are about the steps that create an account and attach it.
func accountMeasures() []measure {
	attach := func(w identity.Workload) recommend.Step {
		return recommend.Step{Kind: recommend.StepAttach, Workload: w, Account: ownAccount, Before: oldAccount}
	}
	attaching := func(on, collection string) []permission {
		return slices.Concat(needs(on, "run."+collection+".get", "run."+collection+".update"), needs(ownResource, "iam.serviceAccounts.actAs"), helps(web, "run.operations.get"))
	}
	cases := []measure{
		{"StepCreateAccount", "there", slices.Concat(applying(), needs(ownResource, "iam.serviceAccounts.get")), func(ctx context.Context, c *recommend.Client) error {
			return applySteps(ctx, c, recommend.Step{Kind: recommend.StepCreateAccount, Account: ownAccount})
		}, map[string][]string{web: {"roles/recommender.iamAdmin", "roles/iam.serviceAccountCreator"}}},
		{"StepCreateAccount", "created", slices.Concat(applying(), needs(web, "iam.serviceAccounts.get", "iam.serviceAccounts.create")), func(ctx context.Context, c *recommend.Client) error {
			return applySteps(ctx, c, recommend.Step{Kind: recommend.StepCreateAccount, Account: shopAccount})
		}, map[string][]string{web: {"roles/recommender.iamAdmin", "roles/iam.serviceAccountCreator"}}},
	}
	for w, collection := range map[identity.Workload]string{job: "jobs", shop: "services", mailer: "workerpools"} {
		roles := map[string][]string{web: {"roles/recommender.iamAdmin", "roles/run.developer"}, ownResource: {"roles/iam.serviceAccountUser"}}
		cases = append(cases, measure{"StepAttach", collection, slices.Concat(applying(), attaching(w.Name(), collection)), func(ctx context.Context, c *recommend.Client) error {
			return applySteps(ctx, c, attach(w))
		}, roles})
	}
	// Which revisions serve matters if a role is removed afterwards. A job has none.
	for w, permissions := range map[identity.Workload][]permission{
		job:    attaching(jobName, "jobs"),
		shop:   append(attaching(shopName, "services"), needs(web, "run.revisions.get")...),
		mailer: append(attaching(mailerName, "workerpools"), needs(web, "run.revisions.get")...),
	} {
		cases = append(cases, measure{
			"StepAttach", "and remove a role, " + w.Kind.String(),
			slices.Concat(applying(), permissions, needs(web, "resourcemanager.projects.getIamPolicy", "resourcemanager.projects.setIamPolicy")),
			func(ctx context.Context, c *recommend.Client) error {
				return applySteps(ctx, c, attach(w), recommend.Step{Kind: recommend.StepRemoveRole, Member: ownAccount.Member(), Role: "roles/iam.securityReviewer", Resource: webProject})
			},
			map[string][]string{web: {"roles/recommender.iamAdmin", "roles/run.developer", "roles/resourcemanager.projectIamAdmin"}, ownResource: {"roles/iam.serviceAccountUser"}},
		})
	}
	return cases
}

// newAccountMeasure is about a recommendation of Cloud Run's, with all that a plan
// for it does.
func newAccountMeasure() measure {
	newAccount := slices.Concat(
		needs(web, runRecs+"get", runRecs+"update", "iam.serviceAccounts.get", "iam.serviceAccounts.create", "iam.serviceAccounts.actAs"),
		needs(web, "resourcemanager.projects.getIamPolicy", "resourcemanager.projects.setIamPolicy"), needs(shopName, "run.services.get", "run.services.update"),
		helps(web, "run.operations.get"),
	)
	return measure{"Client.Apply", "a new account", newAccount, func(ctx context.Context, c *recommend.Client) error {
		r, err := c.Get(ctx, webRun+"own")
		if err != nil {
			return err
		}
		p, err := recommend.NewPlan(r, &recommend.PlanOptions{Account: shopAccount, Current: oldAccount, Grants: []recommend.Grant{{Role: "roles/run.invoker", Resource: webProject}}})
		if err != nil {
			return err
		}
		_, err = c.Apply(ctx, p, "bot", nil)
		return err
	}, map[string][]string{web: {"roles/run.developer", "roles/iam.serviceAccountCreator", "roles/iam.serviceAccountUser", "roles/resourcemanager.projectIamAdmin"}}}
}

// fullName is a full resource name.
func fullName(resource string) string {
	switch {
	case strings.Contains(resource, "/serviceAccounts/"):
		return "//iam.googleapis.com/" + resource
	case strings.Contains(resource, "/locations/"):
		return "//run.googleapis.com/" + resource
	}
	return "//cloudresourcemanager.googleapis.com/" + resource
}
