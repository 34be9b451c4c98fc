package observe

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountinfo"
)

// DeviceNumber returns "major:minor" of the block device that a path leads to, and nothing for
// other files.
func DeviceNumber(path string) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", nil
	}
	return fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)), nil
}

// DevicePath returns where the node of a device "major:minor" is: below /dev/mapper for mapped devices,
// else as devtmpfs has it; the number itself if there is no such device. sys is normally "/sys".
func DevicePath(sys, number string) string {
	directory := path.Join(sys, "dev/block", number)
	if name := readLine(path.Join(directory, "dm/name")); name != "" {
		return "/dev/mapper/" + name
	}
	target, err := os.Readlink(directory)
	if err != nil {
		return number
	}
	// The kernel writes the slash of a name like cciss/c0d0 as an exclamation mark.
	return "/dev/" + strings.ReplaceAll(path.Base(target), "!", "/")
}

// LoopFile returns the image file behind a loop device "major:minor", as the kernel names it: with
// " (deleted)" behind it if it has no name any more. It is empty for other devices.
func LoopFile(sys, number string) string {
	return readLine(path.Join(sys, "dev/block", number, "loop/backing_file"))
}

// DeviceUsers are those who keep a device from going that the kernel can name. Programs that
// have it open are not among them.
type DeviceUsers struct {
	Devices []string // paths of the devices that are made of it
	Mounts  []string // mount points
}

// FindDeviceUsers looks who uses the device "major:minor". mounts is the text of mountinfo(5).
func FindDeviceUsers(sys, mounts, number string) (DeviceUsers, error) {
	var users DeviceUsers
	holders, err := filepath.Glob(path.Join(sys, "dev/block", number, "holders", "*"))
	if err != nil {
		return users, err
	}
	for _, holder := range holders {
		users.Devices = append(users.Devices, DevicePath(sys, readLine(path.Join(holder, "dev"))))
	}
	table, err := mountinfo.Parse(strings.NewReader(mounts))
	if err != nil {
		return users, err
	}
	for _, mount := range table {
		if mount.Device == number && !slices.Contains(users.Mounts, mount.Target) {
			users.Mounts = append(users.Mounts, mount.Target)
		}
	}
	return users, nil
}

// readLine reads the first line of a file in sysfs, empty if there is none.
func readLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}
