package apply

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// splitPath returns the parts of a path.
func splitPath(name string) iter.Seq[string] {
	return strings.SplitSeq(strings.Trim(path.Clean(name), "/"), "/")
}

// copyTree copies a file, or a directory with all that is in it, with owners, permissions and times. What is there already is kept, if
// it is a directory where one is copied, and replaced otherwise. Links are copied and not followed. Both names are trusted: they lie
// in memory, and nobody else runs.
func copyTree(from, to string) error { return copyLevel(from, to, 0) }

func copyLevel(from, to string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("copy %s: more than %d levels", from, maxDepth)
	}
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: from, Err: err}
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return copyDirectory(from, to, &st, depth)
	}
	if err := unix.Unlink(to); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "replace", Path: to, Err: err}
	}
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		err = copyContent(from, to)
	case unix.S_IFLNK:
		var target string
		if target, err = os.Readlink(from); err == nil {
			err = os.Symlink(target, to)
		}
	default:
		if err = unix.Mknod(to, st.Mode&unix.S_IFMT|0o600, int(st.Rdev)); err != nil {
			err = &os.PathError{Op: "mknod", Path: to, Err: err}
		}
	}
	if err != nil {
		return err
	}
	return copyAttributes(to, &st)
}

func copyDirectory(from, to string, st *unix.Stat_t, depth int) error {
	info, err := os.Lstat(to)
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = os.Mkdir(to, 0o700)
	case err == nil && !info.IsDir():
		err = fmt.Errorf("copy %s: %s is in the way", from, to)
	}
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := copyLevel(path.Join(from, entry.Name()), path.Join(to, entry.Name()), depth+1); err != nil {
			return err
		}
	}
	return copyAttributes(to, st)
}

func copyContent(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

func copyAttributes(to string, st *unix.Stat_t) error {
	if err := unix.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return &os.PathError{Op: "chown", Path: to, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
			return &os.PathError{Op: "chmod", Path: to, Err: err}
		}
	}
	times := []unix.Timespec{st.Mtim, st.Mtim}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, to, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "set times", Path: to, Err: err}
	}
	return nil
}
