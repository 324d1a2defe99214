package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGcloudServiceAccounts(t *testing.T) {
	t.Parallel()
	g := newGcloud(t, startEmulator(t), owner)
	const email = "freshly-made@demo-proj.iam.gserviceaccount.com"
	g.ok("iam service-accounts create freshly-made --display-name=New")
	assert.Contains(t, g.ok("iam service-accounts list"), email)
	g.ok("iam service-accounts update "+email+" --description=Other",
		"iam service-accounts disable "+email, "iam service-accounts enable "+email)
	assert.Contains(t, g.ok("iam service-accounts describe "+email), "description: Other")

	g.ok("iam service-accounts add-iam-policy-binding " + email + " --member=user:dev@example.com --role=roles/iam.serviceAccountUser")
	g.file("condition.yaml", "title: soon\nexpression: request.time < timestamp(\"2036-01-01T00:00:00Z\")\n")
	g.ok("iam service-accounts add-iam-policy-binding " + email +
		" --member=user:dev@example.com --role=roles/iam.serviceAccountTokenCreator --condition-from-file=condition.yaml")
	assert.Contains(t, g.ok("iam service-accounts get-iam-policy "+email), "request.time")
	g.ok("iam service-accounts remove-iam-policy-binding "+email+
		" --member=user:dev@example.com --role=roles/iam.serviceAccountTokenCreator --condition-from-file=condition.yaml",
		"iam service-accounts remove-iam-policy-binding "+email+
			" --member=user:dev@example.com --role=roles/iam.serviceAccountUser --condition=None",
		"iam service-accounts delete "+email)
	assert.NotContains(t, g.ok("iam service-accounts list"), email)
	assert.Contains(t, g.refused("iam service-accounts create runner"), "already exists")
	assert.Contains(t, g.refused("iam service-accounts get-iam-policy gone@demo-proj.iam.gserviceaccount.com"), "iam.serviceAccounts.getIamPolicy")

	assert.Contains(t, g.ok("iam roles describe roles/run.developer"), "run.jobs.create")
	g.ok("iam roles create deployer --project=demo-proj --title=Deployer --permissions=run.jobs.get,run.jobs.update",
		"iam roles update deployer --project=demo-proj --add-permissions=run.jobs.list")
	assert.Contains(t, g.ok("iam roles describe deployer --project=demo-proj"), "run.jobs.list")
	assert.Contains(t, g.ok("iam roles list --project=demo-proj"), "deployer")
	g.ok("iam roles delete deployer --project=demo-proj", "iam roles undelete deployer --project=demo-proj")
}

func TestGcloudProjects(t *testing.T) {
	t.Parallel()
	g := newGcloud(t, startEmulator(t), owner)
	assert.Contains(t, g.ok("projects describe demo-proj"), "123456789012")
	assert.Contains(t, g.ok("projects list"), "data-prod")
	assert.Contains(t, g.ok("projects get-ancestors demo-proj"), "100000000001")
	g.ok("projects add-iam-policy-binding demo-proj --member=user:ann@example.com --role=roles/viewer",
		"projects remove-iam-policy-binding demo-proj --member=user:ann@example.com --role=roles/viewer")
	assert.Contains(t, g.ok("projects get-iam-policy demo-proj"), "roles/run.developer")
	assert.Contains(t, g.ok("organizations get-iam-policy 100000000001"), "roles/orgpolicy.policyAdmin")
	assert.Contains(t, g.ok("organizations list"), "example.com")
	assert.Contains(t, g.ok("services list --enabled"), "run.googleapis.com")
	g.ok("services enable artifactregistry.googleapis.com", "services disable artifactregistry.googleapis.com")
	assert.NotContains(t, g.ok("services list --enabled"), "artifactregistry")
	assert.Contains(t, g.ok("policy-intelligence troubleshoot-policy iam //cloudresourcemanager.googleapis.com/projects/demo-proj"+
		" --permission=run.jobs.update --principal-email=dev@example.com"), "CAN_ACCESS")
}

