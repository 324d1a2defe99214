package runidentity_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/runidentity/runidentity"

// A layer is a folder of this module with everything below it that isn't a
// layer of its own.
type layer struct {
	dir string
	// mayUse names the layers that it may be built from, itself aside. What a
	// layer uses is built from its own mayUse, so the lists are complete.
	mayUse []string
	// mustNotBuild names what it must not be built from, however far down.
	mustNotBuild []dependency
}

var layers = []layer{
	{dir: "."},
	{dir: "internal"},
	{dir: "identity", mayUse: []string{"internal"}, mustNotBuild: []dependency{testCode, cel, yaml}},
	{dir: "identity/manifest", mayUse: []string{"identity", "internal"}, mustNotBuild: []dependency{testCode}},
	{dir: "preflight", mayUse: []string{"identity", "internal"}, mustNotBuild: []dependency{testCode}},
	{dir: "recommend", mayUse: []string{"identity", "internal"}, mustNotBuild: []dependency{testCode}},
	{dir: "fake", mayUse: []string{"internal"}, mustNotBuild: []dependency{outages}},
	{
		dir: "examples", mayUse: []string{"identity", "identity/manifest", "preflight", "recommend", "fake", "internal"},
		mustNotBuild: []dependency{outages},
	},
}

// A dependency is a set of packages, of this module or not, with a name.
type dependency struct {
	name string
	has  func(importPath string) bool
}

var (
	testCode = dependency{"the fake or a testing package", func(p string) bool {
		return under(p, modulePath+"/fake") || under(p, modulePath+"/internal/outage") || under(p, "testing") || under(p, "github.com/stretchr/testify")
	}}
	outages = dependency{"what only tests use", func(p string) bool { return under(p, modulePath+"/internal/outage") }}
	cel     = dependency{"CEL", func(p string) bool {
		return under(p, "github.com/google/cel-go") || under(p, "cel.dev")
	}}
	yaml = dependency{"a YAML package", func(p string) bool {
		return strings.Contains(p, "yaml")
	}}
)

// directDependencies are the modules that go.mod may require without
// "// indirect". A new one needs a reason in the commit that adds it here.
var directDependencies = []string{
	"go.yaml.in/yaml/v3",
	"cel.dev/cel-go",
	"github.com/googleapis/gax-go/v2",
	"github.com/stretchr/testify",
	"golang.org/x/sync",
	"golang.org/x/time",
	"google.golang.org/api",
	"google.golang.org/genproto/googleapis/rpc",
}

// TestImportGraph holds the layers: what a package may import of this module,
// and what a program that imports it doesn't build.
func TestImportGraph(t *testing.T) {
	t.Parallel()
	graph := loadImports(t)
	inLayer := make(map[string][]string)
	for pkg := range graph {
		if !under(pkg, modulePath) {
			continue
		}
		l, ok := layerOf(pkg)
		if !ok {
			t.Errorf("%s is in no layer: add its folder to the table", pkg)
		}
		inLayer[l.dir] = append(inLayer[l.dir], pkg)
	}
	for _, l := range layers {
		t.Run(l.dir, func(t *testing.T) {
			t.Parallel()
			if len(inLayer[l.dir]) == 0 {
				t.Skip("no such package yet")
			}
			for _, pkg := range slices.Sorted(slices.Values(inLayer[l.dir])) {
				for _, v := range violations(graph, pkg) {
					t.Error(v)
				}
			}
		})
	}
}

