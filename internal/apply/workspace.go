package apply

import (
	"fmt"
	"os"
	"path"

	"github.com/preroot/preroot/internal/cms"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
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
	opened map[string]openedImage
	// aside are the mounts below hierarchies that were uncovered, by the hierarchy's path from outside.
	aside map[string][]submount
	count int
}

type openedImage struct {
	at        string
	signature SignatureOutcome
	err       error
}

// NewWorkspace makes a workspace with a tmpfs at a directory, which is made when missing.
func NewWorkspace(at string, environment Environment) (*Workspace, error) {
	w := &Workspace{Environment: environment, Path: at, opened: map[string]openedImage{}, aside: map[string][]submount{}}
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
	opened := w.openOnce(image)
	return opened.at, opened.err
}

func (w *Workspace) openOnce(image extension.Image) openedImage {
	key := contentKey(image)
	if known, ok := w.opened[key]; ok {
		return known
	}
	opened := openedImage{at: w.newPath("image")}
	var mount *mountapi.Mount
	if mount, opened.signature, opened.err = w.open(image); opened.err == nil {
		at := opened.at
		if image.Dissected != nil && image.Dissected.UsrOnly {
			at = path.Join(at, "usr")
		}
		opened.err = w.space.Do(func() error {
			defer mount.Close()
			if err := os.MkdirAll(at, 0o755); err != nil {
				return err
			}
			return mount.MoveTo(at)
		})
	} else if mount != nil {
		mount.Close()
	}
	w.opened[key] = opened
	return opened
}

// Examine opens an image and reads what the plan needs of it.
func (w *Workspace) Examine(image extension.Image, hierarchies []string) plan.Candidate {
	c := plan.Candidate{Image: image, Content: map[string]string{}, Files: map[string][]string{}}
	if image.Problem != "" {
		return c
	}
	opened := w.openOnce(image)
	c.Signature, c.SignatureNote = opened.signature.State, opened.signature.Note
	err := opened.err
	if err == nil {
		err = w.space.Do(func() error { return readTree(&c, opened.at, hierarchies) })
	}
	if err != nil {
		c.Failure = err.Error()
	}
	return c
}
