//go:build guest

package selftest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRunsAsRootBelowOurInit(t *testing.T) {
	if os.Getuid() != 0 || os.Getppid() != 1 {
		t.Errorf("user %d, parent %d; want 0 and 1", os.Getuid(), os.Getppid())
	}
}

func TestFileSystemsAreMounted(t *testing.T) {
	for target, magic := range map[string]int64{
		"/proc": unix.PROC_SUPER_MAGIC,
		"/sys":  unix.SYSFS_MAGIC,
		"/run":  unix.TMPFS_MAGIC,
		"/tmp":  unix.TMPFS_MAGIC,
	} {
		t.Run(target, func(t *testing.T) {
			var info unix.Statfs_t
			if err := unix.Statfs(target, &info); err != nil {
				t.Fatal(err)
			}
			if int64(info.Type) != magic {
				t.Errorf("file system %#x, want %#x", info.Type, magic)
			}
		})
	}
	if _, err := os.Stat("/dev/null"); err != nil {
		t.Error(err)
	}
}

func TestModulesAreLoaded(t *testing.T) {
	for _, name := range []string{"dm_verity", "dm_mod", "overlay"} {
		if _, err := os.Stat("/sys/module/" + name); err != nil {
			t.Error(err)
		}
	}
}

func TestMountsAreAllowed(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
}

func TestTestdataIsThere(t *testing.T) {
	text, err := os.ReadFile("testdata/greeting")
	if err != nil || string(text) != "packed with the tests\n" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestProgramsOfAnotherTreeRun(t *testing.T) {
	output, err := exec.Command("veritysetup", "--version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(output), "veritysetup ") {
		t.Errorf("%v: %s", err, output)
	}
}

func TestOddOutputComesThrough(t *testing.T) {
	os.Stdout.WriteString("a line without its end, a tab\t, a bell\a, and \xff no UTF-8")
}
