//go:build guest

package blockdev_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/loopdev"
)

func attach(t *testing.T, size int64, blockSize uint32) *loopdev.Device {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	image, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	device, err := loopdev.Attach(image, 0, 0, blockSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	return device
}

func find(t *testing.T, name string) (blockdev.Device, bool) {
	t.Helper()
	devices, err := blockdev.List("/sys")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(devices, func(d blockdev.Device) bool { return d.Name == name })
	if i < 0 {
		return blockdev.Device{}, false
	}
	return devices[i], true
}

func TestALoopDeviceIsListed(t *testing.T) {
	for _, blockSize := range []uint32{512, 1024, 4096} {
		loop := attach(t, 1<<20, blockSize)
		want := blockdev.Device{Name: filepath.Base(loop.Path), Number: loop.Number(), Size: 1 << 20}
		got, found := find(t, want.Name)
		if !found || got != want || got.Node() != loop.Path {
			t.Errorf("%+v, want %+v", got, want)
		}
		file, err := os.Open(got.Node())
		if err != nil {
			t.Fatal(err)
		}
		if size := blockdev.SectorSize(file); size != int(blockSize) {
			t.Errorf("sector size %d, want %d", size, blockSize)
		}
		file.Close()
	}
}

func TestLoopDevicesWithoutAFileAreNotListed(t *testing.T) {
	names, err := filepath.Glob("/sys/class/block/loop*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no loop device: %v", err)
	}
	for _, name := range names {
		if _, err := os.Stat(name + "/loop/backing_file"); err == nil {
			continue
		}
		if device, found := find(t, filepath.Base(name)); found {
			t.Errorf("%+v", device)
		}
	}
}

// partition is struct blkpg_partition, request struct blkpg_ioctl_arg (linux/blkpg.h).
type (
	partition struct {
		start, length int64
		number        int32
		_             [128]byte
	}
	request struct {
		operation, flags, length int32
		data                     *partition
	}
)

func TestAPartitionIsListed(t *testing.T) {
	loop := attach(t, 1<<20, 512)
	file, err := os.OpenFile(loop.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// Loop devices have partitions only when asked to look for them.
	info, err := unix.IoctlLoopGetStatus64(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	info.Flags |= unix.LO_FLAGS_PARTSCAN
	if err := unix.IoctlLoopSetStatus64(int(file.Fd()), info); err != nil {
		t.Fatal(err)
	}
	const add = 1 // BLKPG_ADD_PARTITION
	p := partition{start: 64 << 10, length: 128 << 10, number: 12}
	r := request{operation: add, length: int32(unsafe.Sizeof(p)), data: &p}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&r))); errno != 0 {
		t.Fatal(errno)
	}
	disk := filepath.Base(loop.Path)
	got, found := find(t, disk+"p12")
	if !found || got.Partition != 12 || got.Start != 64<<10 || got.Size != 128<<10 || got.Disk != disk {
		t.Errorf("%+v", got)
	}
	text, err := os.ReadFile("/sys/class/block/" + disk + "p12/dev")
	if err != nil || string(text) != got.Number+"\n" {
		t.Errorf("number %s, sysfs %q, %v", got.Number, text, err)
	}
	if _, err := os.Stat(got.Node()); err != nil {
		t.Error(err)
	}
}

func TestModaliasesOfTheMachine(t *testing.T) {
	aliases := blockdev.Modaliases("/sys")
	if len(aliases) == 0 {
		t.Fatal("none")
	}
	sorted := slices.Sorted(slices.Values(aliases))
	if len(slices.Compact(sorted)) != len(aliases) {
		t.Errorf("some twice: %q", aliases)
	}
	for _, want := range []string{"pci:", "acpi:"} {
		if !slices.ContainsFunc(aliases, func(a string) bool { return strings.HasPrefix(a, want) && len(a) > len(want)+5 }) {
			t.Errorf("no %s... in %q", want, aliases)
		}
	}
}
