package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestNothingIsMadeAtTheStart looks for code that runs before main, in our own packages: maps, regular expressions and errors that
// are made each time the program starts, whichever applet it is called as. What needs making is made by whoever asks for it.
// It is built with the flags of scripts/build, whose cache it finds: without copies of functions (-l) errors.New of a package is such code.
func TestNothingIsMadeAtTheStart(t *testing.T) {
	program := filepath.Join(t.TempDir(), "preroot")
	build := exec.Command("go", append([]string{"build", "-trimpath", "-buildvcs=false", "-o", program}, append(sizeFlags(t), ".")...)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, output)
	}
	symbols := codeOf(t, program)
	// A function of one instruction is what the compiler leaves of a variable without content; on arm64 the next one starts 16 bytes on.
	nothing := map[string]uint64{"amd64": 4, "arm64": 16}[runtime.GOARCH]
	for name, size := range symbols {
		if size > nothing && isInitialiser(name) {
			t.Errorf("%s: %d bytes of code run at each start of the program", name, size)
		}
	}
	// The same look finds those of others, and our own functions.
	for _, name := range []string{"os.init", "main.main", ours + "/applets/merge.Main"} {
		if symbols[name] == 0 {
			t.Errorf("%s is not in the program", name)
		}
	}
}

// isInitialiser reports whether a function is one that the compiler or somebody wrote for a package of ours to be run before main.
func isInitialiser(name string) bool {
	rest, isOurs := strings.CutPrefix(name, ours+"/")
	if isMain := strings.HasPrefix(name, "main."); !isOurs && !isMain {
		return false
	} else if isMain {
		rest = name
	}
	_, function, _ := strings.Cut(rest[strings.LastIndexByte(rest, '/')+1:], ".")
	return function == "init" || strings.HasPrefix(function, "init.") && !strings.Contains(function, "func") || strings.HasPrefix(function, "map.init")
}

func TestInitialisersAreKnown(t *testing.T) {
	for name, want := range map[string]bool{
		ours + "/internal/plan.init": true, ours + "/applets/rescue/toolbox.map.init.0": true, ours + "/applets/rescue.init.0": true, "main.init": true,
		"main.map.init.0": true, "os.init": false, ours + "/applets/merge.Main": false, "main.init.func1": false, ours + "/internal/apply.(*Workspace).init": false,
		ours + "/internal/plan.initrdOf": false,
	} {
		if isInitialiser(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// sizeFlags are those that scripts/build has for the compiler.
func sizeFlags(t *testing.T) []string {
	t.Helper()
	const script = `module=$1; eval "$(sed -n '/^size_flags=()/,/^done/p' ../../scripts/build)"; printf '%s\n' "${size_flags[@]}"`
	output, err := exec.Command("bash", "-c", script, "bash", ours).Output()
	flags := strings.Fields(string(output))
	if err != nil || len(flags) < 5 {
		t.Fatalf("the flags of scripts/build: %v, %q", err, flags)
	}
	return flags
}

// codeOf returns the functions of a program with their sizes in bytes.
func codeOf(t *testing.T, program string) map[string]uint64 {
	t.Helper()
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]uint64{}
	for _, symbol := range all {
		if elf.ST_TYPE(symbol.Info) == elf.STT_FUNC {
			sizes[symbol.Name] = symbol.Size
		}
	}
	return sizes
}
