package architecture

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	modulePath = "github.com/preroot/preroot"
	// root is the module's folder, seen from where the tests start.
	root = "../.."
)

// sourcePackage is what the files of a folder say, whatever their build tags.
type sourcePackage struct {
	// path below the module, such as "internal/gpt".
	path string
	// files are those that are no tests, by name.
	files map[string]*ast.File
}

// imports returns what the files that are no tests import, in order, with the
// paths of this module shortened to those below it.
func (p *sourcePackage) imports() []string {
	var all []string
	for _, file := range p.files {
		for _, spec := range file.Imports {
			if name, err := strconv.Unquote(spec.Path.Value); err == nil {
				all = append(all, strings.TrimPrefix(name, modulePath+"/"))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// readModule parses all packages. Tests are left out: they may import anything.
func readModule(t *testing.T) map[string]*sourcePackage {
	t.Helper()
	packages := map[string]*sourcePackage{}
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != root && (base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(files, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, filepath.Dir(name))
		if err != nil {
			return err
		}
		p := packages[below]
		if p == nil {
			p = &sourcePackage{path: below, files: map[string]*ast.File{}}
			packages[below] = p
		}
		p.files[base] = file
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 20 {
		t.Fatalf("only %d packages found", len(packages))
	}
	return packages
}

// isOwn tells the packages of this module from others, in shortened paths.
func isOwn(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return first == "cmd" || first == "applets" || first == "initramfs" || (first == "internal")
}

// isStandard tells the standard library: the first part of a path is no domain.
func isStandard(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return !strings.Contains(first, ".") && !isOwn(name)
}

// isDouble tells packages for tests that lie below what they double, such as
// internal/gpt/gpttest.
func isDouble(name string) bool { return path.Base(name) == path.Base(path.Dir(name))+"test" }
