package trust

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/rootdir"
)

// VerifiedDirectories returns those of Directories below the running system's root that vouch for
// what is in them, in their order: those on a dm-verity device, and in an initramfs, as the
// mounts show, those of the initramfs itself. The writable /etc of a system and its /run are
// never among them. What is written to an initramfs after it was unpacked is not told apart; all
// that runs there is trusted.
//
// sys is where sysfs is mounted.
func VerifiedDirectories(root *rootdir.Root, mounts []mountinfo.Mount, sys string) []string {
	var image uint64
	if isInitramfs(mounts) {
		if top, err := root.Resolve("/"); err == nil {
			image = top.Stat.Dev
			top.Close()
		}
	}
	var verified []string
	for _, directory := range Directories {
		found, err := root.Resolve(directory)
		if err != nil {
			continue
		}
		device := found.Stat.Dev
		if below := root.BtrfsDevice(found); below != 0 {
			// The number of a btrfs is no device's.
			device = below
		}
		found.Close()
		if (image != 0 && device == image) || isVerity(sys, device) {
			verified = append(verified, directory)
		}
	}
	return verified
}

// isInitramfs reports whether the root directory is the file system that the kernel unpacked the
// initramfs into: no other has this type.
func isInitramfs(mounts []mountinfo.Mount) bool {
	return slices.ContainsFunc(mounts, func(m mountinfo.Mount) bool { return m.Target == "/" && m.FSType == "rootfs" })
}

// isVerity reports whether a device is one of dm-verity, by its UUID, which libcryptsetup and
// everybody after it give to such devices only.
func isVerity(sys string, device uint64) bool {
	uuid, err := os.ReadFile(fmt.Sprintf("%s/dev/block/%d:%d/dm/uuid", sys, unix.Major(device), unix.Minor(device)))
	return err == nil && strings.HasPrefix(string(uuid), "CRYPT-VERITY-")
}
