package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// MetadataDirectory is the name of the directory at the top of a merged hierarchy that tells whose merge it is, and of
// what.
func MetadataDirectory(class osrelease.Class) string { return ".systemd-" + string(class) }

// ListName is the name of the file in it with the names of the merged images.
func ListName(class osrelease.Class) string {
	if class == osrelease.ClassConfext {
		return "confexts"
	}
	return "extensions"
}

// Merged is what a hierarchy shows that is merged now, by us or by systemd.
type Merged struct {
	// Path as configured, Resolved with links resolved.
	Path, Resolved string
	Names          []string
	// NoList says why the list of names could not be read; nil if it could.
	NoList error
	// Origin is nil if there is none: before systemd 260, nobody wrote it.
	Origin []byte
	// WorkDirectory is the work directory of the overlay inside the root, "" without one.
	WorkDirectory string
	// SinceUSec is when it was merged, in microseconds since 1970: the modification time of its top layer.
	SinceUSec uint64
	// NoSUID, NoDev, NoExec and ReadOnly are flags of the mount.
	NoSUID, NoDev, NoExec, ReadOnly bool
}

// ReadMerged looks whether a hierarchy is merged; nil if it is not. What decides is the file "dev", which has to name
// the device of the mount that it is in: a copy of the files is no merge. A "dev" that
// cannot be understood is an error, as for systemd.
func ReadMerged(root *rootdir.Root, class osrelease.Class, hierarchy string) (*Merged, error) {
	entry, err := root.Resolve(hierarchy)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer entry.Close()
	metadata := strings.TrimSuffix(entry.Path, "/") + "/" + MetadataDirectory(class)
	text, err := root.ReadFile(metadata + "/dev")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	majorText, minorText, _ := strings.Cut(line, ":")
	major, err1 := strconv.ParseUint(majorText, 10, 32)
	minor, err2 := strconv.ParseUint(minorText, 10, 32)
	if err1 != nil || err2 != nil {
		return nil, fmt.Errorf("read %s/dev: %.40q is no device number", root.Host(metadata), line)
	}
	var st unix.Statx_t
	if err := unix.Statx(int(entry.File.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st); err != nil {
		return nil, fmt.Errorf("stat %s: %w", root.Host(entry.Path), err)
	}
	if st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0 || entry.Stat.Dev != unix.Mkdev(uint32(major), uint32(minor)) {
		return nil, nil
	}
	m := &Merged{Path: hierarchy, Resolved: entry.Path, SinceUSec: microseconds(st.Mtime)}
	var fsStat unix.Statfs_t
	if err := unix.Fstatfs(int(entry.File.Fd()), &fsStat); err == nil {
		m.NoSUID, m.NoDev = fsStat.Flags&unix.ST_NOSUID != 0, fsStat.Flags&unix.ST_NODEV != 0
		m.NoExec, m.ReadOnly = fsStat.Flags&unix.ST_NOEXEC != 0, fsStat.Flags&unix.ST_RDONLY != 0
	}
	m.readFiles(root, class, metadata)
	return m, nil
}

func (m *Merged) readFiles(root *rootdir.Root, class osrelease.Class, metadata string) {
	list, err := root.ReadFile(metadata + "/" + ListName(class))
	m.NoList = err
	for name := range strings.Lines(string(list)) {
		m.Names = append(m.Names, strings.TrimSuffix(name, "\n"))
	}
	if origin, err := root.ReadFile(metadata + "/origin"); err == nil {
		m.Origin = origin
	}
	if work, err := root.ReadFile(metadata + "/work_dir"); err == nil {
		line, _, _ := strings.Cut(string(work), "\n")
		m.WorkDirectory = unescapeC(line)
	}
}

// unescapeC undoes what EscapeC does. Text that is not well escaped stays as it is.
func unescapeC(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		if i+3 < len(text) {
			if value, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(value))
				i += 3
				continue
			}
		}
		i++
		if at := strings.IndexByte("abfnrtv", text[i]); at >= 0 {
			b.WriteByte("\a\b\f\n\r\t\v"[at])
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// EscapeC escapes control characters, quotes and backslashes as in C, which is
// how systemd writes and reads the file "work_dir".
func EscapeC(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c == '\\' || c == '"' || c == '\'':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, "\\%03o", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
