package architecture

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// kernelCallsOfApplets is all that applets use of golang.org/x/sys/unix: PID 1
// has to become the next init, and names the kernel it runs on. Everything
// else is for the packages below.
var kernelCallsOfApplets = []string{"ByteSliceToString", "Exec", "Uname", "Utsname"}

// unsafeUsers are the packages that pass structures to the kernel which
// golang.org/x/sys/unix does not know.
var unsafeUsers = []string{"internal/devmapper", "internal/extension", "internal/mountapi", "internal/rootdir", "internal/vmtest/faultinit"}

func TestAppletsLeaveTheKernelToOthers(t *testing.T) {
	for _, p := range readModule(t) {
		if layerOf(p.path) == nil || layerOf(p.path).name != "applets" {
			continue
		}
		for name, file := range p.files {
			for _, used := range selected(file, unixCalls) {
				if !slices.Contains(kernelCallsOfApplets, used) && !isConstant(used) {
					t.Errorf("%s/%s uses unix.%s", p.path, name, used)
				}
			}
		}
	}
}

// isConstant tells error numbers, signals and flags of open(2), which are values
// and no calls.
func isConstant(name string) bool {
	return strings.ToUpper(name) == name && (name[0] == 'E' || strings.HasPrefix(name, "SIG") || strings.HasPrefix(name, "O_")) ||
		name == "Signal"
}

func TestUnsafeIsRare(t *testing.T) {
	for _, p := range readModule(t) {
		if slices.Contains(p.imports(), "unsafe") && !slices.Contains(unsafeUsers, p.path) {
			t.Errorf("%s imports unsafe", p.path)
		}
	}
}

// selected returns the names that a file uses of an imported package.
func selected(file *ast.File, imported string) []string {
	local := ""
	for _, spec := range file.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil && path == imported {
			local = path[lastSlash(path)+1:]
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	if local == "." || local == "_" {
		return []string{local}
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && x.Name == local && x.Obj == nil {
				names = append(names, selector.Sel.Name)
			}
		}
		return true
	})
	return names
}

func lastSlash(path string) int {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return i
		}
	}
	return -1
}
