package recommend_test

import (
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
	"github.com/runidentity/runidentity/recommend"
)

// IAM answers about another account than was asked for: that one isn't taken for
// the plan's, which is created.
func TestAnswerAboutAnotherAccount(t *testing.T) {
	t.Parallel()
	for name, times := range map[string]int64{"once": 1, "always": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				p := ownPlan(t, c)
				var asked atomic.Int64
				b.Use(func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/serviceAccounts/"+shopAccount.Email()) && asked.Add(1) <= times {
							_, _ = w.Write([]byte(`{"name": "projects/data-prod/serviceAccounts/` + runner + `", "email": "` + runner + `", "uniqueId": "1"}`))
							return
						}
						next.ServeHTTP(w, r)
					})
				})
				result, err := c.Apply(t.Context(), p, owner, order)
				if name == "once" {
					require.NoError(t, err)
					assert.Equal(t, recommend.OutcomeDone, result.Steps[0].Outcome)
					final(t, b, c, webRun+"own")
					return
				}
				require.ErrorContains(t, err, "it isn't the account "+shopAccount.Email())
				assert.Equal(t, recommend.StateActive, result.Recommendation.State)
			})
		})
	}
}

// A member that IAM doesn't know is waited for, as it may have been made just now;
// after minutes it is taken at its word.
func TestMemberIsNeverThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		c := newClient(t, b)
		p := ownPlan(t, c)
		b.Inject(setPolicyMethod, fake.Fault{
			Status: 400, Body: `{"error": {"code": 400, "message": "Service account ` + shopAccount.Email() + ` does not exist.", "status": "INVALID_ARGUMENT"}}`,
		})
		began := time.Now()
		result, err := c.Apply(t.Context(), p, owner, order)
		require.ErrorContains(t, err, "the member doesn't exist, or isn't visible yet")
		assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
		assert.Equal(t, recommend.OutcomeRefused, result.Steps[1].Outcome)
		assert.InDelta(t, 3*time.Minute, time.Since(began), float64(time.Minute))
	})
}

// Someone else makes the account right before this run does: it is theirs, and no
// command to delete it is told.
func TestAccountIsMadeBySomeoneElse(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	p := ownPlan(t, c)
	after(b, ":markClaimed", 1, func() { b.AddServiceAccount(&iam.ServiceAccount{Email: shopAccount.Email()}) })
	b.Inject(patchMethod, fake.Fault{Status: 403, Body: refusal, Times: 1})
	result, err := c.Apply(t.Context(), p, owner, order)
	require.ErrorContains(t, err, "Not you.")
	assert.Equal(t, recommend.StateFailed, result.Recommendation.State)
	assert.Equal(t, []recommend.Outcome{recommend.OutcomeUnneeded, recommend.OutcomeUndone, recommend.OutcomeUndone, recommend.OutcomeRefused}, outcomes(result))
	assert.Empty(t, result.Steps[0].Undo)
}
