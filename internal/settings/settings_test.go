package settings_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/internal/settings"
)

// The fields that this module reads are still there.
func TestFields(t *testing.T) {
	t.Parallel()
	s := settings.Of(option.WithHTTPClient(http.DefaultClient), option.WithEndpoint("https://x/"), option.WithoutAuthentication(), option.WithAPIKey("k"),
		option.WithAuthCredentialsJSON(option.ServiceAccount, []byte("{}")), option.WithAuthCredentialsFile(option.ServiceAccount, "f"))
	assert.Equal(t, http.DefaultClient, s.Field("HTTPClient"))
	assert.Equal(t, "https://x/", s.Field("Endpoint"))
	assert.Equal(t, true, s.Field("NoAuth"))
	assert.Equal(t, "k", s.Field("APIKey"))
	assert.Equal(t, []byte("{}"), s.Field("AuthCredentialsJSON"))
	assert.Equal(t, "f", s.Field("AuthCredentialsFile"))
	for _, unset := range []string{"TokenSource", "Credentials", "ImpersonationConfig", "NoSuchField"} {
		assert.Nil(t, s.Field(unset))
	}
	assert.Nil(t, settings.Of().Field("Endpoint"))
	require.NoError(t, settings.RefuseEndpoint(option.WithAPIKey("k")))
	require.ErrorContains(t, settings.RefuseEndpoint(option.WithEndpoint("https://x/")), `option.WithEndpoint("https://x/"): several APIs`)
}
