package preflight_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/preflight"
)

const fresh = "fresh-one@data-prod.iam.gserviceaccount.com"

// A kindOfFix is a fix with the method that does it and the one that looks at it,
// and a cloud in which it is missing or in place.
type kindOfFix struct {
	fix         preflight.Fix
	write, look string
	missing     func(*testing.T, *fake.Backend)
	inPlace     func(*testing.T, *fake.Backend)
}

func kindsOfFix(t *testing.T) map[string]kindOfFix {
	t.Helper()
	deny := func(exceptions ...string) func(*testing.T, *fake.Backend) {
		return func(_ *testing.T, b *fake.Backend) {
			b.AddDenyPolicy("projects/data-prod", &iamv2.GoogleIamV2Policy{Name: "freeze", Rules: []*iamv2.GoogleIamV2PolicyRule{{DenyRule: &iamv2.GoogleIamV2DenyRule{
				DeniedPrincipals: []string{"principalSet://goog/public:all"}, DeniedPermissions: []string{"iam.googleapis.com/serviceAccounts.actAs"},
				ExceptionPrincipals: exceptions,
			}}}})
		}
	}
	account := func(disabled bool) func(*testing.T, *fake.Backend) {
		return func(_ *testing.T, b *fake.Backend) {
			b.AddServiceAccount(&iam.ServiceAccount{Email: fresh, Disabled: disabled})
		}
	}
	none := func(*testing.T, *fake.Backend) {}
	return map[string]kindOfFix{
		"grant role": {
			fix: preflight.Fix{
				Kind: preflight.FixGrantRole, Resource: "//iam.googleapis.com/projects/data-prod/serviceAccounts/" + remote, Role: "roles/iam.serviceAccountTokenCreator", Member: dev,
			},
			write: "iam.projects.serviceAccounts.setIamPolicy", look: "iam.projects.serviceAccounts.getIamPolicy", missing: none,
			inPlace: func(_ *testing.T, b *fake.Backend) {
				b.Grant(accountName(remote), "roles/iam.serviceAccountTokenCreator", dev)
			},
		},
		"enable API": {
			fix:   preflight.Fix{Kind: preflight.FixEnableAPI, Project: "web-prod", Service: "run.googleapis.com"},
			write: "serviceusage.services.enable", look: "serviceusage.services.get",
			missing: func(_ *testing.T, b *fake.Backend) {
				b.SetService(&serviceusage.GoogleApiServiceusageV1Service{Name: "projects/web-prod/services/run.googleapis.com", State: "DISABLED"})
			},
			inPlace: none,
		},
		"enable account": {
			fix:   preflight.Fix{Kind: preflight.FixEnableAccount, Account: identity.MustParseServiceAccount(fresh), Project: "data-prod"},
			write: "iam.projects.serviceAccounts.enable", look: "iam.projects.serviceAccounts.get", missing: account(true), inPlace: account(false),
		},
		"allow cross-project, without a policy": {
			fix:   preflight.Fix{Kind: preflight.FixAllowCrossProject, Project: "data-prod"},
			write: "orgpolicy.projects.policies.create", look: "orgpolicy.projects.policies.get",
			missing: func(t *testing.T, b *fake.Backend) {
				t.Helper()
				clearOrgPolicy(t, b, ownProject)
			},
			inPlace: none,
		},
		"allow cross-project, enforced": {
			fix:   preflight.Fix{Kind: preflight.FixAllowCrossProject, Project: "data-prod"},
			write: "orgpolicy.projects.policies.patch", look: "orgpolicy.projects.policies.get",
			missing: func(_ *testing.T, b *fake.Backend) { b.SetOrgPolicy(crossProject(ownProject, true)) },
			inPlace: none,
		},
		"exempt from deny": {
			fix: preflight.Fix{
				Kind: preflight.FixExemptFromDeny, Policy: "policies/cloudresourcemanager.googleapis.com%2Fprojects%2Fdata-prod/denypolicies/freeze", Permission: "iam.serviceAccounts.actAs", Member: dev,
			},
			write: "iam.policies.update", look: "iam.policies.get", missing: deny(), inPlace: deny("principal://goog/subject/dev@example.com"),
		},
	}
}

// applyOne applies a fix with guardrails.
func applyOne(t *testing.T, b *fake.Backend, caller string, fix preflight.Fix) (preflight.Outcome, error) {
	t.Helper()
	f, err := preflight.NewFixer(t.Context(), b.ClientOptions(caller)...)
	require.NoError(t, err)
	b.ResetCalls()
	steps, err := f.Apply(t.Context(), []preflight.Fix{fix}, applyAll)
	require.Len(t, steps, 1)
	return steps[0].Outcome, err
}

// times is how often a method was carried out or tried.
func times(b *fake.Backend, method string) (n int) {
	for _, c := range b.Calls() {
		if c.Method == method {
			n++
		}
	}
	return n
}

func TestInPlaceIsUnneeded(t *testing.T) {
	t.Parallel()
	for name, tt := range kindsOfFix(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			tt.inPlace(t, b)
			outcome, err := applyOne(t, b, fake.Admin, tt.fix)
			require.NoError(t, err)
			assert.Equal(t, preflight.OutcomeUnneeded, outcome)
			assertNoWrites(t, b)
		})
	}
}

