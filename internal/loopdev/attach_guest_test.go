//go:build guest

package loopdev_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/loopdev"
)

func run(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	output, err := exec.Command(program, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", program, arguments, err, output)
	}
	return strings.TrimSpace(string(output))
}

// makeImage makes a file whose sectors all differ.
func makeImage(t *testing.T, size int) (name string, content []byte) {
	t.Helper()
	for i := 0; len(content) < size; i++ {
		content = fmt.Appendf(content, "%15d\n", i)
	}
	content = content[:size]
	name = filepath.Join(t.TempDir(), "image.raw")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name, content
}

func openImage(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func attach(t *testing.T, image *os.File, offset, size int64, blockSize uint32) *loopdev.Device {
	t.Helper()
	device, err := loopdev.Attach(image, offset, size, blockSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		device.Close()
		waitFree(t, device.Path)
	})
	return device
}

// isAttached reports whether the device has a file.
func isAttached(path string) bool {
	_, err := os.Stat("/sys/block/" + filepath.Base(path) + "/loop/backing_file")
	return err == nil
}

// waitFree waits for the kernel to free a device after its last user is gone.
func waitFree(t *testing.T, path string) {
	t.Helper()
	for range 500 {
		if !isAttached(path) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s was not freed", path)
}

func TestAWholeFile(t *testing.T) {
	name, content := makeImage(t, 64<<10+300)
	device := attach(t, openImage(t, name), 0, 0, 512)
	// The incomplete sector at the end is not part of the device.
	if read, err := os.ReadFile(device.Path); err != nil || !bytes.Equal(read, content[:64<<10]) {
		t.Errorf("read %d bytes, %v", len(read), err)
	}
	var st unix.Stat_t
	if err := unix.Stat(device.Path, &st); err != nil || device.Number() != fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)) {
		t.Errorf("number %s, %v", device.Number(), err)
	}
	got := run(t, "losetup", "--noheadings", "--raw", "-O", "BACK-FILE,OFFSET,SIZELIMIT,RO,AUTOCLEAR,DIO,PARTSCAN,LOG-SEC", device.Path)
	if want := name + " 0 0 1 1 0 0 512"; got != want {
		t.Errorf("losetup: %s, want %s", got, want)
	}
}

func TestAPartOfAFile(t *testing.T) {
	name, content := makeImage(t, 64<<10)
	image := openImage(t, name)
	for _, test := range []struct {
		offset, size int64
		block        uint32
	}{
		{512, 512, 512}, {8192, 4096, 4096}, {512, 3 * 1024, 1024}, {4096, 0, 2048}, {0, 64 << 10, 4096}, {63 << 10, 1024, 512},
	} {
		device := attach(t, image, test.offset, test.size, test.block)
		end := test.offset + test.size
		if test.size == 0 {
			end = int64(len(content))
		}
		if read, err := os.ReadFile(device.Path); err != nil || !bytes.Equal(read, content[test.offset:end]) {
			t.Errorf("%+v: read %d bytes, %v", test, len(read), err)
		}
		got := run(t, "losetup", "--noheadings", "--raw", "-O", "OFFSET,SIZELIMIT,LOG-SEC", device.Path)
		if want := fmt.Sprintf("%d %d %d", test.offset, test.size, test.block); got != want {
			t.Errorf("losetup: %s, want %s", got, want)
		}
	}
}

func TestDevicesAreReadOnly(t *testing.T) {
	name, content := makeImage(t, 4096)
	// Even when the image could be written to.
	image, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	device := attach(t, image, 0, 0, 512)
	file, err := os.OpenFile(device.Path, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.Write(make([]byte, 512))
		file.Close()
	}
	if !errors.Is(err, os.ErrPermission) && !errors.Is(err, unix.EROFS) {
		t.Errorf("written to: %v", err)
	}
	if after, err := os.ReadFile(name); err != nil || !bytes.Equal(after, content) {
		t.Errorf("the image changed, %v", err)
	}
}

