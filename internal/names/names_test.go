package names_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/runidentity/runidentity/internal/names"
)

func TestSame(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		told, asked string
		want        bool
	}{
		{"projects/p/jobs/j", "projects/p/jobs/j", true},
		{"projects/123/jobs/j", "projects/p/jobs/j", true},
		{"projects/p/jobs/j", "projects/123/jobs/j", true},
		{"projects/123", "projects/p", true},
		{"projects/p/serviceAccounts/e", "projects/-/serviceAccounts/e", true},
		{"policies/cloudresourcemanager.googleapis.com/projects/123/denypolicies/d", "policies/cloudresourcemanager.googleapis.com/projects/p/denypolicies/d", true},
		{"projects/456/jobs/j", "projects/123/jobs/j", false},
		{"projects/q/jobs/j", "projects/p/jobs/j", false},
		{"projects/123/jobs/i", "projects/p/jobs/j", false},
		{"projects//jobs/j", "projects/-/jobs/j", false},
		{"projects//jobs/j", "projects/123/jobs/j", false},
		{"folders/123/jobs/j", "folders/f/jobs/j", false},
		{"projects/p/jobs", "projects/p/jobs/j", false},
		{"", "projects/p/jobs/j", false},
	} {
		assert.Equal(t, tt.want, names.Same(tt.told, tt.asked), "%q for %q", tt.told, tt.asked)
	}
}

func TestIsNumber(t *testing.T) {
	t.Parallel()
	for project, want := range map[string]bool{"123456789012": true, "0": true, "": false, "web-prod": false, "1a": false, "-1": false} {
		assert.Equal(t, want, names.IsNumber(project), project)
	}
}
