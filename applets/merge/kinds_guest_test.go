//go:build guest

package merge

import (
	"encoding/binary"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi/dditest"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
	"github.com/preroot/preroot/internal/osrelease"
)

// kinds make an extension of a name, each of another kind.
var kinds = map[string]func(w *world, name string){
	"directory": func(w *world, name string) { w.add(name) },
	"erofs":     func(w *world, name string) { w.addRaw(name+".raw", w.packed("erofs", name)) },
	"squashfs":  func(w *world, name string) { w.addRaw(name+"."+string(w.class)+".raw", w.packed("squashfs", name)) },
	"ext4":      func(w *world, name string) { w.addRaw(name+".raw", w.packed("ext4", name)) },
	"btrfs":     func(w *world, name string) { w.addRaw(name+".raw", w.packed("btrfs", name)) },
	"verity":    func(w *world, name string) { w.addRaw(name+".raw", w.image(name)) },
	"gpt": func(w *world, name string) {
		id, err := gpt.ParseGUID("00000000-0000-0000-0000-000000000001")
		w.check(err)
		root, err := gpt.ParseGUID(dditest.TypeRoot)
		w.check(err)
		w.addRaw(name+".raw", gpttest.Disk{Partitions: []gpttest.Partition{{Type: root, ID: id, Name: "root", Data: w.packed("erofs", name)}}}.Bytes())
	},
	"mbr": func(w *world, name string) { w.addRaw(name+".raw", withMBR(w.packed("erofs", name))) },
	"block": func(w *world, name string) {
		image := w.TempDir() + "/image"
		w.check(os.WriteFile(image, w.packed("erofs", name), 0o600))
		w.check(os.Symlink(attachLoop(w.T, image), w.images+"/"+name))
	},
	"version": func(w *world, name string) {
		w.addRaw(name+".raw.v/"+name+"_1.raw", w.packed("erofs", name+"-old"))
		w.addRaw(name+".raw.v/"+name+"_2.raw", w.packed("erofs", name))
		w.write(w.images+"/"+name+".raw.v/"+name+"_3_arm64.raw", "foreign")
	},
	"link": func(w *world, name string) {
		w.addRaw("../elsewhere-"+string(w.class), w.packed("erofs", name))
		w.check(os.Symlink("../elsewhere-"+string(w.class), w.images+"/"+name+".raw"))
	},
	"sidecar": func(w *world, name string) {
		built := dditest.Image{Content: w.packed("erofs", name)}.Build()
		w.addRaw(name+".raw", built.Data[built.DataStart:][:built.DataSize])
		w.addRaw(name+".verity", built.Data[built.HashStart:][:built.HashSize])
		w.addRaw(name+".roothash", []byte(built.Hash()+"\n"))
	},
	"attribute": func(w *world, name string) {
		w.addRaw(name+".raw", w.packed("erofs", name))
		// Nobody verifies it, and it is recorded all the same.
		w.check(unix.Setxattr(w.images+"/"+name+".raw", "user.verity.roothash", []byte(strings.Repeat("00112233445566778899aabbccddeeff", 2)), 0))
	},
}

func (w *world) addRaw(name string, content []byte) {
	w.Helper()
	w.write(filepath.Join(w.images, name), string(content))
}

func (w *world) packed(fsType, name string) []byte {
	w.Helper()
	content, err := os.ReadFile(w.pack(fsType, name))
	w.check(err)
	return content
}

