package message_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/message"
)

func TestDecodeAndEncode(t *testing.T) {
	t.Parallel()
	const text = `{"a":1.50,"b":9007199254740993,"c":"<&>"}`
	var v map[string]any
	require.NoError(t, message.Decode([]byte(text), &v))
	again, err := message.Encode(v)
	require.NoError(t, err)
	assert.True(t, bytes.Equal([]byte(text), again), "%s", again)
	require.Error(t, message.Decode([]byte(`{`), &v))
}
