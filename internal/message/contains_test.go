package message_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/message"
)

func decode(t *testing.T, text string) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v))
	return v
}

// A live workload has what a document says, and defaults beside it: that is how
// one's own write is recognised.
func TestContains(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		live, said string
		want       bool
	}{
		"a default more":          {`{"a":1,"b":2}`, `{"a":1}`, true},
		"a field less":            {`{"a":1}`, `{"a":1,"b":2}`, false},
		"what is empty, left out": {`{}`, `{"a":{},"b":[],"c":"","d":false,"e":null}`, true},
		"true, left out":          {`{}`, `{"a":true}`, false},
		"false, and it is true":   {`{"a":true}`, `{"a":false}`, false},
		"nothing, and it is some": {`{"a":"x"}`, `{"a":""}`, false},
		"another text":            {`{"a":"x"}`, `{"a":"y"}`, false},
		"a longer list":           {`{"a":[1,2]}`, `{"a":[1]}`, false},
		"a shorter list":          {`{"a":[1]}`, `{"a":[1,2]}`, false},
		"another order":           {`{"a":[2,1]}`, `{"a":[1,2]}`, false},
		"a number as a text":      {`{"a":"600"}`, `{"a":600}`, true},
		"another number":          {`{"a":601}`, `{"a":600}`, false},
		"a text as a number":      {`{"a":600}`, `{"a":"600"}`, true},
		"another text's number":   {`{"a":"601"}`, `{"a":600}`, false},
		"a number otherwise":      {`{"a":1e2}`, `{"a":100.0}`, true},
		"large integers":          {`{"a":9007199254740993}`, `{"a":9007199254740992}`, false},
		"a large integer":         {`{"a":9007199254740993}`, `{"a":9007199254740993}`, true},
		"zero, left out":          {`{}`, `{"a":0,"b":{"c":[],"d":0.0}}`, true},
		"one, left out":           {`{}`, `{"a":{"b":1}}`, false},
		"null, and it is some":    {`{"a":"x"}`, `{"a":null}`, true},
		"a text for a bool":       {`{"a":"true"}`, `{"a":true}`, false},
		"a list for an object":    {`{"a":[]}`, `{"a":{"b":1}}`, false},
		"an object for a list":    {`{"a":{}}`, `{"a":[1]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, message.Contains(decode(t, tt.live), decode(t, tt.said)))
		})
	}
}