// withMBR puts one active Linux partition around a file system.
func withMBR(content []byte) []byte {
	const start = 8
	disk := make([]byte, start*512+(len(content)+511)&^511)
	copy(disk[start*512:], content)
	disk[446], disk[446+4] = 0x80, 0x83
	binary.LittleEndian.PutUint32(disk[446+8:], start)
	binary.LittleEndian.PutUint32(disk[446+12:], uint32(len(disk)/512-start))
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

// Every kind of image, live: merged by one program and taken over by the other, in both classes. Each agrees with the other on what
// there is, and on that nothing is to be done.
func TestImageKinds(t *testing.T) {
	names := slices.Sorted(maps.Keys(kinds))
	for class, mode := range map[osrelease.Class]string{osrelease.ClassConfext: "no", osrelease.ClassSysext: "ephemeral"} {
		t.Run(string(class), func(t *testing.T) {
			w := newWorldOf(t, class, "/srv/usr", "/srv/opt")
			for _, name := range names {
				kinds[name](w, name)
			}
			devices := usedDevices(t)
			w.sameLook("list")
			w.sameLook("list --json=pretty")
			for _, pair := range [][2]func(...string) string{{w.ours, w.theirs}, {w.theirs, w.ours}} {
				first, second := pair[0], pair[1]
				output := first("merge", "--mutable="+mode)
				for _, hierarchy := range w.hierarchies() {
					for _, name := range names {
						if got := w.readIn(hierarchy, name); got != name {
							t.Errorf("%s in %s: %q\n%s", name, hierarchy, got, output)
						}
					}
				}
				w.sameLook("status")
				w.sameLook("status --json=short")
				w.has(second("refresh", "--mutable="+mode), skipping)
				w.has(second("refresh", "--mutable="+mode, "--always-refresh=yes"), "Merged extensions into '/srv/opt'.")
				w.has(first("refresh", "--mutable="+mode), skipping)
				w.is(first("unmerge"), "Unmerged '/srv/usr'.\nUnmerged '/srv/opt'.\n")
				if left := leftDevices(t, devices); len(left) > 0 {
					t.Errorf("devices are left: %q", left)
				}
			}
		})
	}
}

// Modes that take writes, for sysexts in two hierarchies: what is written survives being taken over.
func TestTakeOverSysexts(t *testing.T) {
	w := newWorldOf(t, osrelease.ClassSysext, "/srv/usr", "/srv/opt")
	w.add("one")
	for _, pair := range [][2]func(...string) string{{w.ours, w.theirs}, {w.theirs, w.ours}} {
		first, second := pair[0], pair[1]
		for _, mode := range []string{"no", "yes", "auto", "import", "ephemeral-import"} {
			option := "--mutable=" + mode
			first("merge", option)
			w.is(second("refresh", option), skipping)
			if mode == "yes" {
				w.write("/srv/opt/written", "x\n")
			}
			w.has(second("refresh", option, "--always-refresh=yes"), "Merged extensions into '/srv/usr'.")
			if mode == "yes" {
				w.is(w.readIn("/srv/opt", "written"), "x")
			}
			w.is(first("refresh", option), skipping)
			w.is(second("unmerge"), "Unmerged '/srv/usr'.\nUnmerged '/srv/opt'.\n")
			w.is(w.state("/srv/usr"), bare)
		}
		w.check(os.RemoveAll("/var/lib/extensions.mutable"))
	}
}

// A subvolume of btrfs has an identity of its own kind.
func TestSubvolume(t *testing.T) {
	w := newWorld(t)
	image := t.TempDir() + "/btrfs"
	w.check(os.WriteFile(image, nil, 0o600))
	w.check(os.Truncate(image, 128<<20))
	if output, err := exec.Command("mkfs.btrfs", "-q", image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	w.check(os.Mkdir("/srv/btrfs", 0o755))
	w.check(unix.Mount(attachLoop(t, image), "/srv/btrfs", "btrfs", 0, ""))
	defer func() { w.check(unix.Unmount("/srv/btrfs", unix.MNT_DETACH)) }()
	makeSubvolume(w, "/srv/btrfs", "sub")
	w.images = "/srv/btrfs"
	w.add("sub")
	w.check(os.Symlink("/srv/btrfs/sub", confexts+"/sub"))
	unix.Sync()
	w.has(w.ours("list"), "sub  subvolume /srv/btrfs/sub ")
	w.sameLook("list")
	w.sameLook("list --json=short")
	w.ours("merge")
	w.is(w.read("sub"), "sub")
	// Its change time moves by itself until it is on the disk.
	unix.Sync()
	w.theirs("refresh")
	unix.Sync()
	w.theirs("refresh")
	w.is(w.ours("refresh"), skipping)
	w.is(w.theirs("refresh"), skipping)
	w.ours("unmerge")
}

func makeSubvolume(w *world, at, name string) {
	w.Helper()
	directory, err := os.Open(at)
	w.check(err)
	defer directory.Close()
	// struct btrfs_ioctl_vol_args and BTRFS_IOC_SUBVOL_CREATE (linux/btrfs.h).
	var arguments struct {
		fd   int64
		name [4088]byte
	}
	copy(arguments.name[:], name)
	const create = 0x5000940e
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, directory.Fd(), create, uintptr(unsafe.Pointer(&arguments))); errno != 0 {
		w.Fatal(errno)
	}
}

// In a root that systemd is about to change to (a soft-reboot) what was merged there is what it will find.
func TestNextRoot(t *testing.T) {
	w := newWorld(t)
	t.Setenv("SYSTEMD_CONFEXT_HIERARCHIES", "/etc")
	const next = "/run/nextroot"
	w.check(os.MkdirAll(next, 0o755))
	w.check(unix.Mount("tmpfs", next, "tmpfs", 0, ""))
	defer func() { _ = unix.Unmount(next, unix.MNT_DETACH) }()
	w.root(next)
	for _, directory := range []string{"usr", "proc", "run", "dev", "tmp"} {
		w.check(os.MkdirAll(filepath.Join(next, directory), 0o755))
	}
	w.is(w.ours("merge", "--root="+next), "Using extensions 'inner'.\nMerged extensions into '/run/nextroot/etc'.\n")
	w.is(w.readIn(next+"/etc", "inner"), "inner")
	w.has(w.ours("status", "--root="+next), "/etc      inner      ")
	w.is(w.ours("refresh", "--root="+next), skipping)
	w.is(w.theirs("refresh", "--root="+next), skipping)
	// systemd can look there, and not change anything: its own namespace keeps what it mounts below /run (systemd issue 35722).
	w.theirs("unmerge", "--root="+next)
	w.is(w.readIn(next+"/etc", "inner"), "inner")
	// The change of roots moves the mount to "/" and keeps its id: the applet, in there, finds nothing to do.
	program, err := os.ReadFile("/proc/self/exe")
	w.check(err)
	w.check(os.WriteFile(next+"/usr/program", program, 0o755))
	command := exec.Command("/usr/program", "systemd-confext", "refresh")
	command.Env = append(os.Environ(), helperVariable+"=merge")
	command.Dir = "/"
	command.SysProcAttr = &unix.SysProcAttr{Chroot: next}
	w.check(unix.Mount("proc", next+"/proc", "proc", 0, ""))
	output, err := command.CombinedOutput()
	if err != nil || string(output) != skipping {
		t.Errorf("%v: %s", err, output)
	}
	w.ours("unmerge", "--root="+next)
}
