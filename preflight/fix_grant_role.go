package preflight

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/allowpolicy"
	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/render"
)

// grantRole is what [FixGrantRole] does.
type grantRole Fix

func (f *grantRole) fields() []field {
	return []field{
		{name: "resource", at: &f.Resource}, {name: "role", at: &f.Role}, {name: "member", at: &f.Member},
		{name: "condition", at: &f.Condition, optional: true},
	}
}

func (f *grantRole) check() error {
	at, err := parseResource(f.Resource)
	if err != nil {
		return err
	}
	_, err = access.ParseMember(f.Member)
	switch {
	case at.kind == otherResource:
		return fmt.Errorf("%s: only on projects, folders, organizations, service accounts and Cloud Run workloads", f.text())
	case f.Resource != at.full:
		return fmt.Errorf("%s: the resource %q must be named in full, as %q", f.text(), f.Resource, at.full)
	case err != nil && f.Member != "":
		return fmt.Errorf("%s: %w", f.text(), err)
	case f.Condition.Expression == "" && f.Condition != (Condition{}):
		return fmt.Errorf("%s: the condition %q has no expression, and the grant would hold always", f.text(), f.Condition.Title)
	case !strings.Contains(f.Role, "roles/"):
		return lacks(f, "the role", "roles/run.developer")
	case f.Member == "":
		return nobody(f)
	}
	return nil
}

func (f *grantRole) text() string {
	s := "grant " + f.Role + " to " + shortMember(memberOr(f.Member)) + " on " + shortName(f.Resource)
	if f.Condition.Expression != "" {
		s += " if " + f.Condition.Expression
	}
	return s
}

func (f *grantRole) gcloud() string {
	at, err := parseResource(f.Resource)
	if err != nil || at.kind == otherResource {
		return "# " + render.Line(f.text()) + ": with the command of its service"
	}
	w := at.workload
	id := names.Last(at.name)
	grant := []string{"add-iam-policy-binding", id, "--member=" + memberOr(f.Member), "--role=" + f.Role}
	condition := []string{"--condition=" + f.conditionFlag()}
	var words []string
	switch at.kind {
	case accountResource:
		words = append([]string{"gcloud", "iam", "service-accounts"}, grant...)
		if at.project != "-" {
			words = append(words, "--project="+at.project)
		}
		words = append(words, condition...)
	case projectResource:
		words = append(append([]string{"gcloud", "projects"}, grant...), condition...)
	case folderResource:
		words = append(append([]string{"gcloud", "resource-manager", "folders"}, grant...), condition...)
	case organizationResource:
		words = append(append([]string{"gcloud", "organizations"}, grant...), condition...)
	default:
		group := map[identity.Kind]string{identity.KindJob: "jobs", identity.KindService: "services"}[w.Kind]
		if group == "" || group == "jobs" && f.Condition.Expression != "" {
			return "# " + render.Line(f.text()) + ": gcloud has no command for it, see the API call " + f.request().Method
		}
		words = append(append([]string{"gcloud", "run", group}, grant...), "--region="+w.Location, "--project="+w.Project)
		if group == "services" && f.Condition.Expression != "" {
			words = append(words, condition...)
		}
	}
	return render.Command(words...)
}

// conditionFlag returns the value of gcloud's --condition: with a separator that
// isn't in the expression, as commas may be.
func (f *grantRole) conditionFlag() string {
	if f.Condition.Expression == "" {
		return "None"
	}
	separator := "#"
	all := f.Condition.Title + f.Condition.Description + f.Condition.Expression
	for strings.Contains(all, separator) {
		separator += "#"
	}
	flag := "^" + separator + "^expression=" + f.Condition.Expression + separator + "title=" + f.Condition.Title
	if f.Condition.Description != "" {
		flag += separator + "description=" + f.Condition.Description
	}
	return flag
}

func (f *grantRole) request() Request {
	r := Request{Verb: "POST"}
	full, version := f.Resource, "v1"
	at, err := parseResource(f.Resource)
	if err == nil {
		full = at.full
		switch at.kind {
		case accountResource:
			r.Method = "iam.projects.serviceAccounts.setIamPolicy"
		case workloadResource:
			version = "v2"
			r.Method = "run.projects.locations." + strings.Split(at.name, "/")[4] + ".setIamPolicy"
		case projectResource, folderResource, organizationResource:
			version = "v3"
			r.Method = "cloudresourcemanager." + strings.Split(at.name, "/")[0] + ".setIamPolicy"
		default:
		}
	}
	service, name, _ := strings.Cut(strings.TrimPrefix(full, "//"), "/")
	r.URL = "https://" + service + "/" + version + "/" + name + ":setIamPolicy"
	binding := map[string]any{"role": f.Role, "members": []string{memberOr(f.Member)}}
	if f.Condition.Expression != "" {
		binding["condition"] = f.Condition
	}
	r.Body = body(map[string]any{"policy": map[string]any{"bindings": []any{binding}}})
	return r
}

func (f *grantRole) sideEffect() string {
	at, err := parseResource(f.Resource)
	var may, effect string
	if err == nil {
		may = strings.Replace(at.readPermission(), "getIamPolicy", "setIamPolicy", 1)
	}
	switch f.Role {
	case roleAccountUser:
		effect = "whoever acts as the account has its rights"
	case roleTokenCreator:
		effect = "whoever mints tokens for the account has its rights"
	default:
		effect = "the member has all permissions of the role there"
	}
	if may != "" {
		effect += "; takes " + may
	}
	return effect
}

func (f *grantRole) changesGuardrail() bool { return false }

func (f *grantRole) apply(ctx context.Context, by *applier) (bool, error) {
	edited, err := by.policies.Edit(ctx, f.Resource, allowpolicy.Change{
		Role: f.Role, Member: f.Member, Condition: allowpolicy.Condition(f.Condition),
	})
	if errors.Is(err, allowpolicy.ErrOpen) {
		err = mayBe(err)
	}
	return len(edited.Made) > 0, err
}
