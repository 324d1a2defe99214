package fake_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
)

func TestABodyThatIsNeverFinished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBackend()
		defer b.Close()
		body, writer := io.Pipe()
		defer func() { _ = writer.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, api+location+"/jobs?jobId=x", body)
		require.NoError(t, err)
		began := time.Now()
		_, err = b.HTTPClient(fake.Admin).Do(req) //nolint:bodyclose // there is no answer
		require.Error(t, err)
		assert.Equal(t, time.Minute, time.Since(began))
	})
}
