package vmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/preroot/preroot/initramfs"
	"github.com/preroot/preroot/internal/vmtest/guestplan"
)

// guestTestSuffix ends the names of the files with guest tests. They carry
// `//go:build guest`.
const guestTestSuffix = "_guest_test.go"

// packageLimit is how long the tests of one package may take that asks for no more.
const packageLimit = 300 * time.Second

// GuestPackage is a package whose guest tests run in a machine: the Test
// functions of its *_guest_test.go files, which are built with the tag guest.
// Its other tests are not run there.
type GuestPackage struct {
	// Path of the package below the repository, such as "internal/devmapper".
	Path string

	// Only names the tests to run, all when empty: a test that ends the machine
	// is the only one of its boot.
	Only []string

	// Modules are loaded before the tests, by name, with what they depend on.
	Modules []string

	// Includes are further files of the guest; IncludePrograms makes them for
	// programs of another root tree. The package's testdata folder is there
	// without being named, and the tests start beside it.
	Includes []initramfs.Include

	// Limit is how long the tests may run in the guest; 300 s if it is 0.
	Limit time.Duration
}

func (p GuestPackage) limit() time.Duration {
	if p.Limit > 0 {
		return p.Limit
	}
	return packageLimit
}

// GuestTests are built test programs, ready for any number of boots.
type GuestTests struct {
	dir      string
	packages []GuestPackage
	names    [][]string
	includes []initramfs.Include
	modules  []string
}

// BuildGuestTests builds the guest's init and the test programs of the packages
// below dir, a folder of the caller that must stay until the last boot.
func BuildGuestTests(ctx context.Context, dir string, packages []GuestPackage) (*GuestTests, error) {
	repository, err := FindRepository()
	if err != nil {
		return nil, err
	}
	g := &GuestTests{dir: dir, packages: packages}
	if err := runGo(ctx, repository, "build", "-o", filepath.Join(dir, "init"), "./internal/vmtest/guestinit"); err != nil {
		return nil, err
	}
	plan := guestplan.Plan{}
	for i, p := range packages {
		source := filepath.Join(repository, p.Path)
		names, err := guestTestNames(source)
		if err != nil {
			return nil, err
		}
		if names, err = chooseTests(names, p.Only); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Path, err)
		}
		g.names = append(g.names, names)
		program := filepath.Join(dir, "test"+strconv.Itoa(i))
		if err := runGo(ctx, repository, "test", "-c", "-tags", "guest", "-o", program, "./"+p.Path); err != nil {
			return nil, err
		}
		folder := guestplan.Folder + "/" + strconv.Itoa(i)
		g.includes = append(g.includes, initramfs.Include{Source: program, Destination: folder + "/run.test"})
		if _, err := os.Stat(filepath.Join(source, "testdata")); err == nil {
			g.includes = append(g.includes,
				initramfs.Include{Source: filepath.Join(source, "testdata"), Destination: folder + "/testdata"})
		}
		plan.Packages = append(plan.Packages, guestplan.Package{
			Path: p.Path, Program: folder + "/run.test", Folder: folder, Modules: p.Modules,
			Arguments: append(lengthOfTests(), "-test.v=test2json", "-test.timeout="+p.limit().String(), "-test.run=^("+strings.Join(names, "|")+")$"),
		})
		g.addIncludes(p.Includes)
		for _, module := range p.Modules {
			if !slices.Contains(g.modules, module) {
				g.modules = append(g.modules, module)
			}
		}
	}
	return g, g.writePlan(plan)
}

// LongVariable has tests in guests do all of what they do a sample of otherwise, if it is not empty.
const LongVariable = "PREROOT_GUEST_LONG"

func lengthOfTests() []string {
	if os.Getenv(LongVariable) != "" {
		return nil
	}
	return []string{"-test.short"}
}

// chooseTests keeps the tests that are asked for, which must exist.
func chooseTests(names, only []string) ([]string, error) {
	if len(only) == 0 {
		return names, nil
	}
	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no guest test %s", name)
		}
	}
	return only, nil
}

// addIncludes leaves out what another package asked for already.
func (g *GuestTests) addIncludes(includes []initramfs.Include) {
	for _, include := range includes {
		if !slices.Contains(g.includes, include) {
			g.includes = append(g.includes, include)
		}
	}
}

func (g *GuestTests) writePlan(plan guestplan.Plan) error {
	text, err := json.Marshal(plan)
	if err != nil {
		return fmt.Errorf("write guest plan: %w", err)
	}
	file := filepath.Join(g.dir, "plan.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write guest plan: %w", err)
	}
	g.includes = append(g.includes, initramfs.Include{Source: file, Destination: guestplan.File})
	return nil
}

// pack makes the initramfs for one kernel.
func (g *GuestTests) pack(kernel Kernel) (string, error) {
	image := filepath.Join(g.dir, "initrd-"+kernel.Suite)
	modules := g.modules
	if modules == nil {
		modules = []string{}
	}
	_, err := initramfs.Build(initramfs.Options{
		KernelTree: kernel.Tree, Release: kernel.Release, Init: filepath.Join(g.dir, "init"),
		Output: image, Modules: modules, Includes: g.includes, Compression: initramfs.CompressionZstd,
	})
	if err != nil {
		return "", fmt.Errorf("pack guest image: %w", err)
	}
	return image, nil
}

// runGo runs the go command without cgo: what it builds must run in an image
// that has no C library.
func runGo(ctx context.Context, dir string, arguments ...string) error {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(arguments, " "), err, bytes.TrimSpace(output))
	}
	return nil
}

// guestTestNames reads the names of the test functions out of the guest test
// files of a package: they are what must have been reported at the end.
func guestTestNames(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+guestTestSuffix))
	if err != nil {
		return nil, fmt.Errorf("find guest tests: %w", err)
	}
	var names []string
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("find guest tests: %w", err)
		}
		for _, declaration := range tree.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if ok && function.Recv == nil && isTestName(function.Name.Name) {
				names = append(names, function.Name.Name)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("find guest tests: no test function in %s/*%s", dir, guestTestSuffix)
	}
	return names, nil
}

func isTestName(name string) bool {
	rest, found := strings.CutPrefix(name, "Test")
	return found && name != "TestMain" && (rest == "" || rest[0] < 'a' || rest[0] > 'z')
}

// FindGuestPackages lists the packages of the repository that have guest tests,
// as paths below it, in order. Folders named testdata, vendor, and hidden ones
// are not looked into.
func FindGuestPackages(repository string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(repository, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			// Other tests may make and remove files meanwhile.
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if name != repository && (base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(base, guestTestSuffix) {
			below, err := filepath.Rel(repository, filepath.Dir(name))
			if err != nil {
				return err
			}
			if !slices.Contains(found, below) {
				found = append(found, below)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find guest packages: %w", err)
	}
	slices.Sort(found)
	return found, nil
}
