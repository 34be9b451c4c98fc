package observe

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/superblock"
	"github.com/preroot/preroot/internal/veritytable"
)

// fakeDisk adds a disk with a partition 1 to a folder that stands for /sys.
func fakeDisk(t *testing.T, sys, name, number string) {
	t.Helper()
	disk := filepath.Join(sys, "devices", name)
	part := filepath.Join(disk, name+"1")
	class := filepath.Join(sys, "class/block")
	for _, directory := range []string{part, class} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range map[string]string{
		disk + "/dev": number + "\n", disk + "/size": "2048\n",
		part + "/dev": "250:99\n", part + "/size": "16\n", part + "/partition": "1\n", part + "/start": "40\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{name: disk, name + "1": part} {
		if err := os.Symlink(target, filepath.Join(class, link)); err != nil {
			t.Fatal(err)
		}
	}
}

// The kernel shows a disk in sysfs before it makes its node: a look in between must not be the last one.
func TestScanTriesAgainWithoutANode(t *testing.T) {
	sys := t.TempDir()
	fakeDisk(t, sys, "preroot-no-such-disk", "250:98")
	var disks Disks
	for look := range 3 {
		partitions, problems := disks.Scan(sys)
		if len(partitions) != 2 || partitions[1].Entry.Number != 0 || partitions[1].Disk != "preroot-no-such-disk" {
			t.Fatalf("%+v", partitions)
		}
		if want := map[bool]int{true: 1, false: 0}[look == 0]; len(problems) != want {
			t.Errorf("look %d: %v", look, problems)
		}
	}
	if known := disks.tables["preroot-no-such-disk"]; !known.retry || !strings.Contains(known.problem, "read partition table of /dev/preroot-no-such-disk: ") {
		t.Errorf("%+v", known)
	}
}

