//go:build vm

package scenario

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/preroot/preroot/internal/vmtest"
)

// TestRootFileSystems has the testbed's root on other file systems (H3). That on btrfs is a subvolume, and is left with writes that are in its
// log alone; then the same file system brings /usr, another subvolume (8.6 TEST-11), and its log is not replayed (V11).
func TestRootFileSystems(t *testing.T) {
	m, err := PrepareImage(vmtest.Forky, t.TempDir(), Image{Settings: testbedSettings(t), Hardware: "generic"})
	if err != nil {
		t.Fatal(err)
	}
	usr := vmtest.Disk{Path: testbedDisk(t, m.Testbed), Snapshot: true}
	merged := "say $(grep -c ' /etc overlay rw' /proc/mounts) $(cat /etc/testbed-upper) $(cat /etc/testbed-user) $(cat /usr/share/testbed/sysext); " +
		"echo edited >/etc/edited; say $(systemd-confext refresh 2>&1); "
	wantMerged := []string{"1 upper .+ .+", ".*Skipping extension refresh because no change was found.*"}

	t.Run("xfs", func(t *testing.T) {
		t.Parallel()
		disk := sparseFile(t, "xfs.raw", 512<<20)
		tool(t, m.Testbed, "usr/sbin/mkfs.xfs", "-q", "-L", "xroot", "-p", readRoot(t, m.Testbed), disk)
		said, _ := askAt(t, m, "root=LABEL=xroot rw usrhash="+value(t, m.Testbed, "USRHASH"), "/usr/bin/bash",
			[]vmtest.Disk{usr, {Path: disk, Snapshot: true}}, merged+"say $(grep ' / ' /proc/mounts)")
		wantSaid(t, said, append(wantMerged, "/dev/vdb / xfs rw,.*"))
	})
	t.Run("btrfs", func(t *testing.T) {
		t.Parallel()
		tree := t.TempDir()
		if err := os.Rename(readRoot(t, m.Testbed), filepath.Join(tree, "rootvol")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(smallUsr(t, nil), filepath.Join(tree, "usrvol")); err != nil {
			t.Fatal(err)
		}
		disk := sparseFile(t, "btrfs.raw", 512<<20)
		tool(t, m.Testbed, "usr/sbin/mkfs.btrfs", "-q", "-L", "broot", "--rootdir", tree, "--subvol", "rootvol", "--subvol", "usrvol", disk)

		said, _ := askAt(t, m, "root=LABEL=broot rootflags=subvol=rootvol rw usrhash="+value(t, m.Testbed, "USRHASH"), "/usr/bin/bash",
			[]vmtest.Disk{usr, {Path: disk}}, merged+"say $(grep ' / ' /proc/mounts); sync; echo more >>/etc/edited; sync /etc/edited")
		wantSaid(t, said, append(wantMerged, "/dev/vdb / btrfs rw,.*subvol=/rootvol.*"))
		if log := logOf(t, disk); log == 0 {
			t.Fatal("the file system was left without a log: the next boot would show nothing")
		}

		before := digestOf(t, disk)
		small, err := PrepareImage(vmtest.Forky, t.TempDir(), Image{Hardware: "generic"})
		if err != nil {
			t.Fatal(err)
		}
		said, run := askAt(t, small, rootOf(t, m.Testbed)+" mount.usr=LABEL=broot mount.usrflags=ro,subvol=usrvol", "/usr/bin/sh",
			[]vmtest.Disk{usr, {Path: disk}}, "say $(cat /usr/marker); grep() { while read -r l; do case $l in *' /usr btrfs '*) say $l;; esac; done </proc/mounts; }; grep")
		wantSaid(t, said, []string{"small", "/dev/vdb /usr btrfs ro,.*rescue=nologreplay.*subvol=/usrvol.*"})
		if text := `/usr on /dev/vdb \(btrfs\) is not verified`; !regexp.MustCompile(text).MatchString(run.Console) {
			t.Errorf("%q is not on the console", text)
		}
		if digestOf(t, disk) != before {
			t.Error("the file system with /usr was written to")
		}
	})
}

// logOf returns where a btrfs has its log, 0 without one (kernel sources, include/uapi/linux/btrfs_tree.h: log_root of the superblock).
func logOf(t *testing.T, image string) uint64 {
	t.Helper()
	file, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	root := make([]byte, 8)
	if _, err := file.ReadAt(root, 64<<10+0x60); err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.Uint64(root)
}

func sparseFile(t *testing.T, name string, size int64) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
	return file
}

// readRoot takes the files of the testbed's root out of its disk.
func readRoot(t *testing.T, b *vmtest.Testbed) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	output := runDebugfs(t, b, "-R", "rdump / "+tree, rootOn(t, b, testbedDisk(t, b)))
	if _, err := os.Stat(filepath.Join(tree, "etc/testbed-upper")); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return tree
}
