// Package kerneltree reads and writes the text indexes that depmod and the
// kernel's build leave in lib/modules/RELEASE: modules.dep, modules.alias,
// modules.softdep, modules.builtin and modules.builtin.modinfo. Their formats
// are those of depmod(8), modules.dep(5), modprobe.d(5) and the kernel's
// Documentation/kbuild/kbuild.rst.
//
// The package turns bytes into values and back, and answers what a name stands
// for. It reads no files, no ".bin" index and no module.
package kerneltree

import (
	"path"
	"strings"
)

// suffixes of a module file, longest first where one ends another.
var suffixes = []string{".ko.xz", ".ko.zst", ".ko.gz", ".ko"}

// Normalize gives the kernel's spelling of a module name or alias: hyphens
// become underscores, except between brackets, where they are a range of an
// alias pattern (modprobe(8)).
func Normalize(name string) string {
	if !strings.Contains(name, "-") {
		return name
	}
	spelling := []byte(name)
	inBrackets := false
	for i, c := range spelling {
		switch {
		case c == '[':
			inBrackets = true
		case c == ']':
			inBrackets = false
		case c == '-' && !inBrackets:
			spelling[i] = '_'
		}
	}
	return string(spelling)
}

// NameOf gives the module name of a module file: "kernel/drivers/md/dm-mod.ko.xz"
// is "dm_mod". A file without a known suffix is named by its whole base name.
func NameOf(file string) string {
	base, _ := SplitSuffix(path.Base(file))
	return Normalize(base)
}

// SplitSuffix cuts ".ko", ".ko.xz", ".ko.zst" or ".ko.gz" off a path; the
// suffix is empty when the path has none of them.
func SplitSuffix(file string) (stem, suffix string) {
	for _, s := range suffixes {
		if stem, ok := strings.CutSuffix(file, s); ok {
			return stem, s
		}
	}
	return file, ""
}

// eachLine calls visit for every line that is neither empty nor a comment,
// with its number counted from 1.
func eachLine(text []byte, visit func(number int, line string) error) error {
	number := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := visit(number, line); err != nil {
			return err
		}
	}
	return nil
}
