package sysextselection

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/rootdir"
)

// Tree is a root that is put together of file systems, by their places; that of the root itself has an empty one, and is the last. Each is looked
// at by itself, so no link leads from one to another, or out of the root.
type Tree struct {
	places []string
	roots  []*rootdir.Root
}

// Add opens a directory as what lies at a place.
func (t *Tree) Add(at, directory string) error {
	root, err := rootdir.Open(directory)
	if err == nil {
		t.places, t.roots = append(t.places, at), append(t.roots, root)
	}
	return err
}

// Close closes all of it.
func (t *Tree) Close() {
	for _, root := range t.roots {
		root.Close()
	}
}

// Look is a View. On all but the root itself a link counts for no file, wherever it leads: it may lead elsewhere from the real root.
func (t *Tree) Look(at string, read bool) (text []byte, found bool, err error) {
	err = fs.ErrNotExist
	for i, root := range t.roots {
		inside, within := strings.CutPrefix(at, t.places[i]+"/")
		if !within {
			continue
		}
		if read {
			text, err = root.ReadFile(inside)
		} else {
			err = find(root, "/"+inside, t.places[i] == "")
		}
		break
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return text, err == nil, err
}

func find(root *rootdir.Root, at string, follow bool) error {
	entry, err := root.Resolve(at)
	if err == nil {
		defer entry.Close()
		if entry.IsRegular() && (follow || entry.Path == at) {
			return nil
		}
	} else {
		link, missing := root.Open(at, unix.O_PATH|unix.O_NOFOLLOW)
		if missing != nil {
			return err
		}
		link.Close()
		if follow {
			return err
		}
	}
	return errors.New(root.Host(at) + " is not a regular file: it is left alone")
}
