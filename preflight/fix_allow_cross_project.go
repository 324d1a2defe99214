package preflight

import (
	"context"
	"net/http"
	"net/url"

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
	parent := "projects/" + f.Project
	name := parent + "/policies/" + crossProjectConstraint
	off := []any{map[string]any{"enforce": false}}
	var last policyDocument // as look read it, nil if there is none
	return settle(ctx, change{
		look: func(ctx context.Context) (so bool, err error) {
			last, err = readPolicy(ctx, by.org, "v2/"+name, name)
			if rest.HasCode(err, http.StatusNotFound) {
				last, err = nil, nil
			}
			if err != nil || last == nil {
				return false, err
			}
			var now orgpolicy.GoogleCloudOrgpolicyV2Policy
			if err := last.into(&now); err != nil || now.Spec == nil {
				return false, err
			}
			rules := now.Spec.Rules
			return len(rules) == 1 && !rules[0].Enforce && rules[0].Condition == nil, nil
		},
		write: func(ctx context.Context) (bool, error) {
			if last == nil {
				created := policyDocument{"name": name, "spec": map[string]any{"rules": off}}
				_, err := created.send(ctx, by.org, http.MethodPost, "v2/"+parent+"/policies", nil)
				return err == nil, err
			}
			spec, _ := last["spec"].(map[string]any)
			if spec == nil { // only a dry run
				spec = make(map[string]any)
			}
			spec["rules"] = off
			delete(spec, "reset")
			delete(spec, "inheritFromParent")
			last["spec"] = spec
			// The server replaces all of the policy, whatever the mask says.
			_, err := last.send(ctx, by.org, http.MethodPatch, "v2/"+name, url.Values{"updateMask": {"policy.spec"}})
			return err == nil, err
		},
	})
}
