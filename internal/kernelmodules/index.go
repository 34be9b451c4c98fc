// Package kernelmodules loads kernel modules from an image that holds them
// uncompressed, with the indexes of depmod(8): modules.dep(5), modules.alias,
// modules.softdep and modules.builtin.
//
// Modules are handed to the kernel as they are, so their signatures count. The
// package never unloads, reads no modprobe.d(5), and passes no parameters but those of its caller.
package kernelmodules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Index says what modules there are and what they need. It does not change.
type Index struct {
	root, directory string
	files           map[string]string // name -> path below directory, or below root if absolute
	// The two together have no circles: who waits for what a module needs must
	// come to an end.
	dependencies map[string][]string // name -> names, all of them, not only the direct ones
	before       map[string][]string // name -> names wanted before it (soft)
	builtin      map[string]bool
	aliases      []alias
}

// ReadIndex reads the indexes of lib/modules/RELEASE below root. Without the
// directory, as with a kernel that has everything built in, the index is empty.
// Lines that say nothing are passed over, and so is a dependency that would
// close a circle.
func ReadIndex(root, release string) (*Index, error) {
	directory := path.Join(root, "lib/modules", release)
	var t texts
	for name, text := range map[string]*string{
		"modules.dep": &t.dependencies, "modules.alias": &t.aliases,
		"modules.softdep": &t.soft, "modules.builtin": &t.builtin,
	} {
		content, err := os.ReadFile(path.Join(directory, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read module index: %w", err)
		}
		*text = string(content)
	}
	return parseIndex(root, directory, t), nil
}

// texts are the contents of the four files.
type texts struct{ dependencies, aliases, soft, builtin string }

func parseIndex(root, directory string, t texts) *Index {
	x := &Index{
		root:         root,
		directory:    directory,
		files:        map[string]string{},
		dependencies: map[string][]string{},
		before:       map[string][]string{},
		builtin:      map[string]bool{},
	}
	var needs, wishes []wish
	eachLine(t.dependencies, func(line string) { needs = append(needs, x.addModule(line)...) })
	eachLine(t.aliases, x.addAlias)
	eachLine(t.soft, func(line string) { wishes = append(wishes, parseSoftDependencies(line)...) })
	eachLine(t.builtin, func(line string) { x.builtin[ModuleName(line)] = true })
	x.connect(needs, wishes)
	return x
}

func eachLine(text string, parse func(line string)) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			parse(line)
		}
	}
}

// wish is one module that another one has to, or would like to, come after.
type wish struct{ module, wanted string }

// addModule reads "PATH: PATH PATH".
func (x *Index) addModule(line string) (needs []wish) {
	file, others, found := strings.Cut(line, ":")
	if file = strings.TrimSpace(file); !found || file == "" {
		return nil
	}
	name := ModuleName(file)
	x.files[name] = file
	for other := range strings.FieldsSeq(others) {
		needs = append(needs, wish{name, ModuleName(other)})
	}
	return needs
}

// addAlias reads "alias PATTERN MODULE".
func (x *Index) addAlias(line string) {
	words := strings.Fields(line)
	if len(words) == 3 && words[0] == "alias" {
		x.aliases = append(x.aliases, newAlias(words[1], canonical(words[2])))
	}
}

// parseSoftDependencies reads "softdep MODULE pre: NAME... post: NAME...".
func parseSoftDependencies(line string) (wishes []wish) {
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "softdep" {
		return nil
	}
	pre := false
	for _, word := range words[2:] {
		if strings.HasSuffix(word, ":") {
			pre = word == "pre:"
		} else if pre {
			wishes = append(wishes, wish{canonical(words[1]), canonical(word)})
		}
	}
	return wishes
}

// connect enters what modules need and then, as far as that leaves room, what
// they would like. The latter may be aliases ("crc32c").
func (x *Index) connect(needs, wishes []wish) {
	for _, need := range needs {
		if !x.leads(need.wanted, need.module) {
			x.dependencies[need.module] = append(x.dependencies[need.module], need.wanted)
		}
	}
	for _, w := range wishes {
		names := []string{w.wanted}
		if !x.Has(w.wanted) {
			names = x.Match(w.wanted)
		}
		for _, name := range names {
			if x.IsLoadable(name) && !x.leads(name, w.module) {
				x.before[w.module] = append(x.before[w.module], name)
			}
		}
	}
}

// leads reports whether loading one module leads to loading the other.
func (x *Index) leads(from, to string) bool {
	seen := map[string]bool{}
	var visit func(name string) bool
	visit = func(name string) bool {
		if name == to {
			return true
		}
		if seen[name] {
			return false
		}
		seen[name] = true
		for _, list := range [][]string{x.dependencies[name], x.before[name]} {
			for _, next := range list {
				if visit(next) {
					return true
				}
			}
		}
		return false
	}
	return visit(from)
}

// file returns the path of a module's file, empty if there is none.
func (x *Index) file(name string) string {
	file := x.files[name]
	switch {
	case file == "":
		return ""
	case path.IsAbs(file):
		return path.Join(x.root, file)
	}
	return path.Join(x.directory, file)
}

// Has reports whether the module can be loaded or is part of the kernel.
func (x *Index) Has(name string) bool {
	name = canonical(name)
	return x.builtin[name] || x.files[name] != ""
}

// IsLoadable reports whether the module is in the image, not in the kernel.
func (x *Index) IsLoadable(name string) bool {
	name = canonical(name)
	return !x.builtin[name] && x.files[name] != ""
}

// Match returns the loadable modules that drive a device with this modalias
// (the text in its sysfs file), in the order of the index, each once.
func (x *Index) Match(modalias string) []string {
	modalias = canonical(modalias)
	var names []string
	seen := map[string]bool{}
	for _, a := range x.aliases {
		if !seen[a.module] && a.matches(modalias) && x.IsLoadable(a.module) {
			seen[a.module] = true
			names = append(names, a.module)
		}
	}
	return names
}

// ModuleName returns the name of the module in a file: the base name without
// ".ko" and what follows, "-" written "_" as the kernel does.
func ModuleName(file string) string {
	name := path.Base(file)
	if i := strings.Index(name, ".ko"); i > 0 {
		name = name[:i]
	}
	return canonical(name)
}

func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }
