package apply

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/rootdir"
)

// together is how many images are open at a time without lying in the workspace: each of them takes a descriptor. Directories
// wait there until something is mounted of them, and are read before they have a place.
const together = 64

// Examine opens images and reads what the plan needs of them. It takes them together, since every change to the thread of
// the workspace costs more than to read a small image.
func (w *Workspace) Examine(images []extension.Image, hierarchies []string) []plan.Candidate {
	all := make([]plan.Candidate, len(images))
	for i, image := range images {
		all[i] = plan.Candidate{Image: image, Content: make(map[string]string, 1), Files: make(map[string][]string, 1)}
	}
	lists := newListing(all)
	room := roomForWaiting(len(all))
	var batch []opening
	for i := range all {
		c := &all[i]
		if c.Problem != "" {
			continue
		}
		p := w.begin(c.Image)
		if p.mount != nil && c.Type.IsTree() && len(w.waiting) < room {
			w.waiting = append(w.waiting, p)
			lists.waiting[c] = p
			setFailure(c, readTree(c, rootdir.OfMount(p.mount.Fd(), p.at), hierarchies, lists))
			continue
		}
		if batch = append(batch, opening{c, p}); len(batch) == together {
			w.examineInside(batch, hierarchies, lists)
			batch = nil
		}
	}
	w.examineInside(batch, hierarchies, lists)
	if !lists.needsPlaces() {
		lists.descend()
		return all
	}
	_ = w.space.Do(func() error {
		lists.descend()
		return nil
	})
	return all
}

// opening is an image that is read where it lies in the workspace.
type opening struct {
	*plan.Candidate
	pending
}

// roomForWaiting is how many images may wait at a time, of as many as there are: a quarter of the descriptors that this process may have.
func roomForWaiting(images int) int {
	if images <= together {
		return images
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return together
	}
	return int(min(max(limit.Cur/4, together), uint64(images)))
}

func (w *Workspace) examineInside(batch []opening, hierarchies []string, lists *listing) {
	if len(batch) == 0 {
		return
	}
	_ = w.inside(func() error {
		for i := range batch {
			w.examine(batch[i].Candidate, w.place(&batch[i].pending), hierarchies, lists)
		}
		return nil
	})
}

func (w *Workspace) examine(c *plan.Candidate, p *pending, hierarchies []string, lists *listing) {
	c.Signature, c.SignatureNote = p.signature.State, p.signature.Note
	err := p.err
	if err == nil {
		err = readPlaced(c, p.at, hierarchies, lists)
	}
	setFailure(c, err)
}

func setFailure(c *plan.Candidate, err error) {
	if err != nil {
		c.Failure = err.Error()
	}
}

// readPlaced is readTree for an image in the workspace.
func readPlaced(c *plan.Candidate, at string, hierarchies []string, lists *listing) error {
	tree, err := rootdir.Open(at)
	if err != nil {
		return err
	}
	defer tree.Close()
	return readTree(c, tree, hierarchies, lists)
}

// readTree reads from an opened image what the plan needs of it.
func readTree(c *plan.Candidate, tree *rootdir.Root, hierarchies []string, lists *listing) (err error) {
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
			c.Content[hierarchy] = tree.Host(inside)
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
