package recommend_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

const (
	bot      = "user:bot@example.com"
	runner   = "runner@data-prod.iam.gserviceaccount.com"
	compute  = "123456789012-compute@developer.gserviceaccount.com"
	jobName  = "projects/web-prod/locations/europe-west1/jobs/nightly"
	shopName = "projects/web-prod/locations/europe-west1/services/shop"

	webPolicy  = "projects/123456789012/locations/global/recommenders/google.iam.policy.Recommender/recommendations/"
	webUse     = "projects/123456789012/locations/global/insightTypes/google.iam.policy.Insight/insights/"
	webRun     = "projects/123456789012/locations/europe-west1/recommenders/google.run.service.IdentityRecommender/recommendations/"
	webRunUse  = "projects/123456789012/locations/europe-west1/insightTypes/google.run.service.IdentityInsight/insights/"
	webUnused  = "projects/123456789012/locations/global/insightTypes/google.iam.serviceAccount.Insight/insights/"
	dataPolicy = "projects/210987654321/locations/global/recommenders/google.iam.policy.Recommender/recommendations/"
	webProject = "//cloudresourcemanager.googleapis.com/projects/123456789012"
)

var (
	job  = identity.MustParseWorkload(jobName)
	shop = identity.MustParseWorkload(shopName)
)

// removal is a recommendation to take a role away, as documented.
func removal(member, resource, role string) string {
	return fmt.Sprintf(`{"recommenderSubtype": "REMOVE_ROLE", "priority": "P4", "description": "This role has not been used.",
		"lastRefreshTime": %q, "primaryImpact": {"category": "SECURITY", "securityProjection": {"details": {"revokedIamPermissionsCount": 4998}}},
		"content": {"overview": {"resource": %q, "member": %q, "removedRole": %q, "minimumObservationPeriodInDays": "90"},
			"operationGroups": [{"operations": [%s]}]}}`, time.Now().UTC().Format(time.RFC3339), resource, member, role, removeOp(member, resource, role))
}

func removeOp(member, resource, role string) string {
	return fmt.Sprintf(`{"action": "remove", "path": "/iamPolicy/bindings/*/members/*", "resource": %q, "resourceType": "cloudresourcemanager.googleapis.com/Project",
		"pathFilters": {"/iamPolicy/bindings/*/condition/expression": "", "/iamPolicy/bindings/*/members/*": %q, "/iamPolicy/bindings/*/role": %q}}`, resource, member, role)
}

func addOp(member, resource, role string) string {
	return fmt.Sprintf(`{"action": "add", "path": "/iamPolicy/bindings/*/members/-", "value": %q, "resource": %q,
		"pathFilters": {"/iamPolicy/bindings/*/condition/expression": "", "/iamPolicy/bindings/*/role": %q}}`, member, resource, role)
}

// replacement is a recommendation to grant other roles instead of one.
func replacement(member, resource, role string, instead ...string) string {
	text := removal(member, resource, role)
	quoted, ops := make([]string, len(instead)), make([]string, len(instead))
	for i, r := range instead {
		quoted[i], ops[i] = fmt.Sprintf("%q", r), addOp(member, resource, r)
	}
	text = strings.Replace(text, "REMOVE_ROLE", "REPLACE_ROLE", 1)
	text = strings.Replace(text, `"overview": {`, `"overview": {"addedRoles": [`+strings.Join(quoted, ",")+`], `, 1)
	return strings.Replace(text, `"operations": [`, `"operations": [`+strings.Join(ops, ",")+",", 1)
}

// ownIdentity is a recommendation of Cloud Run's, in the assumed shape.
func ownIdentity(service, now string) string {
	return fmt.Sprintf(`{"recommenderSubtype": "SERVICE_IDENTITY", "priority": "P2", "lastRefreshTime": %q,
		"associatedInsights": [{"insight": "%sused"}],
		"content": {"overview": {"serviceName": %q, "serviceRegion": "europe-west1"}, "operationGroups": [{"operations": [
			{"action": "test", "path": "/spec/template/spec/serviceAccountName", "value": %q},
			{"action": "replace", "resourceType": "run.googleapis.com/Service", "path": "/spec/template/spec/serviceAccountName", "value": "new-account"}]}]}}`,
		time.Now().UTC().Format(time.RFC3339), webRunUse, service, now)
}

// newCloud is a cloud with a job and a service, and recommendations about what
// they run as.
func newCloud(t testing.TB) *fake.Backend {
	t.Helper()
	b := fake.NewBackend()
	t.Cleanup(b.Close)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "data-prod", Name: "projects/210987654321"})
	b.AddServiceAccount(&iam.ServiceAccount{Email: runner})
	b.AddRunJSON(jobName, []byte(`{"template": {"template": {"containers": [{"image": "i"}], "serviceAccount": "`+runner+`"}}}`))
	b.AddRunJSON(shopName, []byte(`{"template": {"containers": [{"image": "i"}], "serviceAccount": "`+compute+`"}}`))
	b.Grant("projects/web-prod", "roles/editor", "serviceAccount:"+runner)
	b.Grant("projects/data-prod", "roles/editor", "serviceAccount:"+runner)
	b.AddRecommenderJSON(webPolicy+"replace", []byte(replacement("serviceAccount:"+runner, webProject, "roles/editor", "roles/run.viewer", "roles/run.invoker")))
	b.AddRecommenderJSON(webPolicy+"other", []byte(removal("user:x@example.com", webProject, "roles/viewer")))
	b.AddRecommenderJSON(dataPolicy+"remove", []byte(removal("serviceAccount:"+runner, "//cloudresourcemanager.googleapis.com/projects/210987654321", "roles/editor")))
	b.AddRecommenderJSON(webRun+"own", []byte(strings.Replace(ownIdentity("shop", compute), "{", `{"targetResources": ["//run.googleapis.com/`+shopName+`"], `, 1)))
	b.AddRecommenderJSON(webRun+"else", []byte(ownIdentity("another", compute)))
	b.AddRecommenderJSON(webRunUse+"used", []byte(`{"observationPeriod": "7776000s", "content": {"serviceName": "shop", "serviceRegion": "europe-west1",
		"exercisedPermissions": [{"permission": "run.jobs.run"}, "run.jobs.get"]}}`))
	b.AddRecommenderJSON(webUnused+"runner", []byte(`{"insightSubtype": "SERVICE_ACCOUNT_USAGE", "severity": "LOW", "observationPeriod": "19008000s", "content": {"email": "`+runner+`"}}`))
	for _, project := range []string{"projects/web-prod", "projects/data-prod"} {
		b.Grant(project, "roles/owner", bot)
	}
	return b
}

func newClient(t testing.TB, b *fake.Backend) *recommend.Client {
	t.Helper()
	c, err := recommend.NewClient(t.Context(), b.ClientOptions(bot)...)
	require.NoError(t, err)
	return c
}

func get(t testing.TB, c *recommend.Client, name string) recommend.Recommendation {
	t.Helper()
	r, err := c.Get(t.Context(), name)
	require.NoError(t, err)
	return r
}

// cut runs a plan and kills it at its nth setIamPolicy, after the effect.
func cutAt(t *testing.T, b *fake.Backend, c *recommend.Client, p recommend.Plan, at int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ":setIamPolicy") && ctx.Err() == nil {
				n++
				if n == at {
					next.ServeHTTP(discard{http.Header{}}, r)
					cancel()
					panic(http.ErrAbortHandler)
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := c.Apply(ctx, p, owner, order)
	require.ErrorIs(t, err, context.Canceled)
}
