package mountapi

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// OpenCovered opens the directory that the one mount on top at target covers, so that mounts can be attached below it while it is
// covered. A path does not lead there; its file handle does, which is read in a private namespace. The error matches
// errors.ErrUnsupported where there is no such way: the file system gives no handles, or what is covered is the root of a
// mount itself.
func OpenCovered(target string) (*os.File, error) {
	handle, want, err := readCoveredHandle(target)
	if err != nil {
		return nil, err
	}
	// Any directory of the mount that has the covered one. O_PATH will not do.
	parent, err := os.OpenFile(path.Dir(target), os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	fd, err := unix.OpenByHandleAt(int(parent.Fd()), *handle, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return nil, &Error{Operation: "open what a mount covers", Target: target, Errno: errors.ErrUnsupported}
	}
	file := os.NewFile(uintptr(fd), target)
	var got unix.Stat_t
	if err := unix.Fstat(fd, &got); err != nil || got.Dev != want.Dev || got.Ino != want.Ino {
		file.Close()
		return nil, &Error{Operation: "open what a mount covers", Target: target, Errno: errors.ErrUnsupported}
	}
	return file, nil
}

func readCoveredHandle(target string) (handle *unix.FileHandle, st unix.Stat_t, err error) {
	space, err := NewNamespace()
	if err != nil {
		return nil, st, err
	}
	defer space.Close()
	err = space.Do(func() error {
		if err := Detach(target); err != nil {
			return err
		}
		covered, _, err := unix.NameToHandleAt(unix.AT_FDCWD, target, 0)
		if err != nil || IsMountPoint(target) {
			return &Error{Operation: "name what a mount covers", Target: target, Errno: errors.ErrUnsupported}
		}
		handle = &covered
		return unix.Lstat(target, &st)
	})
	return handle, st, err
}

// ReplaceIn attaches the mount below a directory that is open, at a relative path, and takes away what is mounted there, but not before. It closes
// the descriptor in any case. A link at the end is not followed.
func (m *Mount) ReplaceIn(directory *os.File, inside string) error {
	defer m.Close()
	failed := func(err error) error {
		return &Error{Operation: "attach mount", FSType: m.fsType, Target: path.Join(directory.Name(), inside), Errno: err}
	}
	fd, err := unix.Openat(int(directory.Fd()), inside, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return failed(err)
	}
	old := &Attached{fd, inside}
	defer old.Close()
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	isMount := isMountRoot(fd)
	if isMount {
		flags |= moveMountBeneath
	}
	if err := unix.MoveMount(m.fd, "", fd, "", flags); err != nil {
		return failed(err)
	}
	if isMount {
		return old.Detach()
	}
	return nil
}

func isMountRoot(fd int) bool {
	var st unix.Statx_t
	return unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_TYPE, &st) == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