func TestAFileOnAReadOnlyFileSystem(t *testing.T) {
	name, content := makeImage(t, 8192)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	copied := filepath.Join(dir, filepath.Base(name))
	if err := os.WriteFile(copied, content, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	device := attach(t, openImage(t, copied), 4096, 4096, 512)
	if read, err := os.ReadFile(device.Path); err != nil || !bytes.Equal(read, content[4096:]) {
		t.Errorf("read %d bytes, %v", len(read), err)
	}
}

// TestAFileOnErofs is the case that forbids direct I/O: Linux 6.12 answers it
// with EIO for such files.
func TestAFileOnErofs(t *testing.T) {
	name, content := makeImage(t, 256<<10)
	source := t.TempDir()
	if err := os.Rename(name, filepath.Join(source, "inner.raw")); err != nil {
		t.Fatal(err)
	}
	outer := filepath.Join(t.TempDir(), "outer.erofs")
	run(t, "mkfs.erofs", "--quiet", outer, source)
	device := attach(t, openImage(t, outer), 0, 0, 512)
	dir := t.TempDir()
	if err := unix.Mount(device.Path, dir, "erofs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	image, err := os.Open(filepath.Join(dir, "inner.raw"))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := loopdev.Attach(image, 4096, 0, 4096)
	image.Close()
	if err != nil {
		t.Fatal(err)
	}
	if read, err := os.ReadFile(inner.Path); err != nil || !bytes.Equal(read, content[4096:]) {
		t.Errorf("read %d bytes, %v", len(read), err)
	}
	inner.Close()
	waitFree(t, inner.Path)
	if err := unix.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
}

func TestTheDeviceGoesWithItsLastUser(t *testing.T) {
	name, _ := makeImage(t, 4096)
	image := openImage(t, name)
	device, err := loopdev.Attach(image, 0, 0, 512)
	if err != nil {
		t.Fatal(err)
	}
	image.Close()
	user, err := os.Open(device.Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := device.Close(); err != nil {
		t.Error(err)
	}
	// Long enough for a device without users to go.
	time.Sleep(200 * time.Millisecond)
	if !isAttached(device.Path) {
		t.Error("freed under the hands of its user")
	}
	user.Close()
	waitFree(t, device.Path)
	if err := os.Remove(name); err != nil {
		t.Error(err)
	}
}

func TestManyAtOnceAndBesideLosetup(t *testing.T) {
	const count = 24
	name, content := makeImage(t, count*512)
	image := openImage(t, name)
	var all sync.WaitGroup
	stop := make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if output, err := exec.Command("losetup", "--find", "--show", "--read-only", name).CombinedOutput(); err == nil {
				_ = exec.Command("losetup", "--detach", strings.TrimSpace(string(output))).Run()
			}
		}
	})
	devices := make([]*loopdev.Device, count)
	for i := range count {
		all.Go(func() {
			device, err := loopdev.Attach(image, int64(i)*512, 512, 512)
			if err != nil {
				t.Error(err)
				return
			}
			devices[i] = device
			if read, err := os.ReadFile(device.Path); err != nil || !bytes.Equal(read, content[i*512:(i+1)*512]) {
				t.Errorf("device %d, %s: %q, %v", i, device.Path, read, err)
			}
		})
	}
	all.Wait()
	close(stop)
	other.Wait()
	seen := map[string]bool{}
	for i, device := range devices {
		if device == nil {
			continue
		}
		if seen[device.Path] {
			t.Errorf("device %d: %s was given away twice", i, device.Path)
		}
		seen[device.Path] = true
		device.Close()
		waitFree(t, device.Path)
	}
}

func TestALongNameIsNoProblem(t *testing.T) {
	short, content := makeImage(t, 512)
	name := filepath.Join(filepath.Dir(short), strings.Repeat("n", 200))
	if err := os.Rename(short, name); err != nil {
		t.Fatal(err)
	}
	device := attach(t, openImage(t, name), 0, 0, 512)
	if read, err := os.ReadFile(device.Path); err != nil || !bytes.Equal(read, content) {
		t.Errorf("read %d bytes, %v", len(read), err)
	}
}

func TestWhatIsNoImage(t *testing.T) {
	for _, name := range []string{"/dev/null", "/proc/self"} {
		before, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		file := openImage(t, name)
		device, err := loopdev.Attach(file, 0, 0, 512)
		if err == nil {
			device.Close()
			t.Errorf("%s was attached", name)
		}
		file.Close()
		if after, err := os.ReadDir("/proc/self/fd"); err != nil || len(after) != len(before) {
			t.Errorf("%s: %d descriptors before, %d after, %v", name, len(before), len(after), err)
		}
	}
}
