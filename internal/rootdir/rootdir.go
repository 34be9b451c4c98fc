// Package rootdir reads files below a directory that is to become the root.
//
// Every path is resolved by the kernel as if the directory were "/" already
// (openat2(2), RESOLVE_IN_ROOT): absolute links stay inside, ".." ends at the
// top. Nothing is written.
package rootdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is an open root directory.
type Root struct {
	fd   int
	path string
	// top is how the kernel names the directory, "" for "/".
	top string
	// lent says that the descriptor is somebody else's.
	lent bool
}

// Open opens the directory at path, which must be absolute and free of links:
// results are told apart from it by their text.
func Open(directory string) (*Root, error) {
	if !path.IsAbs(directory) {
		return nil, fmt.Errorf("open root %q: not an absolute path", directory)
	}
	directory = path.Clean(directory)
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, directory, &how)
	if err == unix.ELOOP {
		return nil, linkedRoot(directory)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: directory, Err: err}
	}
	bare := strings.TrimSuffix(directory, "/")
	return &Root{fd: fd, path: bare, top: bare}, nil
}

// linkedRoot says where a path with links leads.
func linkedRoot(directory string) error {
	fd, err := unix.Open(directory, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: directory, Err: err}
	}
	defer unix.Close(fd)
	leads, err := os.Readlink(descriptorPath(fd))
	if err != nil {
		return err
	}
	return fmt.Errorf("open root %s: it leads to %s; name that", directory, leads)
}

// OfMount is the root of a mount that is attached nowhere, fd a descriptor of it, which stays the caller's. at is the path that it will have.
func OfMount(fd int, at string) *Root { return &Root{fd: fd, path: at, lent: true} }

// Close closes the directory.
func (r *Root) Close() error {
	if r.lent || r.fd < 0 {
		return nil
	}
	fd := r.fd
	r.fd = -1
	return unix.Close(fd)
}

// Host returns the path by which a path inside the root is reached from
// outside. It does not resolve links: use it on what Resolve returned.
func (r *Root) Host(inside string) string {
	switch {
	case inside == "/" && r.path != "":
		return r.path
	case !strings.HasPrefix(inside, "/"):
		return r.path + "/" + inside
	}
	return r.path + inside
}

// attempts bounds how often a path is looked up while others move the
// directories on it.
const attempts = 100

// Open opens a file, directory or device inside the root.
func (r *Root) Open(inside string, flags int) (*os.File, error) {
	fd, err := r.open(inside, flags, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), r.Host(inside)), nil
}

// Point opens a file or directory inside the root without reading it (O_PATH).
func (r *Root) Point(inside string, flags int) (Descriptor, error) {
	fd, err := r.open(inside, flags|unix.O_PATH, 0)
	return Descriptor{fd, r.Host(inside)}, err
}

// open returns a bare descriptor: an os.File costs several calls more. resolve adds to how the path is resolved.
func (r *Root) open(inside string, flags int, resolve uint64) (int, error) {
	how := unix.OpenHow{
		Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS | resolve,
	}
	for attempt := 1; ; attempt++ {
		fd, err := unix.Openat2(r.fd, inside, &how)
		// EAGAIN: something was moved meanwhile, and ".." might have led outside.
		if err == unix.EINTR || (err == unix.EAGAIN && attempt < attempts) {
			continue
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: r.Host(inside), Err: err}
		}
		return fd, nil
	}
}

// File is an open file: an os.File or a Descriptor.
type File interface {
	Fd() uintptr
	Name() string
}

// Descriptor is an open file without all that an os.File has, whose making costs more than many a call of the kernel. It has to be closed.
type Descriptor struct {
	fd   int
	name string
}

// Fd returns the descriptor's number.
func (d Descriptor) Fd() uintptr { return uintptr(d.fd) }

// Name is the path that it was opened by.
func (d Descriptor) Name() string { return d.name }

// Close closes it.
func (d Descriptor) Close() error { return unix.Close(d.fd) }

