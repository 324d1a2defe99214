package manifest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
		"a list for an object":    {`{"a":[]}`, `{"a":{"b":1}}`, false},
		"an object for a list":    {`{"a":{}}`, `{"a":[1]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live, err := decode([]byte(tt.live))
			require.NoError(t, err)
			said, err := decode([]byte(tt.said))
			require.NoError(t, err)
			assert.Equal(t, tt.want, contains(live, said))
		})
	}
}
