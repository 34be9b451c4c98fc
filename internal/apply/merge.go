package apply

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// Merge mounts the overlays of a plan where nothing is merged yet. All of them are complete, with their
// metadata, before the first one becomes visible. Images must have been opened
// in the workspace.
func (w *Workspace) Merge(m *plan.Merge) error { return w.Replace(m, nil) }

// Replace mounts the overlays of a plan in the place of what is merged now. Every new overlay is put beneath the
// old one before the first old one goes, so that no path is missing at any moment; where that fails, all that can be seen
// is as it was. Hierarchies that the plan leaves out are unmerged.
//
// Hierarchies that are merged now must have been uncovered in the workspace before the plan was made.
func (w *Workspace) Replace(m *plan.Merge, now []*extension.Merged) error {
	staged, err := w.stageAll(m, now)
	defer func() {
		for _, s := range staged {
			s.mount.Close()
		}
	}()
	if err != nil {
		return err
	}
	return w.exchange(m, staged, now)
}

// staged is an overlay that is complete and not attached.
type staged struct {
	plan.Overlay
	mount *mountapi.Mount
}

func (w *Workspace) stageAll(m *plan.Merge, now []*extension.Merged) ([]staged, error) {
	if len(m.Overlays) == 0 {
		return nil, nil
	}
	if err := w.LoadModule("overlay"); err != nil {
		return nil, err
	}
	var all []staged
	for _, o := range m.Overlays {
		o, err := avoidWorkDirectory(o, now)
		if err != nil {
			return all, err
		}
		s := staged{Overlay: o}
		err = w.inside(func() (err error) {
			s.mount, err = w.stage(m, s.Overlay)
			return err
		})
		if err != nil {
			return all, fmt.Errorf("merge %ss into %s: %w", m.Class, o.Hierarchy, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// stage makes a detached overlay with all of its metadata. It runs in the workspace's namespace.
func (w *Workspace) stage(m *plan.Merge, o plan.Overlay) (*mountapi.Mount, error) {
	top := w.newPath("metadata")
	metadata := path.Join(top, extension.MetadataDirectory(m.Class))
	if err := writeMetadata(top, metadata, m, o); err != nil {
		return nil, err
	}
	w.metadata[o.Target] = metadata
	w.shown[o.Target] = o.Layers
	if o.Upper != "" {
		w.shown[o.Target] = append([]string{o.Upper}, o.Layers...)
	}
	options := append(layerOptions(append([]string{top}, o.Layers...)), o.Options...)
	upper, err := w.writeOptions(o)
	if err != nil {
		return nil, err
	}
	mount, err := mountapi.New("overlay", string(m.Class), append(options, upper...), o.Attributes)
	if err != nil {
		return nil, err
	}
	// The device number exists only now. The layer may still be written to:
	// nobody has looked into it through the overlay.
	major, minor, err := mount.DeviceNumber()
	if err == nil {
		err = writeMetadataFile(metadata, "dev", fmt.Sprintf("%d:%d\n", major, minor))
	}
	if err == nil && !o.TakesWrites() {
		err = setTime(top, o)
	}
	if err == nil && (o.TakesWrites() || len(w.aside[o.Target]) > 0) {
		mount, err = w.furnish(mount, m.Class, o)
	}
	if err != nil {
		mount.Close()
		return nil, err
	}
	return mount, nil
}

// setTime gives the merged directory the planned modification time: that of its top layer.
func setTime(layer string, o plan.Overlay) error {
	if o.Modified.IsZero() {
		return nil
	}
	return os.Chtimes(layer, time.Time{}, o.Modified)
}

// setUpperTime does so where the top layer is an upper directory. One that was there before keeps a later time: somebody
// has changed it. An earlier one would hide that the host's directory is new.
func setUpperTime(upper string, isNew bool, o plan.Overlay) error {
	if info, err := os.Stat(upper); err != nil || !isNew && !info.ModTime().Before(o.Modified) {
		return err
	}
	return setTime(upper, o)
}

// writeOptions makes the directories that an overlay needs to take writes.
func (w *Workspace) writeOptions(o plan.Overlay) ([]mountapi.Option, error) {
	if !o.TakesWrites() {
		return nil, nil
	}
	upper, work := o.Upper, o.Work
	if o.Ephemeral {
		upper, work = w.newPath("upper"), w.newPath("work")
		if err := os.Mkdir(upper, 0o755); err != nil {
			return nil, err
		}
	}
	if o.MakeUpper {
		if err := os.MkdirAll(upper, 0o755); err != nil {
			return nil, err
		}
	}
	if !o.Ephemeral {
		if err := removeStaleWork(work); err != nil {
			return nil, err
		}
	}
	if err := prepareWork(work); err != nil {
		return nil, err
	}
	if err := os.Chmod(upper, os.FileMode(o.Permissions)); err != nil {
		return nil, err
	}
	if err := setUpperTime(upper, o.Ephemeral || o.MakeUpper, o); err != nil {
		return nil, err
	}
	return []mountapi.Option{
		{Key: "upperdir", Value: escapeDirectory(upper)}, {Key: "workdir", Value: escapeDirectory(work)},
	}, nil
}

// furnish mounts in a new overlay what belongs there: over the metadata of one that takes writes a read-only mount of
// itself, so that nobody edits it, and the mounts that lay below the hierarchy. It closes mount, and returns a
// detached copy of all.
func (w *Workspace) furnish(mount *mountapi.Mount, class osrelease.Class, o plan.Overlay) (*mountapi.Mount, error) {
	at := w.newPath("overlay")
	if err := os.Mkdir(at, 0o755); err != nil {
		return mount, err
	}
	if err := mount.MoveTo(at); err != nil {
		return mount, err
	}
	if o.TakesWrites() {
		metadata := path.Join(at, extension.MetadataDirectory(class))
		clone, err := mountapi.Clone(metadata)
		if err != nil {
			return mount, err
		}
		if err := clone.SetAttributes(mountapi.ReadOnly); err != nil {
			clone.Close()
			return mount, err
		}
		if err := clone.MoveTo(metadata); err != nil {
			return mount, err
		}
	}
	for _, s := range w.aside[o.Target] {
		if err := s.attach(at); err != nil {
			return mount, err
		}
	}
	return mountapi.CloneTree(at)
}

// layerOptions names lower layers one by one from the top; no character in a
// path needs quoting then, and there is no limit on the length of them all.
func layerOptions(layers []string) []mountapi.Option {
	options := make([]mountapi.Option, 0, len(layers)+5)
	for _, layer := range layers {
		options = append(options, mountapi.Option{Key: "lowerdir+", Value: layer})
	}
	return options
}

// escapeDirectory writes a path for upperdir and workdir: unlike in lowerdir+, the
// kernel takes a backslash there as an escape, however the option comes.
func escapeDirectory(path string) string { return strings.ReplaceAll(path, `\`, `\\`) }

// prepareWork makes the work directory, or empties the one that an earlier boot
// left: the kernel cleans up two levels and then makes the overlay read-only
// without a word. No overlay may be using it. Links are not followed, neither
// in its place nor below, and other file systems are left alone.
func prepareWork(work string) error {
	err := os.Mkdir(work, 0o700)
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	parent, err := unix.Open(path.Dir(work), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path.Dir(work), Err: err}
	}
	defer unix.Close(parent)
	fd, err := unix.Openat2(parent, path.Base(work), &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_BENEATH,
	})
	if err != nil {
		return fmt.Errorf("work directory %s: %w", work, err)
	}
	directory := os.NewFile(uintptr(fd), work)
	defer directory.Close()
	if left := empty(directory); len(left) > 0 {
		return fmt.Errorf("work directory %s: cannot remove what an earlier boot left: %s", work, strings.Join(left, " "))
	}
	return directory.Chmod(0o700)
}

// Preview shows what a hierarchy will look like, read-only and without
// metadata, in its place: the upper directory as the top layer, then the
// planned ones. The returned function takes it away again.
func (w *Workspace) Preview(o plan.Overlay, class osrelease.Class) (remove func() error, err error) {
	layers := o.Layers
	if o.Upper != "" && !o.MakeUpper {
		layers = append([]string{o.Upper}, layers...)
	}
	if len(layers) == 0 || len(layers) == 1 && layers[0] == o.Target {
		// Nothing lies over the host's directory.
		return func() error { return nil }, nil
	}
	if err := w.preview(o.Target, layers); err != nil {
		return nil, fmt.Errorf("preview %ss in %s: %w", class, o.Hierarchy, err)
	}
	w.shown[o.Target] = layers
	return func() error {
		delete(w.shown, o.Target)
		return mountapi.Detach(o.Target)
	}, nil
}

func (w *Workspace) preview(target string, layers []string) error {
	if err := w.LoadModule("overlay"); err != nil {
		return err
	}
	// Without an upper directory the kernel wants two layers at least.
	nothing := w.newPath("nothing")
	var mount *mountapi.Mount
	err := w.inside(func() (err error) {
		if err := os.Mkdir(nothing, 0o755); err != nil {
			return err
		}
		mount, err = mountapi.New("overlay", "preroot", layerOptions(append(slices.Clone(layers), nothing)),
			mountapi.ReadOnly|mountapi.NoSUID|mountapi.NoDev|mountapi.NoExec)
		return err
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		mount.Close()
		return err
	}
	return mount.MoveTo(target)
}
