package initramfs

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// addInclude copies a host file, or a directory with all below it, into the
// layout. The source itself may be a link and is followed; links below a
// directory stay links.
func addInclude(l *layout, include Include) error {
	destination := path.Clean(strings.TrimLeft(include.Destination, "/"))
	source, err := filepath.EvalSymlinks(include.Source)
	if err != nil {
		return fmt.Errorf("include %s: %w", include.Source, cause(err))
	}
	err = filepath.WalkDir(source, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		name := path.Join(destination, filepath.ToSlash(relative))
		if name == "." && entry.IsDir() {
			return nil // The image's root is there already.
		}
		return addHostEntry(l, name, file, entry)
	})
	if err != nil {
		return fmt.Errorf("include %s: %w", include.Source, err)
	}
	return nil
}

// addHostEntry copies one file, link or directory.
func addHostEntry(l *layout, name, file string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case 0:
		return l.addHostFile(name, permissionsOf(info.Mode()), file, info.Size())
	case fs.ModeDir:
		return l.addDirectory(name, permissionsOf(info.Mode()))
	case fs.ModeSymlink:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		return l.addSymlink(name, target)
	}
	return fmt.Errorf("%s is neither a file, a directory nor a link", file)
}

// permissionsOf gives the twelve low bits of a Unix mode.
func permissionsOf(mode fs.FileMode) uint64 {
	bits := uint64(mode.Perm())
	if mode&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}
