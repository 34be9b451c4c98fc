package boot

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// identifyAgain gives sysexts that lie in /etc the identity that they have on the merged /etc, which was not there yet when they
// were merged: the real root's systemd looks for them on it. It is done only where that /etc is made of the very
// images that it was shown with while the sysexts were planned, so that the same path leads to the same file.
func (m *merger) identifyAgain(sysexts, confexts *plan.Merge) error {
	if len(sysexts.Overlays) == 0 || len(confexts.Overlays) == 0 {
		return nil
	}
	input := m.inputs[osrelease.ClassSysext]
	covered := func(c plan.Candidate) bool {
		return len(c.RootHash()) == 0 && slices.Contains(sysexts.Names, c.Name) &&
			slices.ContainsFunc(confexts.Overlays, func(o plan.Overlay) bool { return strings.HasPrefix(newRoot+c.Path, o.Target+"/") })
	}
	if !slices.ContainsFunc(input.Candidates, covered) {
		return nil
	}
	covers := coverOf(input.Candidates, sysexts.Names)
	if m.preview == nil || !sameImages(m.preview.Candidates, m.inputs[osrelease.ClassConfext].Candidates, covers) {
		m.warn("sysexts lie in /etc, and a sysext changed what that is made of: the real root will merge them again")
		return nil
	}
	images, err := extension.Discover(m.root, extension.Search{Class: osrelease.ClassSysext, Initrd: m.host.Initrd, NoDissect: true})
	if err != nil {
		m.warn("%v", err)
	}
	input.Candidates = slices.Clone(input.Candidates)
	for i, c := range input.Candidates {
		at := slices.IndexFunc(images, func(image extension.Image) bool { return image.Name == c.Name && image.Path == c.Path })
		if covered(c) && at >= 0 && images[at].Problem == "" {
			input.Candidates[i].Identity = images[at].Identity
		}
	}
	again, err := plan.PlanMerge(input)
	if err != nil {
		return err
	}
	if !slices.Equal(again.Names, sysexts.Names) || bytes.Equal(again.Origin, sysexts.Origin) {
		return nil
	}
	return m.workspace.RewriteOrigin(again)
}

// sameImages reports whether two plans saw the very same images: by their root hashes, by all of their identities, or, after they were
// covered by sysexts, because none of those has a file there.
func sameImages(before, after []plan.Candidate, covers func(path string) bool) bool {
	return slices.EqualFunc(before, after, func(x, y plan.Candidate) bool {
		if x.Name != y.Name || x.Path != y.Path || !bytes.Equal(x.RootHash(), y.RootHash()) || (x.Release == nil) != (y.Release == nil) {
			return false
		}
		return len(x.RootHash()) > 0 && x.Use.Verity || x.Identity.Equal(y.Identity) || !covers(x.Path)
	})
}

// coverOf returns a function that reports whether one of the named sysexts may have something at a path of the root, or below.
func coverOf(candidates []plan.Candidate, names []string) func(path string) bool {
	var files []string
	all := false
	for _, c := range candidates {
		if !slices.Contains(names, c.Name) {
			continue
		}
		all = all || c.FilesCut
		for hierarchy, below := range c.Files {
			for _, file := range below {
				files = append(files, path.Join(hierarchy, file))
			}
		}
	}
	return func(at string) bool {
		return all || slices.ContainsFunc(files, func(file string) bool { return file == at || strings.HasPrefix(file, at+"/") })
	}
}
