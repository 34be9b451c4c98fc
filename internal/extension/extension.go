// Package extension knows confexts and sysexts: where they are looked for, what
// counts as one, what identifies it, and which settings of the system apply to
// them. It follows systemd-confext and systemd-sysext 262.
//
// It reads only. Opening images is for package apply, deciding for package
// plan. Not known yet: .v directories, block devices, btrfs subvolumes,
// sidecar files; Discover reports them with the reason in Problem.
package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// Type says how an image is stored.
type Type string

// The types of images.
const (
	Directory Type = "directory"
	Raw       Type = "raw"
)

// Image is one extension that was found.
type Image struct {
	Class osrelease.Class
	Name  string
	// Path inside the root, links resolved.
	Path string
	Type Type
	Identity
	// Dissected is what a raw image holds; nil for a directory.
	Dissected *ddi.Image
	// Problem says why the image cannot be opened; empty if it can.
	Problem string
}

// Hierarchies returns the directories that the class extends, in systemd's order.
func Hierarchies(class osrelease.Class) []string {
	if class == osrelease.ClassConfext {
		return []string{"/etc"}
	}
	return []string{"/usr", "/opt"}
}

// SearchPath returns the directories of a system (not an initrd) that hold
// images of the class; a name found in an earlier one hides later ones.
func SearchPath(class osrelease.Class) []string {
	if class == osrelease.ClassConfext {
		return []string{"/run/confexts", "/var/lib/confexts", "/usr/local/lib/confexts", "/usr/lib/confexts"}
	}
	return []string{"/etc/extensions", "/run/extensions", "/var/lib/extensions"}
}

// Discover finds the images of a class below root, in the order of the search
// path. An image that cannot be used is in the result, with its Problem: it
// still hides others of its name.
//
// The error is about directories that could not be read; the images of the
// others are returned beside it.
func Discover(root *rootdir.Root, class osrelease.Class) ([]Image, error) {
	var images []Image
	var errs []error
	taken := map[string]bool{}
	for _, directory := range SearchPath(class) {
		names, err := root.ReadNames(directory)
		if err != nil {
			errs = append(errs, fmt.Errorf("look for %ss: %w", class, err))
		}
		// systemd takes them as the file system gives them; any order will do.
		slices.Sort(names)
		for _, name := range names {
			image, found := examine(root, class, path.Join(directory, name))
			if found && !taken[image.Name] {
				taken[image.Name] = true
				images = append(images, image)
			}
		}
	}
	return images, errors.Join(errs...)
}

// examine decides whether a directory entry is an image, and reads its identity.
// One entry that cannot be examined has a Problem; it does not stop the others.
func examine(root *rootdir.Root, class osrelease.Class, at string) (image Image, found bool) {
	entryName := path.Base(at)
	if strings.HasPrefix(entryName, ".sysupdate.") {
		return Image{}, false
	}
	entry, err := root.Resolve(at)
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, false
	}
	if err != nil {
		// What it leads to is unknown: take the name it would have as any type.
		name := strings.TrimSuffix(strings.TrimSuffix(entryName, ".raw"), "."+string(class))
		return Image{Class: class, Name: name, Path: at, Problem: "it cannot be opened: " + cause(err)}, validName(name)
	}
	defer entry.Close()

	name, kind, problem := classify(class, entryName, entry)
	if name == "" || !validName(name) {
		return Image{}, false
	}
	image = Image{Class: class, Name: name, Path: entry.Path, Type: kind, Problem: problem}
	switch {
	case problem != "":
		return image, true
	case !utf8.ValidString(entry.Path):
		// It could not be written into "origin".
		image.Problem = "a link leads to a path that is not UTF-8"
		return image, true
	}
	if image.Identity, err = ReadIdentity(entry.File); err != nil {
		image.Problem = err.Error()
		return image, true
	}
	if kind == Raw {
		image.Dissected, image.Problem = dissect(root, entry.Path, class)
	}
	return image, true
}

// cause returns an error without the path, which the caller names.
func cause(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}

// classify tells an image's name and type from the name of its directory entry
// and the type of what it leads to. No name: not an image.
func classify(class osrelease.Class, entryName string, entry *rootdir.Entry) (name string, kind Type, problem string) {
	suffix := "." + string(class)
	switch entry.Stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		name, isRaw := strings.CutSuffix(entryName, ".raw")
		if !isRaw {
			return "", "", ""
		}
		return strings.TrimSuffix(name, suffix), Raw, ""
	case unix.S_IFDIR:
		if name, versioned := strings.CutSuffix(entryName, ".v"); versioned {
			name = strings.TrimSuffix(strings.TrimSuffix(name, ".raw"), ".mstack")
			return strings.TrimSuffix(name, suffix), Directory, "versioned directories (.v) are not supported yet"
		}
		if name, stacked := strings.CutSuffix(entryName, ".mstack"); stacked {
			return strings.TrimSuffix(name, suffix), Directory, "mount stacks (.mstack) cannot be merged"
		}
		name := strings.TrimSuffix(entryName, suffix)
		if isSubvolume(entry) {
			return name, Directory, "btrfs subvolumes are not supported yet"
		}
		return name, Directory, ""
	case unix.S_IFBLK:
		return entryName, Raw, "block devices are not supported yet"
	}
	return "", "", ""
}

// isSubvolume reports whether a directory is the top of a btrfs subvolume,
// which always has inode 256.
func isSubvolume(entry *rootdir.Entry) bool {
	if entry.Stat.Ino != 256 {
		return false
	}
	var st unix.Statfs_t
	return unix.Fstatfs(int(entry.File.Fd()), &st) == nil && st.Type == unix.BTRFS_SUPER_MAGIC
}

func validName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 255 || strings.HasPrefix(name, ".#") || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' })
}

func dissect(root *rootdir.Root, at string, class osrelease.Class) (*ddi.Image, string) {
	base := strings.TrimSuffix(at, ".raw")
	for _, sidecar := range []string{".roothash", ".usrhash", ".verity"} {
		if entry, err := root.Resolve(base + sidecar); err == nil {
			entry.Close()
			return nil, "verity data in the file " + path.Base(entry.Path) + " beside the image is not supported yet"
		}
	}
	file, err := root.Open(at, unix.O_RDONLY)
	if err != nil {
		return nil, err.Error()
	}
	defer file.Close()
	for _, attribute := range []string{"user.verity.roothash", "user.verity.usrhash"} {
		if n, err := unix.Fgetxattr(int(file.Fd()), attribute, nil); err == nil && n > 0 {
			return nil, "a root hash in the attribute " + attribute + " is not supported yet"
		}
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err.Error()
	}
	image, err := ddi.Dissect(file, info.Size(), class, runtime.GOARCH)
	if err != nil {
		return nil, err.Error()
	}
	return image, ""
}
