package apply

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/osrelease"
	"github.com/preroot/preroot/internal/plan"
)

// Mount flags and options are those of systemd 262 (specification of the
// extensions, "mount call").
var (
	confextAttributes = mountapi.NoSUID | mountapi.NoDev | mountapi.NoExec
	sysextAttributes  = mountapi.NoDev
	writableOptions   = []mountapi.Option{
		{Key: "redirect_dir", Value: "on"}, {Key: "metacopy", Value: "off"}, {Key: "index", Value: "off"},
	}
)

// Merge mounts the overlays of a plan. All of them are complete, with their
// metadata, before the first one becomes visible. Images must have been opened
// in the workspace.
func (w *Workspace) Merge(m *plan.Merge) error {
	if len(m.Overlays) == 0 {
		return nil
	}
	if err := w.loadModule("overlay"); err != nil {
		return err
	}
	staged := make([]*mountapi.Mount, 0, len(m.Overlays))
	defer func() {
		for _, mount := range staged {
			mount.Close()
		}
	}()
	for _, o := range m.Overlays {
		mount, err := w.stage(m, o)
		if err != nil {
			return fmt.Errorf("merge %ss into %s: %w", m.Class, o.Hierarchy, err)
		}
		staged = append(staged, mount)
	}
	for i, o := range m.Overlays {
		if err := attachOverlay(staged[i], m.Class, o); err != nil {
			return fmt.Errorf("merge %ss into %s: %w", m.Class, o.Hierarchy, err)
		}
	}
	return nil
}

// stage makes a detached overlay with all of its metadata.
func (w *Workspace) stage(m *plan.Merge, o plan.Overlay) (*mountapi.Mount, error) {
	w.count++
	top := fmt.Sprintf("%s/metadata%d", w.Path, w.count)
	metadata := path.Join(top, metadataDirectory(m.Class))
	if err := writeMetadata(top, metadata, m, o); err != nil {
		return nil, err
	}
	options := layerOptions(append([]string{top}, o.Layers...))
	attributes := confextAttributes
	if m.Class == osrelease.ClassSysext {
		attributes = sysextAttributes
	}
	if o.Upper == "" {
		attributes |= mountapi.ReadOnly
	} else {
		if err := prepareWork(o.Work); err != nil {
			return nil, err
		}
		if err := os.Chmod(o.Upper, os.FileMode(o.Permissions)); err != nil {
			return nil, err
		}
		options = append(options, mountapi.Option{Key: "upperdir", Value: escapeDirectory(o.Upper)},
			mountapi.Option{Key: "workdir", Value: escapeDirectory(o.Work)})
		options = append(options, writableOptions...)
		attributes |= mountapi.NoATime
	}
	mount, err := mountapi.New("overlay", string(m.Class), options, attributes)
	if err != nil {
		return nil, err
	}
	// The device number exists only now. The layer may still be written to:
	// nobody has looked into it through the overlay.
	major, minor, err := mount.DeviceNumber()
	if err == nil {
		err = writeMetadataFile(metadata, "dev", fmt.Sprintf("%d:%d\n", major, minor))
	}
	if err != nil {
		mount.Close()
		return nil, err
	}
	return mount, nil
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

// attachOverlay makes a staged overlay visible. The metadata of a writable one
// is covered by a read-only mount of itself, so that nobody edits it.
func attachOverlay(mount *mountapi.Mount, class osrelease.Class, o plan.Overlay) error {
	if err := os.MkdirAll(o.Target, 0o755); err != nil {
		return err
	}
	if err := mount.MoveTo(o.Target); err != nil {
		return err
	}
	if o.Upper == "" {
		return nil
	}
	metadata := path.Join(o.Target, metadataDirectory(class))
	clone, err := mountapi.Clone(metadata)
	if err != nil {
		return err
	}
	if err := clone.SetAttributes(mountapi.ReadOnly); err != nil {
		clone.Close()
		return err
	}
	return clone.MoveTo(metadata)
}

// Preview shows what a hierarchy will look like, read-only and without
// metadata, in its place: the upper directory as the top layer, then the
// planned ones. The returned function takes it away again.
func (w *Workspace) Preview(o plan.Overlay, class osrelease.Class) (remove func() error, err error) {
	layers := o.Layers
	if o.Upper != "" {
		layers = append([]string{o.Upper}, layers...)
	}
	if len(layers) == 0 || len(layers) == 1 && layers[0] == o.Target {
		// Nothing lies over the host's directory.
		return func() error { return nil }, nil
	}
	if err := w.preview(o.Target, layers); err != nil {
		return nil, fmt.Errorf("preview %ss in %s: %w", class, o.Hierarchy, err)
	}
	return func() error { return mountapi.Detach(o.Target) }, nil
}

func (w *Workspace) preview(target string, layers []string) error {
	if err := w.loadModule("overlay"); err != nil {
		return err
	}
	// Without an upper directory the kernel wants two layers at least.
	w.count++
	nothing := fmt.Sprintf("%s/nothing%d", w.Path, w.count)
	if err := errors.Join(os.Mkdir(nothing, 0o755), os.MkdirAll(target, 0o755)); err != nil {
		return err
	}
	mount, err := mountapi.New("overlay", "preroot", layerOptions(append(slices.Clone(layers), nothing)),
		mountapi.ReadOnly|mountapi.NoSUID|mountapi.NoDev|mountapi.NoExec)
	if err != nil {
		return err
	}
	return mount.MoveTo(target)
}
