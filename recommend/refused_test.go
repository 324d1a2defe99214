package recommend_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

const (
	setPolicyMethod = "cloudresourcemanager.projects.setIamPolicy"
	createMethod    = "iam.projects.serviceAccounts.create"
	patchMethod     = "run.projects.locations.services.patch"
)

// goesOn holds that a plan that was cut short neither failed nor was taken back,
// and that it goes on in fair weather.
func goesOn(t *testing.T, b *fake.Backend, p recommend.Plan, result recommend.Result, err error) {
	t.Helper()
	require.ErrorContains(t, err, "still claimed by bot/1: apply the plan again")
	assert.Equal(t, recommend.StateClaimed, result.Recommendation.State)
	for _, taken := range []recommend.Outcome{recommend.OutcomeUndone, recommend.OutcomeRefused, recommend.OutcomeLeft} {
		assert.NotContains(t, outcomes(result), taken)
	}
	c := newClient(t, b)
	assert.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State)
	_, err = c.Apply(t.Context(), p, owner, order)
	require.NoError(t, err)
	final(t, b, c, webRun+"own")
}

// A new token mends 401, and time mends the others, a server that is down among
// them: they are no refusal of the step that they answer, however often they come.
func TestWhatIsNoRefusal(t *testing.T) {
	t.Parallel()
	for method, had := range map[string][]string{
		createMethod: nil, setPolicyMethod: {"roles/run.invoker"}, patchMethod: {"roles/run.invoker", "roles/run.viewer"},
	} {
		for _, status := range []int{401, 407, 408, 409, 412, 425, 429, 500, 503} {
			if method == createMethod && status == http.StatusConflict {
				continue // the account is there
			}
			t.Run(fmt.Sprintf("%s %d", method, status), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newCloud(t)
					c := newClient(t, b)
					p := ownPlan(t, c)
					skip := 0
					if method == setPolicyMethod {
						skip = 1
					}
					var calm atomic.Bool
					b.Use(func(next http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							hit := method == createMethod && strings.HasSuffix(r.URL.Path, "/serviceAccounts") ||
								method == setPolicyMethod && strings.HasSuffix(r.URL.Path, ":setIamPolicy") || method == patchMethod && r.Method == http.MethodPatch
							if skip > 0 && hit {
								skip--
								hit = false
							}
							if !hit || calm.Load() {
								next.ServeHTTP(w, r)
								return
							}
							w.WriteHeader(status)
							_, _ = fmt.Fprintf(w, `{"error": {"code": %d, "message": "Not now.", "status": "ABORTED"}}`, status)
						})
					})
					result, err := c.Apply(t.Context(), p, owner, order)
					require.ErrorContains(t, err, "Not now.")
					assert.ElementsMatch(t, had, bindings(b, shopAccount.Member()))
					assert.Equal(t, compute, runsAs(b))
					calm.Store(true)
					goesOn(t, b, p, result, err)
				})
			})
		}
	}
}

// A no without a word of the API's is a proxy's: it doesn't end the plan.
func TestProxysNoIsNoRefusal(t *testing.T) {
	t.Parallel()
	for method, skip := range map[string]int{setPolicyMethod: 1, patchMethod: 1} { // the first PATCH is the rehearsal
		for name, body := range map[string]string{"a page": "<html>Forbidden</html>", "no message": `{"error": {"code": 403}}`} {
			t.Run(method+" "+name, func(t *testing.T) {
				t.Parallel()
				b := newCloud(t)
				c := newClient(t, b)
				p := ownPlan(t, c)
				b.Inject(method, fake.Fault{Skip: skip, Times: 1, Status: 403, Body: body})
				result, err := c.Apply(t.Context(), p, owner, order)
				goesOn(t, b, p, result, err)
			})
		}
	}
}

