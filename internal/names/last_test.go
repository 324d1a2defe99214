package names_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/runidentity/runidentity/internal/names"
)

func TestLast(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"projects/p/jobs/j": "j", "j": "j", "projects/": "", "": ""} {
		assert.Equal(t, want, names.Last(name), "%q", name)
	}
}
