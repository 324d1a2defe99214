package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/runidentity/runidentity/identity"
)

// ErrNothingToEdit means that no document of a file is about a workload, or that
// a document that was asked for by its index isn't, or doesn't exist.
// [File.Set] and [File.Unset] return it.
var ErrNothingToEdit = errors.New("there is no Cloud Run workload to edit")

// Set returns the file with another identity in all documents about workloads, or
// in those with the given indexes of [File.Documents]. The file itself is
// unchanged. If the identity is there already, the new file has the same bytes.
//
// Every error is an [*Error]. It wraps [ErrNothingToEdit] if there is no such
// document. Set also returns an error if sa is zero: see [File.Unset].
//
// A document may give its identity an anchor that other values refer to, share it
// with others through an alias, or write it over several lines. Then Set returns
// an error. If the identity comes from an alias or a merge key, Set writes it
// into the document itself, and its source is unchanged.
func (f *File) Set(sa identity.ServiceAccount, documents ...int) (*File, error) {
	if sa.IsZero() {
		return nil, &Error{File: f.Name, Err: fmt.Errorf("no identity is given, such as %q; Unset takes it out", "runner@data-prod.iam.gserviceaccount.com")}
	}
	return f.edit(sa, documents)
}

// Unset returns the file without an identity, which means the project's default
// one. If there is none, the new file has the same bytes. Otherwise Unset works as
// [File.Set] does.
func (f *File) Unset(documents ...int) (*File, error) {
	return f.edit(identity.ServiceAccount{}, documents)
}

func (f *File) edit(sa identity.ServiceAccount, documents []int) (*File, error) {
	if len(documents) == 0 {
		for i, d := range f.Documents {
			if d.Kind != identity.KindUnknown {
				documents = append(documents, i)
			}
		}
		if len(documents) == 0 {
			return nil, &Error{File: f.Name, Err: ErrNothingToEdit}
		}
	}
	documents = slices.Compact(slices.Sorted(slices.Values(documents)))
	var splices []splice
	for _, i := range documents {
		if i < 0 || i >= len(f.Documents) || f.Documents[i].Kind == identity.KindUnknown {
			return nil, &Error{File: f.Name, Err: fmt.Errorf("document %d: %w", i, ErrNothingToEdit)}
		}
		if f.Documents[i].Identity == sa {
			continue
		}
		s, err := f.splice(i, sa)
		if err != nil {
			return nil, err
		}
		splices = append(splices, s)
	}
	return f.spliced(splices, sa, documents)
}

// spliced returns the file with its bytes replaced, if that gave these documents
// the identity and left everything else as it was.
func (f *File) spliced(splices []splice, sa identity.ServiceAccount, documents []int) (*File, error) {
	slices.SortFunc(splices, func(a, b splice) int { return a.from - b.from })
	var data []byte
	done := 0
	for _, s := range splices {
		data = append(append(data, f.data[done:s.from]...), s.text...)
		done = s.to
	}
	data = append(data, f.data[done:]...)
	edited, err := Parse(f.Name, data)
	if err != nil {
		return nil, &Error{File: f.Name, Err: fmt.Errorf("the edit would break it: %w", err)}
	}
	if err := f.differsInIdentity(edited, sa, documents); err != nil {
		return nil, &Error{File: f.Name, Err: fmt.Errorf("this way of writing it can't be edited: %w", err)}
	}
	return edited, nil
}

// A splice replaces bytes.
type splice struct {
	from, to int
	text     string
}

// splice is the change of one document.
func (f *File) splice(document int, sa identity.ServiceAccount) (splice, error) {
	spec := f.tops[document]
	kind := f.Documents[document].Kind
	for _, key := range specPath(kind) {
		if err := f.shared(document, spec); err != nil {
			return splice{}, err
		}
		e, err := f.entry(spec, key)
		switch {
		case err != nil:
			return splice{}, err
		case e == nil || e.value.Kind == yaml.ScalarNode:
			return splice{}, f.at(spec, "%s is missing: it would have the identity", strings.Join(specPath(kind), "."))
		case e.merged:
			return splice{}, f.at(spec, "%s comes from a merge key, and is used elsewhere as well: write it out here first", key)
		}
		spec = e.value
	}
	if err := f.shared(document, spec); err != nil {
		return splice{}, err
	}
	e, err := f.entry(spec, identityKey)
	switch {
	case err != nil:
		return splice{}, err
	case sa.IsZero():
		return f.removal(spec, e)
	case e == nil || e.merged:
		return f.insertion(spec, sa)
	}
	return f.replacement(document, e, sa)
}

// shared is the error about a mapping on the way to the identity that others have as
// well.
func (f *File) shared(document int, n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		return f.at(n, "what *%s stands for has the identity and is used elsewhere as well: write it out here first", n.Value)
	}
	if anchor := f.sharedAnchor(document, n); anchor != "" {
		return f.at(n, "other values refer to &%s, which has the identity: write them out first", anchor)
	}
	return nil
}

