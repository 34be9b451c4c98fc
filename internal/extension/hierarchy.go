package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
)

// Hierarchy is a directory of the system as it is before a merge.
type Hierarchy struct {
	// Path as configured, e.g. "/etc".
	Path string
	// Resolved is the same with links resolved, also if it does not exist.
	Resolved string
	Exists   bool
	Empty    bool
	// Permissions are the low nine mode bits; 0755 if it does not exist.
	Permissions uint32
	// Backing is the "major:minor" of its block device, empty if there is none.
	Backing string
	// Modified is its modification time; the zero time if it does not exist. 1970 is a time as any other: images are
	// built with it.
	Modified time.Time
	// Mutable is the directory that takes writes, or is imported; nil if there is none now.
	Mutable *MutableDirectory
	// MutablePath is where it is, or would have to be made, links resolved.
	MutablePath string
	// Problem says why nothing can be mounted there; empty if it can.
	Problem string
}

// MutableDirectory is a directory below /var/lib/extensions.mutable, or what a
// link there leads to.
type MutableDirectory struct {
	// Path inside the root, links resolved.
	Path string
	// IsHost says that it is the hierarchy itself.
	IsHost bool
	// Problem says why it cannot be used at all; empty if it can.
	Problem string
	// WriteProblem says why it cannot take writes; empty if it can.
	WriteProblem string
}

// MutableBase holds one entry a hierarchy (systemd-sysext(8)).
const MutableBase = "/var/lib/extensions.mutable"

// ReadHierarchy looks at a hierarchy and at its mutable directory. What is wrong
// with them is in their Problem: it matters only if something is to be mounted.
func ReadHierarchy(root *rootdir.Root, at string) Hierarchy {
	h := Hierarchy{Path: at, Resolved: at, Permissions: 0o755, Empty: true}
	entry, err := root.Resolve(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		h.Resolved, err = resolveMissing(root, at, 0)
	case err == nil:
		defer entry.Close()
		err = h.read(root, entry)
	}
	if err != nil {
		h.Problem = cause(err)
	}
	h.MutablePath = path.Join(MutableBase, MutableName(at))
	if h.Mutable = readMutable(root, h, entry); h.Mutable != nil {
		h.MutablePath = h.Mutable.Path
	} else if made, err := resolveMissing(root, h.MutablePath, 0); err == nil {
		h.MutablePath = made
	}
	return h
}

func (h *Hierarchy) read(root *rootdir.Root, entry *rootdir.Entry) error {
	if !entry.IsDirectory() {
		return errors.New("it is not a directory")
	}
	names, err := root.ReadNames(entry.Path)
	if err != nil {
		return err
	}
	h.Exists, h.Resolved, h.Empty = true, entry.Path, len(names) == 0
	h.Permissions = entry.Stat.Mode & 0o777
	h.Modified = time.Unix(entry.Stat.Mtim.Unix())
	device := entry.Stat.Dev
	if unix.Major(device) == 0 {
		device = root.BtrfsDevice(entry)
	}
	if device != 0 {
		h.Backing = fmt.Sprintf("%d:%d", unix.Major(device), unix.Minor(device))
	}
	return nil
}

// maxLinks bounds the links on one path (path_resolution(7)).
const maxLinks = 40

