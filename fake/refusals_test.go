package fake_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/run/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
)

const (
	dev        = "user:dev@example.com"
	runProject = "projects/web-prod"
	ownProject = "projects/data-prod"
	local      = "runner@web-prod.iam.gserviceaccount.com"
	remote     = "runner@data-prod.iam.gserviceaccount.com"
	agent      = "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
)

func accountName(email string) string {
	return "//iam.googleapis.com/projects/-/serviceAccounts/" + email
}

// situation is a cloud in which dev may make a job of web-prod run as an
// account of its own project and as one of another.
func situation(t *testing.T) *fake.Backend {
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
	b.AddJob(&run.GoogleCloudRunV2Job{Name: jobName, Template: jobTemplate("image")})
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

// attach patches the job to run as an account, as dev.
func attachAs(t *testing.T, b *fake.Backend, email string) error {
	t.Helper()
	svc, err := run.NewService(t.Context(), b.ClientOptions(dev)...)
	require.NoError(t, err)
	template := jobTemplate("image")
	template.Template.ServiceAccount = email
	_, err = svc.Projects.Locations.Jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: template}).Do()
	return err
}

func actAsRefused(email string) string {
	return "Permission 'iam.serviceaccounts.actAs' denied on service account " + email + " (or it may not exist)."
}

func agentRefused(email string) string {
	return "Google Cloud Run Service Agent does not have permission to get access tokens for the service account " + email +
		". Please give service-123456789012@serverless-robot-prod.iam.gserviceaccount.com permission iam.serviceAccounts.getAccessToken " +
		"on the service account. Alternatively, if the service account is unspecified or in the same project you are deploying in, " +
		"ensure that the Service Agent is assigned the Google Cloud Run Service Agent role roles/run.serviceAgent."
}

