//go:build guest

package merge

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi/dditest"
	"github.com/preroot/preroot/internal/mountapi"
)

// fails makes a call that has to fail with a sentence, and to change nothing.
func (w *world) fails(sentence string, arguments ...string) {
	w.Helper()
	before := w.picture()
	output, err := w.try(arguments...)
	if err == nil {
		w.Errorf("%q succeeds:\n%s", arguments, output)
	}
	w.has(output, sentence)
	if after := w.picture(); after != before {
		w.Errorf("%q: it was\n%s\nand is\n%s", arguments, before, after)
	}
}

// leavesOut makes a call that has to leave one extension out, for a reason, and to merge another one.
func (w *world) leavesOut(name, reason, merged string, arguments ...string) {
	w.Helper()
	output := w.ours(arguments...)
	w.has(output, "Ignoring extension '"+name+"': ")
	w.has(output, reason)
	if got := w.read(merged); got != merged {
		w.Errorf("%s: %q\n%s", merged, got, output)
	}
	w.is(w.read(name), "missing")
}

// picture is what is mounted at the hierarchies and shows in them.
func (w *world) picture() string {
	w.Helper()
	text := ""
	for _, hierarchy := range w.hierarchies() {
		text += strings.Join(mountsAt(w.T, hierarchy), "")
		names, err := os.ReadDir(hierarchy)
		text += fmt.Sprint(names, err, "\n")
	}
	return text
}

func TestReadOnlyRoot(t *testing.T) {
	w := newWorld(t, "/srv/etc", "/srv/new/opt")
	w.check(os.RemoveAll("/srv/new"))
	w.add("one")
	w.check(unix.Mount("", "/srv", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	w.fails("merge confexts into /srv/new/opt: mkdir /srv/new: read-only file system", "merge")
	// What is there is enough where nothing has to be made.
	t.Setenv("SYSTEMD_CONFEXT_HIERARCHIES", "/srv/etc")
	w.others = nil
	w.ours("merge")
	w.is(w.read("one"), "one")
	w.add("two")
	w.ours("refresh")
	w.is(w.read("two"), "two")
	w.check(unix.Mount("", "/var/lib", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	w.fails("/var/lib/extensions.mutable: read-only file system", "refresh", "--mutable=yes")
	w.check(unix.Mount("", "/var/lib", "", unix.MS_REMOUNT, ""))
}

func TestFullDisk(t *testing.T) {
	w := newWorld(t)
	w.add("one")
	w.ours("merge")
	w.add("two")
	w.check(unix.Mount("", "/var/lib", "", unix.MS_REMOUNT, "nr_inodes=1000"))
	for i := 0; ; i++ {
		if err := os.WriteFile(fmt.Sprintf("/var/lib/full%d", i), nil, 0o600); err != nil {
			break
		}
	}
	w.fails("no space left on device", "refresh", "--mutable=yes")
	// Without writes to it, a full disk does not matter.
	w.ours("refresh")
	w.is(w.read("two"), "two")
}

// Nothing can be prepared: the lock and the workspace lie below /run.
func TestFullRun(t *testing.T) {
	w := newWorld(t)
	w.add("one")
	w.check(os.MkdirAll("/run/preroot", 0o755))
	w.check(unix.Mount("tmpfs", "/run/preroot", "tmpfs", 0, "nr_inodes=1"))
	defer func() { _ = unix.Unmount("/run/preroot", 0) }()
	w.fails("take the lock of merges: open /run/preroot/merge.lock: no space left on device", "merge")
}

// An image that is cut, emptied, removed, overwritten and restored all the time: whatever is met, the other one stays merged, and nothing stays open.
func TestImageThatChangesWhileItIsRead(t *testing.T) {
	w := newWorld(t)
	w.add("good")
	spoiled := confexts + "/spoiled.raw"
	content, err := os.ReadFile(w.pack("erofs", "spoiled"))
	w.check(err)
	w.write(spoiled, string(content))
	devices := usedDevices(t)
	w.ours("merge")
	spoiler := startHelper(t, "spoil", spoiled)
	outcomes := map[bool]int{}
	for range 40 {
		output := w.ours("refresh", "--always-refresh=yes")
		if got := w.read("good"); got != "good" {
			t.Fatalf("%q\n%s", got, output)
		}
		outcomes[strings.Contains(output, "'spoiled.raw'")]++
	}
	t.Logf("merged: %d times, left out: %d times; %s rounds of changes", outcomes[true], outcomes[false], strings.TrimSpace(spoiler.end()))
	w.ours("refresh", "--always-refresh=yes")
	w.is(w.read("spoiled"), "spoiled")
	w.ours("unmerge")
	if left := leftDevices(t, devices); len(left) > 0 {
		t.Errorf("devices are left: %q", left)
	}
}

// In a container without loop devices, or with none left.
func TestNoLoopDevice(t *testing.T) {
	for name, c := range map[string]struct {
		hide   func(w *world)
		reason string
	}{
		"no control": {func(*world) {}, "/dev/loop-control: no such file or directory"},
		"none left": {func(w *world) { w.check(unix.Mknod("/dev/loop-control", unix.S_IFCHR|0o600, int(unix.Mkdev(10, 237)))) },
			"no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("dir")
			content, err := os.ReadFile(w.pack("erofs", "raw"))
			w.check(err)
			w.write(confexts+"/raw.raw", string(content))
			w.check(unix.Mount("tmpfs", "/dev", "tmpfs", 0, ""))
			defer func() { w.check(unix.Unmount("/dev", unix.MNT_DETACH)) }()
			c.hide(w)
			w.leavesOut("raw", c.reason, "dir", "merge")
		})
	}
}

// In a container without the device mapper.
func TestNoDeviceMapper(t *testing.T) {
	w := newWorld(t)
	w.add("dir")
	w.write(confexts+"/verity.raw", string(w.image("verity")))
	w.check(os.MkdirAll("/dev/mapper", 0o755))
	w.check(unix.Mount("tmpfs", "/dev/mapper", "tmpfs", 0, ""))
	defer func() { w.check(unix.Unmount("/dev/mapper", unix.MNT_DETACH)) }()
	w.leavesOut("verity", "it needs dm-verity, which is not available here: open device mapper", "dir", "merge")
	w.fails("Failed to read metadata for image verity: it needs dm-verity", "refresh", "--strict")
}

// A device that answers reads with EIO: all of them, or those behind the superblock.
func TestErrorsOfTheDevice(t *testing.T) {
	for name, good := range map[string]int{"at once": 0, "behind the superblock": 8} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("dir")
			size := 64
			image := t.TempDir() + "/image"
			content, err := os.ReadFile(w.pack("erofs", "block"))
			w.check(err)
			w.check(os.WriteFile(image, append(content, make([]byte, size*512)...)[:size*512], 0o600))
			table := fmt.Sprintf("%d %d error\n", good, size-good)
			if good > 0 {
				loop := attachLoop(t, image)
				table = fmt.Sprintf("0 %d linear %s 0\n", good, loop) + table
			}
			create := exec.Command("dmsetup", "create", "--noudevsync", "--noudevrules", "bad")
			create.Stdin = strings.NewReader(table)
			if output, err := create.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			defer func() {
				if output, err := exec.Command("dmsetup", "remove", "--noudevsync", "bad").CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, output)
				}
			}()
			node, err := filepath.Glob("/sys/block/dm-*")
			w.check(err)
			w.check(os.Symlink("/dev/"+filepath.Base(node[0]), confexts+"/block"))
			w.leavesOut("block", "input/output error", "dir", "merge")
		})
	}
}

