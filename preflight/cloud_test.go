package preflight_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

const (
	dev        = "user:dev@example.com"
	auditor    = "user:auditor@example.com"
	runProject = "projects/web-prod"
	ownProject = "projects/data-prod"
	local      = "runner@web-prod.iam.gserviceaccount.com"
	remote     = "runner@data-prod.iam.gserviceaccount.com"
	agentEmail = "service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
	agent      = "serviceAccount:" + agentEmail
	jobName    = "projects/web-prod/locations/europe-west1/jobs/nightly"
)

var job = identity.MustParseWorkload(jobName)

func accountName(email string) string {
	return "//iam.googleapis.com/projects/-/serviceAccounts/" + email
}

func account(t *testing.T, email string) identity.ServiceAccount {
	t.Helper()
	sa, err := identity.ParseServiceAccount(email)
	require.NoError(t, err)
	return sa
}

// newCloud is a cloud in which dev may make a job of web-prod run as an account
// of its own project and as one of another.
func newCloud(t *testing.T) *fake.Backend {
	t.Helper()
	b := fake.NewBackend()
	t.Cleanup(b.Close)
	b.AddOrganization(&cloudresourcemanager.Organization{Name: "organizations/1", DisplayName: "example.com"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/2", Parent: "organizations/1"})
	b.AddFolder(&cloudresourcemanager.Folder{Name: "folders/3", Parent: "folders/2"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012", Parent: "folders/2"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "data-prod", Name: "projects/210987654321", Parent: "folders/3"})
	for _, email := range []string{local, remote} {
		b.AddServiceAccount(&iam.ServiceAccount{Email: email})
		b.Grant(accountName(email), "roles/iam.serviceAccountUser", dev)
	}
	b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: &run.GoogleCloudRunV2ExecutionTemplate{
		Template: &run.GoogleCloudRunV2TaskTemplate{Containers: []*run.GoogleCloudRunV2Container{{Image: "image"}}},
	}})
	b.Grant(jobName, "roles/run.developer", dev)
	b.Grant(accountName(remote), "roles/iam.serviceAccountTokenCreator", agent)
	b.SetOrgPolicy(crossProject(ownProject, false))
	return b
}

// crossProject is the policy on accounts of other projects.
func crossProject(parent string, enforce bool) *orgpolicy.GoogleCloudOrgpolicyV2Policy {
	return &orgpolicy.GoogleCloudOrgpolicyV2Policy{
		Name: parent + "/policies/iam.disableCrossProjectServiceAccountUsage",
		Spec: &orgpolicy.GoogleCloudOrgpolicyV2PolicySpec{Rules: []*orgpolicy.GoogleCloudOrgpolicyV2PolicySpecPolicyRule{
			{Enforce: enforce, ForceSendFields: []string{"Enforce"}},
		}},
	}
}

// clearOrgPolicy deletes the policy on a project.
func clearOrgPolicy(t *testing.T, b *fake.Backend, project string) {
	t.Helper()
	svc, err := orgpolicy.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	_, err = svc.Projects.Policies.Delete(crossProject(project, false).Name).Do()
	require.NoError(t, err)
}

// revoke removes a member from all bindings of a role, or of all roles.
func revoke(b *fake.Backend, resource, role, member string) {
	p := b.Policy(resource)
	var kept []*iam.Binding
	for _, binding := range p.Bindings {
		var members []string
		for _, m := range binding.Members {
			if m != member || role != "" && binding.Role != role {
				members = append(members, m)
			}
		}
		if len(members) > 0 {
			binding.Members = members
			kept = append(kept, binding)
		}
	}
	p.Bindings = kept
	b.SetPolicy(resource, p)
}

// grantAuditor lets auditor read what checks need, and nothing else.
func grantAuditor(b *fake.Backend) {
	b.Grant("organizations/1", "roles/iam.securityReviewer", auditor)
	b.Grant("organizations/1", "roles/iam.denyReviewer", auditor)
	b.Grant("organizations/1", "roles/viewer", auditor)
}

// newChecker is a checker for a caller, whose name it knows.
func newChecker(t *testing.T, b *fake.Backend, caller string) *preflight.Checker {
	t.Helper()
	c, err := preflight.NewChecker(t.Context(), b.ClientOptions(caller)...)
	require.NoError(t, err)
	if caller != fake.Admin {
		c.Caller = caller
	}
	return c
}

func newFixer(t *testing.T, b *fake.Backend) *preflight.Fixer {
	t.Helper()
	f, err := preflight.NewFixer(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	return f
}

// applyAll and repairAll let fixes change guardrails.
var (
	applyAll  = &preflight.ApplyOptions{AllowGuardrailChanges: true}
	repairAll = &preflight.RepairOptions{Apply: *applyAll}
)

// check checks a target, with options if there are any.
func check(t *testing.T, c *preflight.Checker, target preflight.Target, opts ...*preflight.CheckOptions) preflight.Report {
	t.Helper()
	report, err := c.Check(t.Context(), target, append(opts, nil)[0])
	require.NoError(t, err)
	return report
}

// verdicts are those of a report by code; of several of a code, the worst.
func verdicts(r preflight.Report) map[preflight.Code]preflight.Verdict {
	out := make(map[preflight.Code]preflight.Verdict)
	for _, f := range r.Findings {
		if v, ok := out[f.Code]; !ok || v == preflight.Pass || f.Verdict == preflight.Fail {
			out[f.Code] = f.Verdict
		}
	}
	return out
}

// finding is the first of a code.
func finding(t *testing.T, r preflight.Report, code preflight.Code) preflight.Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Code == code {
			return f
		}
	}
	require.Failf(t, "no such finding", "%s in\n%s", code, r)
	return preflight.Finding{}
}

// attach attaches an account to the job as a member.
func attach(t *testing.T, b *fake.Backend, member string, w identity.Workload, email string) error {
	t.Helper()
	client, err := identity.NewClient(t.Context(), b.ClientOptions(member)...)
	require.NoError(t, err)
	_, err = client.Attach(t.Context(), w, account(t, email), nil)
	return err
}

// assertNoWrites holds that nothing was asked that changes anything.
func assertNoWrites(t *testing.T, b *fake.Backend) {
	t.Helper()
	for _, c := range b.Calls() {
		assert.True(t, readsOnly(c), "%s %s %s", c.Method, c.Verb, c.Path)
	}
}
