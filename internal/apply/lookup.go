package apply

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/plan"
)

// Found is what one layer of an overlay has at a path.
type Found struct {
	// Source is as in plan.Overlay, or FromUpper.
	Source string
	// Kind is "file", "directory", "link", "other", or "whiteout": what deletes the path below.
	Kind string
	// Opaque: a directory, here or on the way to the path, that hides all that lower layers have in it. At is that directory.
	Opaque bool
	At     string
}

// FromUpper is the layer that takes writes.
const FromUpper = "/upper"

// Lookup says what each layer of a planned overlay has at a path below its hierarchy, from the top down, as far as
// the first one that hides all below it. Layers without anything are left out.
func (w *Workspace) Lookup(o plan.Overlay, inside string) ([]Found, error) {
	layers, sources := o.Layers, o.Sources
	if o.Upper != "" && !o.MakeUpper {
		layers, sources = append([]string{o.Upper}, layers...), append([]string{FromUpper}, sources...)
	}
	var all []Found
	err := w.inside(func() error {
		for i, layer := range layers {
			found, err := lookUpIn(layer, inside)
			if err != nil {
				return err
			}
			if found == nil {
				continue
			}
			found.Source = sources[i]
			all = append(all, *found)
		}
		return nil
	})
	return all, err
}

// lookUpIn goes down a layer directory by directory, without following links: overlayfs looks at each name by itself.
func lookUpIn(layer, inside string) (*Found, error) {
	at, result := layer, (*Found)(nil)
	parts := strings.Split(inside, "/")
	for i, part := range parts {
		at = path.Join(at, part)
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			// An opaque directory on the way hides the path below without having it.
			return result, nil
		}
		if err != nil {
			return nil, err
		}
		relative := strings.Join(parts[:i+1], "/")
		var stat unix.Stat_t
		if err := unix.Lstat(at, &stat); err != nil {
			return nil, err
		}
		switch {
		case info.Mode()&os.ModeCharDevice != 0 && stat.Rdev == 0:
			return &Found{Kind: "whiteout", At: relative}, nil
		case info.IsDir():
			if isOpaque(at) {
				result = &Found{Kind: "directory", Opaque: true, At: relative}
			}
			if i == len(parts)-1 && result == nil {
				result = &Found{Kind: "directory", At: relative}
			}
			continue
		case i < len(parts)-1:
			// A file in the place of a directory hides the directories below.
			return &Found{Kind: "file", Opaque: true, At: relative}, nil
		}
		kind := "other"
		if info.Mode().IsRegular() {
			kind = "file"
		} else if info.Mode()&os.ModeSymlink != 0 {
			kind = "link"
		}
		return &Found{Kind: kind, At: relative}, nil
	}
	return result, nil
}

func isOpaque(directory string) bool {
	value := make([]byte, 2)
	n, err := unix.Lgetxattr(directory, "trusted.overlay.opaque", value)
	return err == nil && n == 1 && value[0] == 'y'
}
