package preflight

import (
	"fmt"
	"strings"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/render"
)

// GrantRole grants a role to a member on one resource.
type GrantRole struct {
	// Resource is a full resource name: of a service account, a Cloud Run
	// workload, a project, a folder or an organization.
	Resource string `json:"resource"`
	Role     string `json:"role"`
	// Member is whom it is granted to. "" is a deployer whose name isn't known,
	// and shows as MEMBER; such a fix can't be applied.
	Member string `json:"member"`
	// Condition is that of the binding; without an Expression there is none.
	Condition Condition `json:"condition,omitzero"`
}

// String implements [Fix].
func (f GrantRole) String() string {
	s := "grant " + f.Role + " to " + shortMember(memberOr(f.Member)) + " on " + shortName(f.Resource)
	if f.Condition.Expression != "" {
		s += " if " + f.Condition.Expression
	}
	return s
}

// Gcloud implements [Fix].
func (f GrantRole) Gcloud() string {
	at, err := parseResource(f.Resource)
	if err != nil || at.kind == otherResource {
		return "# " + render.Line(f.String()) + ": with the command of its service"
	}
	w := at.workload
	id := lastSegment(at.name)
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
			return "# " + render.Line(f.String()) + ": gcloud has no command for it, see the API call " + f.Request().Method
		}
		words = append(append([]string{"gcloud", "run", group}, grant...), "--region="+w.Location, "--project="+w.Project)
		if group == "services" && f.Condition.Expression != "" {
			words = append(words, condition...)
		}
	}
	return render.Command(words...)
}

// conditionFlag is the value of gcloud's --condition: with a separator that
// isn't in the expression, as commas may be.
func (f GrantRole) conditionFlag() string {
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

// Request implements [Fix].
func (f GrantRole) Request() Request {
	r := Request{Verb: "POST"}
	rest, _ := strings.CutPrefix(f.Resource, "//")
	service, name, _ := strings.Cut(rest, "/")
	version := "v1"
	at, err := parseResource(f.Resource)
	if err == nil {
		switch at.kind {
		case accountResource:
			r.Method = "iam.projects.serviceAccounts.setIamPolicy"
		case workloadResource:
			version = "v2"
			r.Method = "run.projects.locations." + strings.Split(name, "/")[4] + ".setIamPolicy"
		case projectResource, folderResource, organizationResource:
			version = "v3"
			r.Method = "cloudresourcemanager." + strings.Split(name, "/")[0] + ".setIamPolicy"
		default:
		}
	}
	r.URL = "https://" + service + "/" + version + "/" + name + ":setIamPolicy"
	binding := map[string]any{"role": f.Role, "members": []string{memberOr(f.Member)}}
	if f.Condition.Expression != "" {
		binding["condition"] = f.Condition
	}
	r.Body = body(map[string]any{"policy": map[string]any{"bindings": []any{binding}}})
	return r
}

// SideEffect implements [Fix].
func (f GrantRole) SideEffect() string {
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

// Guardrail implements [Fix].
func (f GrantRole) Guardrail() bool { return false }

func (f GrantRole) kind() fixKind { return kindGrantRole }

func (f GrantRole) check() error {
	at, err := parseResource(f.Resource)
	if err != nil {
		return err
	}
	_, err = access.ParseMember(f.Member)
	switch {
	case at.kind == otherResource:
		return fmt.Errorf("%s: only on projects, folders, organizations, service accounts and Cloud Run workloads", f)
	case f.Resource != at.full:
		return fmt.Errorf("%s: the resource %q must be named in full, as %q", f, f.Resource, at.full)
	case err != nil && f.Member != "":
		return fmt.Errorf("%s: %w", f, err)
	case !strings.Contains(f.Role, "roles/"):
		return lacks(f, "the role", "roles/run.developer")
	case f.Member == "":
		return nobody(f)
	}
	return nil
}
