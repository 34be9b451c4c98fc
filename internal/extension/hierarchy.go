package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
)

// Hierarchy is a directory of the system as it is before a merge.
type Hierarchy struct {
	// Path as configured, e.g. "/etc".
	Path string
	// Resolved is the same with links resolved, Path if it does not exist.
	Resolved string
	Exists   bool
	Empty    bool
	// Permissions are the low nine mode bits; 0755 if it does not exist.
	Permissions uint32
	// Backing is the "major:minor" of its block device, empty if there is none.
	Backing string
	// Mutable is the directory that takes writes; nil if there is none now.
	Mutable *MutableDirectory
}

// MutableDirectory is a directory below /var/lib/extensions.mutable, or what a
// link there leads to.
type MutableDirectory struct {
	// Path inside the root, links resolved.
	Path string
	// IsHost says that it is the hierarchy itself.
	IsHost bool
	// Problem says why it cannot take writes; empty if it can.
	Problem string
}

// mutableBase holds one entry a hierarchy (systemd-sysext(8)).
const mutableBase = "/var/lib/extensions.mutable"

// ReadHierarchy looks at a hierarchy and at its mutable directory.
func ReadHierarchy(root *rootdir.Root, at string) (Hierarchy, error) {
	h := Hierarchy{Path: at, Resolved: at, Permissions: 0o755, Empty: true}
	entry, err := root.Resolve(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return h, err
	default:
		defer entry.Close()
		if !entry.IsDirectory() {
			return h, fmt.Errorf("%s is not a directory", at)
		}
		names, err := root.ReadNames(entry.Path)
		if err != nil {
			return h, err
		}
		h.Exists, h.Resolved, h.Empty = true, entry.Path, len(names) == 0
		h.Permissions = entry.Stat.Mode & 0o777
		if major := unix.Major(entry.Stat.Dev); major != 0 {
			h.Backing = fmt.Sprintf("%d:%d", major, unix.Minor(entry.Stat.Dev))
		}
	}
	h.Mutable, err = readMutable(root, h, entry)
	return h, err
}

// MutableName returns the name of a hierarchy below /var/lib/extensions.mutable.
func MutableName(hierarchy string) string {
	return strings.ReplaceAll(strings.Trim(hierarchy, "/"), "/", ".")
}

// readMutable finds the mutable directory. host is nil if the hierarchy does
// not exist.
func readMutable(root *rootdir.Root, h Hierarchy, host *rootdir.Entry) (*MutableDirectory, error) {
	entry, err := root.Resolve(path.Join(mutableBase, MutableName(h.Path)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer entry.Close()
	m := &MutableDirectory{Path: entry.Path, IsHost: host != nil && entry.SameAs(host)}
	var st unix.Statfs_t
	switch {
	case !entry.IsDirectory():
		m.Problem = "it is not a directory"
	case entry.Stat.Mode&0o777 != h.Permissions:
		m.Problem = fmt.Sprintf("it has mode %#o, ought to have mode %#o", entry.Stat.Mode&0o777, h.Permissions)
	case unix.Fstatfs(int(entry.File.Fd()), &st) == nil && st.Flags&unix.ST_RDONLY != 0:
		m.Problem = "its file system is read-only"
	default:
		m.Problem, err = workProblem(root, entry)
	}
	return m, err
}

// workProblem checks that the work directory, a sibling of the upper one, can
// lie on the same file system.
func workProblem(root *rootdir.Root, upper *rootdir.Entry) (string, error) {
	parent, err := root.Resolve(path.Dir(upper.Path))
	if err != nil {
		return "", err
	}
	defer parent.Close()
	if parent.Stat.Dev != upper.Stat.Dev {
		return "its parent directory lies on another file system", nil
	}
	return "", nil
}

// Content returns the path of a hierarchy inside an opened extension, links
// resolved, or "" if the extension has nothing there.
func Content(tree *rootdir.Root, hierarchy string) (string, error) {
	entry, err := tree.Resolve(hierarchy)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer entry.Close()
	if !entry.IsDirectory() {
		return "", nil
	}
	names, err := tree.ReadNames(entry.Path)
	if err != nil || len(names) == 0 {
		return "", err
	}
	return entry.Path, nil
}
