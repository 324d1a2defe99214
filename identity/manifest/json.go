package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/runidentity/runidentity/internal/message"
)

// maxValues is how many values a document may have when its aliases are
// followed.
const maxValues = 1 << 20

// object is a document as JSON. Numbers are json.Number, with their literals
// where JSON has them.
type object = map[string]any

// converter makes JSON of a document's tree.
type converter struct {
	file *File
	left int
}

// object returns a document as JSON.
func (f *File) object(top *yaml.Node) (object, error) {
	c := converter{f, maxValues}
	v, err := c.value(top, maxDepth)
	if err != nil {
		return nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, f.at(top, "the document must be a mapping")
	}
	return o, nil
}

func (c *converter) value(n *yaml.Node, depth int) (any, error) {
	c.left--
	if c.left < 0 || depth < 0 {
		return nil, c.file.at(n, "the document is too large when its aliases are followed")
	}
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		out := object{}
		return out, c.mapping(out, n, depth-1)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := c.value(item, depth-1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.ScalarNode:
		return c.scalar(n)
	default:
		return nil, c.file.at(n, "a value is missing")
	}
}

// mapping adds the entries of a mapping that out does not have: those of its
// own before those that it merges.
func (c *converter) mapping(out object, n *yaml.Node, depth int) error {
	own := make(map[string]bool)
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		switch {
		case key.Kind != yaml.ScalarNode:
			return c.file.at(key, "a key must be a text")
		case key.Tag == "!!merge":
			merged = append(merged, n.Content[i+1])
			continue
		case own[key.Value]:
			return c.file.at(key, "the key %q is there twice", key.Value)
		}
		own[key.Value] = true
		v, err := c.value(n.Content[i+1], depth)
		if err != nil {
			return err
		}
		if _, there := out[key.Value]; !there {
			out[key.Value] = v
		}
	}
	for _, m := range merged {
		sources := []*yaml.Node{m}
		if list := resolve(m); list.Kind == yaml.SequenceNode {
			sources = list.Content
		}
		for _, source := range sources {
			from := resolve(source)
			if from.Kind != yaml.MappingNode || depth < 0 {
				return c.file.at(m, "only mappings can be merged")
			}
			if err := c.mapping(out, from, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

var jsonNumber = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$`)
})

func (c *converter) scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, c.file.at(n, "%q is neither true nor false", n.Value)
		}
		return b, nil
	case "!!int", "!!float":
		if jsonNumber().MatchString(n.Value) {
			return json.Number(n.Value), nil
		}
		var i int64
		if n.ShortTag() == "!!int" && n.Decode(&i) == nil {
			return json.Number(strconv.FormatInt(i, 10)), nil
		}
		var f float64
		if err := n.Decode(&f); err == nil && f-f == 0 { // neither infinite nor no number
			return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
		}
		return nil, c.file.at(n, "JSON has no number such as %s", n.Value)
	}
	return n.Value, nil // what looks like a time is a text, too
}

// decode reads an answer of the API.
func decode(raw []byte) (object, error) {
	var o object
	err := message.Decode(raw, &o)
	return o, err
}

// at returns the value at a path, nil if there is none.
func at(o object, path ...string) any {
	var v any = o
	for _, name := range path {
		next, ok := v.(object)
		if !ok {
			return nil
		}
		v = next[name]
	}
	return v
}

func textAt(o object, path ...string) string {
	s, _ := at(o, path...).(string)
	return s
}

func numberAt(o object, path ...string) int64 {
	n, _ := at(o, path...).(json.Number)
	i, _ := n.Int64()
	return i
}

// child returns the object in a field, made if it isn't there.
func child(o object, name string) object {
	c, ok := o[name].(object)
	if !ok {
		c = object{}
		o[name] = c
	}
	return c
}

// toYAML writes JSON as gcloud does: keys in order, lists as deep as their keys,
// texts in single quotes where they need quotes.
func toYAML(o object) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(toNode(o)); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}

func toNode(v any) *yaml.Node {
	switch v := v.(type) {
	case object:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, toNode(key), toNode(v[key]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, item := range v {
			n.Content = append(n.Content, toNode(item))
		}
		return n
	case string:
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
		if plain, err := yaml.Marshal(v); err != nil || string(plain) != v+"\n" {
			n.Style = yaml.SingleQuotedStyle
		}
		return n
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v.String()}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}