// Damage that dm-verity finds when the release file is read.
func TestDamagedImage(t *testing.T) {
	w := newWorld(t)
	w.add("dir")
	tree := t.TempDir()
	w.release(tree, "bad", "ID=_any\n")
	w.write(tree+"/srv/etc/bad", strings.Repeat("more than a block\n", 20000))
	content, err := os.ReadFile(packTree(t, "erofs", tree))
	w.check(err)
	// All blocks but the first, which is checked before the device is opened.
	built := dditest.Image{Content: content}.Build()
	for at := built.DataStart + 4096; at < built.DataStart+built.DataSize; at += 512 {
		built.Data[at] ^= 1
	}
	w.write(confexts+"/bad.raw", string(built.Data))
	if built.DataSize < 10*4096 {
		t.Fatalf("only %d bytes", built.DataSize)
	}
	w.leavesOut("bad", "", "dir", "merge")
}

// A mutable directory that is a link to where no files are to stay, or out of the root.
func TestMutableLinks(t *testing.T) {
	w := newWorld(t)
	w.add("one")
	w.ours("merge")
	w.add("two")
	w.check(os.MkdirAll("/var/lib/extensions.mutable", 0o755))
	link := "/var/lib/extensions.mutable/srv.etc"
	w.check(os.MkdirAll("/run/somewhere", 0o755))
	for target, sentence := range map[string]string{
		"/proc/self":            "which is no place for files that are to stay",
		"/proc":                 "it leads to /proc, which is no place for files that are to stay",
		"/dev":                  "it leads to /dev, which is no place for files that are to stay",
		"/run/somewhere":        "it leads to /run/somewhere, which is no place for files that are to stay",
		"../../../../../../sys": "it leads to /sys, which is no place for files that are to stay",
		"/usr/lib/os-release":   "it is not a directory",
	} {
		w.check(os.Symlink(target, link))
		for _, mode := range []string{"yes", "auto"} {
			w.fails(sentence, "refresh", "--mutable="+mode)
		}
		w.check(os.Remove(link))
	}
	// A link out of another root stays inside of it.
	root := w.root("/srv/root")
	w.check(os.MkdirAll(root+"/var/lib/extensions.mutable", 0o755))
	w.check(os.Symlink("../../../../../../../srv/outside", root+"/var/lib/extensions.mutable/etc"))
	t.Setenv("SYSTEMD_CONFEXT_HIERARCHIES", "/etc")
	w.ours("merge", "--root="+root, "--mutable=yes")
	w.write(root+"/etc/written", "x")
	w.is(w.readIn(root+"/srv/outside", "written"), "x")
	if _, err := os.Lstat("/srv/outside"); err == nil {
		t.Error("something was written outside of the root")
	}
	w.ours("unmerge", "--root="+root)
}