// sharedAnchor is the anchor of a node, if an alias refers to it.
func (f *File) sharedAnchor(document int, n *yaml.Node) string {
	if n.Anchor == "" {
		return ""
	}
	var used func(*yaml.Node) bool
	used = func(m *yaml.Node) bool {
		return m.Kind == yaml.AliasNode && m.Alias == n || slices.ContainsFunc(m.Content, used)
	}
	if used(f.tops[document]) {
		return n.Anchor
	}
	return ""
}

// replacement replaces the value of the identity, in the quotes that it has.
func (f *File) replacement(document int, e *entry, sa identity.ServiceAccount) (splice, error) {
	v := e.value
	if anchor := f.sharedAnchor(document, v); anchor != "" {
		return splice{}, f.at(v, "other values refer to the identity by *%s: write them out first", anchor)
	}
	from, err := f.offset(v)
	if err != nil {
		return splice{}, err
	}
	if v.Kind == yaml.AliasNode {
		name := "*" + v.Value
		if !bytes.HasPrefix(f.data[from:], []byte(name)) {
			return splice{}, f.at(v, "the alias isn't where it should be")
		}
		return splice{from, from + len(name), sa.Email()}, nil
	}
	from = skipProperties(f.data, from)
	rest := f.data[from:]
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	switch {
	case v.Tag == "!!null" && v.Value == "": // nothing after the colon
		return f.fill(e, sa)
	case v.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return splice{}, f.at(v, "the identity is written as a block: write it on one line first")
	case v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 && len(line) > 1:
		end := bytes.IndexByte(line[1:], line[0])
		if text := string(line[1 : 1+max(end, 0)]); end < 0 || text != v.Value {
			return splice{}, f.at(v, "the identity is written over several lines or with escapes: write it plainly first")
		}
		return splice{from + 1, from + 1 + end, sa.Email()}, nil
	case bytes.HasPrefix(rest, []byte(v.Value)):
		text := sa.Email()
		if f.json { // null
			text = `"` + text + `"`
		}
		return splice{from, from + len(v.Value), text}, nil
	}
	return splice{}, f.at(v, "the identity is written over several lines: write it on one first")
}

// fill puts the identity where a key has no value.
func (f *File) fill(e *entry, sa identity.ServiceAccount) (splice, error) {
	key, err := f.offset(e.key)
	if err != nil {
		return splice{}, err
	}
	line, _, _ := bytes.Cut(f.data[key:], []byte("\n"))
	colon := bytes.IndexByte(line, ':')
	if colon < 0 || e.value.Anchor != "" || e.value.Style != 0 {
		return splice{}, f.at(e.key, "the value of this key isn't written plainly: write it on its line first")
	}
	at := key + colon + 1
	if bytes.HasPrefix(f.data[at:], []byte(" ")) && !bytes.HasPrefix(f.data[at:], []byte(" #")) {
		return splice{at + 1, at + 1, sa.Email()}, nil
	}
	return splice{at, at, " " + sa.Email()}, nil
}

// insertion adds the key: before the first of its neighbours that comes after it
// in the alphabet, where gcloud has it, else after the last.
func (f *File) insertion(spec *yaml.Node, sa identity.ServiceAccount) (splice, error) {
	if spec.Kind != yaml.MappingNode {
		return splice{}, f.at(spec, "it must be a mapping, with the key %q", identityKey)
	}
	if spec.Style&yaml.FlowStyle != 0 {
		return f.flowInsertion(spec, sa)
	}
	if len(spec.Content) == 0 {
		return splice{}, f.at(spec, "it has no keys: there is nothing to add the identity to")
	}
	first, err := f.offset(spec.Content[0])
	if err != nil {
		return splice{}, err
	}
	start := lineStart(f.data, first)
	indent := string(f.data[start:first])
	if strings.Trim(indent, " ") != "" {
		return splice{}, f.at(spec.Content[0], "the first key isn't at the beginning of its line: write it there first")
	}
	eol := lineEnding(f.data, first)
	text := indent + identityKey + ": " + sa.Email()
	for i := 0; i < len(spec.Content); i += 2 {
		if k := spec.Content[i]; k.Kind == yaml.ScalarNode && k.Tag != "!!merge" && k.Value > identityKey {
			at, err := f.offset(k)
			if err != nil {
				return splice{}, err
			}
			if at = commentsAbove(f.data, lineStart(f.data, at), indent); i == 0 {
				at = start
			}
			return splice{at, at, text + eol}, nil
		}
	}
	last, err := f.offset(spec.Content[len(spec.Content)-2])
	if err != nil {
		return splice{}, err
	}
	end := blockEnd(f.data, last, len(indent))
	if end > 0 && f.data[end-1] != '\n' { // of a file without a last line ending
		return splice{end, end, eol + text}, nil
	}
	return splice{end, end, text + eol}, nil
}

