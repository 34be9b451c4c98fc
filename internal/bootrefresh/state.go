package bootrefresh

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/jsontext"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// State is all that a merge of one class depends on, as far as it can be told without opening an image, and what is mounted.
// Two of them are equal only if nobody has merged, unmerged, added, removed or replaced anything in between.
type State struct {
	Hierarchies []Hierarchy
	Images      []Image
	// Mutable is the mode in its canonical spelling.
	Mutable     string
	ImagePolicy string
	// Release is what extensions are matched against.
	Release string
}

// Hierarchy is what is mounted at a hierarchy, and where its writes go.
type Hierarchy struct {
	Path string
	// MountID is the unique id of the mount that can be seen there; 0 if the hierarchy does not exist.
	MountID uint64
	// Merged says that this mount is a merge of the class.
	Merged bool
	// MutablePath is the mutable directory with links resolved, "" without one; MutableIdentity says which one it is.
	MutablePath     string
	MutableIdentity string
}

// Image is an extension, merged or not.
type Image struct {
	Name     string
	Path     string
	Type     extension.Type
	Identity string
	// Sidecar is what lies beside it.
	Sidecar string
}

func (s *State) fields(f *jsontext.Fields) {
	jsontext.List(f, "hierarchies", &s.Hierarchies, (*Hierarchy).fields)
	jsontext.List(f, "images", &s.Images, (*Image).fields)
	f.String("mutable", &s.Mutable)
	f.OptionalString("imagePolicy", &s.ImagePolicy)
	f.String("release", &s.Release)
}

func (h *Hierarchy) fields(f *jsontext.Fields) {
	f.String("path", &h.Path)
	f.Uint("mountId", &h.MountID)
	f.Bool("merged", &h.Merged)
	f.OptionalString("mutablePath", &h.MutablePath)
	f.OptionalString("mutableIdentity", &h.MutableIdentity)
}

func (i *Image) fields(f *jsontext.Fields) {
	f.String("name", &i.Name)
	f.String("path", &i.Path)
	f.String("type", (*string)(&i.Type))
	f.String("identity", &i.Identity)
	f.OptionalString("sidecar", &i.Sidecar)
}

// ReadState looks at a class below root. Settings are those that a merge would have. release, if it is not empty,
// is the file to read in place of os-release.
func ReadState(root *rootdir.Root, class osrelease.Class, settings extension.Settings, release string) (*State, error) {
	s := &State{Mutable: settings.Mutable, ImagePolicy: settings.ImagePolicy, Images: []Image{}}
	for _, at := range extension.Hierarchies(class) {
		h, err := readHierarchy(root, class, at)
		if err != nil {
			return nil, err
		}
		s.Hierarchies = append(s.Hierarchies, h)
	}
	images, err := extension.Discover(root, extension.Search{Class: class, Initrd: extension.IsInitrd(root), NoDissect: true})
	if err != nil {
		return nil, err
	}
	for _, found := range images {
		image := Image{Name: found.Name, Path: found.Path, Type: found.Type, Identity: identityText(found.Identity) + " " + found.Problem}
		if found.Type == extension.Raw {
			if image.Sidecar, err = sidecarText(root, found.Path); err != nil {
				return nil, err
			}
		}
		s.Images = append(s.Images, image)
	}
	fields, err := extension.HostRelease(root, release)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"ID", "ID_LIKE", "VERSION_ID", "SYSEXT_LEVEL", "CONFEXT_LEVEL"} {
		s.Release += fmt.Sprintf("%s=%q ", key, fields[key])
	}
	return s, nil
}

func readHierarchy(root *rootdir.Root, class osrelease.Class, at string) (Hierarchy, error) {
	h := Hierarchy{Path: at}
	host, err := root.Resolve(at)
	if err == nil {
		defer host.Close()
		identity, err := extension.ReadIdentity(host.File)
		if err != nil {
			return h, err
		}
		merged, err := extension.ReadMerged(root, class, at)
		if err != nil {
			return h, err
		}
		h.MountID, h.Merged = identity.MountID, merged != nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	mutable, err := root.Resolve(path.Join(extension.MutableBase, extension.MutableName(at)))
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	defer mutable.Close()
	h.MutablePath = mutable.Path
	if host != nil && mutable.SameAs(host) {
		h.MutableIdentity = "the hierarchy"
		return h, nil
	}
	identity, err := extension.ReadIdentity(mutable.File)
	h.MutableIdentity = identityText(identity)
	return h, err
}

func identityText(i extension.Identity) string {
	return fmt.Sprintf("%d %d:%s:%d %d %d", i.MountID, i.HandleType, i.HandleText(), i.Inode, i.CreatedUSec, i.ModifiedUSec)
}

func sidecarText(root *rootdir.Root, at string) (string, error) {
	sidecar, err := extension.ReadSidecar(root, at)
	if err != nil || sidecar == nil {
		return "", err
	}
	return fmt.Sprintf("%x %v %x %s", sidecar.RootHash, sidecar.Usr, sidecar.Signature, sidecar.Tree), nil
}

// FindChange returns the first difference between the state that the boot left and that of now in words, "" if there is none.
func (s *State) FindChange(now *State) string {
	if len(now.Hierarchies) != len(s.Hierarchies) {
		return "there are other hierarchies"
	}
	for i, was := range s.Hierarchies {
		is := now.Hierarchies[i]
		switch {
		case is.Path != was.Path:
			return "there are other hierarchies"
		case is.MountID != was.MountID || is.Merged != was.Merged:
			return "another mount is at " + was.Path
		case is.MutablePath != was.MutablePath || is.MutableIdentity != was.MutableIdentity:
			return "the mutable directory of " + was.Path + " is another one"
		}
	}
	if change := findImageChange(s.Images, now.Images); change != "" {
		return change
	}
	switch {
	case now.Mutable != s.Mutable:
		return "the mode is " + now.Mutable + " and was " + s.Mutable
	case now.ImagePolicy != s.ImagePolicy:
		return "there is another image policy"
	case now.Release != s.Release:
		return "os-release is another one"
	}
	return ""
}

func findImageChange(then, now []Image) string {
	before := map[string]Image{}
	for _, image := range then {
		before[image.Name] = image
	}
	for _, image := range now {
		was, known := before[image.Name]
		switch {
		case !known:
			return image.Path + " was added"
		case was != image:
			return image.Path + " was changed"
		}
		delete(before, image.Name)
	}
	for _, image := range then {
		if _, left := before[image.Name]; left {
			return image.Path + " was removed"
		}
	}
	return ""
}
