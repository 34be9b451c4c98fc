// Package extension knows confexts and sysexts: where they are looked for, what
// counts as one, what identifies it, and which settings of the system apply to
// them. It follows systemd-confext and systemd-sysext 262.
//
// It reads only. Opening images is for package apply, deciding for package
// plan.
package extension

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"sort"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/imagepolicy"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// Type says how an image is stored.
type Type string

// The types of images.
const (
	Directory Type = "directory"
	Subvolume Type = "subvolume" // of btrfs
	Raw       Type = "raw"
	Block     Type = "block" // a block device
)

// IsTree reports whether the image is a directory rather than a file system to be mounted.
func (t Type) IsTree() bool { return t == Directory || t == Subvolume }

// Image is one extension that was found.
type Image struct {
	Class osrelease.Class
	Name  string
	// Path inside the root, links resolved.
	Path string
	Type Type
	Identity
	// Dissected is what a raw image or block device holds; nil for a tree.
	Dissected *ddi.Image
	// Sidecar is what lies beside a raw image; nil if nothing does.
	Sidecar *Sidecar
	// Use says what the image policy makes of Dissected.
	Use imagepolicy.Use
	// Problem says why the image cannot be opened; empty if it can.
	Problem string
}

// RootHash is what the image claims, or what lies beside it, nil if neither does. Nothing says
// that it was verified (package plan's Decision.Protection does).
func (i *Image) RootHash() []byte {
	switch {
	case i.Sidecar != nil && i.Sidecar.RootHash != nil:
		return i.Sidecar.RootHash
	case i.Dissected != nil:
		return i.Dissected.RootHash
	}
	return nil
}

// Hierarchies returns the directories that the class extends, in systemd's order.
func Hierarchies(class osrelease.Class) []string {
	if class == osrelease.ClassConfext {
		return []string{"/etc"}
	}
	return []string{"/usr", "/opt"}
}

// SearchPath returns the directories that hold images of the class; a name found in an earlier one
// hides later ones. An initrd has others than a system (systemd-sysext(8)).
func SearchPath(class osrelease.Class, initrd bool) []string {
	switch {
	case class == osrelease.ClassConfext && initrd:
		// As in systemd 262, which leaves out /usr/lib/confexts here.
		return []string{"/run/confexts", "/var/lib/confexts", "/usr/local/lib/confexts", "/.extra/confext", "/.extra/global_confext"}
	case class == osrelease.ClassConfext:
		return []string{"/run/confexts", "/var/lib/confexts", "/usr/local/lib/confexts", "/usr/lib/confexts"}
	case initrd:
		return []string{"/etc/extensions", "/run/extensions", "/var/lib/extensions", "/.extra/sysext", "/.extra/global_sysext"}
	}
	return []string{"/etc/extensions", "/run/extensions", "/var/lib/extensions"}
}

// IsInitrd reports whether the root is that of an initrd (os-release(5)).
func IsInitrd(root *rootdir.Root) bool {
	entry, err := root.Resolve("/etc/initrd-release")
	if err != nil {
		return false
	}
	entry.Close()
	return true
}

// Search says what images are looked for, and what may be used of them.
type Search struct {
	Class osrelease.Class
	// Initrd takes the search path of an initrd.
	Initrd bool
	// Policy holds for all images; nil means the defaults of the class.
	Policy *imagepolicy.Policy
	// StrictExtra has systemd's stricter defaults for what systemd-stub(7) put below /.extra.
	StrictExtra bool
	// NoSidecars leaves files and attributes beside images alone
	// (SYSTEMD_DISSECT_VERITY_SIDECAR=0).
	NoSidecars bool
	// NoSignatures checks no signature, so that an image that needs one is refused (SYSTEMD_DISSECT_VERITY_SIGNATURE=0).
	NoSignatures bool
	// NoEmbedded takes no root hash from a signature partition, NoGuess none from the UUIDs of partitions
	// (SYSTEMD_DISSECT_VERITY_EMBEDDED=0, SYSTEMD_DISSECT_VERITY_GUESS=0).
	NoEmbedded, NoGuess bool
	// FileSystems are the types that may be mounted, nil for the usual ones (SYSTEMD_DISSECT_FILE_SYSTEMS). RootType and UsrType, if not
	// "", are the one that a partition must have (SYSTEMD_DISSECT_FSTYPE_ROOT, SYSTEMD_DISSECT_FSTYPE_USR).
	FileSystems       []string
	RootType, UsrType string
	// NoDissect leaves images closed: what is in them is not known then, nor whether the policy allows it.
	NoDissect bool
}

