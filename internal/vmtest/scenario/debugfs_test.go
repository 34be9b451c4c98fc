//go:build vm

package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

// editRoot changes the root file system of the testbed's disk, or a copy of it, that is not in use.
func editRoot(t *testing.T, b *vmtest.Testbed, disk string, commands ...string) {
	t.Helper()
	editFiles(t, b, rootOn(t, b, disk), commands...)
}

// rootOn is where the root lies on the testbed's disk, or a copy of it, as debugfs takes it.
func rootOn(t *testing.T, b *vmtest.Testbed, disk string) string {
	t.Helper()
	offset := offsetOf(t, b, "ROOT_OFFSET")
	return fmt.Sprintf("%s?offset=%d", disk, offset)
}

// editFiles changes a file system that is not in use by commands of debugfs.
func editFiles(t *testing.T, b *vmtest.Testbed, where string, commands ...string) {
	t.Helper()
	list := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(list, []byte(strings.Join(commands, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", runDebugfs(t, b, "-w", "-f", list, where))
}

// runDebugfs runs debugfs of the tools tree and returns what it prints.
func runDebugfs(t *testing.T, b *vmtest.Testbed, arguments ...string) []byte {
	t.Helper()
	tools, err := b.File("tools-forky", "scripts/testbed/make-tools")
	if err != nil {
		t.Fatal(err)
	}
	program := []string{"--library-path", filepath.Join(tools, "usr/lib/x86_64-linux-gnu"), filepath.Join(tools, "usr/sbin/debugfs")}
	output, err := exec.Command(filepath.Join(tools, "lib64/ld-linux-x86-64.so.2"), append(program, arguments...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("debugfs: %v\n%s", err, output)
	}
	return output
}
