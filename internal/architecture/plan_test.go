package architecture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pureFunctions are all that internal/plan may call of packages that are no
// formats: they compute, and neither ask nor change anything. Types, their fields
// and constants of those packages are free to use; that is what it has them for.
var pureFunctions = []string{
	"internal/blockdev.Device.Node",
	"internal/extension.Hierarchies",
	"internal/extension.Identity.HandleText",
	"internal/extension.Image.RootHash",
	"internal/extension.MutableName",
	"internal/extension.SearchPath",
	"internal/extension.Type.IsTree",
	"internal/mountapi.ParseOptions",
	"internal/trust.ParsePolicy",
}

// clocks are what would make two plans of the same things differ.
var clocks = []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.NewTimer",
	"time.NewTicker", "time.Tick"}

// TestPlanIsPure type-checks internal/plan and looks at every function of
// another package that it names, methods included.
func TestPlanIsPure(t *testing.T) {
	for _, use := range functionsUsed(t, "internal/plan") {
		if use.impure() {
			t.Errorf("%s: plan uses %s, which is not in the list of functions that only compute", use.position, use.name)
		}
	}
}

// TestImpureFunctionsAreFound asks the same of a package that has to fail.
func TestImpureFunctionsAreFound(t *testing.T) {
	var impure []string
	for _, use := range functionsUsed(t, "internal/apply") {
		if use.impure() {
			impure = append(impure, use.name)
		}
	}
	for _, want := range []string{"internal/devmapper.Control.CreateAround", "internal/mountapi.Mount.MoveTo", "internal/mountapi.New", "internal/loopdev.Attach"} {
		if !slices.Contains(impure, want) {
			t.Errorf("%s was not found among %q", want, impure)
		}
	}
}

// use is a place where a function is named, as "PACKAGE.FUNCTION" or
// "PACKAGE.TYPE.METHOD", with paths below the module.
type use struct {
	position, pkg, name string
}

func (u use) impure() bool {
	if slices.Contains(clocks, u.name) {
		return true
	}
	l := layerOf(u.pkg)
	return isOwn(u.pkg) && (l == nil || l.name != "formats" && l.name != "plan") && !slices.Contains(pureFunctions, u.name)
}

func functionsUsed(t *testing.T, path string) []use {
	t.Helper()
	files := token.NewFileSet()
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: importer.ForCompiler(files, "gc", exported(t, path))}
	if _, err := config.Check(modulePath+"/"+path, files, parsePackage(t, files, path), info); err != nil {
		t.Fatal(err)
	}
	var uses []use
	for identifier, object := range info.Uses {
		function, ok := object.(*types.Func)
		if !ok || function.Pkg() == nil {
			continue
		}
		pkg := strings.TrimPrefix(function.Pkg().Path(), modulePath+"/")
		uses = append(uses, use{files.Position(identifier.Pos()).String(), pkg, pkg + "." + receiver(function) + function.Name()})
	}
	return uses
}

// receiver returns "TYPE." for a method.
func receiver(function *types.Func) string {
	r := function.Signature().Recv()
	if r == nil {
		return ""
	}
	kind := r.Type()
	if pointer, ok := kind.(*types.Pointer); ok {
		kind = pointer.Elem()
	}
	if named, ok := kind.(*types.Named); ok {
		return named.Obj().Name() + "."
	}
	return ""
}

// parsePackage parses the files of a package that are no tests and carry no
// build constraint.
func parsePackage(t *testing.T, files *token.FileSet, path string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, path, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
	}
	return parsed
}

// exported opens what the compiler wrote about the packages that path imports.
func exported(t *testing.T, path string) importer.Lookup {
	t.Helper()
	command := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", "./"+path)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	output, err := command.Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	found := map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p struct{ ImportPath, Export string }
		if err := decoder.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		found[p.ImportPath] = p.Export
	}
	return func(name string) (io.ReadCloser, error) { return os.Open(found[name]) }
}
