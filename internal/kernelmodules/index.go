// Package kernelmodules loads kernel modules from an image that holds them
// uncompressed, with the indexes of depmod(8): modules.dep(5), modules.alias,
// modules.softdep and modules.builtin.
//
// Modules are handed to the kernel as they are, so their signatures count. The
// package never unloads, reads no modprobe.d(5) and passes no parameters.
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
	directory    string
	files        map[string]string   // name -> path below directory
	dependencies map[string][]string // name -> names, all of them, not only the direct ones
	before       map[string][]string // name -> names wanted before it (soft)
	builtin      map[string]bool
	aliases      []alias
}

type alias struct{ pattern, module string }

// ReadIndex reads the indexes of lib/modules/RELEASE below root. Without the
// directory, as with a kernel that has everything built in, the index is empty.
func ReadIndex(root, release string) (*Index, error) {
	x := &Index{
		directory:    path.Join(root, "lib/modules", release),
		files:        map[string]string{},
		dependencies: map[string][]string{},
		before:       map[string][]string{},
		builtin:      map[string]bool{},
	}
	for name, parse := range map[string]func(line string){
		"modules.dep":     x.addDependencies,
		"modules.alias":   x.addAlias,
		"modules.softdep": x.addSoftDependencies,
		"modules.builtin": x.addBuiltin,
	} {
		text, err := os.ReadFile(path.Join(x.directory, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read module index: %w", err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				parse(line)
			}
		}
	}
	return x, nil
}

// addDependencies reads "PATH: PATH PATH".
func (x *Index) addDependencies(line string) {
	file, needs, found := strings.Cut(line, ":")
	if !found {
		return
	}
	name := ModuleName(file)
	x.files[name] = file
	for _, need := range strings.Fields(needs) {
		x.dependencies[name] = append(x.dependencies[name], ModuleName(need))
	}
}

// addAlias reads "alias PATTERN MODULE".
func (x *Index) addAlias(line string) {
	words := strings.Fields(line)
	if len(words) == 3 && words[0] == "alias" {
		x.aliases = append(x.aliases, alias{pattern: words[1], module: canonical(words[2])})
	}
}

// addSoftDependencies reads "softdep MODULE pre: NAME... post: NAME...".
func (x *Index) addSoftDependencies(line string) {
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "softdep" {
		return
	}
	name, pre := canonical(words[1]), false
	for _, word := range words[2:] {
		if strings.HasSuffix(word, ":") {
			pre = word == "pre:"
		} else if pre {
			x.before[name] = append(x.before[name], canonical(word))
		}
	}
}

func (x *Index) addBuiltin(line string) { x.builtin[ModuleName(line)] = true }

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
// (the text in its sysfs file), in the order of the index.
func (x *Index) Match(modalias string) []string {
	var names []string
	for _, a := range x.aliases {
		// Aliases have no "/" in practice; path.Match would not let * cross one.
		if ok, err := path.Match(a.pattern, modalias); err != nil || !ok || !x.IsLoadable(a.module) {
			continue
		}
		names = append(names, a.module)
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
