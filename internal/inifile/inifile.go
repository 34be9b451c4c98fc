// Package inifile reads configuration files in systemd's syntax (systemd.syntax(7)): sections,
// "Key=value" lines, comments with # or ;, and lines continued with a backslash at the end.
//
// It knows no keys and no value types, does not unquote or unescape values, does not expand
// specifiers and does not look for drop-ins. That an empty value empties a list is the caller's
// rule: All returns empty values as well.
package inifile

import "slices"

// File is what a file says. The zero value is an empty file.
type File struct {
	assignments []assignment
	sections    []string // with a header, in the order of their first one
}

type assignment struct {
	section, key, value string
}

// Last returns the value of the last assignment to key in the section. The value can be empty.
// Names of sections and keys are case-sensitive; several headers of one name are one section.
func (f *File) Last(section, key string) (string, bool) {
	for i := len(f.assignments) - 1; i >= 0; i-- {
		if a := f.assignments[i]; a.section == section && a.key == key {
			return a.value, true
		}
	}
	return "", false
}

// All returns the values of all assignments to key in the section, first to last.
func (f *File) All(section, key string) []string {
	var values []string
	for _, a := range f.assignments {
		if a.section == section && a.key == key {
			values = append(values, a.value)
		}
	}
	return values
}

// Sections returns the names of the sections in the order of their first header, also of those
// without any key.
func (f *File) Sections() []string { return slices.Clone(f.sections) }

// Keys returns the keys of a section, each once, in the order of their first assignment. It is for
// finding those that are not known.
func (f *File) Keys(section string) []string {
	var keys []string
	seen := map[string]bool{}
	for _, a := range f.assignments {
		if a.section == section && !seen[a.key] {
			seen[a.key] = true
			keys = append(keys, a.key)
		}
	}
	return keys
}
