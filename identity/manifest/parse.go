package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/names"
)

// MaxSize is the size of the largest file, in bytes, that [Parse] and [Walk] read.
const MaxSize = 4 << 20

// maxDepth is how deep collections may nest.
const maxDepth = 200

// A File is a manifest file.
type File struct {
	// Name is the file's name, for messages. From [Walk] it is the path in the
	// file system.
	Name string
	// Documents are the documents of the file in order, including those that are
	// about something else than a workload.
	Documents []Document

	data  []byte
	lines []int // where they begin
	tops  []*yaml.Node
	json  bool
}

// A Document is one document of a file.
type Document struct {
	// Line is where the document begins, from 1.
	Line int `json:"line"`
	// Kind is the kind of the workload, or [identity.KindUnknown] if the document
	// is about something else.
	Kind identity.Kind `json:"kind"`
	// Name is metadata.name. Project is metadata.namespace, a project's id or
	// number. Region is the label cloud.googleapis.com/location. Each is empty if
	// the document doesn't have it.
	Name    string `json:"name,omitempty"`
	Project string `json:"project,omitempty"`
	Region  string `json:"region,omitempty"`
	// Identity is the service account, and IdentityLine is the line where it
	// stands. If the document names none, which means the project's default one,
	// Identity is zero and IdentityLine is 0.
	Identity     identity.ServiceAccount `json:"identity,omitzero"`
	IdentityLine int                     `json:"identityLine,omitempty"`
}

// Workload returns the workload that the document is about. It takes the project
// and the region that the document doesn't name. If the document names one that
// is given as well, the two have to agree, unless one is a project's id and the
// other a project's number. Then Workload takes the one that is given.
//
// Every error is an [*Error] without a file: the document is about no workload,
// the project or the region is missing or contradicts it, or the name is invalid.
func (d Document) Workload(project, region string) (identity.Workload, error) {
	w, err := d.workload(project, region)
	if err != nil {
		return w, &Error{Line: d.Line, Err: err}
	}
	return w, nil
}

func (d Document) workload(project, region string) (identity.Workload, error) {
	if d.Kind == identity.KindUnknown {
		return identity.Workload{}, errors.New("the document is about no Cloud Run workload")
	}
	for _, told := range []struct {
		what         string
		given, field string
	}{{"project", project, d.Project}, {"region", region, d.Region}} {
		switch {
		case told.given == "" && told.field == "":
			return identity.Workload{}, fmt.Errorf("the document doesn't tell the %s of %s, and none is given", told.what, d.Name)
		case told.given != "" && told.field != "" && told.given != told.field && (told.what == "region" || names.IsNumber(told.given) == names.IsNumber(told.field)):
			return identity.Workload{}, fmt.Errorf("%s is of %s %q, not %q", d.Name, told.what, told.field, told.given)
		}
	}
	if project == "" {
		project = d.Project
	}
	if region == "" {
		region = d.Region
	}
	w := identity.Workload{Kind: d.Kind, Project: project, Location: region, ID: d.Name}
	return w, w.Validate()
}

// An Error says what is wrong with a file, and where.
type Error struct {
	File         string // "" from [Document.Workload]
	Line, Column int    // from 1; 0 if it isn't about a place
	Err          error
}

// Error returns a text such as "job.yaml:12:7: …", or "line 12: …" if File is empty.
// It leaves out what is not known.
func (e *Error) Error() string {
	switch {
	case e.File == "" && e.Line == 0:
		return e.Err.Error()
	case e.File == "":
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	case e.Line == 0:
		return e.File + ": " + e.Err.Error()
	case e.Column == 0:
		return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
	}
	return fmt.Sprintf("%s:%d:%d: %v", e.File, e.Line, e.Column, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Parse reads a manifest. The name is for messages. A file without documents is no
// error. That a workload names what isn't the address of a service account, such
// as a variable that is filled in later, is one. Every error is an [*Error].
func Parse(name string, data []byte) (*File, error) {
	f := &File{Name: name, data: bytes.Clone(data)}
	if err := f.parse(); err != nil {
		return nil, err
	}
	f.lines = lineStarts(f.data)
	for _, top := range f.tops {
		d, err := f.document(top)
		if err != nil {
			return nil, err
		}
		f.Documents = append(f.Documents, d)
	}
	return f, nil
}

// Bytes returns a copy of the bytes of the file.
func (f *File) Bytes() []byte { return bytes.Clone(f.data) }

// at is an error about a place.
func (f *File) at(n *yaml.Node, format string, args ...any) error {
	return &Error{f.Name, n.Line, n.Column, fmt.Errorf(format, args...)}
}

// parse reads the documents' trees.
func (f *File) parse() (err error) {
	switch {
	case len(f.data) > MaxSize:
		return &Error{File: f.Name, Err: fmt.Errorf("it has %d bytes, and a manifest may have %d", len(f.data), MaxSize)}
	case !utf8.Valid(f.data):
		return &Error{File: f.Name, Line: 1 + bytes.Count(f.data[:firstInvalid(f.data)], []byte("\n")), Err: errors.New("it is not UTF-8")}
	case bytes.IndexByte(f.data, 0) >= 0:
		return &Error{File: f.Name, Line: 1 + bytes.Count(f.data[:bytes.IndexByte(f.data, 0)], []byte("\n")), Err: errors.New("it has a zero byte")}
	}
	defer func() { // outside bytes must not end the program
		if r := recover(); r != nil {
			err = &Error{File: f.Name, Err: fmt.Errorf("it can't be parsed: %v", r)}
		}
	}()
	text := f.data
	if f.json = json.Valid(bytes.TrimPrefix(f.data, bom)); f.json {
		text = jsonOnly.ReplaceAllFunc(f.data, sameLength)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return f.syntax(err)
		}
		top := &doc
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			top = doc.Content[0]
		}
		if n := tooDeep(top, maxDepth); n != nil {
			return f.at(n, "collections are nested more than %d deep", maxDepth)
		}
		if f.json {
			restore(top, json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(f.data, bom))))
		}
		f.tops = append(f.tops, top)
	}
}

