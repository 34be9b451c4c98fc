package apply

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
)

// Handover is how the root was switched.
type Handover struct {
	// Way is "pivot_root" or "move".
	Way string
	// LeftOver names what could not be removed from the initramfs.
	LeftOver []string
}

// MoveMounts moves the kernel's file systems to their places below the new
// root; targets that are missing are made, links are refused. The mounts stay
// the same mounts. All places are looked at before the first move, and a move that fails undoes
// those before it: after an error everything is where it was.
func MoveMounts(newRoot string, mounts []string) error {
	for _, source := range mounts {
		if err := makeMountPoint(path.Join(newRoot, source)); err != nil {
			return err
		}
	}
	for i, source := range mounts {
		if err := mountapi.Move(source, path.Join(newRoot, source)); err != nil {
			return errors.Join(err, moveBack(newRoot, mounts[:i]))
		}
	}
	return nil
}

// moveBack undoes MoveMounts.
func moveBack(newRoot string, mounts []string) error {
	var errs []error
	for _, moved := range slices.Backward(mounts) {
		errs = append(errs, mountapi.Move(path.Join(newRoot, moved), moved))
	}
	return errors.Join(errs...)
}

// SwitchRoot makes newRoot, a mount point, the root directory, and frees the
// memory of the initramfs by deleting its files. The mounts named by carry are moved to their places below it first. It
// works both where the
// initial rootfs can be left (pivot_root(2), Linux 7.0 and newer) and where it cannot
// (the new root is moved over it).
//
// Nothing may use files of the initramfs any more. Descriptors 0 to 2 are
// the caller's to point elsewhere. After an error nothing was deleted, and all mounts are where they were.
func SwitchRoot(newRoot string, carry []string) (Handover, error) {
	old, err := openInitramfs(newRoot)
	if err != nil {
		return Handover{}, err
	}
	defer old.Close()
	if err := MoveMounts(newRoot, carry); err != nil {
		return Handover{}, err
	}
	h, err := switchTo(newRoot, old)
	if err != nil {
		err = errors.Join(err, unix.Chdir("/"), moveBack(newRoot, carry))
	}
	return h, err
}

func switchTo(newRoot string, old *os.File) (h Handover, err error) {
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
			h.LeftOver = append(h.LeftOver, "/: "+err.Error())
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
	// The new root is the current directory already; this cannot fail.
	return h, unix.Chdir("/")
}

// CheckSwitch makes sure, without changing anything, that newRoot can become the root in the place of an initramfs.
func CheckSwitch(newRoot string) error {
	old, err := openInitramfs(newRoot)
	if err != nil {
		return err
	}
	return old.Close()
}

// openInitramfs opens the root directory, after making sure that it is the
// memory of an initramfs and not something whose files anybody wants to keep.
func openInitramfs(newRoot string) (*os.File, error) {
	there, err := os.Stat(newRoot)
	if err != nil {
		return nil, fmt.Errorf("switch root: %w", err)
	}
	here, err := os.Stat("/")
	if err != nil {
		return nil, fmt.Errorf("switch root: %w", err)
	}
	if os.SameFile(here, there) {
		return nil, fmt.Errorf("switch root: %s is the root already", newRoot)
	}
	if !mountapi.IsMountPoint(newRoot) {
		return nil, fmt.Errorf("switch root: %s is not a mount point", newRoot)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs("/", &fs); err != nil {
		return nil, &os.PathError{Op: "statfs", Path: "/", Err: err}
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
