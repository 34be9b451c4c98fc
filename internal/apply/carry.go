package apply

import (
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
)

// apiDirectories are where a system has the kernel's file systems and /run, in the order in which they move: /proc is the
// last, since paths are looked up with its help.
var apiDirectories = []string{"/dev", "/sys", "/run", "/proc"}

// FindCarried returns those of /dev, /sys, /run and /proc that are mounted here and have to be taken along to newRoot.
// What is a link, because it was moved there before, is left alone.
func FindCarried(newRoot string) (carry []string) {
	for _, directory := range apiDirectories {
		if mountapi.IsMountPoint(directory) && !mountapi.IsMountPoint(path.Join(newRoot, directory)) {
			carry = append(carry, directory)
		}
	}
	return carry
}

// DetachReplaced detaches those of /dev, /sys, /run and /proc that newRoot has of its own, as switch_root(8) does: they
// would keep memory for nothing.
func DetachReplaced(newRoot string) error {
	for _, directory := range apiDirectories {
		if !mountapi.IsMountPoint(directory) || !mountapi.IsMountPoint(path.Join(newRoot, directory)) {
			continue
		}
		if err := mountapi.Detach(directory); err != nil {
			return err
		}
	}
	return nil
}

// MountProc mounts /proc where it is missing.
func MountProc() error {
	if mountapi.IsMountPoint("/proc") {
		return nil
	}
	if err := os.MkdirAll("/proc", 0o555); err != nil {
		return err
	}
	return mountapi.Attach("proc", "proc", "/proc", nil, mountapi.NoSUID|mountapi.NoDev|mountapi.NoExec)
}

// MakePrivate ends the propagation of all mounts of this namespace: the kernel refuses to move a mount whose parent
// is shared (mount_namespaces(7)). A systemd that follows makes them shared again.
func MakePrivate() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return &mountapi.Error{Operation: "make mounts private", Target: "/", Errno: err}
	}
	return nil
}

// CloseOnExec makes sure that the next program gets no descriptors but standard input, output and error.
func CloseOnExec() error {
	return unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
}