// root makes a root with one confext of its own.
func (w *world) root(at string) string {
	w.Helper()
	w.write(at+"/usr/lib/os-release", "ID=debian\nVERSION_ID=14\n")
	w.write(at+"/etc/base", "host\n")
	w.write(at+"/var/lib/confexts/inner/etc/inner", "inner\n")
	w.write(at+"/var/lib/confexts/inner/etc/extension-release.d/extension-release.inner", "ID=_any\n")
	return at
}

// A link where the work directory goes, planted by somebody who may write there.
func TestPlantedWorkDirectory(t *testing.T) {
	w := newWorld(t)
	w.add("one")
	w.ours("merge")
	w.check(os.MkdirAll("/var/lib/extensions.mutable/srv.etc", 0o755))
	w.write("/srv/precious/file", "precious\n")
	w.check(os.Symlink("/srv/precious", "/var/lib/extensions.mutable/.systemd-srv.etc-workdir"))
	w.fails("/var/lib/extensions.mutable/.systemd-srv.etc-workdir: too many levels of symbolic links", "refresh", "--mutable=yes")
	w.is(w.readIn("/srv/precious", "file"), "precious")
}

// The mounts are private, as the kernel has them in an initramfs, or shared as systemd makes them: what is merged shows where it was asked for.
func TestPropagation(t *testing.T) {
	for name, flag := range map[string]uintptr{"private": unix.MS_PRIVATE, "shared": unix.MS_SHARED, "slave": unix.MS_SLAVE, "unbindable": unix.MS_UNBINDABLE} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.add("one")
			w.check(unix.Mount("", "/srv", "", flag, ""))
			w.ours("merge")
			w.is(w.state("/srv/etc"), withOne)
			w.add("two")
			w.ours("refresh")
			w.is(w.state("/srv/etc"), withTwo)
			if count := len(mountsAt(t, "/srv/etc")); count != 1 {
				t.Errorf("%d mounts", count)
			}
			w.ours("unmerge")
			w.is(w.state("/srv/etc"), bare)
			if mountapi.IsMountPoint("/srv/etc") {
				t.Error("something is left")
			}
		})
	}
}

// The kernel hands words of its command line to PID 1 as environment: nothing of it counts there.
func TestEnvironmentOfTheFirstProcess(t *testing.T) {
	w := newWorld(t, "/etc")
	w.add("one")
	command := exec.Command("/proc/self/exe", "systemd-confext", "merge")
	command.Env = append(os.Environ(), helperVariable+"=merge", "SYSTEMD_CONFEXT_MUTABLE_MODE=yes", "SYSTEMD_CONFEXT_HIERARCHIES=/srv/etc", "SYSTEMD_OS_RELEASE=/missing")
	command.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	w.has(string(output), "Merged extensions into '/etc'.")
	origin, err := os.ReadFile("/etc/.systemd-confext/origin")
	w.check(err)
	w.has(string(origin), `"mode": "no"`)
	w.ours("unmerge")
}

// What systemd-stub(7) puts below /.extra of an initrd needs a signature, unless a policy says otherwise.
func TestExtraOfAnInitrd(t *testing.T) {
	w := newWorld(t)
	w.write("/etc/initrd-release", "ID=debian\n")
	defer os.Remove("/etc/initrd-release")
	content, err := os.ReadFile(w.pack("erofs", "extra"))
	w.check(err)
	w.write("/.extra/confext/extra.raw", string(content))
	w.write("/.extra/global_confext/more.raw", string(w.image("more")))
	defer os.RemoveAll("/.extra")
	w.add("usual")
	w.release(w.images+"/usual", "usual", "ID=_any\nCONFEXT_SCOPE=initrd\n")
	output := w.ours("merge")
	w.has(output, "Ignoring extension 'extra': it does not match the image policy: its root partition ")
	w.has(output, "Ignoring extension 'more': it does not match the image policy: its root partition ")
	w.is(w.read("usual")+" "+w.read("extra")+" "+w.read("more"), "usual missing missing")
	// It is not an initrd if somebody says so, and a policy of one's own holds everywhere.
	w.ours("unmerge")
	w.has(w.ours("plan", "--image-policy=root=unprotected"), "extra ")
	if output := w.ours("plan", "--image-policy=*"); strings.Contains(output, "image policy") {
		t.Error(output)
	}
	t.Setenv("SYSTEMD_IN_INITRD", "0")
	if output := w.ours("plan"); strings.Contains(output, "image policy") {
		t.Error(output)
	}
}

func attachLoop(t *testing.T, image string) string {
	t.Helper()
	output, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	node := strings.TrimSpace(string(output))
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", node).Run() })
	return node
}