// flowInsertion adds the key to a mapping in braces.
func (f *File) flowInsertion(spec *yaml.Node, sa identity.ServiceAccount) (splice, error) {
	from, err := f.offset(spec)
	if err != nil {
		return splice{}, err
	}
	if from = skipProperties(f.data, from); from >= len(f.data) || f.data[from] != '{' {
		return splice{}, f.at(spec, "the mapping isn't where it should be")
	}
	key, value := identityKey, sa.Email()
	if f.json || len(spec.Content) > 0 && spec.Content[0].Style&yaml.DoubleQuotedStyle != 0 {
		key, value = `"`+key+`"`, `"`+value+`"`
	}
	text := key + ": " + value
	if len(spec.Content) > 0 {
		text += ", "
	}
	at := from + 1
	if len(spec.Content) > 0 { // after the space or the line break that the first key has
		if at, err = f.offset(spec.Content[0]); err != nil {
			return splice{}, err
		}
		if start := lineStart(f.data, at); start > from {
			text = strings.TrimSuffix(text, " ") + lineEnding(f.data, start-1) + string(f.data[start:at])
		}
	}
	return splice{at, at, text}, nil
}

// removal takes the line of the identity out.
func (f *File) removal(spec *yaml.Node, e *entry) (splice, error) {
	switch {
	case e == nil:
		return splice{}, nil
	case e.merged:
		return splice{}, f.at(spec, "the identity comes from a merge key: take it out there")
	case spec.Style&yaml.FlowStyle != 0:
		return splice{}, f.at(e.key, "the identity is in a mapping in braces: take it out by hand")
	case len(spec.Content) == 2:
		return splice{}, f.at(e.key, "the identity is the only key there: take it out by hand")
	case e.value.Anchor != "" || e.key.Anchor != "":
		return splice{}, f.at(e.value, "other values may refer to the identity: take it out by hand")
	}
	key, err := f.offset(e.key)
	if err != nil {
		return splice{}, err
	}
	start := lineStart(f.data, key)
	indent := f.data[start:key]
	if len(bytes.Trim(indent, " ")) > 0 {
		return splice{}, f.at(e.key, "the key isn't at the beginning of its line: take it out by hand")
	}
	end := blockEnd(f.data, key, len(indent))
	if e.value.Line == e.key.Line && e.value.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.DoubleQuotedStyle) == 0 {
		end = nextLine(f.data, key) // comments below are not its own
	}
	if end == len(f.data) && f.data[end-1] != '\n' && start > 0 { // the line ending before goes with the last line
		start--
		if start > 0 && f.data[start-1] == '\r' {
			start--
		}
	}
	return splice{start, end, ""}, nil
}

// differsInIdentity reports whether an edited file is the same but for the identity
// of some documents.
func (f *File) differsInIdentity(edited *File, sa identity.ServiceAccount, documents []int) error {
	if len(edited.Documents) != len(f.Documents) {
		return errors.New("it would have another number of documents")
	}
	for i, top := range f.tops {
		was, is := f.Documents[i], edited.Documents[i]
		want := was.Identity
		if slices.Contains(documents, i) {
			want = sa
		}
		if is.Identity != want {
			return fmt.Errorf("document %d would have the identity %q", i, is.Identity)
		}
		spec := specPath(was.Kind)
		if !slices.Contains(documents, i) {
			spec = nil
		}
		if !same(top, edited.tops[i], spec) {
			return fmt.Errorf("document %d would differ elsewhere", i)
		}
	}
	return nil
}

// same compares two trees; in the mapping at a path, the identity's key doesn't
// count. A nil path means that everything does.
func same(a, b *yaml.Node, path []string) bool {
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || a.Anchor != b.Anchor {
		return false
	}
	x, y := a.Content, b.Content
	if path != nil && len(path) == 0 && a.Kind == yaml.MappingNode {
		x, y = withoutIdentity(x), withoutIdentity(y)
	}
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		var below []string
		if a.Kind == yaml.MappingNode && i%2 == 1 && len(path) > 0 && x[i-1].Value == path[0] {
			if below = path[1:]; below == nil {
				below = []string{}
			}
		}
		if !same(x[i], y[i], below) {
			return false
		}
	}
	return true
}

// withoutIdentity are the entries of a mapping but the identity.
func withoutIdentity(content []*yaml.Node) []*yaml.Node {
	var rest []*yaml.Node
	for i := 0; i+1 < len(content); i += 2 {
		if content[i].Value != identityKey {
			rest = append(rest, content[i], content[i+1])
		}
	}
	return rest
}
