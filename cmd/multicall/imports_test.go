package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// neverLinked are packages that must not get into bin/preroot, by whatever
// detour: each of them, with what it brings along, is a large part of the
// program's size, or a way to do what it must not do. "x/..." is x and all below.
// (math/big is there for the sake of crypto/rsa.)
var neverLinked = []string{
	"net/...", "crypto/x509/...", "crypto/tls/...", "text/template/...", "html/...", "regexp/...", "encoding/gob", "encoding/xml",
	"encoding/asn1", "os/exec", "os/user", "log/...", "flag", "plugin", "expvar", "go/...", "debug/...", "testing/...",
	"archive/...", "compress/...", "embed", "runtime/pprof", "runtime/trace", "runtime/cgo", "database/...", "image/...", "mime/...",
	"github.com/klauspost/...", "github.com/ulikunitz/...", "github.com/u-root/...", "github.com/pierrec/...", "golang.org/x/tools/...",
	ours + "/initramfs/...", ours + "/cmd/mkpreroot", ours + "/internal/vmtest/...", ours + "/internal/architecture",
}

const ours = "github.com/preroot/preroot"

func TestNothingNeedlessIsLinked(t *testing.T) {
	for _, name := range linked(t) {
		if slices.ContainsFunc(neverLinked, func(pattern string) bool { return covers(pattern, name) }) {
			t.Errorf("%s is linked into bin/preroot; go list -deps shows by whom", name)
		}
		// Helpers for tests: internal/gpt/gpttest.
		if parts := strings.Split(name, "/"); len(parts) > 1 && parts[len(parts)-1] == parts[len(parts)-2]+"test" {
			t.Errorf("%s is for tests", name)
		}
	}
}

// TestTheListIsOfThisProgram makes sure that the test above looks at something.
func TestTheListIsOfThisProgram(t *testing.T) {
	all := linked(t)
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

// linked lists the packages of the program as it is built: without cgo.
func linked(t *testing.T) []string {
	t.Helper()
	command := exec.Command("go", "list", "-deps", ".")
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
