package apply

import (
	"errors"
	"os"
	"path"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// together is how many images are open at a time without lying in the workspace: each of them takes a descriptor.
const together = 64

// Examine opens images and reads what the plan needs of them. It takes them together, since every change to the thread of
// the workspace costs more than to read a small image.
func (w *Workspace) Examine(images []extension.Image, hierarchies []string) []plan.Candidate {
	all := make([]plan.Candidate, len(images))
	for i, image := range images {
		all[i] = plan.Candidate{Image: image, Content: map[string]string{}, Files: map[string][]string{}}
	}
	lists := newListing(all)
	for start := 0; start < len(all); start += together {
		end := min(start+together, len(all))
		some := all[start:end]
		opened := make([]pending, len(some))
		for i := range some {
			if some[i].Problem == "" {
				opened[i] = w.begin(some[i].Image)
			}
		}
		_ = w.space.Do(func() error {
			for i := range some {
				if c := &some[i]; c.Problem == "" {
					w.examine(c, w.place(&opened[i]), hierarchies, lists)
				}
			}
			if end == len(all) {
				lists.descend()
			}
			return nil
		})
	}
	return all
}

func (w *Workspace) examine(c *plan.Candidate, p *pending, hierarchies []string, lists *listing) {
	c.Signature, c.SignatureNote = p.signature.State, p.signature.Note
	err := p.err
	if err == nil {
		err = readTree(c, p.at, hierarchies, lists)
	}
	if err != nil {
		c.Failure = err.Error()
	}
}

// readTree reads from an opened image what the plan needs of it. at is a path of the workspace.
func readTree(c *plan.Candidate, at string, hierarchies []string, lists *listing) error {
	tree, err := rootdir.Open(at)
	if err != nil {
		return err
	}
	defer tree.Close()
	if reason, err := forbiddenContent(tree, c.Image); err != nil || reason != "" {
		c.NoRelease = reason
		return err
	}
	if c.Release, c.NoRelease, err = extension.Release(tree, c.Class, c.Name); err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		inside, entries, err := extension.Content(tree, hierarchy)
		if err != nil {
			return err
		}
		if inside != "" {
			c.Content[hierarchy] = path.Join(at, inside)
			lists.add(c, hierarchy, entries)
		}
	}
	return nil
}

// forbiddenContent refuses what is a whole system rather than an extension.
// Confext directories are exempt, as they are for systemd.
func forbiddenContent(tree *rootdir.Root, image extension.Image) (string, error) {
	if image.Class == osrelease.ClassConfext && image.Type == extension.Directory {
		return "", nil
	}
	entry, err := tree.Resolve("/usr/lib/os-release")
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer entry.Close()
	return "it is a whole system: it has its own usr/lib/os-release", nil
}
