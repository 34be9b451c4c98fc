//go:build guest

package merge

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// usedDevices lists the loop devices in use and the mapped devices.
func usedDevices(t *testing.T) []string {
	t.Helper()
	var devices []string
	for _, pattern := range []string{"/sys/block/loop*/loop/backing_file", "/sys/block/dm-*/dm/name"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil {
				devices = append(devices, strings.TrimSpace(string(text)))
			}
		}
	}
	slices.Sort(devices)
	return devices
}

// eventually waits for what the kernel does in its own time, such as freeing a loop device.
func eventually(done func() bool) bool {
	for range 200 {
		if done() {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// leftDevices waits until no other devices are used than before, and returns those that are. What an earlier test had may go meanwhile.
func leftDevices(t *testing.T, before []string) (left []string) {
	t.Helper()
	eventually(func() bool {
		left = slices.DeleteFunc(usedDevices(t), func(device string) bool { return slices.Contains(before, device) })
		return len(left) == 0
	})
	return left
}

// packTree makes an image of a tree.
func packTree(t *testing.T, fsType, tree string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	var command *exec.Cmd
	switch fsType {
	case "erofs":
		command = exec.Command("mkfs.erofs", "-T0", image, tree)
	case "squashfs":
		command = exec.Command("mksquashfs", tree, image, "-quiet", "-no-progress", "-noappend")
	case "ext4":
		makeEmpty(t, image, 8<<20)
		command = exec.Command("mkfs.ext4", "-q", "-F", "-d", tree, image)
	case "btrfs":
		makeEmpty(t, image, 128<<20)
		command = exec.Command("mkfs.btrfs", "-q", "--shrink", "--rootdir", tree, image)
	}
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, output)
	}
	return image
}

func makeEmpty(t *testing.T, file string, size int64) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, size); err != nil {
		t.Fatal(err)
	}
}
