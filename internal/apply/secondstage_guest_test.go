//go:build guest

package apply

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
)

// TestMountSecondStage shows an image below an overlay that takes writes, and leaves no other mount.
func TestMountSecondStage(t *testing.T) {
	tree := &world{T: t, path: t.TempDir()}
	tree.write("init", "init of the stage\n")
	tree.check(os.MkdirAll(tree.at("sysusr"), 0o755))
	image := openFile(t, packTree(t, "squashfs", tree.path))
	before := len(allMounts(t))
	root, usr := newDirectory(t), newDirectory(t)
	if err := MountSecondStage(image, root); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(root, unix.MNT_DETACH)
	if count := len(allMounts(t)); count != before+1 {
		t.Errorf("%d mounts were added", count-before)
	}
	w := &world{T: t, path: root}
	if got := w.read("init"); got != "init of the stage\n" {
		t.Errorf("%q", got)
	}
	w.write("init", "changed\n")
	if _, err := os.Stat(memoryWork); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", memoryWork, err)
	}
	// /usr comes along as the same mount.
	if err := unix.Mount("tmpfs", usr, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	id := uniqueMountID(t, usr)
	if err := MoveMount(usr, root, "/sysusr/usr"); err != nil {
		t.Fatal(err)
	}
	if got := uniqueMountID(t, w.at("sysusr/usr")); got != id || mountapi.IsMountPoint(usr) {
		t.Errorf("mount %d, was %d", got, id)
	}
}

func uniqueMountID(t *testing.T, at string) uint64 {
	t.Helper()
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, at, 0, unix.STATX_MNT_ID_UNIQUE, &st); err != nil {
		t.Fatal(err)
	}
	return st.Mnt_id
}

func TestMountSecondStageRefuses(t *testing.T) {
	tree := &world{T: t, path: t.TempDir()}
	tree.write("init", "x\n")
	tree.write("garbage", strings.Repeat("garbage\n", 8192))
	squashfs := packTree(t, "squashfs", tree.path)
	before, root := len(allMounts(t)), newDirectory(t)
	tree.check(os.Symlink("/tmp", root+"/link"))
	if err := MountSecondStage(openFile(t, tree.at("garbage")), root); err == nil || !strings.Contains(err.Error(), "squashfs") {
		t.Error(err)
	}
	if err := MountSecondStage(openFile(t, squashfs), root+"/link"); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Error(err)
	}
	if count := len(allMounts(t)); count != before {
		t.Errorf("%d mounts are left", count-before)
	}
}

// TestCarryAppended takes along what an appended initrd brought.
func TestCarryAppended(t *testing.T) {
	runInNewRoot(t, func() {
		for _, directory := range []string{"/stage", "/empty/oem", "/proc"} {
			must(os.MkdirAll(directory, 0o755))
		}
		must(unix.Mount("tmpfs", "/stage", "tmpfs", 0, "mode=755"))
		carried, err := CarryAppended("/stage")
		say("%q %v: %s", carried, err, ls("/stage"))

		must(os.MkdirAll("/oem", 0o755))
		must(os.MkdirAll("/usr/share/oem", 0o755))
		must(os.WriteFile("/usr.squashfs", []byte("usr"), 0o644))
		carried, err = CarryAppended("/stage")
		say("%q %v: %s, mounted %t", carried, err, ls("/stage"), mountapi.IsMountPoint("/stage/oem"))

		must(unix.Unmount("/stage/oem", 0))
		must(os.WriteFile("/oem/both", []byte("oem"), 0o644))
		must(os.WriteFile("/usr/share/oem/both", []byte("share"), 0o644))
		must(os.WriteFile("/usr/share/oem/config.ign", []byte("{}"), 0o600))
		must(os.MkdirAll("/.extra/credentials", 0o755))
		must(os.WriteFile("/.extra/credentials/a.cred", nil, 0o444))
		carried, err = CarryAppended("/stage")
		text, _ := os.ReadFile("/stage/oem/both")
		var fs unix.Statfs_t
		must(unix.Statfs("/stage/oem", &fs))
		say("%q %v: %s %q, flags %#x", carried, err, ls("/stage"), text, fs.Flags&(unix.ST_NODEV|unix.ST_NOSUID|unix.ST_RDONLY))
	},
		"[] <nil>: ",
		`["/usr.squashfs"] <nil>: /stage/oem /stage/usr.squashfs, mounted true`,
		`["/usr/share/oem" "/oem" "/usr.squashfs" "/.extra"] <nil>: `+
			`/stage/.extra /stage/.extra/credentials /stage/.extra/credentials/a.cred /stage/oem /stage/oem/both /stage/oem/config.ign /stage/usr.squashfs "oem", flags 0x4`)
}