// jsonOnly is what the YAML parser doesn't take of JSON: pairs of surrogates,
// escaped slashes, DEL. Other escapes match so that their backslashes are not taken
// for the beginning of one.
var jsonOnly = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|.)|\x7f`)

// sameLength is something as long that the parser takes: positions hold.
func sameLength(m []byte) []byte {
	switch {
	case string(m) == "\x7f":
		return []byte("?")
	case string(m) == `\/`:
		return []byte("//")
	case len(m) == 6 && (m[2] == 'd' || m[2] == 'D') && m[3] >= '8':
		return []byte(`\ufffd`)
	}
	return m
}

// restore puts the values of JSON's strings in place of what sameLength made.
func restore(n *yaml.Node, dec *json.Decoder) {
	for n.Kind == yaml.ScalarNode {
		token, err := dec.Token()
		if _, delim := token.(json.Delim); delim && err == nil {
			continue
		}
		if s, ok := token.(string); ok {
			n.Value = s
		}
		return
	}
	for _, c := range n.Content {
		restore(c, dec)
	}
}

func firstInvalid(data []byte) int {
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(data)
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntax is the parser's error with its place.
func (f *File) syntax(err error) error {
	e := &Error{File: f.Name, Err: err}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Err = errors.New(m[2])
		// The parser is at times a line off.
		all := bytes.Split(f.data, []byte("\n"))
		for i := max(e.Line-2, 0); i < min(e.Line+1, len(all)); i++ {
			line := string(all[i])
			indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
			if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
				e.Line, e.Column, e.Err = i+1, tab+1, fmt.Errorf("%s: YAML doesn't indent with tabs", m[2])
				break
			}
		}
	}
	return e
}

// tooDeep returns a node that is nested too deep, or nil. Aliases are not
// followed.
func tooDeep(n *yaml.Node, left int) *yaml.Node {
	if left == 0 {
		return n
	}
	for _, c := range n.Content {
		if deep := tooDeep(c, left-1); deep != nil {
			return deep
		}
	}
	return nil
}

// The kinds of workloads, by apiVersion and kind.
var kinds = map[[2]string]identity.Kind{
	{"run.googleapis.com/v1", "Job"}:         identity.KindJob,
	{"serving.knative.dev/v1", "Service"}:    identity.KindService,
	{"run.googleapis.com/v1", "WorkerPool"}:  identity.KindWorkerPool,
	{"run.googleapis.com/v1", "Service"}:     identity.KindUnknown, // names the error below
	{"serving.knative.dev/v1", "Job"}:        identity.KindUnknown,
	{"serving.knative.dev/v1", "WorkerPool"}: identity.KindUnknown,
}

const identityKey = "serviceAccountName"

// specPath is where the pod specification of a kind is, which has the identity.
func specPath(k identity.Kind) []string {
	if k == identity.KindJob {
		return []string{"spec", "template", "spec", "template", "spec"}
	}
	return []string{"spec", "template", "spec"}
}

// document reads what a document tells.
func (f *File) document(top *yaml.Node) (Document, error) {
	d := Document{Line: max(top.Line, 1)}
	if resolve(top).Kind != yaml.MappingNode {
		return d, nil
	}
	version, err := f.text(top, "apiVersion")
	if err != nil {
		return d, err
	}
	kind, err := f.text(top, "kind")
	if err != nil {
		return d, err
	}
	k, known := kinds[[2]string{version, kind}]
	if !known {
		return d, nil
	}
	if d.Kind = k; k == identity.KindUnknown {
		return d, f.at(top, "kind %s has another apiVersion than %q: Job and WorkerPool are of run.googleapis.com/v1, Service is of serving.knative.dev/v1", kind, version)
	}
	for _, field := range []struct {
		into *string
		path []string
	}{
		{&d.Name, []string{"metadata", "name"}}, {&d.Project, []string{"metadata", "namespace"}},
		{&d.Region, []string{"metadata", "labels", "cloud.googleapis.com/location"}},
	} {
		if *field.into, err = f.text(top, field.path...); err != nil {
			return d, err
		}
	}
	if d.Name == "" {
		return d, f.at(top, "metadata.name is missing: the id of the %v, such as %q", k, "nightly")
	}
	spec, err := f.find(top, specPath(k)...)
	if err != nil || spec == nil {
		return d, err
	}
	e, err := f.entry(spec, identityKey)
	if err != nil || e == nil {
		return d, err
	}
	v := resolve(e.value)
	if v.Kind != yaml.ScalarNode {
		return d, f.at(e.value, "%s must be an email address, such as %q", identityKey, "runner@data-prod.iam.gserviceaccount.com")
	}
	if v.Value == "" || v.Tag == "!!null" {
		return d, nil
	}
	if d.Identity, err = identity.ParseServiceAccount(v.Value); err != nil {
		return d, f.at(e.value, "%s: %w", identityKey, err)
	}
	d.IdentityLine = e.value.Line
	return d, nil
}

// text returns the text of a field, "" if it isn't there.
func (f *File) text(top *yaml.Node, path ...string) (string, error) {
	n, err := f.find(top, path...)
	if err != nil || n == nil {
		return "", err
	}
	n = resolve(n)
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", f.at(n, "%s must be a text", path[len(path)-1])
	case n.Tag == "!!null":
		return "", nil
	}
	return n.Value, nil
}

// find returns the value at a path, nil if there is none.
func (f *File) find(n *yaml.Node, path ...string) (*yaml.Node, error) {
	for _, key := range path {
		if r := resolve(n); r.Kind != yaml.MappingNode {
			if r.Kind == yaml.ScalarNode && r.Tag == "!!null" {
				return nil, nil
			}
			return nil, f.at(n, "it must be a mapping, with the key %q", key)
		}
		e, err := f.entry(n, key)
		if err != nil || e == nil {
			return nil, err
		}
		n = e.value
	}
	return n, nil
}

// An entry is a key of a mapping with its value.
type entry struct {
	key, value *yaml.Node
	merged     bool // it comes from a merge key
}

// entry returns the entry of a key in a mapping, its own or a merged one, nil if
// there is none.
func (f *File) entry(n *yaml.Node, key string) (*entry, error) {
	n = resolve(n)
	var found, merged *entry
	seen := make(map[*yaml.Node]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind == yaml.ScalarNode && k.Tag == "!!merge":
			e, err := f.merge(v, key, seen)
			if err != nil {
				return nil, err
			}
			if merged == nil {
				merged = e
			}
		case resolve(k).Kind == yaml.ScalarNode && resolve(k).Value == key:
			if found != nil {
				return nil, f.at(k, "the key %q is there twice, also in line %d", key, found.key.Line)
			}
			found = &entry{k, v, false}
		}
	}
	if found == nil {
		found = merged
	}
	return found, nil
}

// merge looks a key up in what a merge key brings: a mapping, or a list of them.
func (f *File) merge(v *yaml.Node, key string, seen map[*yaml.Node]bool) (*entry, error) {
	v = resolve(v)
	sources := []*yaml.Node{v}
	if v.Kind == yaml.SequenceNode {
		sources = v.Content
	}
	for _, s := range sources {
		if s = resolve(s); s.Kind != yaml.MappingNode {
			return nil, f.at(v, "a merge key (<<) brings something that is no mapping")
		}
		if seen[s] { // thousands of aliases of one mapping: looked through once
			continue
		}
		seen[s] = true
		for i := 0; i+1 < len(s.Content); i += 2 { // a merge within what is merged is not followed
			if s.Content[i].Kind == yaml.ScalarNode && s.Content[i].Value == key {
				return &entry{s.Content[i], s.Content[i+1], true}, nil
			}
			if s.Content[i].Tag == "!!merge" {
				return nil, f.at(s.Content[i], "a merge key within what is merged is not understood here")
			}
		}
	}
	return nil, nil
}

// resolve follows an alias.
func resolve(n *yaml.Node) *yaml.Node {
	for range 10 { // an alias is of something that isn't one
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}
