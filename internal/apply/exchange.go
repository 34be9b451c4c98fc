package apply

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// avoidWorkDirectory gives an overlay another work directory than the live one of its hierarchy: the kernel
// wants one each, and both exist for a moment. The file "work_dir" tells systemd which one it is.
func avoidWorkDirectory(o plan.Overlay, now []*extension.Merged) plan.Overlay {
	for _, merged := range now {
		if merged.Path == o.Hierarchy && o.Work != "" && merged.WorkDirectory != "" {
			var random [8]byte
			_, _ = rand.Read(random[:]) // never fails (crypto/rand)
			suffix := fmt.Sprintf("-%x", random)
			o.Work, o.WorkInside = o.Work+suffix, o.WorkInside+suffix
		}
	}
	return o
}

// exchange makes staged overlays visible in the place of what is merged.
func (w *Workspace) exchange(m *plan.Merge, overlays []staged, now []*extension.Merged) error {
	merged := map[string]*extension.Merged{}
	for _, one := range now {
		merged[one.Path] = one
	}
	// First what nobody sees: below the live overlays, and above them where the kernel refuses that.
	var beneath []*extension.Merged
	for _, s := range overlays {
		old := merged[s.Hierarchy]
		if old == nil {
			continue
		}
		if err := keepTopmost(s.Target, string(m.Class)); err != nil {
			return err
		}
		err := s.mount.MoveBeneath(s.Target)
		if err != nil {
			return fmt.Errorf("refresh %ss in %s: %w", m.Class, s.Hierarchy, err)
		}
		beneath = append(beneath, old)
	}
	for _, s := range overlays {
		if merged[s.Hierarchy] == nil {
			if err := w.cover(s); err != nil {
				return fmt.Errorf("merge %ss into %s: %w", m.Class, s.Hierarchy, err)
			}
		}
		delete(merged, s.Hierarchy)
	}
	// From here on there is no way back, and nothing that could fail but for want of memory.
	var errs []error
	for _, old := range beneath {
		errs = append(errs, mountapi.Detach(w.Root.Host(old.Resolved)), w.removeWork(old))
	}
	for _, old := range merged {
		errs = append(errs, w.Unmerge(old))
	}
	return errors.Join(errs...)
}

// cover mounts an overlay over a hierarchy. Mounts that were below it are in the overlay now, and go from where they are
// covered.
func (w *Workspace) cover(s staged) error {
	if err := os.MkdirAll(s.Target, 0o755); err != nil {
		return err
	}
	var covered []*mountapi.Attached
	defer func() {
		for _, a := range covered {
			a.Close()
		}
	}()
	for _, below := range w.aside[s.Target] {
		held, err := mountapi.Hold(path.Join(s.Target, below.path))
		if err != nil {
			return err
		}
		covered = append(covered, held)
	}
	if err := s.mount.MoveTo(s.Target); err != nil {
		return err
	}
	var errs []error
	for _, a := range covered {
		errs = append(errs, a.Detach())
	}
	return errors.Join(errs...)
}

// keepTopmost takes away overlays that a refresh that was interrupted left above its own: what it had staged then
// shows, complete.
func keepTopmost(target, source string) error {
	for {
		count, err := countOverlays(target, source)
		if err != nil || count < 2 {
			return err
		}
		if err := mountapi.Detach(target); err != nil {
			return err
		}
	}
}

// CountOverlays returns how many merges of a class lie above each other in a hierarchy: more than one only
// after a refresh that was interrupted.
func (w *Workspace) CountOverlays(merged *extension.Merged, source string) (int, error) {
	return countOverlays(w.Root.Host(merged.Resolved), source)
}

func countOverlays(target, source string) (int, error) {
	mounts, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return 0, err
	}
	count := 0
	for _, m := range mounts {
		if m.Target == target && m.FSType == "overlay" && m.Source == source && m.Root == "/" {
			count++
		}
	}
	return count, nil
}

// Unmerge takes the overlay of a hierarchy away, and what a refresh that was interrupted left below it. Mounts below the hierarchy
// stay: they are put back into the bare one.
func (w *Workspace) Unmerge(old *extension.Merged) error {
	target := w.Root.Host(old.Resolved)
	mounts, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	aside, err := takeAside(mounts, target)
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range aside {
			s.mount.Close()
		}
	}()
	if err := mountapi.Detach(target); err != nil {
		return err
	}
	errs := []error{w.removeWork(old)}
	for _, s := range aside {
		errs = append(errs, s.attach(target))
	}
	return errors.Join(errs...)
}

// removeWork removes the work directory of an overlay that is gone. It was named by a file in the overlay, which the
// overlay's own user could not have written; still nothing outside of the root is touched, and no link followed.
func (w *Workspace) removeWork(old *extension.Merged) error {
	if old.WorkDirectory == "" {
		return nil
	}
	inside := path.Clean("/" + old.WorkDirectory)
	if inside != "/"+old.WorkDirectory || inside == "/" {
		return fmt.Errorf("unmerge %s: work directory %q is not a plain path", old.Path, old.WorkDirectory)
	}
	parent, err := w.Root.Open(path.Dir(inside), unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	return removeDirectory(parent, path.Base(inside))
}

// workSuffix is how many characters avoidWorkDirectory adds: a dash and eight bytes in hex.
const workSuffix = 1 + 2*8

// removeStaleWork removes what earlier overlays of the same hierarchy used beside a work directory: systemd 262 takes our
// overlays away and leaves their work directories, and so does whoever kills us. The plain name is used
// again, not removed.
func removeStaleWork(work string) error {
	plain := path.Base(work)
	if base, suffix, ok := strings.Cut(plain, "-workdir-"); ok && len(suffix)+1 == workSuffix {
		plain = base + "-workdir"
	}
	parent, err := os.Open(path.Dir(work))
	if err != nil {
		return err
	}
	defer parent.Close()
	names, err := parent.Readdirnames(-1)
	if err != nil {
		return err
	}
	var used map[string]bool
	for _, name := range names {
		suffix, ok := strings.CutPrefix(name, plain)
		if !ok || len(suffix) != workSuffix || suffix[0] != '-' || strings.Trim(suffix[1:], "0123456789abcdef") != "" {
			continue
		}
		if used == nil {
			if used, err = usedWork(); err != nil {
				return err
			}
		}
		if !used[name] {
			// One that cannot be removed is in nobody's way.
			_ = removeDirectory(parent, name)
		}
	}
	return nil
}

// usedWork returns the last parts of all work directories in use.
func usedWork() (map[string]bool, error) {
	mounts, err := readMounts("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, m := range mounts {
		if m.FSType != "overlay" {
			continue
		}
		if _, rest, ok := strings.Cut(m.SuperOptions, ",workdir="); ok {
			directory, _, _ := strings.Cut(rest, ",")
			used[path.Base(directory)] = true
		}
	}
	return used, nil
}

// removeDirectory removes a directory and all below it on the same file system. A link in its place is left alone.
func removeDirectory(parent *os.File, name string) error {
	fd, err := unix.Openat2(int(parent.Fd()), name, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_BENEATH,
	})
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove directory %s/%s: %w", parent.Name(), name, err)
	}
	directory := os.NewFile(uintptr(fd), parent.Name()+"/"+name)
	defer directory.Close()
	empty(directory)
	if err := unix.Unlinkat(int(parent.Fd()), name, unix.AT_REMOVEDIR); err != nil {
		return fmt.Errorf("remove directory %s: %w", directory.Name(), err)
	}
	return nil
}
