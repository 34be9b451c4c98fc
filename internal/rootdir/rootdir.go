// Package rootdir reads files below a directory that is to become the root.
//
// Every path is resolved by the kernel as if the directory were "/" already
// (openat2(2), RESOLVE_IN_ROOT): absolute links stay inside, ".." ends at the
// top. Nothing is written.
package rootdir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is an open root directory.
type Root struct {
	directory *os.File
	path      string
}

// Open opens the directory at path, which must be absolute and free of links:
// results are told apart from it by their text.
func Open(directory string) (*Root, error) {
	if !path.IsAbs(directory) {
		return nil, fmt.Errorf("open root %q: not an absolute path", directory)
	}
	directory = path.Clean(directory)
	file, err := os.OpenFile(directory, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Root{directory: file, path: strings.TrimSuffix(directory, "/")}, nil
}

// Close closes the directory.
func (r *Root) Close() error { return r.directory.Close() }

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
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for attempt := 1; ; attempt++ {
		fd, err := unix.Openat2(int(r.directory.Fd()), inside, &how)
		// EAGAIN: something was moved meanwhile, and ".." might have led outside.
		if err == unix.EINTR || (err == unix.EAGAIN && attempt < attempts) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: r.Host(inside), Err: err}
		}
		return os.NewFile(uintptr(fd), r.Host(inside)), nil
	}
}

// Entry is something inside the root, found without opening it for reading.
type Entry struct {
	// Path inside the root, with all links resolved.
	Path string
	// File is an O_PATH descriptor; the owner of the Entry closes it.
	File *os.File
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

// Close closes the descriptor.
func (e *Entry) Close() error { return e.File.Close() }

// Resolve finds what path leads to. A missing target matches os.ErrNotExist.
func (r *Root) Resolve(inside string) (*Entry, error) {
	file, err := r.Open(inside, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	host, err := os.Readlink(descriptorPath(file))
	if err != nil {
		file.Close()
		return nil, err
	}
	rest, ok := strings.CutPrefix(host, r.path)
	if !ok || (rest != "" && rest[0] != '/') {
		file.Close()
		return nil, fmt.Errorf("resolve %s: it leads to %s, outside", r.Host(inside), host)
	}
	if rest == "" {
		rest = "/"
	}
	entry := &Entry{Path: rest, File: file}
	if err := unix.Fstat(int(file.Fd()), &entry.Stat); err != nil {
		file.Close()
		return nil, &fs.PathError{Op: "stat", Path: host, Err: err}
	}
	return entry, nil
}

// maxFile bounds what ReadFile reads: configuration and release files.
const maxFile = 1 << 20

// ReadFile reads a regular file of at most 1 MiB. Nothing else is opened: to open
// a device can be more than to look at it.
func (r *Root) ReadFile(inside string) ([]byte, error) {
	found, err := r.Open(inside, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	if info, err := found.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", found.Name())
	}
	file, err := os.OpenFile(descriptorPath(found), os.O_RDONLY, 0)
	if err != nil {
		return nil, withPath(err, found.Name())
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, withPath(err, found.Name())
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read %s: larger than %d bytes", found.Name(), maxFile)
	}
	return text, nil
}

// descriptorPath leads to what an O_PATH descriptor stands for.
func descriptorPath(file *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", file.Fd()) }

// withPath puts the file's path into an error in place of the descriptor's.
func withPath(err error, name string) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		failed.Path = name
	}
	return err
}

// ReadNames returns the names in a directory, unsorted; none if it is missing.
func (r *Root) ReadNames(inside string) ([]string, error) {
	directory, err := r.Open(inside, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer directory.Close()
	return directory.Readdirnames(-1)
}
