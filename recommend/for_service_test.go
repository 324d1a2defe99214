package recommend_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/recommend"
)

// What Cloud Run says of a service is not hidden for not being understood: no
// public source documents its shape.
func TestForShowsOddOnesOfTheService(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want bool
	}{
		"by its target":               {`{"targetResources": ["//run.googleapis.com/` + shopName + `"], "content": {}}`, true},
		"by its target, by number":    {`{"targetResources": ["//run.googleapis.com/projects/123456789012/locations/europe-west1/services/shop"], "content": {}}`, true},
		"by a name that isn't text":   {`{"content": {"overview": {"serviceName": ["shop"]}}}`, true},
		"by an operation":             {`{"content": {"operationGroups": [{"operations": [{"action": "replace", "resource": "//run.googleapis.com/` + shopName + `"}]}]}}`, true},
		"of another service":          {`{"targetResources": ["//run.googleapis.com/` + shopName + `-two"], "content": {}}`, false},
		"of one with a longer name":   {`{"targetResources": ["//run.googleapis.com/projects/web-prod/locations/europe-west1/services/my-shop"], "content": {}}`, false},
		"of another, and understood":  {ownIdentity("another", compute), false},
		"of nothing that can be read": {`{"content": {}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newCloud(t)
			b.AddRecommenderJSON(webRun+"odd", []byte(tt.text))
			found := false
			for r, err := range newClient(t, b).For(t.Context(), shop, nil) {
				require.NoError(t, err)
				if strings.HasSuffix(r.Name, "/odd") {
					found = true
					assert.Equal(t, recommend.ActionReview, r.Action)
					assert.NotEmpty(t, r.Why)
				}
			}
			assert.Equal(t, tt.want, found)
		})
	}
}