// Each way in which an attach is refused, and the smallest thing that makes it
// pass.
func TestRefusedAttaches(t *testing.T) {
	t.Parallel()
	const crossProjectRefused = "Constraint constraints/iam.disableCrossProjectServiceAccountUsage violated for service account " + remote + "."
	setDisabled := func(b *fake.Backend, email string, disabled bool) {
		ctx := t.Context()
		svc, err := iam.NewService(ctx, b.ClientOptions(fake.Admin)...)
		require.NoError(t, err)
		name := "projects/-/serviceAccounts/" + email
		if disabled {
			_, err = svc.Projects.ServiceAccounts.Disable(name, &iam.DisableServiceAccountRequest{}).Do()
		} else {
			_, err = svc.Projects.ServiceAccounts.Enable(name, &iam.EnableServiceAccountRequest{}).Do()
		}
		require.NoError(t, err)
	}
	tests := map[string]struct {
		account string
		breaks  func(*fake.Backend)
		status  int
		text    string
		fix     func(*fake.Backend)
	}{
		"no actAs": {
			local, func(b *fake.Backend) { revoke(b, accountName(local), "", dev) }, 403, actAsRefused(local),
			func(b *fake.Backend) { b.Grant(accountName(local), "roles/iam.serviceAccountUser", dev) },
		},
		"no actAs, though roles/run.admin": {
			local, func(b *fake.Backend) {
				revoke(b, accountName(local), "", dev)
				b.Grant(runProject, "roles/run.admin", dev)
			}, 403, actAsRefused(local),
			func(b *fake.Backend) {
				b.AddRole(&iam.Role{Name: "projects/web-prod/roles/actor", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
				b.Grant(accountName(local), "projects/web-prod/roles/actor", dev)
			},
		},
		"actAs by a disabled custom role": {
			local, func(b *fake.Backend) {
				revoke(b, accountName(local), "", dev)
				b.AddRole(&iam.Role{Name: "projects/web-prod/roles/actor", Stage: "DISABLED", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
				b.Grant(accountName(local), "projects/web-prod/roles/actor", dev)
			}, 403, actAsRefused(local),
			func(b *fake.Backend) {
				b.AddRole(&iam.Role{Name: "projects/web-prod/roles/actor", IncludedPermissions: []string{"iam.serviceAccounts.actAs"}})
			},
		},
		"account missing": {
			"nobody@web-prod.iam.gserviceaccount.com", func(*fake.Backend) {}, 403, actAsRefused("nobody@web-prod.iam.gserviceaccount.com"),
			func(b *fake.Backend) {
				b.AddServiceAccount(&iam.ServiceAccount{Email: "nobody@web-prod.iam.gserviceaccount.com"})
				b.Grant(accountName("nobody@web-prod.iam.gserviceaccount.com"), "roles/iam.serviceAccountUser", dev)
			},
		},
		"account disabled": {
			local, func(b *fake.Backend) { setDisabled(b, local, true) }, 403, actAsRefused(local),
			func(b *fake.Backend) { setDisabled(b, local, false) },
		},
		"account deleted": {
			local, func(b *fake.Backend) {
				svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
				require.NoError(t, err)
				_, err = svc.Projects.ServiceAccounts.Delete("projects/-/serviceAccounts/" + local).Do()
				require.NoError(t, err)
			}, 403, actAsRefused(local),
			func(b *fake.Backend) {
				b.AddServiceAccount(&iam.ServiceAccount{Email: local})
				b.Grant(accountName(local), "roles/iam.serviceAccountUser", dev)
			},
		},
		"deny policy": {
			local, func(b *fake.Backend) {
				b.AddDenyPolicy("folders/2", &iamv2.GoogleIamV2Policy{Name: "no-actas", Rules: []*iamv2.GoogleIamV2PolicyRule{{
					DenyRule: &iamv2.GoogleIamV2DenyRule{
						DeniedPrincipals:  []string{"principalSet://goog/public:all"},
						DeniedPermissions: []string{"iam.googleapis.com/serviceAccounts.actAs"},
					},
				}}})
			}, 403, actAsRefused(local),
			func(b *fake.Backend) {
				svc, err := iamv2.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
				require.NoError(t, err)
				const policy = "policies/cloudresourcemanager.googleapis.com%2Ffolders%2F2/denypolicies/no-actas"
				got, err := svc.Policies.Get(policy).Do()
				require.NoError(t, err)
				got.Rules[0].DenyRule.ExceptionPrincipals = []string{"principal://goog/subject/dev@example.com"}
				_, err = svc.Policies.Update(policy, got).Do()
				require.NoError(t, err)
			},
		},
		"condition expired": {
			local, func(b *fake.Backend) {
				revoke(b, accountName(local), "", dev)
				b.GrantIf(accountName(local), "roles/iam.serviceAccountUser", dev, `request.time < timestamp("1999-01-01T00:00:00Z")`)
			}, 403, actAsRefused(local),
			func(b *fake.Backend) {
				b.GrantIf(accountName(local), "roles/iam.serviceAccountUser", dev, `request.time < timestamp("2999-01-01T00:00:00Z")`)
			},
		},
		"agent without its role in the same project": {
			local, func(b *fake.Backend) { revoke(b, runProject, "", agent) }, 403, agentRefused(local),
			func(b *fake.Backend) { b.Grant(runProject, "roles/run.serviceAgent", agent) },
		},
		"the same, and the token right on the account is enough": {
			local, func(b *fake.Backend) { revoke(b, runProject, "", agent) }, 403, agentRefused(local),
			func(b *fake.Backend) { b.Grant(accountName(local), "roles/iam.serviceAccountTokenCreator", agent) },
		},
		"the agent an owner of its own project": {
			local, func(b *fake.Backend) {
				revoke(b, runProject, "", agent)
				b.Grant(runProject, "roles/owner", agent)
				b.Grant(runProject, "roles/editor", agent)
			}, 403, agentRefused(local),
			func(b *fake.Backend) { b.Grant(accountName(local), "roles/iam.workloadIdentityUser", agent) },
		},
		"agent without the token right across projects": {
			remote, func(b *fake.Backend) { revoke(b, accountName(remote), "", agent) }, 403, agentRefused(remote),
			func(b *fake.Backend) { b.Grant(accountName(remote), "roles/iam.serviceAccountTokenCreator", agent) },
		},
		"the agent an owner of the account's project": {
			remote, func(b *fake.Backend) {
				revoke(b, accountName(remote), "", agent)
				b.Grant(ownProject, "roles/owner", agent)
				b.Grant(ownProject, "roles/editor", agent)
			}, 403, agentRefused(remote),
			func(b *fake.Backend) { b.Grant(ownProject, "roles/iam.serviceAccountTokenCreator", agent) },
		},
		"org policy enforced on the project": {
			remote, func(b *fake.Backend) { b.SetOrgPolicy(crossProject(ownProject, true)) }, 400, crossProjectRefused,
			func(b *fake.Backend) { b.SetOrgPolicy(crossProject(ownProject, false)) },
		},
		"org policy enforced on the folder": {
			remote, func(b *fake.Backend) {
				clearOrgPolicy(t, b, ownProject)
				b.SetOrgPolicy(crossProject("organizations/1", false))
				b.SetOrgPolicy(crossProject("folders/3", true))
			}, 400, crossProjectRefused,
			func(b *fake.Backend) { b.SetOrgPolicy(crossProject(ownProject, false)) },
		},
		"org policy enforced on the organization": {
			remote, func(b *fake.Backend) {
				clearOrgPolicy(t, b, ownProject)
				b.SetOrgPolicy(crossProject("organizations/1", true))
			}, 400, crossProjectRefused,
			func(b *fake.Backend) { b.SetOrgPolicy(crossProject("folders/2", false)) },
		},
		"org policy unset: enforced by default": {
			remote, func(b *fake.Backend) { clearOrgPolicy(t, b, ownProject) }, 400, crossProjectRefused,
			func(b *fake.Backend) { b.SetOrgPolicy(crossProject("organizations/1", false)) },
		},
		"API disabled": {
			local, func(b *fake.Backend) { switchRun(t, b, false) }, 403,
			"Cloud Run Admin API has not been used in project web-prod before or it is disabled. Enable it by visiting " +
				"https://console.developers.google.com/apis/api/run.googleapis.com/overview?project=web-prod then retry. " +
				"If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.",
			func(b *fake.Backend) { switchRun(t, b, true) },
		},
		"no run.jobs.update": {
			local, func(b *fake.Backend) { revoke(b, jobName, "", dev) }, 403,
			"Permission 'run.jobs.update' denied on resource '" + jobName + "' (or resource may not exist).",
			func(b *fake.Backend) { b.Grant(jobName, "roles/run.developer", dev) },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := situation(t)
			if tt.account != "nobody@web-prod.iam.gserviceaccount.com" {
				require.NoError(t, attachAs(t, b, tt.account), "the situation itself lets it pass")
			}
			tt.breaks(b)

			err := attachAs(t, b, tt.account)

			g := googleError(t, err)
			assert.Equal(t, tt.status, g.Code)
			assert.Equal(t, tt.text, g.Message)
			body := parse(t, []byte(g.Body))
			if tt.status == 403 {
				assert.Equal(t, "PERMISSION_DENIED", field(body, "error.status"))
			}
			assert.Nil(t, field(body, "error.errors"), "Cloud Run v2 sends none")
			switch name {
			case "API disabled":
				assert.Contains(t, g.Body, `"reason":"SERVICE_DISABLED"`)
			case "org policy unset: enforced by default":
				assert.Contains(t, g.Body, "google.rpc.PreconditionFailure")
			}
			tt.fix(b)
			require.NoError(t, attachAs(t, b, tt.account))
		})
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

// switchRun turns the Cloud Run API of web-prod on or off.
func switchRun(t *testing.T, b *fake.Backend, on bool) {
	t.Helper()
	svc, err := serviceusage.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	if on {
		_, err = svc.Services.Enable(runProject+"/services/run.googleapis.com", &serviceusage.EnableServiceRequest{}).Do()
	} else {
		_, err = svc.Services.Disable(runProject+"/services/run.googleapis.com", &serviceusage.DisableServiceRequest{}).Do()
	}
	require.NoError(t, err)
}

func TestTheTextOfTheCrossProjectRefusalCanBeSet(t *testing.T) {
	t.Parallel()
	b := situation(t)
	clearOrgPolicy(t, b, ownProject)
	b.SetCrossProjectText("not %s, since the organization forbids it")
	assert.Equal(t, "not "+remote+", since the organization forbids it", googleError(t, attachAs(t, b, remote)).Message)
}

func TestNewAccountIsNotVisibleAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := situation(t)
		b.SetPropagation(40*time.Second, 0)
		svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
		require.NoError(t, err)
		a, err := svc.Projects.ServiceAccounts.Create(runProject, &iam.CreateServiceAccountRequest{AccountId: "fresh-one"}).Do()
		require.NoError(t, err)
		var found []int
		for range 5 {
			_, err := svc.Projects.ServiceAccounts.Get(a.Name).Do()
			if err == nil {
				found = append(found, 200)
				continue
			}
			g := googleError(t, err)
			assert.Equal(t, "Service account "+a.Name+" does not exist.", g.Message)
			found = append(found, g.Code)
		}
		assert.Equal(t, []int{200, 404, 200, 404, 200}, found, "as recorded")
		_, err = svc.Projects.ServiceAccounts.Create(runProject, &iam.CreateServiceAccountRequest{AccountId: "fresh-one"}).Do()
		assert.Equal(t, 409, googleError(t, err).Code, "and yet it is there")
		_, err = svc.Projects.ServiceAccounts.SetIamPolicy("projects/-/serviceAccounts/"+local, &iam.SetIamPolicyRequest{Policy: &iam.Policy{
			Bindings: []*iam.Binding{{Role: "roles/viewer", Members: []string{"serviceAccount:" + a.Email}}},
		}}).Do()
		assert.Equal(t, "Service account "+a.Email+" does not exist.", googleError(t, err).Message)

		b.Grant(runProject, "roles/iam.serviceAccountUser", dev)
		assert.Equal(t, actAsRefused(a.Email), googleError(t, attachAs(t, b, a.Email)).Message)
		time.Sleep(40 * time.Second)
		require.NoError(t, attachAs(t, b, a.Email))
	})
}

func TestGrantTakesAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := situation(t)
		revoke(b, accountName(local), "", dev)
		b.SetPropagation(0, time.Minute)
		svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
		require.NoError(t, err)
		_, err = svc.Projects.ServiceAccounts.SetIamPolicy("projects/-/serviceAccounts/"+local, &iam.SetIamPolicyRequest{Policy: &iam.Policy{
			Bindings: []*iam.Binding{{Role: "roles/iam.serviceAccountUser", Members: []string{dev}}},
		}}).Do()
		require.NoError(t, err)
		assert.Len(t, b.Policy(accountName(local)).Bindings, 1, "reads show it at once")
		for _, after := range []time.Duration{0, 30 * time.Second, 29 * time.Second} {
			time.Sleep(after)
			assert.Equal(t, actAsRefused(local), googleError(t, attachAs(t, b, local)).Message)
		}
		time.Sleep(time.Second)
		require.NoError(t, attachAs(t, b, local))
	})
}