// Entry is something inside the root, found without opening it for reading.
type Entry struct {
	// Path inside the root, with all links resolved.
	Path string
	// File is an O_PATH descriptor; the owner of the Entry closes it.
	File Descriptor
	Stat unix.Stat_t
}

// IsDirectory reports whether the entry is a directory.
func (e *Entry) IsDirectory() bool { return e.Stat.Mode&unix.S_IFMT == unix.S_IFDIR }

// IsRegular reports whether the entry is a regular file.
func (e *Entry) IsRegular() bool { return e.Stat.Mode&unix.S_IFMT == unix.S_IFREG }

// SameAs reports whether both are the same inode.
func (e *Entry) SameAs(other *Entry) bool {
	return e.Stat.Dev == other.Stat.Dev && e.Stat.Ino == other.Stat.Ino
}

// Close closes the descriptor. It may be called twice.
func (e *Entry) Close() error {
	if e.File.fd < 0 {
		return nil
	}
	file := e.File
	e.File.fd = -1
	return file.Close()
}

// Resolve finds what path leads to. A missing target matches os.ErrNotExist.
func (r *Root) Resolve(inside string) (*Entry, error) {
	// Where no link is on the way, the path says itself where it leads.
	at := inside
	if !strings.HasPrefix(at, "/") {
		at = "/" + at
	}
	at = path.Clean(at)
	fd, err := r.open(inside, unix.O_PATH, unix.RESOLVE_NO_SYMLINKS)
	if errors.Is(err, unix.ELOOP) {
		if fd, err = r.open(inside, unix.O_PATH, 0); err == nil {
			at, err = r.pathOf(inside, fd)
		}
	}
	if err != nil {
		return nil, err
	}
	entry := &Entry{Path: at, File: Descriptor{fd, r.Host(inside)}}
	if err := unix.Fstat(fd, &entry.Stat); err != nil {
		entry.Close()
		return nil, &fs.PathError{Op: "stat", Path: r.Host(at), Err: err}
	}
	return entry, nil
}

// pathOf asks the kernel for the path of a descriptor, and returns it inside the root. The descriptor is closed if that
// fails.
func (r *Root) pathOf(inside string, fd int) (string, error) {
	host, err := os.Readlink(descriptorPath(fd))
	if err != nil {
		unix.Close(fd)
		return "", err
	}
	rest, ok := strings.CutPrefix(host, r.top)
	if !ok || (rest != "" && rest[0] != '/') {
		unix.Close(fd)
		return "", fmt.Errorf("resolve %s: it leads to %s, outside", r.Host(inside), host)
	}
	if rest == "" {
		rest = "/"
	}
	return rest, nil
}

// maxFile bounds what ReadFile reads: configuration and release files.
const maxFile = 1 << 20

// ReadFile reads a regular file of at most 1 MiB. Nothing else is opened: to open
// a device can be more than to look at it.
func (r *Root) ReadFile(inside string) ([]byte, error) {
	found, err := r.open(inside, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(found)
	var st unix.Stat_t
	if err := unix.Fstat(found, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: r.Host(inside), Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("read %s: not a regular file", r.Host(inside))
	}
	text, err := readDescriptor(found, st.Size)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: r.Host(inside), Err: err}
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read %s: larger than %d bytes", r.Host(inside), maxFile)
	}
	return text, nil
}

// readDescriptor reads what an O_PATH descriptor of a regular file stands for, at most a byte more than maxFile. size is a
// guess: files of the kernel's own file systems have none.
func readDescriptor(found int, size int64) ([]byte, error) {
	fd, err := openAgain(found)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// With one byte more the end shows without another read.
	text := make([]byte, 0, max(512, min(size, maxFile)+1))
	for len(text) <= maxFile {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := unix.Read(fd, text[len(text):cap(text)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		text = text[:len(text)+n]
		if n == 0 || size > 0 && int64(len(text)) == size {
			break
		}
	}
	return text, nil
}

// openAgain opens what an O_PATH descriptor stands for to be read.
func openAgain(found int) (int, error) {
	for {
		fd, err := unix.Open(descriptorPath(found), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// descriptorPath leads to what an O_PATH descriptor stands for.
func descriptorPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
