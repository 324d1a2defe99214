package manifest

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// skipProperties goes past the anchor and the tag of a value.
func skipProperties(data []byte, from int) int {
	for from < len(data) && (data[from] == '&' || data[from] == '!') {
		for from < len(data) && !isSpace(data[from]) {
			from++
		}
		for from < len(data) && isSpace(data[from]) {
			from++
		}
	}
	return from
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// lineStart is where the line of a position begins.
func lineStart(data []byte, at int) int {
	start := bytes.LastIndexByte(data[:at], '\n') + 1
	if start == 0 && bytes.HasPrefix(data, bom) {
		start = len(bom)
	}
	return start
}

var bom = []byte("\xef\xbb\xbf")

// commentsAbove is where the comments begin that are right above a line, with its
// indentation: they belong to it.
func commentsAbove(data []byte, start int, indent string) int {
	for start > 0 {
		above := lineStart(data, start-1)
		if !bytes.HasPrefix(data[above:start], []byte(indent+"#")) {
			break
		}
		start = above
	}
	return start
}

// blockEnd is the end of the entry of a key, in a mapping of an indentation: after
// its last line that is not blank and not a comment.
func blockEnd(data []byte, key, indent int) int {
	end := nextLine(data, key)
	for at := end; at < len(data); {
		next := nextLine(data, at)
		line := strings.TrimRight(string(data[at:next]), " \t\r\n")
		text := strings.TrimLeft(line, " ")
		deep := len(line) - len(text)
		switch {
		case text == "" || strings.HasPrefix(text, "#") && deep <= indent:
			// It counts if more of the value follows.
		case deep > indent, deep == indent && (text == "-" || strings.HasPrefix(text, "- ")):
			end = next
		default:
			return end
		}
		at = next
	}
	return end
}

// lineEnding is how the line of a position ends, or the one before if it is the
// last.
func lineEnding(data []byte, at int) string {
	end := nextLine(data, at)
	if data[end-1] != '\n' {
		end = lineStart(data, at)
	}
	if bytes.HasSuffix(data[:end], []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

func nextLine(data []byte, at int) int {
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(data)
}

// lineStarts are where the lines begin, as the parser counts them.
func lineStarts(data []byte) []int {
	at := 0
	if bytes.HasPrefix(data, bom) {
		at = len(bom)
	}
	var starts []int
	for i := 0; i >= 0; i = lineBreak(data[at:]) {
		at += i
		starts = append(starts, at)
	}
	return starts
}

// offset is where a node begins, in bytes. Positions of nodes are in lines and
// characters.
func (f *File) offset(n *yaml.Node) (int, error) {
	if n.Line < 1 || n.Line > len(f.lines) {
		return 0, f.at(n, "there is no such line")
	}
	at := f.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(f.data[at:])
		if size == 0 {
			return 0, f.at(n, "there is no such column")
		}
		at += size
	}
	return at, nil
}

// lineBreak is what is behind the next line break: those of YAML 1.1, as the
// parser counts them.
func lineBreak(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		i += size
		switch r {
		case '\r':
			if i < len(data) && data[i] == '\n' {
				i++
			}
			return i
		case '\n', 0x85, 0x2028, 0x2029:
			return i
		}
	}
	return -1
}
