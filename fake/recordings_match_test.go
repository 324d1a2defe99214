package fake_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var placeholderKinds = map[string]string{
	"uuid":   `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`,
	"time":   `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z`,
	"digits": `[0-9]{21}`,
	"suffix": `[a-z0-9]{3}`,
	"etag":   `"[\w-]+/[\w-]+"`,
	"base64": `[\w-]+`,
}

var placeholder = regexp.MustCompile(`<([a-z0-9]+)(?::(\w+))?>`)

// A matcher holds answers against expectations. It collects what does not
// agree.
type matcher struct {
	bound map[string]string
	errs  []string
}

func (m *matcher) failf(path, format string, args ...any) {
	m.errs = append(m.errs, strings.TrimPrefix(path, ".")+": "+fmt.Sprintf(format, args...))
}

func (m *matcher) match(path string, want, got any) {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			m.failf(path, "want an object, got %v", got)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if value, there := got[name]; there {
				m.match(path+"."+name, want[name], value)
			} else {
				m.failf(path+"."+name, "missing, want %v", want[name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(got)) {
			if _, wanted := want[name]; !wanted {
				m.failf(path+"."+name, "not recorded, got %v", got[name])
			}
		}
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			m.failf(path, "want %v, got %v", want, got)
			return
		}
		for i := range want {
			m.match(fmt.Sprintf("%s[%d]", path, i), want[i], got[i])
		}
	case string:
		if s, ok := got.(string); !ok || !m.matchText(path, want, s) {
			m.failf(path, "want %q, got %#v", want, got)
		}
	default:
		if want != got {
			m.failf(path, "want %#v, got %#v", want, got)
		}
	}
}

func (m *matcher) matchText(path, want, got string) bool {
	var pattern strings.Builder
	var names []string
	end := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(want, -1) {
		kind, known := placeholderKinds[want[at[2]:at[3]]]
		if !known {
			m.failf(path, "no such placeholder: %q", want)
		}
		name := ""
		if at[4] >= 0 {
			name = want[at[2]:at[5]]
		}
		pattern.WriteString(regexp.QuoteMeta(want[end:at[0]]) + "(" + kind + ")")
		names = append(names, name)
		end = at[1]
	}
	pattern.WriteString(regexp.QuoteMeta(want[end:]))
	values := regexp.MustCompile("^" + pattern.String() + "$").FindStringSubmatch(got)
	if values == nil {
		return false
	}
	for i, name := range names {
		if name != "" {
			m.bind(path, name, values[i+1])
		}
	}
	return true
}

func (m *matcher) bind(path, name, value string) {
	if had, ok := m.bound[name]; ok {
		if had != value {
			m.failf(path, "want %q as before for <%s>, got %q", had, name, value)
		}
		return
	}
	for other, taken := range m.bound {
		if taken == value {
			m.failf(path, "%q for <%s> is that of <%s>", value, name, other)
		}
	}
	m.bound[name] = value
}

// checkEtags decodes the etags of all Cloud Run resources in an answer and
// holds them against the update time and the name beside them.
func checkEtags(m *matcher, path string, v any) {
	o, ok := v.(map[string]any)
	if !ok {
		return
	}
	for name, value := range o {
		checkEtags(m, path+"."+name, value)
	}
	etag, _ := o["etag"].(string)
	updated, ok := o["updateTime"].(string)
	if !ok {
		return
	}
	at, name, err := decodeEtag(etag)
	switch {
	case err != nil:
		m.failf(path+".etag", "%q: %v", etag, err)
	case at.Format("2006-01-02T15:04:05.000000Z") != updated:
		m.failf(path+".etag", "encodes %s, want the update time %s", at, updated)
	case name != o["name"]:
		m.failf(path+".etag", "encodes %s, want the name %s", name, o["name"])
	}
}

