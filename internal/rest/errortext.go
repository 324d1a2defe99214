package rest

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest texts, in bytes, that are taken into an error.
const (
	maxText    = 4 << 10  // of one value, such as the message
	maxDetails = 32 << 10 // of all that an error of Google's says
	maxForeign = 512      // of a page that is no error of Google's
)

// Harmless returns a server's text for people, cut to a few pages, and without
// characters that a terminal or a log would obey: controls, but for tabs and
// the ends of lines, and those that turn the direction of writing.
func Harmless(text string) string {
	return strings.Map(func(r rune) rune {
		if isHarmful(r) {
			return utf8.RuneError
		}
		return r
	}, cut(text, maxText))
}

func isHarmful(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	// The categories of controls, of format controls (bidirectional ones among
	// them) and of separators of lines and paragraphs.
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}

// cut shortens a text, and says so at its end.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

// errorOf returns the body of an error in Google's form, harmless and with the
// status as its code, which decides where the body says another. It reports false
// for a body of another form.
func errorOf(status int, body []byte) ([]byte, bool) {
	whole := body
	body = bytes.TrimSpace(body)
	// Streaming methods answer with a list.
	if bytes.HasPrefix(body, []byte("[")) {
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil || len(list) == 0 {
			return nil, false
		}
		body = list[0]
	}
	var reply struct {
		Error map[string]any `json:"error"`
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if dec.Decode(&reply) != nil || reply.Error == nil {
		return nil, false
	}
	_, hasMessage := reply.Error["message"].(string)
	code, hasCode := reply.Error["code"].(json.Number)
	if !hasMessage && !hasCode {
		return nil, false
	}
	changed := false
	if n, err := code.Int64(); err != nil || n != int64(status) {
		reply.Error["code"], changed = status, true
	}
	for name, value := range reply.Error {
		made, differs := harmlessValue(value)
		reply.Error[name], changed = made, changed || differs
	}
	if len(whole) > maxDetails {
		// What it takes to tell errors apart is short.
		reply.Error, changed = map[string]any{
			"code": status, "message": reply.Error["message"], "status": reply.Error["status"],
		}, true
	}
	if !changed {
		return whole, true
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(reply) != nil {
		return nil, false
	}
	return out.Bytes(), true
}

// harmlessValue makes all texts in a value of JSON harmless.
func harmlessValue(v any) (made any, changed bool) {
	switch v := v.(type) {
	case string:
		made := Harmless(v)
		return made, made != v
	case []any:
		for i := range v {
			item, differs := harmlessValue(v[i])
			v[i], changed = item, changed || differs
		}
		return v, changed
	case map[string]any:
		all := make(map[string]any, len(v))
		for name, value := range v {
			item, differs := harmlessValue(value)
			all[Harmless(name)], changed = item, changed || differs || Harmless(name) != name
		}
		return all, changed
	}
	return v, false
}
