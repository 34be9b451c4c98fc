// Package mountapi makes mounts with the descriptor-based mount API of the
// kernel: fsopen(2), fsconfig(2), fsmount(2), open_tree(2), move_mount(2) and
// mount_setattr(2), all of them present since Linux 5.12.
//
// A mount exists before it is visible: New returns a detached mount, which can
// be inspected by its descriptor and becomes part of the tree with one
// MoveTo. Errors carry what the kernel wrote into the file system context and
// into its log, so that a refused overlay is more than "invalid argument".
//
// It neither reads mount tables (package mountinfo does) nor keeps any state.
package mountapi

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/kernellog"
	"github.com/preroot/preroot/internal/rootdir"
)

// Attributes are the MOUNT_ATTR_* flags of fsmount(2): properties of one mount,
// not of the file system.
type Attributes int

// The attributes in use. No attribute means what the kernel takes by default:
// writable, relatime.
const (
	ReadOnly    Attributes = unix.MOUNT_ATTR_RDONLY
	NoSUID      Attributes = unix.MOUNT_ATTR_NOSUID
	NoDev       Attributes = unix.MOUNT_ATTR_NODEV
	NoExec      Attributes = unix.MOUNT_ATTR_NOEXEC
	NoATime     Attributes = unix.MOUNT_ATTR_NOATIME
	StrictATime Attributes = unix.MOUNT_ATTR_STRICTATIME
	NoDirATime  Attributes = unix.MOUNT_ATTR_NODIRATIME
	NoSymFollow Attributes = unix.MOUNT_ATTR_NOSYMFOLLOW
)

// Option is a setting of the file system: a flag if Value is empty, else
// "key=value". Commas and colons in a value are ordinary. So is a backslash but for
// some keys of some file systems: overlay takes it for an escape in upperdir
// and workdir, and not in lowerdir+.
type Option struct {
	Key, Value string
}

// Mount is a mount that New or Clone made. It owns a descriptor.
type Mount struct {
	fd     int
	fsType string
}

// New makes a detached mount of a file system. Source is what mountinfo shows
// and, for file systems on disk, the path of the device. ReadOnly in attributes
// makes the superblock read-only as well ("ro"), as mount(2) does.
//
// The kernel takes at most 255 bytes for the source, a key, and a value.
//
// Errors are of type *Error.
func New(fsType, source string, options []Option, attributes Attributes) (*Mount, error) {
	for {
		m, err := newOnce(fsType, source, options, attributes)
		if err == nil {
			return m, nil
		}
		// A context whose mount was interrupted takes no second try.
		if err.Errno != unix.EINTR {
			return nil, err
		}
	}
}

func newOnce(fsType, source string, options []Option, attributes Attributes) (*Mount, *Error) {
	fs, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, &Error{Operation: "open file system type", FSType: fsType, Source: source, Errno: err}
	}
	defer unix.Close(fs)
	log := kernellog.Now()
	defer log.Close()
	failed := func(operation string, err error) *Error {
		lines := append(readContextLog(fs), reasons(log.Complaints(), fsType, source)...)
		return &Error{Operation: operation, FSType: fsType, Source: source, KernelLog: strings.Join(lines, "; "), Errno: err}
	}
	if source != "" {
		if err := setOption(fs, Option{"source", source}); err != nil {
			return nil, failed("set source", err)
		}
	}
	if attributes&ReadOnly != 0 {
		options = append([]Option{{Key: "ro"}}, options...)
	}
	for _, o := range options {
		if err := setOption(fs, o); err != nil {
			return nil, failed("set option "+o.String(), err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, failed("mount", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(attributes))
	if err != nil {
		return nil, failed("mount", err)
	}
	return &Mount{fd: fd, fsType: fsType}, nil
}

// maxOption is what the kernel takes for a key or a value, without its NUL
// (fsconfig(2)). It refuses more without a reason.
const maxOption = 255

func setOption(fs int, o Option) error {
	if len(o.Key) > maxOption || len(o.Value) > maxOption {
		return unix.ENAMETOOLONG
	}
	if o.Value == "" {
		return unix.FsconfigSetFlag(fs, o.Key)
	}
	return unix.FsconfigSetString(fs, o.Key, o.Value)
}

// Clone makes a detached bind mount of what path shows, without the mounts
// below it. It is a mount of its own: its unique mount id is new.
func Clone(path string) (*Mount, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, &Error{Operation: "clone mount", Source: path, Errno: err}
	}
	return &Mount{fd: fd}, nil
}

// SetAttributes adds attributes to a detached or attached mount; none is taken
// away, but for one of NoATime and StrictATime by the other. The file system's
// own read-only state stays as it is.
func (m *Mount) SetAttributes(attributes Attributes) error {
	attr := unix.MountAttr{Attr_set: uint64(attributes)}
	if attributes&(NoATime|StrictATime) != 0 {
		// One of several values in the same bits: the old one has to be cleared.
		attr.Attr_clr = unix.MOUNT_ATTR__ATIME
	}
	if err := unix.MountSetattr(m.fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return &Error{Operation: "set mount attributes", FSType: m.fsType, Errno: err}
	}
	return nil
}

// DeviceNumber returns st_dev of the mount's root directory.
func (m *Mount) DeviceNumber() (major, minor uint32, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(m.fd, &st); err != nil {
		return 0, 0, &Error{Operation: "stat mount", FSType: m.fsType, Errno: err}
	}
	return unix.Major(st.Dev), unix.Minor(st.Dev), nil
}

// MoveTo attaches the mount at target, an existing directory, and closes the
// descriptor in any case. Links in target are followed.
func (m *Mount) MoveTo(target string) error {
	defer m.Close()
	err := unix.MoveMount(m.fd, "", unix.AT_FDCWD, target,
		unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS)
	if err != nil {
		return &Error{Operation: "attach mount", FSType: m.fsType, Target: target, Errno: err}
	}
	return nil
}

// MoveToFile attaches the mount at an open directory; O_PATH is enough. It closes the mount's descriptor in any case.
func (m *Mount) MoveToFile(directory rootdir.File) error {
	defer m.Close()
	err := unix.MoveMount(m.fd, "", int(directory.Fd()), "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	if err != nil {
		return &Error{Operation: "attach mount", FSType: m.fsType, Target: directory.Name(), Errno: err}
	}
	return nil
}

// Fd returns the mount's descriptor, which stays its own.
func (m *Mount) Fd() int { return m.fd }

// Close drops the descriptor; a mount that was never attached goes with it. It
// may be called twice, and on nil.
func (m *Mount) Close() {
	if m != nil && m.fd >= 0 {
		unix.Close(m.fd)
		m.fd = -1
	}
}

// Move moves the mount at source, with all below it, to target. Unique mount
// ids stay (statx(2), STATX_MNT_ID_UNIQUE).
func Move(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_MOVE, ""); err != nil {
		return &Error{Operation: "move mount", Source: source, Target: target, Errno: err}
	}
	return nil
}

// Detach takes the mount at target out of the tree at once, with all below it;
// the file system lives on as long as something uses it (MNT_DETACH). A
// symbolic link at target is not followed.
func Detach(target string) error {
	if err := unix.Unmount(target, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return &Error{Operation: "detach mount", Target: target, Errno: err}
	}
	return nil
}

// Attach makes the mount and attaches it at target, which is created (0755)
// when missing.
func Attach(fsType, source, target string, options []Option, attributes Attributes) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	m, err := New(fsType, source, options, attributes)
	if err != nil {
		e := err.(*Error)
		e.Target = target
		return e
	}
	return m.MoveTo(target)
}
