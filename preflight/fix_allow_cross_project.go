package preflight

import (
	"context"
	"net/http"

	"google.golang.org/api/orgpolicy/v2"

	"github.com/runidentity/runidentity/internal/render"
	"github.com/runidentity/runidentity/internal/rest"
)

// allowCrossProject is what [FixAllowCrossProject] does.
type allowCrossProject Fix

func (f *allowCrossProject) fields() []field { return []field{{name: "project", at: &f.Project}} }

func (f *allowCrossProject) check() error {
	if f.Project == "" {
		return lacks(f, "the project", "data-prod")
	}
	return nil
}

func (f *allowCrossProject) text() string {
	return "stop enforcing " + crossProjectConstraint + " on project " + f.Project
}

func (f *allowCrossProject) gcloud() string {
	return render.Command("gcloud", "resource-manager", "org-policies", "disable-enforce", crossProjectConstraint, "--project="+f.Project)
}

func (f *allowCrossProject) request() Request {
	name := "projects/" + f.Project + "/policies/" + crossProjectConstraint
	return Request{
		Method: "orgpolicy.projects.policies.create", Verb: "POST",
		URL: "https://orgpolicy.googleapis.com/v2/projects/" + f.Project + "/policies",
		Body: body(map[string]any{
			"name": name, "spec": map[string]any{"rules": []any{map[string]bool{"enforce": false}}},
		}),
	}
}

func (f *allowCrossProject) sideEffect() string {
	return "every account of the project can then be attached in other projects by whoever may act as it, and the project gets " +
		"a lien that keeps it from being deleted; takes orgpolicy.policy.set, which roles/orgpolicy.policyAdmin on the organization has, not the project's owner"
}

func (f *allowCrossProject) changesGuardrail() bool { return true }

func (f *allowCrossProject) apply(ctx context.Context, by *applier) (bool, error) {
	type policy = orgpolicy.GoogleCloudOrgpolicyV2Policy
	parent := "projects/" + f.Project
	name := parent + "/policies/" + crossProjectConstraint
	off := []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{{ForceSendFields: []string{"Enforce"}}}
	var last *policy // as look read it, nil if there is none
	return settle(ctx, change{
		look: func(ctx context.Context) (so bool, err error) {
			last, err = read(ctx, func() (*policy, error) {
				return by.org.Projects.Policies.Get(name).Context(ctx).Do()
			}, func(p *policy) string { return differs(p.Name, name) })
			if rest.HasCode(err, http.StatusNotFound) {
				last, err = nil, nil
			}
			if err != nil || last == nil || last.Spec == nil {
				return false, err
			}
			rules := last.Spec.Rules
			return len(rules) == 1 && !rules[0].Enforce && rules[0].Condition == nil, nil
		},
		write: func(ctx context.Context) (bool, error) {
			if last == nil {
				_, err := by.org.Projects.Policies.Create(parent, &policy{
					Name: name, Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: off},
				}).Context(ctx).Do()
				return err == nil, err
			}
			if last.Spec == nil {
				last.Spec = &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Etag: last.Etag}
			}
			last.Spec.Rules, last.Spec.Reset, last.Spec.InheritFromParent = off, false, false
			_, err := by.org.Projects.Policies.Patch(name, last).UpdateMask("policy.spec").Context(ctx).Do()
			return err == nil, err
		},
	})
}
