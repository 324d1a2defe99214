package runidentity_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documents are where users copy Go code from: the ```go blocks of the first and
// the code blocks in the package comments of the others.
var documents = []string{
	"README.md", "doc.go", "identity/doc.go", "identity/manifest/doc.go", "preflight/doc.go", "recommend/doc.go", "fake/doc.go",
}

// A snippet is Go code in a document.
type snippet struct {
	file string
	line int
	code string
}

// TestSnippetsCompile holds that each snippet compiles as it stands when it is
// pasted into a file below a package clause, and that the tests among them pass.
func TestSnippetsCompile(t *testing.T) {
	t.Parallel()
	watchSources(t)
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range documents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := snippets(t, name)
			if len(found) == 0 {
				t.Fatal("no Go code found")
			}
			for _, s := range found {
				if err := s.check(t, root); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestSnippetsCheckBites shows that what a reader would have to guess is found.
func TestSnippetsCheckBites(t *testing.T) {
	t.Parallel()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	const imports = "import \"github.com/runidentity/runidentity/identity\"\n\n"
	for _, tt := range []struct{ name, code, want string }{
		{"a name that isn't there", imports + "var w = identity.Jobb(\"p\", \"l\", \"j\")\n", "README.md:9: undefined: identity.Jobb"},
		{"an import that is missing", "var w = identity.Job(\"p\", \"l\", \"j\")\n", "README.md:7: undefined: identity"},
		{"a fragment of a function", "w := 1\n", "README.md:7"},
		{"a test that fails", "import \"testing\"\n\nfunc TestIt(t *testing.T) { t.Error(\"no\") }\n", "--- FAIL: TestIt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := snippet{"README.md", 7, tt.code}.check(t, root)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// snippets finds the Go code in a document.
func snippets(t *testing.T, name string) []snippet {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var found []snippet
	if filepath.Ext(name) == ".md" {
		for _, m := range regexp.MustCompile("(?ms)^```go\n(.*?\n)```$").FindAllSubmatchIndex(text, -1) {
			found = append(found, snippet{name, 1 + strings.Count(string(text[:m[2]]), "\n"), string(text[m[2]:m[3]])})
		}
		return found
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return append(found, packageSnippets(name, string(text), file.Doc)...)
}

func packageSnippets(name, text string, doc *ast.CommentGroup) []snippet {
	var found []snippet
	for _, block := range new(comment.Parser).Parse(doc.Text()).Content {
		if code, ok := block.(*comment.Code); ok {
			first, _, _ := strings.Cut(code.Text, "\n")
			before, _, _ := strings.Cut(text, "//\t"+first+"\n")
			found = append(found, snippet{name, 1 + strings.Count(before, "\n"), code.Text})
		}
	}
	return found
}

// check compiles the snippet as a package of this module that exists in an overlay
// alone, and runs it if it is a test.
func (s snippet) check(t *testing.T, root string) error {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "snippet.go")
	text := fmt.Sprintf("package snippet\n\n//line %s:%d\n%s", s.file, s.line, s.code)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	const pkg = "snippet_of_the_documentation"
	overlayFile, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "snippet.test")
	source, commands := "snippet.go", [][]string{{"go", "build", "-overlay", overlayFile, "./" + pkg}}
	if strings.Contains(s.code, "\nfunc Test") {
		source = "snippet_test.go"
		commands = [][]string{{"go", "test", "-c", "-vet=off", "-overlay", overlayFile, "-o", binary, "./" + pkg}, {binary}}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, pkg, source): file}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range commands {
		cmd := exec.CommandContext(t.Context(), c[0], c[1:]...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s:%d: %w\n%s", s.file, s.line, err, out)
		}
	}
	return nil
}
