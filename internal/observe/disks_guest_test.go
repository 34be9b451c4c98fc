//go:build guest

package observe

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/gpt"
	"github.com/preroot/preroot/internal/gpt/gpttest"
	"github.com/preroot/preroot/internal/hashtree/hashtreetest"
	"github.com/preroot/preroot/internal/superblock"
	"github.com/preroot/preroot/internal/veritytable"
)

const (
	dataID = "11111111-2222-3333-4444-555555555555"
	hashID = "66666666-7777-8888-9999-aaaaaaaaaaaa"
)

func guid(t *testing.T, text string) gpt.GUID {
	t.Helper()
	g, err := gpt.ParseGUID(text)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// attachDisk makes a loop device of content on which the kernel looks for partitions, and returns its
// name.
func attachDisk(t *testing.T, content []byte) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "disk")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		t.Fatal(err)
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("loop%d", number)
	loop, err := os.OpenFile("/dev/"+name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0)
		loop.Close()
	})
	config := unix.LoopConfig{Fd: uint32(file.Fd()), Size: 512, Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_PARTSCAN}}
	if err := unix.IoctlLoopConfigure(int(loop.Fd()), &config); err != nil {
		t.Fatal(err)
	}
	return name
}

// scan looks once more, and returns what belongs to a disk.
func scan(disks *Disks, disk string) (found map[int]Partition, problems []error) {
	partitions, problems := disks.Scan("/sys")
	found = map[int]Partition{}
	for _, p := range partitions {
		if p.Disk == disk || p.Name == disk {
			found[p.Partition] = p
		}
	}
	return found, problems
}

func TestScanReadsPartitionTables(t *testing.T) {
	data := bytes.Repeat([]byte("some data"), 10000)[:16*4096]
	s := veritytable.Superblock{HashType: 1, Algorithm: "sha256", DataBlockSize: 4096, HashBlockSize: 4096, DataBlocks: 16, Salt: []byte("x")}
	tree, root := hashtreetest.Build(s, 0, data)
	name := attachDisk(t, gpttest.Disk{Partitions: []gpttest.Partition{
		{Type: guid(t, dataID), ID: guid(t, dataID), Name: "data of /usr", Data: data},
		{Type: guid(t, hashID), ID: guid(t, hashID), Name: "hash", Data: tree},
	}}.Bytes())
	var disks Disks
	found, problems := scan(&disks, name)
	if len(problems) != 0 || len(found) != 3 {
		t.Fatalf("%+v, %v", found, problems)
	}
	if found[0].Entry.Number != 0 || found[1].Entry.Name != "data of /usr" || found[1].Entry.ID.String() != dataID ||
		found[2].Entry.ID.String() != hashID || found[1].Size != int64(len(data)) {
		t.Errorf("%+v", found)
	}

	v, err := ReadVerity(found[1].Device, found[2].Device, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	samples, err := v.CheckStart(root, found[1].Device, found[2].Device)
	if err != nil || len(samples) == 0 {
		t.Errorf("%+v, %v", samples, err)
	}
	for _, sample := range samples {
		if sample.Err != nil {
			t.Error(sample.Err)
		}
	}
	samples, err = v.CheckStart(make([]byte, 32), found[1].Device, found[2].Device)
	if err != nil || len(samples) == 0 || samples[0].Err == nil || !strings.Contains(samples[0].Err.Error(), "top hash block does not match the root hash") {
		t.Errorf("%+v, %v", samples, err)
	}
	if _, err := ReadVerity(found[1].Device, found[1].Device, 0, nil); err == nil || !strings.HasPrefix(err.Error(), found[1].Node()+": ") {
		t.Errorf("%v", err)
	}
	gone := blockdev.Device{Name: "preroot-no-such-disk"}
	if _, err := ReadVerity(found[1].Device, gone, 0, nil); err == nil {
		t.Error("read from a device that is not there")
	}
	if _, err := v.CheckStart(root, gone, found[2].Device); err == nil {
		t.Error("checked a device that is not there")
	}
	if info, err := FileSystem(found[2].Node()); err != nil || info.Kind != superblock.Verity {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := FileSystem(found[1].Node()); err != nil || info.Kind != superblock.Unknown {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := FileSystem("/dev/preroot-no-such-disk"); err == nil {
		t.Error("read from a device that is not there")
	}
}

// A damaged table is told once, and is no reason to read the disk again and again. The kernel sees no
// partitions on such a disk by itself; it may know them from elsewhere.
func TestScanTellsAboutADamagedTableOnce(t *testing.T) {
	image := gpttest.Disk{Partitions: []gpttest.Partition{{Type: guid(t, dataID), ID: guid(t, dataID)}}}.Bytes()
	image[512+20]++
	image[len(image)-512+20]++
	sys := t.TempDir()
	fakeDisk(t, sys, "preroot-damaged", "7:0")
	if err := os.Symlink(attachDisk(t, image), "/dev/preroot-damaged"); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/dev/preroot-damaged")
	var disks Disks
	for look := range 3 {
		partitions, problems := disks.Scan(sys)
		if want := map[bool]int{true: 1, false: 0}[look == 0]; len(problems) != want || len(partitions) != 2 {
			t.Fatalf("look %d: %v", look, problems)
		}
		if look == 0 && !strings.HasPrefix(problems[0].Error(), "read partition table of /dev/preroot-damaged: ") {
			t.Error(problems[0])
		}
	}
	if disks.tables["preroot-damaged"].retry {
		t.Error("it would be read again")
	}
}

// The node of a disk may come after its folder in sysfs.
func TestScanFindsANodeThatComesLater(t *testing.T) {
	real := attachDisk(t, gpttest.Disk{Partitions: []gpttest.Partition{{Type: guid(t, dataID), ID: guid(t, dataID), Name: "late"}}}.Bytes())
	sys := t.TempDir()
	fakeDisk(t, sys, "preroot-late", "7:0")
	size, err := os.ReadFile("/sys/class/block/" + real + "/size")
	if err != nil {
		t.Fatal(err)
	}
	start, err := os.ReadFile("/sys/class/block/" + real + "p1/start")
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string][]byte{"preroot-late/size": size, "preroot-late/preroot-late1/start": start} {
		if err := os.WriteFile(filepath.Join(sys, "devices", file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var disks Disks
	if _, problems := disks.Scan(sys); len(problems) != 1 {
		t.Fatalf("%v", problems)
	}
	if err := os.Symlink(real, "/dev/preroot-late"); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/dev/preroot-late")
	partitions, problems := disks.Scan(sys)
	if len(problems) != 0 || len(partitions) != 2 || partitions[1].Entry.Name != "late" {
		t.Errorf("%+v, %v", partitions, problems)
	}
}

func TestKernelFacts(t *testing.T) {
	if !KernelHasFileSystem("tmpfs") || KernelHasFileSystem("prerootfs") {
		t.Error("file systems of the kernel")
	}
	if total, free := Memory("MemTotal"), Memory("MemAvailable"); total < 1<<16 || free <= 0 || free > total || Memory("Nothing") != 0 {
		t.Errorf("%d KiB of %d", free, total)
	}
	readOnly := t.TempDir()
	if err := unix.Mount("tmpfs", readOnly, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(readOnly, unix.MNT_DETACH)
	if IsReadOnly("/tmp") || !IsReadOnly(readOnly) || IsReadOnly("/preroot-no-such-path") {
		t.Error("what takes writes")
	}
}
