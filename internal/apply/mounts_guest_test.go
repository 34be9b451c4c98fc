//go:build guest

package apply

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// Whoever can write to the root could move the verified /usr out of the way by a link: the mount would
// land where the link leads in the initramfs, and the root's /usr would be what it leads to there.
func TestMountPointsThatAreLinksAreRefused(t *testing.T) {
	outside := newDirectory(t)
	for name, target := range map[string]string{
		"absolute": outside, "relative": "other", "dangling": "/nowhere", "to itself": "usr", "upwards": "../" + strings.TrimPrefix(outside, "/tmp/"),
	} {
		t.Run(name, func(t *testing.T) {
			root := newDirectory(t)
			for _, directory := range []string{"other", "run"} {
				if err := os.Mkdir(root+"/"+directory, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(target, root+"/usr"); err != nil {
				t.Fatal(err)
			}
			err := MountFileSystem("tmpfs", "test", root+"/usr", plan.FileSystem{})
			if err == nil || !strings.Contains(err.Error(), "/usr is a symbolic link") {
				t.Errorf("%v", err)
			}
			// The same for what is moved.
			source := newDirectory(t)
			if err := unix.Mount("tmpfs", source, "tmpfs", 0, ""); err != nil {
				t.Fatal(err)
			}
			defer unix.Unmount(source, unix.MNT_DETACH)
			if err := os.MkdirAll(root+source, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(root + source); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, root+source); err != nil {
				t.Fatal(err)
			}
			if err := MoveMounts(root, []string{source}); err == nil || !strings.Contains(err.Error(), " is a symbolic link") {
				t.Errorf("%v", err)
			}
			for _, m := range allMounts(t) {
				if m.Target == outside || strings.HasPrefix(m.Target, root+"/") {
					t.Errorf("mounted: %+v", m)
				}
			}
		})
	}
}

func TestMountFileSystemMakesItsMountPoint(t *testing.T) {
	root := newDirectory(t)
	options, attributes := mountapi.ParseOptions("ro,nosuid,mode=0700")
	if err := MountFileSystem("tmpfs", "test", root+"/usr", plan.FileSystem{Options: options, Attributes: attributes}); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(root+"/usr", unix.MNT_DETACH)
	for _, m := range allMounts(t) {
		if m.Target == root+"/usr" && (m.Options != "ro,nosuid,relatime" || !strings.Contains(m.SuperOptions, "mode=700")) {
			t.Errorf("%+v", m)
		}
	}
	if !mountapi.IsMountPoint(root+"/usr") || mountapi.IsMountPoint(root) || mountapi.IsMountPoint(root+"/nothing") {
		t.Error("IsMountPoint is wrong")
	}
	for _, broken := range []string{root + "/missing/usr", root + "/file"} {
		if broken == root+"/file" {
			if err := os.WriteFile(broken, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := MountFileSystem("tmpfs", "test", broken, plan.FileSystem{}); err == nil || !strings.Contains(err.Error(), broken) {
			t.Errorf("%v", err)
		}
	}
}

// A moved mount is the same mount; targets are made.
func TestMoveMounts(t *testing.T) {
	root, source := newDirectory(t), newDirectory(t)
	if err := os.Mkdir(root+"/tmp", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", source, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(source+"/below", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", source+"/below", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	ids := func(at string) [2]uint64 {
		var ids [2]uint64
		for i, path := range []string{at, at + "/below"} {
			var st unix.Statx_t
			if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID_UNIQUE, &st); err != nil {
				t.Fatal(err)
			}
			ids[i] = st.Mnt_id
		}
		return ids
	}
	before := ids(source)
	if err := MoveMounts(root, []string{source}); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(root+source, unix.MNT_DETACH)
	if after := ids(root + source); after != before {
		t.Errorf("mount ids %v, were %v", after, before)
	}
	if mountapi.IsMountPoint(source) {
		t.Error("still mounted at the source")
	}
}

// Nothing moves if one of the places cannot be made, and what moved comes back if one cannot be moved to.
func TestMoveMountsIsAllOrNothing(t *testing.T) {
	runInNewRoot(t, func() {
		for _, directory := range []string{"/a", "/b", "/sysroot"} {
			must(os.Mkdir(directory, 0o755))
			must(unix.Mount("tmpfs", directory, "tmpfs", 0, "mode=755"))
		}
		must(os.WriteFile("/sysroot/b", nil, 0o600))
		say("%v", MoveMounts("/sysroot", []string{"/a", "/b"}))
		must(os.Remove("/sysroot/b"))
		// No mount: the kernel refuses to move it.
		must(os.Mkdir("/c", 0o755))
		say("%v", MoveMounts("/sysroot", []string{"/a", "/b", "/c"}))
		say("%v %v %v", mountapi.IsMountPoint("/a"), mountapi.IsMountPoint("/b"), mountapi.IsMountPoint("/sysroot/a"))
	}, "make mount point: /sysroot/b: not a directory", "move mount /c at /sysroot/c: invalid argument", "true true false")
}

func TestCheckInit(t *testing.T) {
	w := newWorld(t, "tmpfs", func(w *world) {
		w.write("usr/lib/init", "#!/usr/lib/interpreter -x\n")
		self, err := os.ReadFile("/proc/self/exe")
		w.check(err)
		w.write("usr/lib/interpreter", string(self))
		w.check(os.Chmod(w.at("usr/lib/interpreter"), 0o755))
		w.check(os.Chmod(w.at("usr/lib/init"), 0o755))
		w.check(os.Mkdir(w.at("usr/sbin"), 0o755))
		w.check(os.Symlink("/usr/sbin", w.at("sbin")))
		w.check(os.Symlink("../lib/init", w.at("usr/sbin/init")))
		w.check(os.Symlink("/gone", w.at("dangling")))
		w.check(os.Symlink("loop", w.at("loop")))
		w.write("text", "x")
		w.check(os.Symlink("/proc/self/exe", w.at("outside")))
	})
	for program, want := range map[string]string{
		"/sbin/init": "", "/usr/lib/init": "",
		"/dangling": "find init: ", "/gone": "find init: ", "/loop": "find init: ", "/text": "/text is not an executable file",
		"/usr": "/usr is not an executable file", "/outside": "find init: ", "/text/x": "find init: ",
	} {
		err := CheckInit(w.root, program)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", program, err, want)
		}
	}
}

func TestRestartOnPanic(t *testing.T) {
	old, err := os.ReadFile(panicTimeout)
	if err != nil {
		t.Fatal(err)
	}
	set := func(text string) {
		t.Helper()
		if err := os.WriteFile(panicTimeout, []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	defer set(string(old))
	get := func() string {
		text, _ := os.ReadFile(panicTimeout)
		return strings.TrimSpace(string(text))
	}
	for _, c := range []struct{ before, during string }{{"0", "10"}, {"-1", "-1"}, {"30", "30"}} {
		set(c.before)
		restore := RestartOnPanic("10")
		if got := get(); got != c.during {
			t.Errorf("%s: %s", c.before, got)
		}
		restore()
		if got := get(); got != c.before {
			t.Errorf("%s: %s afterwards", c.before, got)
		}
	}
	for text, want := range map[string]time.Duration{"0": 7 * time.Second, "5": 5 * time.Second, "-1": 0, "100000": time.Hour} {
		set(text)
		if got := PanicDelay(7 * time.Second); got != want {
			t.Errorf("panic=%s: %v", text, got)
		}
	}
}

func TestMoveEarly(t *testing.T) {
	runInNewRoot(t, func() {
		newRoot := "/sysroot"
		must(os.Mkdir(newRoot, 0o755))
		must(unix.Mount("tmpfs", newRoot, "tmpfs", 0, "mode=755"))
		for _, place := range []string{"/run", "/dev"} {
			must(os.MkdirAll(place, 0o755))
			// Such as the node of the console that an image brings.
			must(os.WriteFile(place+"/below", nil, 0o600))
			must(unix.Mount("tmpfs", place, "tmpfs", 0, "mode=755"))
			must(os.WriteFile(place+"/x", []byte("x"), 0o600))
		}
		must(MoveEarly(newRoot))
		for _, place := range []string{"/run", "/dev"} {
			text, err := os.ReadFile("/sysroot" + place + "/x")
			must(err)
			target, err := os.Readlink(place)
			must(err)
			say("%s %s", text, target)
		}
	}, "x /sysroot/run", "x /sysroot/dev")
}
