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

// readTree reads from an opened image what the plan needs of it. at is a path of the workspace.
func readTree(c *plan.Candidate, at string, hierarchies []string) error {
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
		inside, err := extension.Content(tree, hierarchy)
		if err != nil {
			return err
		}
		if inside != "" {
			c.Content[hierarchy] = path.Join(at, inside)
			files, cut := extension.ListFiles(tree, inside)
			c.Files[hierarchy], c.FilesCut = files, c.FilesCut || cut
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
