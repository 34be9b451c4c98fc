package mountapi

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
)

// CloneTree makes a detached copy of the mount at path with all mounts below it. The copies are private:
// without that they would be peers of shared originals, and what happens to one would happen to the
// other.
func CloneTree(path string) (*Mount, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path,
		unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return nil, &Error{Operation: "clone mounts", Source: path, Errno: err}
	}
	m := &Mount{fd: fd}
	return m, m.makePrivate(0)
}

// makePrivate also adds attributes, to all mounts of the tree.
func (m *Mount) makePrivate(attributes Attributes) error {
	attr := unix.MountAttr{Attr_set: uint64(attributes), Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(m.fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		m.Close()
		return &Error{Operation: "make mount private", Errno: err}
	}
	return nil
}

// CloneFile is Clone for what an open file shows; O_PATH is enough. The copy is private and has the attributes in
// addition.
func CloneFile(file rootdir.File, attributes Attributes) (*Mount, error) {
	fd, err := unix.OpenTree(int(file.Fd()), "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, &Error{Operation: "clone mount", Source: file.Name(), Errno: err}
	}
	m := &Mount{fd: fd}
	return m, m.makePrivate(attributes)
}

// moveMountBeneath is MOVE_MOUNT_BENEATH, Linux 6.5, which golang.org/x/sys does not name.
const moveMountBeneath = 0x200

// MoveBeneath attaches the mount at target below the mount that is there, so that it shows when that one is detached.
// It closes the descriptor in any case. The kernel refuses it (EINVAL) where another mount was put beneath
// before.
func (m *Mount) MoveBeneath(target string) error {
	defer m.Close()
	err := unix.MoveMount(m.fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH|moveMountBeneath)
	if err != nil {
		return &Error{Operation: "attach mount beneath", FSType: m.fsType, Target: target, Errno: err}
	}
	return nil
}

// Attached is a mount in the tree that is held by a descriptor, so that it can be detached when
// another mount covers its place.
type Attached struct {
	fd     int
	target string
}

// Hold opens the mount that is on top at target.
func Hold(target string) (*Attached, error) {
	fd, err := unix.Open(target, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &Error{Operation: "open mount", Target: target, Errno: err}
	}
	return &Attached{fd, target}, nil
}

// Detach takes the mount, with all below it, out of the tree and closes the descriptor. That it is gone already is no error.
func (a *Attached) Detach() error {
	defer a.Close()
	err := unix.Unmount("/proc/self/fd/"+strconv.Itoa(a.fd), unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) {
		return &Error{Operation: "detach mount", Target: a.target, Errno: err}
	}
	return nil
}

// Close drops the descriptor; the mount stays. It may be called twice.
func (a *Attached) Close() {
	if a.fd >= 0 {
		unix.Close(a.fd)
		a.fd = -1
	}
}

// IsMountPoint reports whether path is the root of a mount (statx(2), STATX_ATTR_MOUNT_ROOT). Links are not followed.
func IsMountPoint(path string) bool {
	var st unix.Statx_t
	return unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &st) == nil &&
		st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
