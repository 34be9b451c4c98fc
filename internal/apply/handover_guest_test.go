//go:build guest

package apply

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// childVariable tells a child of the test program where its root is.
const childVariable = "PREROOT_TEST_CHILD"

// runInNewRoot runs act in a child process whose root directory is an empty tmpfs in a mount namespace
// of its own, and compares what it says.
func runInNewRoot(t *testing.T, act func(), want ...string) {
	t.Helper()
	runInRoot(t, func() string {
		at := newDirectory(t)
		if err := unix.Mount("tmpfs", at, "tmpfs", 0, "mode=755"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
		return at
	}, act, want...)
}

// runInRoot does so in the root that prepare makes: a mount point, which can be left by pivot_root(2) on
// every kernel. The child runs the same test, and comes no further than this.
func runInRoot(t *testing.T, prepare func() string, act func(), want ...string) {
	t.Helper()
	if at := os.Getenv(childVariable); at != "" {
		must(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		must(unix.Chroot(at))
		must(unix.Chdir("/"))
		act()
		os.Exit(0)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, "-test.run=^"+t.Name()+"$")
	command.Env = append(os.Environ(), childVariable+"="+prepare())
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if got := strings.Split(strings.TrimSpace(string(output)), "\n"); !slices.Equal(got, want) {
		t.Errorf("said\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(3)
	}
}

func say(format string, arguments ...any) { fmt.Printf(format+"\n", arguments...) }

// ls lists all that is below a directory.
func ls(at string) string {
	var names []string
	must(filepath.WalkDir(at, func(name string, _ os.DirEntry, err error) error {
		if err == nil && name != at {
			names = append(names, name)
		}
		return err
	}))
	return strings.Join(names, " ")
}

func TestSwitchRoot(t *testing.T) {
	runInNewRoot(t, func() {
		for _, directory := range []string{"/sysroot", "/a/b/c", "/mounted", "/dev"} {
			must(os.MkdirAll(directory, 0o755))
		}
		must(os.WriteFile("/a/b/file", make([]byte, 1<<20), 0o400))
		must(os.Symlink("/sysroot/keep", "/a/link"))
		must(unix.Mkfifo("/a/pipe", 0o600))
		must(unix.Mount("tmpfs", "/sysroot", "tmpfs", 0, "mode=755"))
		must(os.WriteFile("/sysroot/keep", []byte("kept"), 0o600))
		must(os.Mkdir("/sysroot/run", 0o755))
		must(unix.Mount("tmpfs", "/sysroot/run", "tmpfs", 0, "mode=755"))
		must(os.WriteFile("/sysroot/run/keep", nil, 0o600))
		old, err := os.Open("/")
		must(err)
		h, err := SwitchRoot("/sysroot", nil)
		must(err)
		say("%s, left over: %q", h.Way, h.LeftOver)
		say("%s", ls("/"))
		here, err := os.Getwd()
		must(err)
		say("in %s", here)
		names, err := old.Readdirnames(-1)
		must(err)
		say("old root: %q", names)
	}, `pivot_root, left over: []`, "/keep /run /run/keep", "in /", "old root: []")
}

// A mount that was forgotten in the initramfs is reported, and what is on it stays.
func TestSwitchRootWithAForgottenMount(t *testing.T) {
	runInNewRoot(t, func() {
		must(os.MkdirAll("/sysroot", 0o755))
		must(os.MkdirAll("/a/mounted", 0o755))
		must(os.WriteFile("/a/file", nil, 0o600))
		must(unix.Mount("tmpfs", "/sysroot", "tmpfs", 0, "mode=755"))
		must(unix.Mount("tmpfs", "/a/mounted", "tmpfs", 0, "mode=755"))
		must(os.WriteFile("/a/mounted/precious", nil, 0o600))
		mounted, err := os.Open("/a/mounted")
		must(err)
		h, err := SwitchRoot("/sysroot", nil)
		must(err)
		names, err := mounted.Readdirnames(-1)
		must(err)
		say("%s, left over: %q; on the mount: %q", h.Way, h.LeftOver, names)
	}, `pivot_root, left over: ["a"]; on the mount: ["precious"]`)
}

func TestSwitchRootRefuses(t *testing.T) {
	runInNewRoot(t, func() {
		must(os.MkdirAll("/sysroot", 0o755))
		must(os.MkdirAll("/keep", 0o755))
		must(os.Mkdir("/run", 0o755))
		must(unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"))
		for _, target := range []string{"/sysroot", "/gone", "/", "/sysroot/.."} {
			_, err := SwitchRoot(target, []string{"/run"})
			say("%v", err)
		}
		say("%s", ls("/"))
	}, "switch root: /sysroot is not a mount point", "switch root: stat /gone: no such file or directory",
		"switch root: / is the root already", "switch root: /sysroot/.. is the root already", "/keep /run /sysroot")
}

// What is not a ram file system holds files that somebody wants to keep.
func TestSwitchRootRefusesARealRoot(t *testing.T) {
	var w *world
	runInRoot(t, func() string {
		w = newWorld(t, "ext4", func(w *world) { w.check(os.Mkdir(w.at("sysroot"), 0o755)) })
		return w.path
	}, func() {
		must(unix.Mount("tmpfs", "/sysroot", "tmpfs", 0, "mode=755"))
		_, err := SwitchRoot("/sysroot", nil)
		say("%v", err)
	}, "switch root: / is not an initramfs (file system type 0xef53)")
	if got := w.read("etc/base"); got != "host\n" {
		t.Errorf("%q", got)
	}
}

func TestRemoveBelowIsBounded(t *testing.T) {
	deep := newDirectory(t)
	if err := os.MkdirAll(deep+strings.Repeat("/d", maxDepth+10), 0o755); err != nil {
		t.Fatal(err)
	}
	directory := openFile(t, deep)
	if left := empty(directory); !slices.Equal(left, []string{"d"}) {
		t.Errorf("%q", left)
	}
	// Nothing is left of what lies less deep, and names may be any.
	flat := newDirectory(t)
	for _, name := range []string{"-rf", "new\nline", "\xff", " ", strings.Repeat("x", 255)} {
		if err := os.MkdirAll(flat+"/"+name+"/"+name, 0o000); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(flat+"/f"+name[1:], nil, 0o000); err != nil {
			t.Fatal(err)
		}
	}
	if left := empty(openFile(t, flat)); len(left) != 0 {
		t.Errorf("%q", left)
	}
}
