package allowpolicy_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/internal/allowpolicy"
	"github.com/runidentity/runidentity/internal/hold"
)

// A caller that no longer holds what it has to hold writes once at most.
func TestEditsAreHeld(t *testing.T) {
	t.Parallel()
	lost := errors.New("lost")
	for name, code := range map[string]int{"someone else wrote": 409, "the server is down": 503} {
		for _, always := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					sets, held := 0, 0
					c, err := allowpolicy.New(t.Context(), option.WithHTTPClient(&http.Client{Transport: serverFunc(func(path string) (int, string) {
						if strings.HasSuffix(path, ":getIamPolicy") {
							return 200, `{"etag": "BwX", "bindings": []}`
						}
						sets++
						return code, `{"error": {"code": 409, "message": "Not now.", "status": "ABORTED"}}`
					})}))
					require.NoError(t, err)
					ctx := hold.With(t.Context(), func(context.Context) error {
						held++
						if held == 3 {
							return lost
						}
						return nil
					})
					edit := c.Edit
					if always {
						edit = c.Rewrite
					}
					_, err = edit(ctx, project, grant("roles/viewer", "user:ann@example.com"))
					require.ErrorIs(t, err, lost)
					assert.Equal(t, 3, held)
					assert.Equal(t, 3, sets, "the first write, and one for each time that it was held")
				})
			})
		}
	}
}