// TestViolations shows that each rule bites.
func TestViolations(t *testing.T) {
	t.Parallel()
	const m = modulePath + "/"
	for _, tt := range []struct {
		name  string
		pkg   string
		graph map[string][]string
		want  []string
	}{
		{
			name: "allowed",
			pkg:  m + "recommend",
			graph: map[string][]string{
				m + "recommend":        {m + "identity", m + "internal/iam", "github.com/google/cel-go/cel", "fmt"},
				m + "identity":         {m + "internal/iam", m + "identity/internal/wire"},
				m + "internal/iam":     {m + "internal/retry"},
				"github.com/x/testing": nil,
			},
		},
		{
			name:  "direct",
			pkg:   m + "preflight",
			graph: map[string][]string{m + "preflight": {m + "recommend"}},
			want:  []string{"preflight must not use recommend: preflight -> recommend"},
		},
		{
			name: "a layer of its own inside another",
			pkg:  m + "identity",
			graph: map[string][]string{
				m + "identity":          {m + "identity/manifest"},
				m + "identity/manifest": {"go.yaml.in/yaml/v3"},
			},
			want: []string{
				"identity must not use identity/manifest: identity -> identity/manifest",
				"identity must not build a YAML package: identity -> identity/manifest -> go.yaml.in/yaml/v3",
			},
		},
		{
			name: "the shortest chain, below another package",
			pkg:  m + "identity",
			graph: map[string][]string{
				m + "identity":       {m + "internal/a", m + "internal/c"},
				m + "internal/a":     {m + "internal/b"},
				m + "internal/b":     {"testing/fstest"},
				m + "internal/c":     {"golang.org/x/far"},
				"golang.org/x/far":   {"cel.dev/expr"},
				"testing/fstest":     {"testing"},
				"github.com/x/other": {"testing"},
			},
			want: []string{
				"identity must not build the fake or a testing package: identity -> internal/a -> internal/b -> testing/fstest",
				"identity must not build CEL: identity -> internal/c -> golang.org/x/far -> cel.dev/expr",
			},
		},
		{
			name:  "the fake uses nothing above it",
			pkg:   m + "fake/internal/store",
			graph: map[string][]string{m + "fake/internal/store": {m + "identity", "testing", m + "fake"}},
			want:  []string{"fake/internal/store must not use identity: fake/internal/store -> identity"},
		},
		{
			name:  "nor does what it shares",
			pkg:   m + "internal/iam",
			graph: map[string][]string{m + "internal/iam": {m + "identity"}},
			want:  []string{"internal/iam must not use identity: internal/iam -> identity"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := violations(tt.graph, tt.pkg); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestDirectDependencies holds what a consumer's go.mod inherits.
func TestDirectDependencies(t *testing.T) {
	t.Parallel()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(goTool(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if !r.Indirect && !slices.Contains(directDependencies, r.Path) {
			t.Errorf("go.mod requires %s directly, which is not in directDependencies", r.Path)
		}
	}
}

// violations says which rules pkg breaks, each with the shortest chain of imports
// that leads there.
func violations(graph map[string][]string, pkg string) []string {
	l, _ := layerOf(pkg)
	var found []string
	from := importers(graph, pkg)
	said := make(map[string]bool)
	report := func(what, offender string) {
		if said[what] {
			return
		}
		said[what] = true
		chain := []string{short(offender)}
		for p := offender; p != pkg; {
			p = from.importer[p]
			chain = append(chain, short(p))
		}
		slices.Reverse(chain)
		found = append(found, short(pkg)+" must not "+what+": "+strings.Join(chain, " -> "))
	}
	for _, p := range from.order {
		if !under(p, modulePath) {
			continue
		}
		if used, ok := layerOf(p); ok && used.dir != l.dir && !slices.Contains(l.mayUse, used.dir) {
			report("use "+used.dir, p)
		}
	}
	for _, d := range l.mustNotBuild {
		if i := slices.IndexFunc(from.order, d.has); i >= 0 {
			report("build "+d.name, from.order[i])
		}
	}
	return found
}

// reached is what one package is built from: nearest first, each with the package
// through which it was reached.
type reached struct {
	order    []string
	importer map[string]string
}

func importers(graph map[string][]string, pkg string) reached {
	r := reached{importer: map[string]string{pkg: ""}}
	queue := []string{pkg}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		for _, imported := range graph[p] {
			if _, seen := r.importer[imported]; seen {
				continue
			}
			r.importer[imported] = p
			r.order = append(r.order, imported)
			queue = append(queue, imported)
		}
	}
	return r
}

// layerOf returns the innermost layer that pkg is in.
func layerOf(pkg string) (layer, bool) {
	var found layer
	for _, l := range layers {
		inside := under(pkg, modulePath+"/"+l.dir)
		if l.dir == "." {
			inside = pkg == modulePath
		}
		if inside && len(l.dir) > len(found.dir) {
			found = l
		}
	}
	return found, found.dir != ""
}

// loadImports returns the imports, tests aside, of every package of this module
// and of everything that it is built from.
func loadImports(t *testing.T) map[string][]string {
	t.Helper()
	watchSources(t)
	dec := json.NewDecoder(strings.NewReader(string(
		// -e: what doesn't compile is for the compiler to say.
		goTool(t, "list", "-e", "-deps", "-json=ImportPath,Imports", "./..."))))
	graph := make(map[string][]string)
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return graph
		}
		if err != nil {
			t.Fatal(err)
		}
		graph[p.ImportPath] = p.Imports
	}
}

// watchSources reads each folder of the module, so that go test, which can't see
// what the go command reads, doesn't answer from its cache after a source changed.
func watchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command on PATH")
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// under reports whether the import path is root or below it.
func under(importPath, root string) bool {
	return importPath == root || strings.HasPrefix(importPath, root+"/")
}

// short is the import path as the layers name it.
func short(importPath string) string {
	return strings.TrimPrefix(importPath, modulePath+"/")
}
