package recommend_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// answers makes the backend answer a body to the requests whose path has that
// suffix, once they were carried out.
func answers(b *fake.Backend, suffix, body string) {
	b.Use(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, suffix) {
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(discard{http.Header{}}, r)
			_, _ = w.Write([]byte(body))
		})
	})
}

// What isn't the recommendation that was asked for is not believed.
func TestAnswersOfSomethingElse(t *testing.T) {
	t.Parallel()
	other := `{"name": "` + webPolicy + `other", "etag": "\"1\"", "stateInfo": {"state": "CLAIMED", "stateMetadata": {"owner": "me"}}}`
	same := `{"name": "` + webPolicy + `replace", "etag": "\"1\"", "stateInfo": {"state": "CLAIMED", "stateMetadata": {"owner": "you"}}}`
	stateless := `{"name": "` + webPolicy + `replace", "etag": "\"1\"", "stateInfo": {"stateMetadata": {"owner": "me"}}}`
	for _, body := range []string{"{}", "null", "[]", `{"error": {"code": 503}}`, other, same, strings.Replace(same, `"etag": "\"1\"", `, "", 1), stateless} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				c := newClient(t, b)
				r := get(t, c, webPolicy+"replace")
				answers(b, ":markClaimed", body)
				claimed, err := c.Claim(t.Context(), r, map[string]string{"owner": "me"})
				require.NoError(t, err, "the claim is looked up after an answer that can't be read")
				assert.Equal(t, "me", claimed.Metadata["owner"])
				if body == same {
					return
				}
				answers(b, "/replace", body)
				_, err = c.Get(t.Context(), webPolicy+"replace")
				require.ErrorContains(t, err, "the answer can't be read")
			})
		})
	}
}

// A mark whose answer never comes is told as open.
func TestMarksWithoutAnswers(t *testing.T) {
	t.Parallel()
	type ctx = context.Context
	for name, mark := range map[string]func(ctx, *recommend.Client, recommend.Recommendation) (recommend.Recommendation, error){
		"markClaimed": func(ctx ctx, c *recommend.Client, r recommend.Recommendation) (recommend.Recommendation, error) {
			return c.Claim(ctx, r, nil)
		},
		"markSucceeded": func(ctx ctx, c *recommend.Client, r recommend.Recommendation) (recommend.Recommendation, error) {
			return c.Succeed(ctx, r, nil)
		},
		"markFailed": func(ctx ctx, c *recommend.Client, r recommend.Recommendation) (recommend.Recommendation, error) {
			return c.Fail(ctx, r, nil)
		},
		"markDismissed": func(ctx ctx, c *recommend.Client, r recommend.Recommendation) (recommend.Recommendation, error) {
			return c.Dismiss(ctx, r)
		},
	} {
		for fault, f := range map[string]fake.Fault{"lost": {DropAfter: true}, "never sent": {DropBefore: true}, "refused": {Status: 403, Body: refusal}} {
			t.Run(name+" "+fault, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newCloud(t)
					c := newClient(t, b)
					r := get(t, c, webPolicy+"replace")
					method := "recommender.projects.locations.recommenders.recommendations." + name
					b.Inject(method, f)
					if fault != "refused" { // and nobody can look
						b.Inject("recommender.projects.locations.recommenders.recommendations.get", fake.Fault{Status: 503})
					}
					_, err := mark(t.Context(), c, r)
					require.Error(t, err)
					var open *identity.UnfinishedError
					assert.Equal(t, fault != "refused", errors.As(err, &open), "%v", err)
				})
			})
		}
	}
}

func TestListingsThatAreNone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, want string }{
		"another thing":    {`{"name": "x", "etag": "1"}`, "it is no listing"},
		"null":             {`null`, "gave up after 8 attempts"},
		"a list":           {`[]`, "the answer can't be read"},
		"of another shape": {`{"recommendations": {"a": 1}}`, "the answer can't be read"},
		"without an end":   {`{"nextPageToken": "again"}`, `the page token "again" came twice`},
		"empty":            {`{}`, ""},
		"empty list":       {`{"recommendations": []}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				answers(b, "/recommendations", tt.body)
				n := 0
				var err error
				for _, err = range newClient(t, b).List(t.Context(), []string{"web-prod"}, &recommend.ListOptions{Recommenders: []string{recommend.RecommenderIAMPolicy}}) {
					n++
				}
				if tt.want == "" {
					assert.Zero(t, n)
					return
				}
				assert.Equal(t, 1, n)
				var failed *recommend.ListError
				require.ErrorAs(t, err, &failed)
				assert.ErrorContains(t, err, tt.want)
			})
		})
	}
}

// Each item that can't be read is shown, not the first alone.
func TestItemsThatCantBeRead(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	answers(b, "recommenders/google.iam.policy.Recommender/recommendations", `{"recommendations": [1, "two", {"name": "x"}]}`)
	n := 0
	for r, err := range newClient(t, b).List(t.Context(), []string{"web-prod"}, &recommend.ListOptions{Recommenders: []string{recommend.RecommenderIAMPolicy}, AllStates: true}) {
		require.NoError(t, err)
		assert.Equal(t, recommend.ActionReview, r.Action)
		assert.NotEmpty(t, r.Why)
		n++
	}
	assert.Equal(t, 3, n)
	n = 0
	for r, err := range newClient(t, b).For(t.Context(), job, nil) {
		if err == nil && r.Name == "" {
			n++
		}
	}
	assert.Zero(t, n, "what names no account is about no workload")
}