func TestGcloudOrgPolicies(t *testing.T) {
	t.Parallel()
	g := newGcloud(t, startEmulator(t), owner)
	const constraint = "iam.disableCrossProjectServiceAccountUsage"
	assert.Contains(t, g.ok("org-policies list --project=data-prod --show-unset"), constraint)
	g.file("policy.yaml", "name: projects/data-prod/policies/"+constraint+"\nspec:\n  rules:\n  - enforce: false\n")
	g.ok("org-policies set-policy policy.yaml")
	assert.Contains(t, g.ok("org-policies describe "+constraint+" --project=data-prod"), "enforce: false")
	assert.Contains(t, g.ok("org-policies describe "+constraint+" --project=data-prod --effective"), "enforce: false")
	g.ok("org-policies set-policy policy.yaml", "org-policies reset "+constraint+" --project=data-prod",
		"org-policies delete "+constraint+" --project=data-prod")

	assert.Contains(t, g.ok("resource-manager org-policies describe "+constraint+" --project=data-prod"), constraint)
	g.ok("resource-manager org-policies disable-enforce " + constraint + " --project=data-prod")
	assert.Contains(t, g.ok("resource-manager org-policies describe "+constraint+" --project=data-prod --effective"), "booleanPolicy: {}")
	assert.Contains(t, g.ok("resource-manager org-policies list --project=data-prod"), constraint)
	g.ok("resource-manager org-policies enable-enforce " + constraint + " --project=data-prod")
	g.file("v1.yaml", "constraint: constraints/"+constraint+"\nbooleanPolicy: {}\n")
	g.ok("resource-manager org-policies set-policy v1.yaml --project=data-prod")
	g.ok("projects add-iam-policy-binding data-prod --member=user:x@example.com --role=roles/viewer")
	agent := "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com"
	const exporter = "exporter@data-prod.iam.gserviceaccount.com"
	g.ok("iam service-accounts add-iam-policy-binding "+exporter+" --project=data-prod --role=roles/iam.serviceAccountTokenCreator --member="+agent,
		"run jobs update nightly --service-account="+exporter,
		"resource-manager org-policies delete "+constraint+" --project=data-prod")
	assert.Contains(t, g.refused("run jobs update nightly --service-account="+exporter), constraint)
	assert.Contains(t, newGcloud(t, &emulator{address: g.address}, "user:dev@example.com").
		refused("resource-manager org-policies disable-enforce "+constraint+" --project=data-prod"), "orgpolicy.policy")
}

func TestGcloudRecommender(t *testing.T) {
	t.Parallel()
	g := newGcloud(t, startEmulator(t), owner)
	const (
		where        = " --project=demo-proj --location=us-central1"
		recommender  = where + " --recommender=google.run.service.IdentityRecommender"
		insights     = where + " --insight-type=google.run.service.IdentityInsight"
		storefront   = "storefront-own-identity"
		stateAndEtag = " --format=value(stateInfo.state,etag)"
	)
	assert.Equal(t, 2, strings.Count(g.ok("recommender recommendations list"+recommender+" --filter=stateInfo.state=ACTIVE --format=value(name)"), "\n"))
	assert.Equal(t, 2, strings.Count(g.ok("recommender insights list"+insights+" --format=value(name)"), "\n"))
	state := func(id string) (state, etag string) {
		t.Helper()
		state, etag, _ = strings.Cut(strings.TrimSpace(g.ok("recommender recommendations describe "+id+recommender+stateAndEtag)), "\t")
		return state, etag
	}
	now, etag := state(storefront)
	assert.Equal(t, "ACTIVE", now)
	g.ok("recommender recommendations mark-claimed " + storefront + recommender + " --etag=" + etag)
	now, etag = state(storefront)
	assert.Equal(t, "CLAIMED", now)
	g.ok("recommender recommendations mark-succeeded " + storefront + recommender + " --etag=" + etag)
	now, _ = state(storefront)
	assert.Equal(t, "SUCCEEDED", now)
	_, etag = state("storefront-earlier")
	assert.Contains(t, g.refused("recommender recommendations mark-failed storefront-earlier"+recommender+" --etag="+etag), "FAILED_PRECONDITION")
	_, etag = state("nightly-own-identity")
	g.ok("recommender recommendations mark-dismissed nightly-own-identity" + recommender + " --etag=" + etag)
	etag = strings.TrimSpace(g.ok("recommender insights describe storefront-use" + insights + " --format=value(etag)"))
	g.ok("recommender insights mark-accepted storefront-use" + insights + " --etag=" + etag)
	assert.Contains(t, g.refused("recommender insights mark-accepted storefront-use"+insights+" --etag="+etag), "etag")
}
