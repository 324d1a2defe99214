package names

import "strings"

// Last returns the last segment of a name: what follows its last slash.
func Last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
