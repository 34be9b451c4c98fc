package apply

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
)

// SetLink makes a name of the root a symbolic link, in one step: nobody finds none. Its directory is made when missing; what is there and no link is
// kept, and an error.
func SetLink(root *rootdir.Root, at, target string) error {
	directory, err := openPlace(root, path.Dir(at), maxDepth)
	if err == nil {
		defer directory.Close()
		err = replaceLink(int(directory.File.Fd()), path.Base(at), target)
	}
	if err != nil {
		return fmt.Errorf("link %s to %s: %w", at, target, err)
	}
	return nil
}

func replaceLink(directory int, name, target string) error {
	var st unix.Stat_t
	if unix.Fstatat(directory, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return errors.New("something else is there")
	}
	// No extension has such a name. One may be left over from a boot that was cut off.
	beside := ".#" + name
	_ = unix.Unlinkat(directory, beside, 0)
	if err := unix.Symlinkat(target, directory, beside); err != nil {
		return err
	}
	err := unix.Renameat(directory, beside, directory, name)
	if err != nil {
		_ = unix.Unlinkat(directory, beside, 0)
	}
	return err
}
