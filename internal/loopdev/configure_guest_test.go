//go:build guest

package loopdev

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTheOldWayLeadsToTheSame sets devices up in both ways and compares what the kernel says of them.
func TestTheOldWayLeadsToTheSame(t *testing.T) {
	name := filepath.Join(t.TempDir(), "image")
	content := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		offset, size uint64
		block        uint32
	}{{0, 0, 512}, {0, 0, 4096}, {512, 1024, 512}, {8192, 16384, 1024}} {
		var seen []unix.LoopInfo64
		for _, way := range []func(configuration, *os.File) error{configuration.applyAtOnce, configuration.applyInSteps} {
			image, device := openForTest(t, name), freeDevice(t)
			config := configuration{image: image, blockSize: c.block, info: unix.LoopInfo64{
				Offset: c.offset, Sizelimit: c.size, Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR,
			}}
			if err := way(config, device); err != nil {
				t.Fatal(err)
			}
			info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
			if err != nil {
				t.Fatal(err)
			}
			block, err := unix.IoctlGetInt(int(device.Fd()), unix.BLKSSZGET)
			if err != nil || block != int(c.block) {
				t.Errorf("%+v: blocks of %d bytes, %v", c, block, err)
			}
			if readOnly, err := unix.IoctlGetInt(int(device.Fd()), unix.BLKROGET); err != nil || readOnly != 1 {
				t.Errorf("%+v: read-only %d, %v", c, readOnly, err)
			}
			want := content[c.offset:]
			if c.size != 0 {
				want = want[:c.size]
			}
			if read, err := os.ReadFile(device.Name()); err != nil || !bytes.Equal(read, want) {
				t.Errorf("%+v: %d bytes, %v", c, len(read), err)
			}
			info.Number = 0
			seen = append(seen, *info)
			device.Close()
		}
		if seen[0] != seen[1] {
			t.Errorf("%+v: %+v, and in steps %+v", c, seen[0], seen[1])
		}
	}
}

func TestAStepThatFailsLeavesTheDeviceFree(t *testing.T) {
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	device := freeDevice(t)
	defer device.Close()
	config := configuration{image: openForTest(t, name), blockSize: 768, info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR}}
	err := config.apply(device)
	if refused, ok := errors.AsType[*Error](err); !ok || refused.Errno != unix.EINVAL {
		t.Errorf("%v", err)
	}
	if _, err := unix.IoctlLoopGetStatus64(int(device.Fd())); !errors.Is(err, unix.ENXIO) {
		t.Errorf("the device is not free: %v", err)
	}
}

func openForTest(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func freeDevice(t *testing.T) *os.File {
	t.Helper()
	control := openForTest(t, "/dev/loop-control")
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		t.Fatal(err)
	}
	device, err := os.Open("/dev/loop" + strconv.Itoa(number))
	if err != nil {
		t.Fatal(err)
	}
	return device
}