// The identity is checked on every write, whatever it changes.
func TestActAsIsCheckedOnEveryWrite(t *testing.T) {
	t.Parallel()
	b := situation(t)
	require.NoError(t, attachAs(t, b, local))
	b.Grant(runProject, "roles/run.developer", dev)
	revoke(b, accountName(local), "", dev)
	svc, err := run.NewService(t.Context(), b.ClientOptions(dev)...)
	require.NoError(t, err)
	template := jobTemplate("another image")
	template.Template.ServiceAccount = local
	jobs := svc.Projects.Locations.Jobs
	_, err = jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: template}).Do()
	assert.Equal(t, actAsRefused(local), googleError(t, err).Message)
	_, err = jobs.Patch(jobName, &run.GoogleCloudRunV2Job{Template: template}).ValidateOnly(true).Do()
	assert.Equal(t, 403, googleError(t, err).Code)
	_, err = jobs.Create(location, &run.GoogleCloudRunV2Job{Template: template}).JobId("new").Do()
	assert.Equal(t, 403, googleError(t, err).Code)
	_, err = jobs.Create(location, &run.GoogleCloudRunV2Job{Template: jobTemplate("i")}).JobId("new").Do()
	assert.Equal(t, actAsRefused("123456789012-compute@developer.gserviceaccount.com"), googleError(t, err).Message, "the default identity is one too")
	_, err = jobs.Run(jobName, &run.GoogleCloudRunV2RunJobRequest{}).Do()
	require.NoError(t, err, "to run a job, actAs is not asked for")

	for collection, body := range map[string]string{
		"services": `{"template":{"serviceAccount":%q,"containers":[{"image":"i"}]}}`, "workerPools": `{"template":{"serviceAccount":%q,"containers":[{"image":"i"}]}}`,
	} {
		idParam := map[string]string{"services": "serviceId", "workerPools": "workerPoolId"}[collection]
		b.Grant(runProject, "roles/run.admin", dev)
		status, answer := call(t, b, "POST", api+location+"/"+collection+"?"+idParam+"=new", fmt.Sprintf(body, local))
		assert.Equal(t, 403, status, collection)
		assert.Contains(t, answer, "iam.serviceaccounts.actAs")
	}
}
