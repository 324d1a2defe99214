// Package names compares the names of resources. A project has an id and a
// number, and a server may answer with either, whichever it was asked by.
package names

import "strings"

// IsNumber reports whether a project is named by its number.
func IsNumber(project string) bool {
	return project != "" && strings.Trim(project, "0123456789") == ""
}

// Same reports whether the name that an answer is about may be the one that was
// asked for. Of a project's id and its number it can't tell whether they belong
// together. A project that was asked for as "-" may be any.
func Same(told, asked string) bool {
	t, a := strings.Split(told, "/"), strings.Split(asked, "/")
	if len(t) != len(a) {
		return false
	}
	for i := range a {
		project := i > 0 && a[i-1] == "projects" && t[i] != "" && (a[i] == "-" || IsNumber(t[i]) != IsNumber(a[i]))
		if t[i] != a[i] && !project {
			return false
		}
	}
	return true
}
