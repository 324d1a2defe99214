package rest_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"google.golang.org/api/googleapi"

	"github.com/runidentity/runidentity/internal/rest"
)

func TestHasCode(t *testing.T) {
	t.Parallel()
	missing := &googleapi.Error{Code: http.StatusNotFound}
	assert.True(t, rest.HasCode(missing, http.StatusNotFound))
	assert.True(t, rest.HasCode(fmt.Errorf("read it: %w", missing), http.StatusNotFound))
	assert.False(t, rest.HasCode(missing, http.StatusForbidden))
	assert.False(t, rest.HasCode(errors.New("404"), http.StatusNotFound))
	assert.False(t, rest.HasCode(nil, 0))
}
