package apply

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/rootdir"
)

// Handover is how the root was switched.
type Handover struct {
	// Way is "pivot_root" or "move".
	Way string
	// LeftOver names what could not be removed from the initramfs.
	LeftOver []string
}

// CheckInit makes sure that the program exists in the new root and may be
// executed: after the switch there is no way back.
func CheckInit(root *rootdir.Root, program string) error {
	entry, err := root.Resolve(program)
	if err != nil {
		return fmt.Errorf("find init: %w", err)
	}
	defer entry.Close()
	if !entry.IsRegular() || entry.Stat.Mode&0o111 == 0 {
		return fmt.Errorf("find init: %s is not an executable file", root.Host(entry.Path))
	}
	return nil
}

// MoveMounts moves the kernel's file systems to their places below the new
// root; targets that are missing are made, links are refused. The mounts stay
// the same mounts.
func MoveMounts(newRoot string, mounts []string) error {
	for _, source := range mounts {
		target := path.Join(newRoot, source)
		if err := makeMountPoint(target); err != nil {
			return err
		}
		if err := mountapi.Move(source, target); err != nil {
			return err
		}
	}
	return nil
}

// SwitchRoot makes newRoot, a mount point, the root directory, and frees the
// memory of the initramfs by deleting its files. It works both where the
// initial rootfs can be left (pivot_root(2), Linux 7.0 and newer) and where it cannot
// (the new root is moved over it).
//
// Nothing may use files of the initramfs any more. Descriptors 0 to 2 are
// the caller's to point elsewhere.
func SwitchRoot(newRoot string) (Handover, error) {
	var h Handover
	old, err := openInitramfs(newRoot)
	if err != nil {
		return h, err
	}
	defer old.Close()
	if err := unix.Chdir(newRoot); err != nil {
		return h, fmt.Errorf("enter new root %s: %w", newRoot, err)
	}
	// Stacks the old root on top of the new one, at the same place.
	err = unix.PivotRoot(".", ".")
	switch {
	case err == nil:
		h.Way = "pivot_root"
		h.LeftOver = empty(old)
		if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
			return h, fmt.Errorf("leave the initramfs: %w", err)
		}
	case errors.Is(err, unix.EINVAL):
		h.Way = "move"
		if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
			return h, fmt.Errorf("move new root %s to /: %w", newRoot, err)
		}
		if err := unix.Chroot("."); err != nil {
			return h, fmt.Errorf("change root to %s: %w", newRoot, err)
		}
		h.LeftOver = empty(old)
	default:
		return h, fmt.Errorf("pivot root to %s: %w", newRoot, err)
	}
	if err := unix.Chdir("/"); err != nil {
		return h, fmt.Errorf("enter the root: %w", err)
	}
	return h, nil
}

// openInitramfs opens the root directory, after making sure that it is the
// memory of an initramfs and not something whose files anybody wants to keep.
func openInitramfs(newRoot string) (*os.File, error) {
	var here, there unix.Stat_t
	if err := errors.Join(unix.Stat("/", &here), unix.Stat(newRoot, &there)); err != nil {
		return nil, err
	}
	if here.Dev == there.Dev {
		return nil, fmt.Errorf("switch root: %s is not a mount point", newRoot)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs("/", &fs); err != nil {
		return nil, err
	}
	if int64(fs.Type) != unix.TMPFS_MAGIC && int64(fs.Type) != unix.RAMFS_MAGIC {
		return nil, fmt.Errorf("switch root: / is not an initramfs (file system type %#x)", fs.Type)
	}
	return os.Open("/")
}

// empty deletes all files below directory that lie on its own file system, and
// returns the names that are still there: there ought to be none.
func empty(directory *os.File) []string {
	var st unix.Stat_t
	if err := unix.Fstat(int(directory.Fd()), &st); err != nil {
		return []string{directory.Name() + ": " + err.Error()}
	}
	removeBelow(int(directory.Fd()), st.Dev, 0)
	left, err := directory.Readdirnames(-1)
	if err != nil {
		return []string{directory.Name() + ": " + err.Error()}
	}
	slices.Sort(left)
	return left
}

// maxDepth bounds the recursion; an image is a few levels deep, as is what the
// kernel leaves in a work directory.
const maxDepth = 64

func removeBelow(fd int, device uint64, depth int) {
	if depth > maxDepth {
		return
	}
	copied, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	directory := os.NewFile(uintptr(copied), ".")
	defer directory.Close()
	names, _ := directory.Readdirnames(-1)
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Dev != device {
			continue
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			_ = unix.Unlinkat(fd, name, 0)
			continue
		}
		below, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		removeBelow(below, device, depth+1)
		unix.Close(below)
		_ = unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
	}
}
