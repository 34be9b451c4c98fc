package initramfs

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/preroot/preroot/initramfs/kerneltree"
)

// indexFile is one index of the image, named as depmod names it.
type indexFile struct {
	name    string
	content []byte
}

// indexFilesFor restricts the tree's indexes to the modules of the image.
// modules.builtin is kept whole: it is what tells "built in" from "missing",
// and costs about 1 kB compressed.
func indexFilesFor(k *kernel, s *selection) []indexFile {
	var dependencies []kerneltree.Dependency
	for _, d := range k.index.Dependencies {
		if s.contains(d.Name()) {
			dependencies = append(dependencies, unpackedNames(d))
		}
	}
	var aliases []kerneltree.Alias
	for _, a := range k.index.Aliases {
		// What the target forbids to load by alias, the boot must not either.
		if s.contains(a.Module) && !k.blacklist.Has(a.Module) {
			aliases = append(aliases, a)
		}
	}
	var soft []kerneltree.SoftDependency
	for _, d := range k.index.SoftDependencies {
		if !s.contains(d.Module) {
			continue
		}
		absent := func(name string) bool { return !slices.ContainsFunc(k.index.Resolve(name).Modules, s.contains) }
		d.Before = slices.DeleteFunc(slices.Clone(d.Before), absent)
		d.After = slices.DeleteFunc(slices.Clone(d.After), absent)
		if len(d.Before)+len(d.After) > 0 {
			soft = append(soft, d)
		}
	}
	files := []indexFile{
		{"modules.dep", kerneltree.FormatDependencies(dependencies)},
		{"modules.alias", kerneltree.FormatAliases(aliases)},
		{"modules.softdep", kerneltree.FormatSoftDependencies(soft)},
	}
	if len(s.modules) > 0 {
		files = append(files, indexFile{reasonsName, formatReasons(s)})
	}
	if k.builtInText != nil {
		files = append(files, indexFile{"modules.builtin", k.builtInText})
	}
	return files
}

// unpackedNames gives a line of modules.dep with the names that the files have
// in the image.
func unpackedNames(d kerneltree.Dependency) kerneltree.Dependency {
	unpacked := kerneltree.Dependency{Path: unpackedName(d.Path)}
	for _, need := range d.Needs {
		unpacked.Needs = append(unpacked.Needs, unpackedName(need))
	}
	return unpacked
}

// reasonsName is the file beside the indexes that says why each module is there. It stays with an image that was
// copied away from its manifest.
const reasonsName = "modules.reason"

// formatReasons writes a line for each module, in loading order: "NAME: REASON".
func formatReasons(s *selection) []byte {
	var b []byte
	for _, m := range s.modules {
		b = fmt.Appendf(b, "%s: %s\n", m.Name(), m.reason)
	}
	return b
}

func unpackedName(file string) string {
	stem, _ := kerneltree.SplitSuffix(file)
	return stem + ".ko"
}

// IsReasons tells whether a file of an image is one that says why modules are there: lines "NAME: REASON".
func IsReasons(name string) bool {
	return strings.HasPrefix(name, modulesPath+"/") && path.Base(name) == reasonsName
}
