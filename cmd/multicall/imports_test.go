package main

import (
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// neverLinked are packages that must not get into bin/preroot, by whatever
// detour: each of them, with what it brings along, is a large part of the
// program's size, or a way to do what it must not do. "x/..." is x and all below.
var neverLinked = []string{
	"crypto/rsa", "crypto/ecdsa", "crypto/ecdh", "crypto/ed25519", "crypto/elliptic",
	"net/...", "crypto/x509/...", "crypto/tls/...", "text/template/...", "html/...", "regexp/...", "encoding/gob", "encoding/xml",
	"encoding/asn1", "os/exec", "os/user", "log/...", "flag", "plugin", "expvar", "go/...", "debug/...", "testing/...",
	"archive/...", "compress/...", "embed", "runtime/pprof", "runtime/trace", "runtime/cgo", "database/...", "image/...", "mime/...",
	"github.com/klauspost/...", "github.com/ulikunitz/...", "github.com/u-root/...", "github.com/pierrec/...", "golang.org/x/tools/...",
	ours + "/initramfs/...", ours + "/cmd/mkpreroot", ours + "/internal/vmtest/...", ours + "/internal/architecture",
}

// neverSealed are the packages of a shell, of a network, for debugging, and of commands that nobody could call: what the profile sealed has
// none of. encoding/json and crypto/rand are large, and nothing that is left needs them.
var neverSealed = append([]string{
	"mvdan.cc/...", "golang.org/x/term", "golang.org/x/crypto/argon2", ours + "/applets/rescue/...", ours + "/internal/netlink",
	ours + "/applets/etcrules", ours + "/applets/merge", ours + "/applets/report", ours + "/applets/switchroot", ours + "/applets/verity",
	ours + "/internal/servicemanager", "os/signal", "encoding/json", "crypto/rand",
}, neverLinked...)

// neededSealed is all that is linked into the profile sealed of our applets.
var neededSealed = []string{ours + "/applets/boot", ours + "/applets/bootrefresh"}

// ofTheShell is what only the shell brings along.
var ofTheShell = []string{"os/exec", "os/user", "regexp/...", "archive/tar", "compress/flate", "compress/gzip", "net/netip"}

const ours = "github.com/preroot/preroot"

func TestNothingNeedlessIsLinked(t *testing.T) {
	for _, name := range linked(t, "") {
		if coveredBy(neverLinked, name) && !coveredBy(ofTheShell, name) {
			t.Errorf("%s is linked into bin/preroot; go list -deps shows by whom", name)
		}
		// Helpers for tests: internal/gpt/gpttest.
		if parts := strings.Split(name, "/"); len(parts) > 1 && parts[len(parts)-1] == parts[len(parts)-2]+"test" {
			t.Errorf("%s is for tests", name)
		}
	}
}

// TestSealedHasNoShell looks at the packages of the profile sealed; the same look finds them in the profile full.
func TestSealedHasNoShell(t *testing.T) {
	for _, name := range linked(t, "sealed") {
		if coveredBy(neverSealed, name) {
			t.Errorf("%s is linked into the profile sealed", name)
		}
		if strings.HasPrefix(name, ours+"/applets/") && !slices.Contains(neededSealed, name) {
			t.Errorf("%s is linked into the profile sealed, which has no commands", name)
		}
	}
	full := linked(t, "")
	for _, want := range append([]string{"mvdan.cc/sh/v3/interp", "golang.org/x/term", "golang.org/x/crypto/argon2", ours + "/applets/rescue",
		ours + "/applets/rescue/toolbox", ours + "/internal/netlink", "net/netip", "archive/tar", ours + "/applets/verity", ours + "/applets/merge",
		ours + "/applets/report", ours + "/applets/switchroot", ours + "/applets/etcrules", "os/signal", "encoding/json", "crypto/rand"}, "os/exec") {
		if !slices.Contains(full, want) || !coveredBy(neverSealed, want) {
			t.Errorf("%s is not in the profile full, or not forbidden in the profile sealed", want)
		}
	}
}

// ofTheShellInBoot are functions of the boot that only a shell leads to; they share a package with what every profile has.
var ofTheShellInBoot = []string{"rescue", "offer", "resume", "explainStop", "replan", "stopForShell"}

// TestSealedLeavesOutWhatOnlyAShellLeadsTo links both profiles and looks at their functions.
func TestSealedLeavesOutWhatOnlyAShellLeadsTo(t *testing.T) {
	for tags, want := range map[string]bool{"": true, "sealed": false} {
		program := filepath.Join(t.TempDir(), "program")
		command := exec.Command("go", "build", "-tags="+tags, "-buildvcs=false", "-o", program, ".")
		// For the machine that builds, whatever this test runs for: nobody runs it.
		command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v: %s", err, output)
		}
		file, err := elf.Open(program)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		symbols, err := file.Symbols()
		if err != nil {
			t.Fatal(err)
		}
		linked := map[string]bool{}
		for _, symbol := range symbols {
			linked[symbol.Name] = true
		}
		for _, name := range ofTheShellInBoot {
			if function := ours + "/applets/boot.(*boot)." + name; linked[function] != want {
				t.Errorf("tags %q: %s is linked: %v, want %v", tags, function, !want, want)
			}
		}
	}
}

func coveredBy(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return covers(pattern, name) })
}

// TestTheListIsOfThisProgram makes sure that the test above looks at something.
func TestTheListIsOfThisProgram(t *testing.T) {
	all := linked(t, "")
	for _, want := range []string{ours + "/cmd/multicall", ours + "/internal/plan", "os", "runtime"} {
		if !slices.Contains(all, want) {
			t.Errorf("%s is not linked", want)
		}
	}
	if !covers("net/...", "net") || !covers("net/...", "net/http") || covers("net/...", "network") || covers("flag", "flag/x") {
		t.Error("patterns are mixed up")
	}
}

func covers(pattern, name string) bool {
	above, all := strings.CutSuffix(pattern, "/...")
	return name == above || (all && strings.HasPrefix(name, above+"/"))
}

// linked lists the packages of the program as it is built with build tags: without cgo.
func linked(t *testing.T, tags string) []string {
	t.Helper()
	command := exec.Command("go", "list", "-tags="+tags, "-deps", ".")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	output, err := command.Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v: %s", err, failed.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(output))
}
