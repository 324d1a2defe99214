package preflight_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// constants returns the constants of a type as the package declares them, by name.
func constants(t *testing.T, typeName string) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := make(map[string]string)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			of, typed := spec.Type.(*ast.Ident)
			value, literal := spec.Values[0].(*ast.BasicLit)
			if typed && literal && of.Name == typeName {
				found[spec.Names[0].Name], err = strconv.Unquote(value.Value)
				require.NoError(t, err)
			}
			return true
		})
	}
	require.NotEmpty(t, found)
	return found
}

// A constant is named as its code, after the prefix of its type.
func TestConstantsAreNamedAsTheirCodes(t *testing.T) {
	t.Parallel()
	plain := func(s string) string {
		return strings.ToLower(regexp.MustCompile(`[^a-zA-Z]`).ReplaceAllString(s, ""))
	}
	for typeName, prefixes := range map[string]string{
		"Code": "Check|Advice", "FixKind": "Fix", "Method": "By", "Outcome": "Outcome",
	} {
		for name, code := range constants(t, typeName) {
			short := regexp.MustCompile("^("+prefixes+")").ReplaceAllString(name, "")
			assert.NotEqual(t, name, short, "%s has a prefix of %s", name, typeName)
			if name == "OutcomeSkipped" { // a code that is stored
				continue
			}
			assert.Equal(t, plain(code), plain(short), "%s", name)
		}
	}
}
