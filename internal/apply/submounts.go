package apply

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/mountinfo"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/rootdir"
)

// submount is a copy of a mount that lies below a hierarchy, such as a machine-id that is not committed yet.
type submount struct {
	path  string // below the hierarchy, without leading slash
	mount *mountapi.Mount
}

// attach mounts it below a directory.
func (s submount) attach(directory string) error {
	at := path.Join(directory, s.path)
	if _, err := os.Lstat(at); err != nil {
		return fmt.Errorf("keep the mount on %s: nothing merged has a place for it: %w", s.path, err)
	}
	return s.mount.MoveTo(at)
}

func readMounts(table string) ([]mountinfo.Mount, error) {
	fd, err := unix.Open(table, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("read mounts: %w", &os.PathError{Op: "open", Path: table, Err: err})
	}
	// Other than one of os.Open it is never waited for, which the table of mounts would allow.
	file := os.NewFile(uintptr(fd), table)
	defer file.Close()
	return mountinfo.Parse(file)
}

// takeAside copies the mounts below a hierarchy, but for those on our own metadata. Paths are those of the calling
// thread.
func takeAside(mounts []mountinfo.Mount, hierarchy string) ([]submount, error) {
	var aside []submount
	for _, m := range mountinfo.Below(mounts, hierarchy) {
		inside := m.Target[len(hierarchy)+1:]
		if inside == extension.MetadataDirectory(osrelease.ClassConfext) || inside == extension.MetadataDirectory(osrelease.ClassSysext) {
			continue
		}
		clone, err := mountapi.CloneTree(m.Target)
		if err != nil {
			for _, s := range aside {
				s.mount.Close()
			}
			return nil, err
		}
		aside = append(aside, submount{inside, clone})
	}
	return aside, nil
}

// Uncover shows the hierarchies of a class, in the workspace only, as they are without a merge, and returns how they are then.
// Mounts below them are put aside for the next overlay.
func (w *Workspace) Uncover(class osrelease.Class, hierarchies []string) ([]extension.Hierarchy, error) {
	var bare []extension.Hierarchy
	err := w.space.Do(func() error {
		root, err := rootdir.Open(w.Root.Host("/"))
		if err != nil {
			return err
		}
		defer root.Close()
		for _, hierarchy := range hierarchies {
			if err := w.uncover(root, class, hierarchy); err != nil {
				return fmt.Errorf("look below what is merged into %s: %w", hierarchy, err)
			}
			bare = append(bare, extension.ReadHierarchy(root, hierarchy))
		}
		return nil
	})
	return bare, err
}

func (w *Workspace) uncover(root *rootdir.Root, class osrelease.Class, hierarchy string) error {
	entry, err := root.Resolve(hierarchy)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		// What is wrong with it is said when something is to be mounted there.
		return nil
	}
	entry.Close()
	target := root.Host(entry.Path)
	if _, known := w.aside[target]; !known && mountapi.IsBareMount(target) {
		// The usual case, and the table has each layer of the overlay in its options.
		w.aside[target] = nil
	} else if !known {
		// The table of this thread: that of the process is the caller's.
		mounts, err := readMounts("/proc/thread-self/mountinfo")
		if err != nil {
			return err
		}
		if w.aside[target], err = takeAside(mounts, target); err != nil {
			return err
		}
	}
	for {
		merged, err := extension.ReadMerged(root, class, hierarchy)
		if err != nil || merged == nil {
			return err
		}
		if err := mountapi.Detach(target); err != nil {
			return err
		}
		w.uncovered[target]++
	}
}
