package etcrules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/sentinel"
)

// facts are what is known of an entry without opening it.
type facts struct {
	mode         uint32 // with the type
	uid, gid     uint32
	links        uint32
	size         int64
	inode        uint64
	device       uint64
	number       uint64 // of a device node
	mount        uint64
	changed      int64 // nanoseconds since 1970
	modified     int64
	isMountpoint bool
}

func (f *facts) kind() uint32        { return f.mode & unix.S_IFMT }
func (f *facts) permissions() uint32 { return f.mode & 0o7777 }
func (f *facts) isDirectory() bool   { return f.kind() == unix.S_IFDIR }
func (f *facts) isRegular() bool     { return f.kind() == unix.S_IFREG }

// isWhiteout tells what overlayfs takes for "deleted".
func (f *facts) isWhiteout() bool { return f.kind() == unix.S_IFCHR && f.number == 0 }

// isSame reports whether f is an entry that was seen before and that nobody changed. A directory changes with its entries. What has several
// names - all whiteouts of an overlay are one file - changes whenever one of them is removed, as the rules do themselves.
func (f *facts) isSame(seen *facts) bool {
	if f.inode != seen.inode || f.device != seen.device || f.mode != seen.mode {
		return false
	}
	return f.isDirectory() || f.changed == seen.changed ||
		f.links < seen.links && f.modified == seen.modified && f.size == seen.size && f.uid == seen.uid && f.gid == seen.gid
}

// errElsewhere is met where a walk would leave the file system.
const errElsewhere = sentinel.Error("it is on another file system")

// errLink is met where a link would have to be followed.
const errLink = sentinel.Error("a symbolic link is in the way")

// inside is how names and paths are looked up: below the directory, on its mount, through no link.
const inside = unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_BENEATH

// directory is an open directory.
type directory struct {
	fd            int
	device, mount uint64
}

// openAt opens something below a directory; looking at it leaves no trace in its times.
func openAt(fd int, path string, flags, resolve uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve}
	if flags&unix.O_PATH == 0 {
		how.Flags |= unix.O_NOATIME
	}
	for {
		opened, err := unix.Openat2(fd, path, &how)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err == unix.EPERM && how.Flags&unix.O_NOATIME != 0:
			how.Flags &^= unix.O_NOATIME
			continue
		case err == unix.EXDEV:
			err = errElsewhere
		case err == unix.ELOOP && resolve&unix.RESOLVE_NO_SYMLINKS != 0:
			err = errLink
		}
		return opened, err
	}
}

func openDirectory(fd int, path string, resolve uint64) (*directory, error) {
	opened, err := openAt(fd, path, unix.O_RDONLY|unix.O_DIRECTORY, resolve)
	if err != nil {
		return nil, err
	}
	d := &directory{fd: opened}
	f, err := statFile(opened)
	if err != nil {
		d.close()
		return nil, err
	}
	d.device, d.mount = f.device, f.mount
	return d, nil
}

// open opens a directory below, by a name or path, on the same file system: a subvolume is another one.
func (d *directory) open(path string) (*directory, error) {
	below, err := openDirectory(d.fd, path, inside)
	if err == nil && below.device != d.device {
		below.close()
		return nil, errElsewhere
	}
	return below, err
}

func (d *directory) close() { unix.Close(d.fd) }

func (d *directory) isReadOnly() bool {
	var s unix.Statfs_t
	return unix.Fstatfs(d.fd, &s) == nil && s.Flags&unix.ST_RDONLY != 0
}

// wanted is what statx(2) is asked for.
const wanted = unix.STATX_BASIC_STATS | unix.STATX_MNT_ID

// stat looks at a name in the directory; a link is not followed.
func (d *directory) stat(name string) (facts, error) {
	var st unix.Statx_t
	if err := unix.Statx(d.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, wanted, &st); err != nil {
		return facts{}, err
	}
	return factsOf(&st), nil
}

func statFile(fd int) (facts, error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, wanted, &st); err != nil {
		return facts{}, err
	}
	return factsOf(&st), nil
}

func factsOf(st *unix.Statx_t) facts {
	return facts{
		mode: uint32(st.Mode), uid: st.Uid, gid: st.Gid, links: st.Nlink, size: int64(st.Size), inode: st.Ino,
		device: unix.Mkdev(st.Dev_major, st.Dev_minor), number: unix.Mkdev(st.Rdev_major, st.Rdev_minor), mount: st.Mnt_id,
		changed: st.Ctime.Sec*1e9 + int64(st.Ctime.Nsec), modified: st.Mtime.Sec*1e9 + int64(st.Mtime.Nsec),
		isMountpoint: st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0,
	}
}

