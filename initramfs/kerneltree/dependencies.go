package kerneltree

import (
	"fmt"
	"path"
	"strings"
)

// Dependency is one line of modules.dep.
type Dependency struct {
	// Path of the module's file, relative to lib/modules/RELEASE.
	Path string

	// Needs are the files of all modules it needs, directly or not, as
	// depmod orders them: a module stands before those that it needs itself,
	// so they are loaded from the last to the first.
	Needs []string
}

// Name is the module's name as the kernel has it.
func (d Dependency) Name() string { return NameOf(d.Path) }

// ParseDependencies reads modules.dep. It refuses paths that are absolute or
// leave the tree, files that are no modules, two files for one name, and a
// needed file that has no line of its own.
func ParseDependencies(text []byte) ([]Dependency, error) {
	var all []Dependency
	lineOf := make(map[string]int)
	listed := make(map[string]bool)
	err := eachLine(text, func(number int, line string) error {
		file, needs, found := strings.Cut(line, ":")
		if !found {
			return fmt.Errorf("modules.dep line %d: no colon", number)
		}
		d := Dependency{Path: file, Needs: strings.Fields(needs)}
		for _, p := range append([]string{file}, d.Needs...) {
			if err := checkPath(p); err != nil {
				return fmt.Errorf("modules.dep line %d: %w", number, err)
			}
		}
		if earlier, twice := lineOf[d.Name()]; twice {
			return fmt.Errorf("modules.dep line %d: a second file for module %s (first in line %d)", number, d.Name(), earlier)
		}
		lineOf[d.Name()] = number
		listed[d.Path] = true
		all = append(all, d)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		for _, need := range d.Needs {
			if !listed[need] {
				return nil, fmt.Errorf("modules.dep line %d: %s needs %s, which has no line", lineOf[d.Name()], d.Path, need)
			}
		}
	}
	return all, nil
}

// FormatDependencies writes modules.dep, one line each, in the given order.
func FormatDependencies(all []Dependency) []byte {
	var b strings.Builder
	for _, d := range all {
		b.WriteString(d.Path)
		b.WriteByte(':')
		for _, need := range d.Needs {
			b.WriteByte(' ')
			b.WriteString(need)
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// checkPath refuses what cannot be a module file inside the tree.
func checkPath(file string) error {
	if path.IsAbs(file) || path.Clean(file) != file || file == ".." || strings.HasPrefix(file, "../") {
		return fmt.Errorf("%q is not a path inside the tree", file)
	}
	for _, c := range []byte(file) {
		if c <= ' ' || c >= 0x7f || c == ':' || c == '#' {
			return fmt.Errorf("%q holds a character that no module file has", file)
		}
	}
	stem, suffix := SplitSuffix(file)
	if suffix == "" || stem == "" || strings.HasSuffix(stem, "/") {
		return fmt.Errorf("%q is not a module file", file)
	}
	return nil
}