// The superblock of a RAID of version 1.0 lies at the end, behind what looks like a file system.
func TestFileSystemLooksAtTheEnd(t *testing.T) {
	const size = 1 << 20
	image := make([]byte, size)
	copy(image[1024+56:], "\x53\xef")
	file := filepath.Join(t.TempDir(), "disk")
	look := func() superblock.Info {
		t.Helper()
		if err := os.WriteFile(file, image, 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := FileSystem(file)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if info := look(); info.Kind != superblock.Ext2 || info.Clean {
		t.Errorf("%+v", info)
	}
	at := size - 8192
	binary.LittleEndian.PutUint32(image[at:], 0xa92b4efc)
	binary.LittleEndian.PutUint32(image[at+4:], 1)
	binary.LittleEndian.PutUint64(image[at+144:], uint64(at/512))
	if info := look(); info.Kind != superblock.RAID {
		t.Errorf("%+v", info)
	}
}

// What a device holds is read once, and again as long as that fails.
func TestContentIsRemembered(t *testing.T) {
	var disks Disks
	gone := blockdev.Device{Name: "preroot-no-such-disk", Size: 4096}
	for look := range 2 {
		if _, err := disks.content(gone); (err != nil) != (look == 0) {
			t.Errorf("look %d: %v", look, err)
		}
	}
	known := superblock.Info{Kind: superblock.Ext4, Label: "x"}
	disks.contents[gone.Name] = content{device: gone, info: known, known: true}
	if info, err := disks.content(gone); err != nil || info.Label != "x" {
		t.Errorf("%+v, %v", info, err)
	}
	// Another disk of the same name.
	other := gone
	other.Size = 8192
	if _, err := disks.content(other); err == nil {
		t.Error("the old content was taken")
	}
}

func TestScanWithoutDisks(t *testing.T) {
	var disks Disks
	if partitions, problems := disks.Scan(t.TempDir()); len(partitions)+len(problems) != 0 {
		t.Errorf("%v, %v", partitions, problems)
	}
}

func TestEntryOf(t *testing.T) {
	entry := gpt.Entry{Number: 2, FirstLBA: 100, LastLBA: 199}
	table := &gpt.Table{SectorSize: 512, Entries: []gpt.Entry{{Number: 1, FirstLBA: 40, LastLBA: 99}, entry}}
	for name, c := range map[string]struct {
		table  *gpt.Table
		device blockdev.Device
		want   gpt.Entry
	}{
		"number and place":     {table, blockdev.Device{Partition: 2, Start: 100 * 512}, entry},
		"another place":        {table, blockdev.Device{Partition: 2, Start: 40 * 512}, gpt.Entry{}},
		"another number":       {table, blockdev.Device{Partition: 3, Start: 100 * 512}, gpt.Entry{}},
		"a disk without table": {nil, blockdev.Device{Partition: 2, Start: 100 * 512}, gpt.Entry{}},
	} {
		if got := entryOf(c.table, c.device); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCheckVerity(t *testing.T) {
	good := veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 200, Salt: []byte{1}}
	data, hash := blockdev.Device{Name: "vda1", Size: 200 * 4096}, blockdev.Device{Name: "vda2", Size: 4 * 4096}
	v, err := checkVerity(&good, data, hash, 0)
	if err != nil || v.Superblock.DataBlocks != 200 || v.Geometry.StartBlock != 1 || v.Geometry.TreeBlocks != 3 {
		t.Fatalf("%+v, %v", v, err)
	}
	for name, c := range map[string]struct {
		change     func(s *veritytable.Superblock)
		data, hash int64
		want       string
	}{
		"data device too small": {func(*veritytable.Superblock) {}, 200*4096 - 1, 1 << 20, "verity data: 200 blocks"},
		"hash device too small": {func(*veritytable.Superblock) {}, 1 << 30, 4*4096 - 1, "verity hash tree: ends at byte 16384"},
		"absurd block size":     {func(s *veritytable.Superblock) { s.DataBlockSize = 3 }, 1 << 30, 1 << 30, "data block size 3"},
		"absurd count":          {func(s *veritytable.Superblock) { s.DataBlocks = 1 << 63 }, 1 << 30, 1 << 30, "9223372036854775808 data blocks"},
		"unknown algorithm":     {func(s *veritytable.Superblock) { s.Algorithm = "md17" }, 1 << 30, 1 << 30, `"md17"`},
	} {
		s := good
		c.change(&s)
		_, err := checkVerity(&s, blockdev.Device{Name: "vda1", Size: c.data}, blockdev.Device{Name: "vda2", Size: c.hash}, 0)
		if err == nil || !strings.HasPrefix(err.Error(), "/dev/vda2: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestReadVerityWithoutSuperblock(t *testing.T) {
	bare := veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, Bare: true}
	data, hash := blockdev.Device{Name: "preroot-none", Size: 200*4096 + 5}, blockdev.Device{Name: "preroot-none", Size: 5 * 4096}
	// Nothing is read, and the number of blocks is that of the data device.
	v, err := ReadVerity(data, hash, 2*4096, &bare)
	if err != nil || v.Superblock.DataBlocks != 200 || v.Geometry.StartBlock != 2 || v.HashOffset != 2*4096 || bare.DataBlocks != 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := ReadVerity(data, hash, 3*4096, &bare); err == nil || !strings.Contains(err.Error(), "ends at byte 24576") {
		t.Errorf("%v", err)
	}
	if _, err := ReadVerity(blockdev.Device{}, hash, 0, &bare); err == nil || !strings.Contains(err.Error(), "0 data blocks") {
		t.Errorf("%v", err)
	}
}

func TestReadSignatureFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "signature")
	for _, c := range []struct {
		size int
		want string
	}{{0, "it is empty"}, {1, ""}, {maxSignature, ""}, {maxSignature + 1, "more than 32767 bytes"}} {
		if err := os.WriteFile(name, make([]byte, c.size), 0o600); err != nil {
			t.Fatal(err)
		}
		content, err := ReadSignatureFile(name)
		if c.want == "" && (err != nil || len(content) != c.size) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%d bytes: %d, %v", c.size, len(content), err)
		}
	}
	if _, err := ReadSignatureFile(name + ".gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestCanCreate(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Symlink("nowhere", "link"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a": true, "./a": true, "": false, "a/": false, "no/a": false, ".": false, "link": false} {
		if err := CanCreate(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}