// policy is the one in force for an image.
func (s *Search) policy(at string) imagepolicy.Policy {
	sysext := s.Class == osrelease.ClassSysext
	if s.Policy != nil {
		return *s.Policy
	}
	if s.StrictExtra {
		if policy, ok := imagepolicy.ForInitrdExtra(sysext, at); ok {
			return policy
		}
	}
	return imagepolicy.Default(sysext)
}

// Discover finds the images of a class below root, in the order of the search
// path. An image that cannot be used is in the result, with its Problem: it
// still hides others of its name.
//
// The error is about directories that could not be read; the images of the
// others are returned beside it.
func Discover(root *rootdir.Root, search Search) ([]Image, error) {
	var images []Image
	var errs []error
	taken := map[string]bool{}
	for _, directory := range SearchPath(search.Class, search.Initrd) {
		names, err := root.ReadNames(directory)
		if err != nil {
			errs = append(errs, fmt.Errorf("look for %ss: %w", search.Class, err))
		}
		// In the order of the file system: of several entries of one name (x, x.raw) systemd takes the first one, and has to
		// find the same image later.
		first := len(images)
		for _, name := range names {
			image, found := search.examine(root, path.Join(directory, name))
			if found && !taken[image.Name] {
				taken[image.Name] = true
				images = append(images, image)
			}
		}
		found := images[first:]
		sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	}
	return images, errors.Join(errs...)
}

// examine decides whether a directory entry is an image, and reads its identity.
// One entry that cannot be examined has a Problem; it does not stop the others.
func (s *Search) examine(root *rootdir.Root, at string) (image Image, found bool) {
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
		name := strings.TrimSuffix(strings.TrimSuffix(entryName, ".raw"), "."+string(s.Class))
		return Image{Class: s.Class, Name: name, Path: at, Problem: "it cannot be opened: " + cause(err)}, validName(name)
	}
	defer func() { entry.Close() }()

	name, kind, problem := classify(s.Class, entryName, entry)
	if versions, ok := strings.CutSuffix(entryName, ".v"); ok && entry.IsDirectory() {
		best, err := pickVersion(root, entry.Path, parseVersioned(s.Class, versions), runtime.GOARCH)
		if err != nil || best == nil {
			// As systemd: a directory without a version that fits is no image.
			return Image{}, false
		}
		entry.Close()
		entry = best
		name, kind, problem = parseVersioned(s.Class, versions).name, typeOf(entry), ""
	}
	if name == "" || !validName(name) {
		return Image{}, false
	}
	image = Image{Class: s.Class, Name: name, Path: entry.Path, Type: kind, Problem: problem}
	switch {
	case problem != "":
		return image, true
	case !utf8.ValidString(entry.Path):
		// It could not be written into "origin".
		image.Problem = "a link leads to a path that is not UTF-8"
		return image, true
	}
	if image.Identity, err = readIdentity(root, entry, kind); err != nil {
		image.Problem = err.Error()
		return image, true
	}
	if !kind.IsTree() && !s.NoDissect {
		image.Problem = s.dissect(root, &image)
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
	kind = typeOf(entry)
	switch kind {
	case Raw:
		name, isRaw := strings.CutSuffix(entryName, ".raw")
		if !isRaw {
			return "", "", ""
		}
		return strings.TrimSuffix(name, suffix), kind, ""
	case Directory, Subvolume:
		if name, stacked := strings.CutSuffix(entryName, ".mstack"); stacked {
			return strings.TrimSuffix(name, suffix), Directory, "mount stacks (.mstack) cannot be merged"
		}
		return strings.TrimSuffix(entryName, suffix), kind, ""
	case Block:
		return entryName, kind, ""
	}
	return "", "", ""
}

// typeOf is the type by what an entry is; empty for what is no image.
func typeOf(entry *rootdir.Entry) Type {
	switch entry.Stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return Raw
	case unix.S_IFBLK:
		return Block
	case unix.S_IFDIR:
		if isSubvolume(entry) {
			return Subvolume
		}
		return Directory
	}
	return ""
}

// isSubvolume reports whether a directory is the top of a btrfs subvolume,
// which always has inode 256.
func isSubvolume(entry *rootdir.Entry) bool {
	return entry.Stat.Ino == 256 && entry.IsOnBtrfs()
}

func validName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > 255 || strings.HasPrefix(name, ".#") || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' })
}
