package identity

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// constant is the parameter type of the Must-parsers. No other package can name
// it, so only untyped constants convert to it: a value that arrives at run time
// has to go through the parser that returns an error.
type constant string

// maxQuoted is how many bytes of a refused value an error message repeats.
const maxQuoted = 100

// maxLabel is the length limit of a DNS label, which every part of a name has.
const maxLabel = 63

// quote quotes s for an error message, shortened so that whatever was pasted
// into a flag doesn't flood a log.
func quote(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	end := maxQuoted
	for end > maxQuoted-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return fmt.Sprintf("%q... (%d bytes)", s[:end], len(s))
}

// checkText refuses what no name of any form contains. These flaws are mostly
// invisible in a log, so they get their own messages.
func checkText(s string) error {
	if s == "" {
		return errors.New("must not be empty")
	}
	if strings.TrimSpace(s) != s {
		return errors.New("must not begin or end with white space")
	}
	for i, r := range s {
		if r <= ' ' || r >= 0x7f {
			return fmt.Errorf("must be ASCII without spaces and control characters, but has %+q at byte %d", r, i)
		}
	}
	return nil
}

// isLabel reports whether s is a lower-case DNS label as in RFC 1123.
func isLabel(s string, maxLen int) bool {
	if s == "" || len(s) > maxLen || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !isLower(s[i]) && !isDigit(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// isName reports whether s is a label that begins with a letter, as project
// ids, locations and Cloud Run's ids do.
func isName(s string, maxLen int) bool {
	return isLabel(s, maxLen) && isLower(s[0])
}

// isDomain reports whether s is a lower-case domain name of two labels or more.
func isDomain(s string) bool {
	label, rest, more := strings.Cut(s, ".")
	if !more {
		return false
	}
	for more {
		if !isLabel(label, maxLabel) {
			return false
		}
		label, rest, more = strings.Cut(rest, ".")
	}
	return isLabel(label, maxLabel)
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
