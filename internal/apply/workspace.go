package apply

import (
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/preroot/preroot/internal/cms"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/rootdir"
)

// Environment is what a merge has to work with.
type Environment struct {
	// Root is the root whose hierarchies are merged.
	Root *rootdir.Root
	// OpenDM opens the device mapper, once and only if an image needs it.
	OpenDM func() (*devmapper.Control, error)
	// LoadModule makes a file system type or driver available.
	LoadModule func(name string) error
	// Certificates returns those that may confirm root hashes in user space, or why there are none.
	Certificates func() ([]*cms.Certificate, error)
}

// Workspace holds the mounts of opened images, and hierarchies as they are without a merge, until the overlays use
// them. All of it is in a mount namespace of its own: nobody else sees it, and it
// goes with the process however that ends.
type Workspace struct {
	Environment
	// Path of a tmpfs in the namespace.
	Path  string
	space *mountapi.Namespace
	dm    *devmapper.Control
	// opened maps images to what Open returned before: an image is opened once,
	// even if it is looked at in two rounds.
	opened map[imageKey]openedImage
	// waiting are images that are open and do not lie in the workspace yet: a call that changes nothing needs no place for them.
	waiting []pending
	// aside are the mounts below hierarchies that were uncovered, by the hierarchy's path from outside.
	aside map[string][]submount
	// uncovered counts the overlays that lay above each other in a hierarchy, by its path from outside.
	uncovered map[string]int
	// metadata are the metadata directories of the overlays that were staged here, by the hierarchy's path from outside.
	metadata map[string]string
	// shown are the layers of the overlays that this workspace has mounted, previews too, by the hierarchy's path from outside.
	shown map[string][]string
	count int
}

type openedImage struct {
	at        string
	signature SignatureOutcome
	err       error
}

// NewWorkspace makes a workspace with a tmpfs at a directory, which is made when missing.
func NewWorkspace(at string, environment Environment) (*Workspace, error) {
	w := &Workspace{
		Environment: environment, Path: at, opened: map[imageKey]openedImage{}, aside: map[string][]submount{}, uncovered: map[string]int{},
		metadata: map[string]string{}, shown: map[string][]string{},
	}
	var err error
	if w.space, err = mountapi.NewNamespace(); err != nil {
		return nil, fmt.Errorf("make workspace: %w", err)
	}
	err = w.space.Do(func() error {
		return mountapi.Attach("tmpfs", "preroot", at, []mountapi.Option{{Key: "mode", Value: "0700"}}, mountapi.NoSUID|mountapi.NoDev)
	})
	if err != nil {
		w.space.Close()
		return nil, fmt.Errorf("make workspace: %w", err)
	}
	return w, nil
}

// NewBareWorkspace is for taking merges away, which opens nothing.
func NewBareWorkspace(environment Environment) *Workspace {
	return &Workspace{Environment: environment}
}

// Close ends the workspace. What overlays use stays alive.
func (w *Workspace) Close() error {
	for _, submounts := range w.aside {
		for _, s := range submounts {
			s.mount.Close()
		}
	}
	for _, p := range w.waiting {
		p.mount.Close()
	}
	if w.dm != nil {
		w.dm.Close()
	}
	if w.space == nil {
		return nil
	}
	w.space.Close()
	// The empty directory below the tmpfs.
	_ = os.Remove(w.Path)
	return nil
}

func (w *Workspace) deviceMapper() (*devmapper.Control, error) {
	if w.dm == nil {
		var err error
		if w.dm, err = w.OpenDM(); err != nil {
			return nil, err
		}
		removeAbandoned(w.dm)
	}
	return w.dm, nil
}

// newPath returns a path in the workspace that is not used yet. Numbered: names may hold any character, and both
// classes may use one.
func (w *Workspace) newPath(kind string) string {
	w.count++
	return fmt.Sprintf("%s/%s%d", w.Path, kind, w.count)
}

// Open mounts an image in the workspace, read-only, and returns where. The
// second call for an image returns the same place.
func (w *Workspace) Open(image extension.Image) (string, error) {
	p := w.begin(image)
	err := w.inside(func() error { return w.place(&p).err })
	return p.at, err
}

// pending is an image that is open, with a mount that does not lie in the workspace yet; no mount if it was opened before, or
// cannot be.
type pending struct {
	openedImage
	key   imageKey
	usr   bool
	mount *mountapi.Mount
}

// begin opens an image. place comes after it.
func (w *Workspace) begin(image extension.Image) pending {
	p := pending{key: keyOf(image), usr: image.Dissected != nil && image.Dissected.UsrOnly}
	if _, known := w.opened[p.key]; known {
		return p
	}
	p.at = w.newPath("image")
	p.mount, p.signature, p.err = w.open(image)
	if p.err != nil && p.mount != nil {
		p.mount.Close()
		p.mount = nil
	}
	w.opened[p.key] = p.openedImage
	return p
}

// place attaches the mount of an image in the workspace. It runs in the workspace's namespace.
func (w *Workspace) place(p *pending) *pending {
	if p.mount == nil {
		p.openedImage = w.opened[p.key]
		return p
	}
	defer p.mount.Close()
	at := p.at
	if p.err = os.Mkdir(at, 0o755); p.err == nil && p.usr {
		at = path.Join(at, "usr")
		p.err = os.Mkdir(at, 0o755)
	}
	if p.err == nil {
		p.err = p.mount.MoveTo(at)
	}
	w.opened[p.key] = p.openedImage
	return p
}

// inside runs a function in the workspace's namespace, where every image that is open has its place.
func (w *Workspace) inside(function func() error) error {
	return w.space.Do(func() error {
		if err := w.placeAll(); err != nil {
			return err
		}
		return function()
	})
}

// placeAll attaches the images that wait. It runs in the workspace's namespace.
func (w *Workspace) placeAll() error {
	waiting := w.waiting
	w.waiting = nil
	var errs []error
	for i := range waiting {
		if err := w.place(&waiting[i]).err; err != nil {
			errs = append(errs, fmt.Errorf("attach %s: %w", waiting[i].key.path, err))
		}
	}
	return errors.Join(errs...)
}