// A write whose answer gets lost is ours: it is looked for, and not made again.
func TestLostAnswerIsApplied(t *testing.T) {
	t.Parallel()
	for name, tt := range kindsOfFix(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				tt.missing(t, b)
				b.Inject(tt.write, fake.Fault{DropAfter: true, Times: 1})
				outcome, err := applyOne(t, b, fake.Admin, tt.fix)
				require.NoError(t, err)
				assert.Equal(t, preflight.OutcomeApplied, outcome)
				assert.Equal(t, 1, times(b, tt.write))
				outcome, err = applyOne(t, b, fake.Admin, tt.fix)
				require.NoError(t, err)
				assert.Equal(t, preflight.OutcomeUnneeded, outcome)
			})
		})
	}
}

// Where looking for the effect fails too, it isn't known.
func TestMayBeDone(t *testing.T) {
	t.Parallel()
	for name, tt := range kindsOfFix(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				tt.missing(t, b)
				b.Inject(tt.write, fake.Fault{DropAfter: true})
				b.Inject(tt.look, fake.Fault{Skip: 1, Status: http.StatusUnauthorized})
				outcome, err := applyOne(t, b, fake.Admin, tt.fix)
				var unfinished *identity.UnfinishedError
				require.ErrorAs(t, err, &unfinished)
				assert.Equal(t, preflight.OutcomeUnfinished, outcome)
				assert.Equal(t, 1, times(b, tt.write))
			})
		})
	}
}

// A refusal of a write that can't have had an effect is one.
func TestRefusalIsFailed(t *testing.T) {
	t.Parallel()
	for name, tt := range kindsOfFix(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			tt.missing(t, b)
			b.Inject(tt.write, fake.Fault{Status: http.StatusUnauthorized})
			outcome, err := applyOne(t, b, fake.Admin, tt.fix)
			require.Error(t, err)
			var unfinished *identity.UnfinishedError
			require.NotErrorAs(t, err, &unfinished)
			assert.Equal(t, preflight.OutcomeFailed, outcome)
		})
	}
}

// An answer about something else is no reason to say that it is done.
func TestForeignReadIsNotBelieved(t *testing.T) {
	t.Parallel()
	const foreign = `{"name": "projects/other/policies/iam.disableCrossProjectServiceAccountUsage", "state": "ENABLED", "email": "other@other.iam.gserviceaccount.com",
		"spec": {"rules": [{"enforce": false}]}, "rules": [{"denyRule": {"exceptionPrincipals": ["principal://goog/subject/dev@example.com"]}}]}`
	for name, tt := range kindsOfFix(t) {
		if tt.look == "iam.projects.serviceAccounts.getIamPolicy" {
			continue // policies have no name
		}
		for _, body := range []string{"{}", foreign} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newCloud(t)
					tt.missing(t, b)
					b.Inject(tt.look, fake.Fault{Status: http.StatusOK, Body: body})
					outcome, err := applyOne(t, b, fake.Admin, tt.fix)
					require.Error(t, err)
					assert.Equal(t, preflight.OutcomeFailed, outcome)
					assert.Zero(t, times(b, tt.write))
				})
			})
		}
	}
}

// Who may enable an API or an account and not read it can do so all the same.
func TestFixWithoutReading(t *testing.T) {
	t.Parallel()
	for name, permission := range map[string]string{"enable API": "serviceusage.services.enable", "enable account": "iam.serviceAccounts.enable"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			tt := kindsOfFix(t)[name]
			tt.missing(t, b)
			b.AddRole(&iam.Role{Name: "organizations/1/roles/enabler", IncludedPermissions: []string{permission}})
			b.Grant("organizations/1", "organizations/1/roles/enabler", dev)
			outcome, err := applyOne(t, b, dev, tt.fix)
			require.NoError(t, err)
			assert.Equal(t, preflight.OutcomeApplied, outcome)
			outcome, err = applyOne(t, b, fake.Admin, tt.fix)
			require.NoError(t, err)
			assert.Equal(t, preflight.OutcomeUnneeded, outcome)
		})
	}
}

// An operation that the server started and that can't be followed may yet succeed.
func TestOperationOutOfSight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		tt := kindsOfFix(t)["enable API"]
		tt.missing(t, b)
		b.SetOperationTime(time.Hour)
		outcome, err := applyOne(t, b, fake.Admin, tt.fix)
		var unfinished *identity.UnfinishedError
		require.ErrorAs(t, err, &unfinished)
		assert.Equal(t, preflight.OutcomeUnfinished, outcome)
		assert.Equal(t, 1, times(b, tt.write))
		require.ErrorContains(t, err, "still under way")

		b.Inject("serviceusage.operations.get", fake.Fault{Status: http.StatusForbidden})
		outcome, err = applyOne(t, b, fake.Admin, tt.fix)
		require.ErrorAs(t, err, &unfinished)
		assert.Equal(t, preflight.OutcomeUnfinished, outcome)
	})
}

// A context that ends in the middle leaves it open, and one that had ended
// before does not.
func TestFixCutShort(t *testing.T) {
	t.Parallel()
	for name, tt := range kindsOfFix(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			tt.missing(t, b)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b.Use(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, ":getIamPolicy") {
						next.ServeHTTP(w, r)
						return
					}
					next.ServeHTTP(httptest.NewRecorder(), r)
					cancel()
					panic(http.ErrAbortHandler)
				})
			})
			f := newFixer(t, b)
			steps, err := f.Apply(ctx, []preflight.Fix{tt.fix}, applyAll)
			var unfinished *identity.UnfinishedError
			require.ErrorAs(t, err, &unfinished)
			require.ErrorIs(t, err, context.Canceled)
			assert.Equal(t, preflight.OutcomeUnfinished, steps[0].Outcome)
			steps, err = f.Apply(ctx, []preflight.Fix{tt.fix}, applyAll)
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorAs(t, err, &unfinished)
			assert.Equal(t, preflight.OutcomeFailed, steps[0].Outcome)
		})
	}
}