// becomes makes the service run as another account, as someone else would.
func becomes(ctx context.Context, t *testing.T, b *fake.Backend, account identity.ServiceAccount) {
	t.Helper()
	b.Grant("projects/data-prod", "roles/iam.serviceAccountTokenCreator", "serviceAccount:service-123456789012@serverless-robot-prod.iam.gserviceaccount.com")
	client, err := identity.NewClient(ctx, b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	_, err = client.Attach(ctx, shop, account, nil)
	require.NoError(t, err)
}

// Someone attaches a third account while the plan is applied: the plan can't go on,
// however often it is tried, and fails. The account of theirs stays.
func TestThirdAccountEndsThePlan(t *testing.T) {
	t.Parallel()
	left, undone, refused := recommend.OutcomeLeft, recommend.OutcomeUndone, recommend.OutcomeRefused
	for name, tt := range map[string]struct {
		rehearsed bool
		want      []recommend.Outcome
	}{
		"while the grants settle":        {false, []recommend.Outcome{left, undone, undone, refused}},
		"between rehearsal and the move": {true, []recommend.Outcome{left, left, left, refused}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				p := ownPlan(t, c)
				if tt.rehearsed {
					var begun atomic.Bool
					b.Use(func(next http.Handler) http.Handler {
						return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							next.ServeHTTP(w, r)
							if r.URL.Query().Get("validateOnly") == "true" && !begun.Swap(true) {
								becomes(r.Context(), t, b, identity.MustParseServiceAccount(runner))
							}
						})
					})
				} else {
					time.AfterFunc(time.Minute, func() { becomes(t.Context(), t, b, identity.MustParseServiceAccount(runner)) })
				}
				result, err := c.Apply(t.Context(), p, "bot/1", nil)
				require.ErrorIs(t, err, recommend.ErrBlocked)
				require.ErrorContains(t, err, "which runs as "+runner)
				assert.NotContains(t, err.Error(), "apply the plan again")
				assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
				assert.Equal(t, tt.want, outcomes(result))
				assert.Equal(t, runner, runsAs(b))
			})
		})
	}
}

// The service begins to run as an agent identity right before the rehearsal: that is
// refused, and everything is taken back.
func TestAgentIdentityEndsThePlan(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	after(b, "/services/shop", 3, func() { // two reads are tests, and one is the look before the rehearsal
		change(t, b, "template.workloadIdentityConfig", `{"template": {"workloadIdentityConfig": {"identityType": "IDENTITY_TYPE_AGENT_IDENTITY"}}}`)
	})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorIs(t, err, identity.ErrAgentIdentity)
	assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
	undone := recommend.OutcomeUndone
	assert.Equal(t, []recommend.Outcome{recommend.OutcomeLeft, undone, undone, recommend.OutcomeRefused}, outcomes(result))
	assert.Equal(t, compute, runsAs(b))
}

// A run was cut short, and someone disabled the account since: the plan can't go on,
// and fails.
func TestDisabledAccountEndsThePlan(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	cutAt(t, b, c, p, 2)
	admin, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	_, err = admin.Projects.ServiceAccounts.Disable("projects/web-prod/serviceAccounts/"+shopAccount.Email(), &iam.DisableServiceAccountRequest{}).Context(t.Context()).Do()
	require.NoError(t, err)
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorIs(t, err, identity.ErrAccountDisabled)
	assert.NotContains(t, err.Error(), "apply the plan again")
	assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
	assert.Equal(t, recommend.OutcomeUndone, result.Steps[1].Outcome)
	assert.Equal(t, compute, runsAs(b))
}

// A deadline that is near isn't a refusal.
func TestDeadlineIsNoRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		b.Inject("cloudresourcemanager.projects.setIamPolicy", fake.Fault{Status: 400, Times: 1000, Body: `{"error": {"code": 400, "message": "Service account ` + shopAccount.Email() + ` does not exist.", "status": "INVALID_ARGUMENT"}}`})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Apply(ctx, p, owner, order)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, recommend.StateClaimed, get(t, c, webRun+"own").State, "%v", err)
	})
}

// An error that isn't the server's: never resolves, yet "apply the plan again".
func TestFullPolicy(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := replacePlan(t, c)
	policy := b.Policy("projects/web-prod")
	var members []string
	for i := range 1497 {
		members = append(members, fmt.Sprintf("user:u%d@example.com", i))
	}
	policy.Bindings = append(policy.Bindings, &iam.Binding{Role: "roles/browser", Members: members})
	b.SetPolicy("projects/web-prod", policy)
	_, err := c.Apply(t.Context(), p, owner, order)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "apply the plan again")
	assert.Equal(t, recommend.StateFailed, get(t, c, webPolicy+"replace").State)
}