// names returns the names in the directory, sorted. It is for a directory that was just opened.
func (d *directory) names() ([]string, error) {
	var names []string
	buffer := make([]byte, 16<<10)
	for {
		n, err := unix.ReadDirent(d.fd, buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return names, fmt.Errorf("read directory: %w", err)
		}
		if n <= 0 {
			slices.Sort(names)
			return names, nil
		}
		_, _, names = unix.ParseDirent(buffer[:n], -1, names)
	}
}

// readLink returns the text of a link.
func (d *directory) readLink(name string) (string, error) {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(d.fd, name, buffer)
	if err != nil {
		return "", err
	}
	return string(buffer[:n]), nil
}

// openRegular opens a regular file for reading. What is no regular file is not opened: that alone can change something.
func (d *directory) openRegular(name string, seen *facts) (int, error) {
	fd, err := openAt(d.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, inside)
	if err != nil {
		return -1, err
	}
	now, err := statFile(fd)
	if err == nil && !(now.isSame(seen) && now.isRegular()) {
		err = errChanged
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

const errChanged = sentinel.Error("it was changed meanwhile")

// parentOf returns the path of the directory above, "" for that of the root.
func parentOf(path string) string { return path[:max(strings.LastIndexByte(path, '/'), 0)] }

func baseOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// parentCache keeps the directory that was needed last.
type parentCache struct {
	path string
	open *directory
}

func (c *parentCache) close() {
	if c.open != nil {
		c.open.close()
		c.open = nil
	}
}

// parentDirectory returns the directory that a path is in; it stays open until another one is asked for.
func (r *Rules) parentDirectory(path string) (*directory, error) {
	parent := parentOf(path)
	if parent == "" {
		return r.root, nil
	}
	if r.parent.open != nil && r.parent.path == parent {
		return r.parent.open, nil
	}
	r.parent.close()
	d, err := r.root.open(parent[1:])
	if err != nil {
		return nil, err
	}
	r.parent = parentCache{parent, d}
	return d, nil
}

// look returns what is at a path of the root; found is false if nothing is, or a dry run supposes so.
func (r *Rules) look(path string) (f facts, found bool, err error) {
	if r.isGone(path) {
		return f, false, nil
	}
	d, err := r.parentDirectory(path)
	if err == nil {
		f, err = d.stat(baseOf(path))
	}
	switch {
	case err == unix.ENOENT:
		return f, false, nil
	case err != nil:
		return f, false, fmt.Errorf("look at %q: %w", path, err)
	case f.mount != r.root.mount:
		return f, false, fmt.Errorf("look at %q: %w", path, errElsewhere)
	}
	return f, true, nil
}

// readFile reads a regular file of the root.
func (r *Rules) readFile(path string, f *facts, limit int64) (string, error) {
	d, err := r.parentDirectory(path)
	if err != nil {
		return "", fmt.Errorf("read %q: %w", path, err)
	}
	fd, err := d.openRegular(baseOf(path), f)
	if err != nil {
		return "", fmt.Errorf("read %q: %w", path, err)
	}
	defer unix.Close(fd)
	text, err := readAll(fd, limit)
	if err != nil {
		return "", fmt.Errorf("read %q: %w", path, err)
	}
	return text, nil
}

// readShipped reads a regular file below /usr; a missing one is unix.ENOENT.
func (r *Rules) readShipped(path string, limit int64) (string, error) {
	fd, err := r.openShipped(path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	f, err := statFile(fd)
	if err == nil && !f.isRegular() {
		err = errors.New("no regular file")
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	text, err := readAll(fd, limit)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return text, nil
}

// openShipped opens something below /usr. Links are followed as long as they stay there.
func (r *Rules) openShipped(path string, flags uint64) (int, error) {
	below, ok := strings.CutPrefix(path, "/usr/")
	if !ok {
		return -1, fmt.Errorf("open %s: it is not below /usr", path)
	}
	if r.usr == nil {
		return -1, unix.ENOENT
	}
	return openAt(r.usr.fd, below, flags, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_MAGICLINKS|unix.RESOLVE_NO_XDEV)
}

func readAll(fd int, limit int64) (string, error) {
	var text []byte
	buffer := make([]byte, 32<<10)
	for {
		n, err := readFull(fd, buffer)
		if err != nil {
			return "", err
		}
		text = append(text, buffer[:n]...)
		if int64(len(text)) > limit {
			return "", fmt.Errorf("larger than %d bytes", limit)
		}
		if n < len(buffer) {
			return string(text), nil
		}
	}
}

// readFull fills a buffer; fewer bytes mean the end of the file.
func readFull(fd int, buffer []byte) (int, error) {
	filled := 0
	for filled < len(buffer) {
		n, err := unix.Read(fd, buffer[filled:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return filled, err
		}
		if n == 0 {
			break
		}
		filled += n
	}
	return filled, nil
}