// resolveMissing returns where a path that leads to nothing would have to be
// made, with links followed inside the root as far as there are any. On no
// later walk along the result is a link followed.
func resolveMissing(root *rootdir.Root, at string, links int) (string, error) {
	entry, err := root.Resolve(at)
	if err == nil {
		entry.Close()
		return entry.Path, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	directory, name := path.Split(strings.TrimRight(at, "/"))
	if name == "" || name == "." || name == ".." || links > maxLinks {
		return "", fmt.Errorf("cannot tell where %s leads", at)
	}
	parent, err := resolveMissing(root, directory, links+1)
	if err != nil {
		return "", err
	}
	made := path.Join(parent, name)
	link, err := root.Point(made, unix.O_NOFOLLOW)
	if errors.Is(err, fs.ErrNotExist) {
		return made, nil
	}
	if err != nil {
		return "", err
	}
	defer link.Close()
	target, err := ReadLink(link)
	if err != nil {
		return "", err
	}
	if !path.IsAbs(target) {
		target = strings.TrimSuffix(parent, "/") + "/" + target
	}
	return resolveMissing(root, target, links+1)
}

// ReadLink returns the text of a symbolic link that is open with O_PATH, empty
// for what is none.
func ReadLink(link rootdir.File) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(link.Fd()), "", buf)
	if err == unix.EINVAL || err == unix.ENOENT {
		return "", nil
	}
	return string(buf[:max(n, 0)]), err
}

// MutableName returns the name of a hierarchy below /var/lib/extensions.mutable.
func MutableName(hierarchy string) string {
	return strings.ReplaceAll(strings.Trim(hierarchy, "/"), "/", ".")
}

// readMutable finds the mutable directory. host is nil if the hierarchy does
// not exist.
func readMutable(root *rootdir.Root, h Hierarchy, host *rootdir.Entry) *MutableDirectory {
	at := path.Join(MutableBase, MutableName(h.Path))
	entry, err := root.Resolve(at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &MutableDirectory{Path: at, Problem: cause(err)}
	}
	defer entry.Close()
	m := &MutableDirectory{Path: entry.Path, IsHost: host != nil && entry.SameAs(host)}
	var st unix.Statfs_t
	switch {
	case !entry.IsDirectory():
		m.Problem = "it is not a directory"
	case isKernels(entry.Path):
		m.Problem = "it leads to " + entry.Path + ", which is no place for files that are to stay"
	case entry.Stat.Mode&0o777 != h.Permissions:
		m.WriteProblem = fmt.Sprintf("it has mode %#o, ought to have mode %#o", entry.Stat.Mode&0o777, h.Permissions)
	case unix.Fstatfs(int(entry.File.Fd()), &st) == nil && st.Flags&unix.ST_RDONLY != 0:
		m.WriteProblem = "its file system is read-only"
	default:
		m.WriteProblem = workProblem(root, entry)
	}
	return m
}

// isKernels reports whether a path lies in the kernel's own file systems, or in those that go with
// the boot: a link from the mutable directory to there is a slip, or worse.
func isKernels(at string) bool {
	for _, top := range [...]string{"/proc", "/sys", "/dev", "/run"} {
		if rest, ok := strings.CutPrefix(at, top); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// workProblem checks that the work directory, a sibling of the upper one, can
// lie on the same file system.
func workProblem(root *rootdir.Root, upper *rootdir.Entry) string {
	parent, err := root.Resolve(path.Dir(upper.Path))
	if err != nil {
		return "its parent directory: " + cause(err)
	}
	defer parent.Close()
	if parent.Stat.Dev != upper.Stat.Dev {
		return "its parent directory lies on another file system"
	}
	return ""
}

// Content returns the path of a hierarchy inside an opened extension, links
// resolved, and what is in it, or "" if the extension has nothing there.
func Content(tree *rootdir.Root, hierarchy string) (string, []rootdir.Name, error) {
	// Where no link is on the way, one call opens what is to be listed.
	names, err := tree.ListPlain(hierarchy)
	if err == nil && len(names) > 0 {
		return path.Clean(hierarchy), names, nil
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return "", nil, nil
	}
	if !errors.Is(err, unix.ELOOP) {
		return "", nil, err
	}
	entry, err := tree.Resolve(hierarchy)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	defer entry.Close()
	if !entry.IsDirectory() {
		return "", nil, nil
	}
	names, err = tree.List(entry.Path, 0)
	if err != nil || len(names) == 0 {
		return "", nil, err
	}
	return entry.Path, names, nil
}
