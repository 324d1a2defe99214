package identity

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A variable converts to the Must-parsers' parameter only where its type can be
// named, so the type must be neither string nor exported.
func TestMustParseAcceptsConstantsOnly(t *testing.T) {
	t.Parallel()
	for _, parser := range []any{MustParseServiceAccount, MustParseWorkload} {
		param := reflect.TypeOf(parser).In(0)
		assert.Equal(t, reflect.String, param.Kind())
		assert.NotEqual(t, reflect.TypeFor[string](), param)
		assert.False(t, reflect.TypeFor[string]().AssignableTo(param))
		assert.Equal(t, "constant", param.Name())
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"short", "a\n", `"a\n"`},
		{"at the limit", strings.Repeat("x", 100), `"` + strings.Repeat("x", 100) + `"`},
		{"above the limit", strings.Repeat("x", 300), `"` + strings.Repeat("x", 100) + `"... (300 bytes)`},
		{"not within a rune", strings.Repeat("x", 99) + "äx", `"` + strings.Repeat("x", 99) + `"... (102 bytes)`},
		{"no rune to be found", strings.Repeat("\x80", 101), `"` + strings.Repeat(`\x80`, 96) + `"... (101 bytes)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, quote(tt.in))
		})
	}
}

// checkRefusal checks what every parser's error has in common.
func checkRefusal(t *testing.T, err error, prefix, in, example string) {
	t.Helper()
	assert.True(t, strings.HasPrefix(err.Error(), prefix+quote(in)), "must begin with the value: %v", err)
	assert.Contains(t, err.Error(), fmt.Sprintf("%q", example))
	assert.Less(t, len(err.Error()), 1000)
}