// decodeEtag reads an etag of Cloud Run v2: in quotes and in base64, a
// protobuf Timestamp, a slash, the resource's name.
func decodeEtag(etag string) (at time.Time, name string, err error) {
	inner, ok := strings.CutPrefix(etag, `"`)
	inner, ok2 := strings.CutSuffix(inner, `"`)
	a, b, ok3 := strings.Cut(inner, "/")
	if !ok || !ok2 || !ok3 {
		return at, "", fmt.Errorf("not of the form %s", `"A/B"`)
	}
	stamp, err := base64.RawURLEncoding.DecodeString(a)
	if err != nil {
		return at, "", err
	}
	fields := map[byte]uint64{}
	for len(stamp) > 0 {
		tag := stamp[0]
		value, n := binary.Uvarint(stamp[1:])
		if n <= 0 {
			return at, "", fmt.Errorf("a bad varint in %x", stamp)
		}
		fields[tag] = value
		stamp = stamp[1+n:]
	}
	rest, err := base64.RawURLEncoding.DecodeString(b)
	return time.Unix(int64(fields[1<<3]), int64(fields[2<<3])).UTC(), string(rest), err
}

// The matcher would not be worth much if it let things pass.
func TestRecordingsAreMatchedExactly(t *testing.T) {
	t.Parallel()
	const want = `{"a": 1, "b": [{"c": "<digits:x>"}], "d": "x-<suffix:y>", "e": "<suffix:y>"}`
	tests := map[string]struct {
		got string
		bad int // flaws
	}{
		"the same":          {`{"a": 1, "b": [{"c": "100745114897948025258"}], "d": "x-8bw", "e": "8bw"}`, 0},
		"missing":           {`{"a": 1, "b": [{}], "d": "x-8bw", "e": "8bw"}`, 1},
		"extra":             {`{"a": 1, "b": [{"c": "100745114897948025258", "f": false}], "d": "x-8bw", "e": "8bw", "g": null}`, 2},
		"another number":    {`{"a": 1.0, "b": [{"c": "100745114897948025258"}], "d": "x-8bw", "e": "8bw"}`, 1},
		"another type":      {`{"a": "1", "b": [{"c": 100745114897948025258}], "d": "x-8bw", "e": "8bw"}`, 2},
		"another length":    {`{"a": 1, "b": [], "d": "x-8bw", "e": "8bw"}`, 1},
		"another form":      {`{"a": 1, "b": [{"c": "10074511489794802525"}], "d": "8bw", "e": "8bw"}`, 2},
		"no longer the one": {`{"a": 1, "b": [{"c": "100745114897948025258"}], "d": "x-8bw", "e": "8bx"}`, 1},
	}
	for name, tt := range tests {
		m := &matcher{bound: map[string]string{}}
		m.match("", decodeJSON(t, want), decodeJSON(t, tt.got))
		assert.Len(t, m.errs, tt.bad, name)
	}
	m := &matcher{bound: map[string]string{"suffix:z": "8bw"}}
	m.match("", "<suffix:y>", "8bw")
	assert.Equal(t, []string{`: "8bw" for <suffix:y> is that of <suffix:z>`}, m.errs)

	const etag = `"CMvxprEGELis5qYD/YS9i"`
	for o, flaws := range map[string]int{
		`{"metadata": {"name": "a/b", "updateTime": "2024-04-25T01:58:35.886675Z", "etag": ` + fmt.Sprintf("%q", etag) + `}}`: 0,
		`{"metadata": {"name": "a/b", "updateTime": "2024-04-25T01:58:35.886676Z", "etag": ` + fmt.Sprintf("%q", etag) + `}}`: 1,
		`{"metadata": {"name": "a/c", "updateTime": "2024-04-25T01:58:35.886675Z", "etag": ` + fmt.Sprintf("%q", etag) + `}}`: 1,
		`{"name": "a/b", "updateTime": "2024-04-25T01:58:35.886675Z", "etag": "CMvxprEGELis5qYD/YS9i"}`:                       1,
		`{"name": "a/b", "updateTime": "2024-04-25T01:58:35.886675Z"}`:                                                        1,
	} {
		m := &matcher{}
		checkEtags(m, "", decodeJSON(t, o))
		assert.Len(t, m.errs, flaws, o)
	}
}
