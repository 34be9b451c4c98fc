package apply

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// avoidWorkDirectory gives an overlay another work directory than the live one of its hierarchy: the kernel
// wants one each, and both exist for a moment. The file "work_dir" tells systemd which one it is.
func avoidWorkDirectory(o plan.Overlay, now []*extension.Merged) (plan.Overlay, error) {
	for _, merged := range now {
		if merged.Path == o.Hierarchy && o.Work != "" && merged.WorkDirectory != "" {
			var random [8]byte
			if _, err := unix.Getrandom(random[:], 0); err != nil { // all of so few, or an error: getrandom(2)
				return o, fmt.Errorf("name a work directory for %s: read random bytes: %w", o.Hierarchy, err)
			}
			suffix := fmt.Sprintf("-%x", random)
			o.Work, o.WorkInside = o.Work+suffix, o.WorkInside+suffix
		}
	}
	return o, nil
}

// exchange makes staged overlays visible in the place of what is merged. If something fails before the first old overlay goes, all
// that can be seen is as it was. What lies beneath a live overlay then cannot be taken away without it; the next call does.
func (w *Workspace) exchange(m *plan.Merge, overlays []staged, now []*extension.Merged) error {
	merged := map[string]*extension.Merged{}
	for _, one := range now {
		merged[one.Path] = one
	}
	x := exchanged{}
	defer x.close()
	// What nobody sees comes first.
	beneath, above := splitStaged(overlays, merged)
	for _, s := range slices.Concat(beneath, above) {
		var err error
		if merged[s.Hierarchy] == nil {
			err = x.cover(s, w.aside[s.Target])
		} else {
			err = putBeneath(s, string(m.Class))
		}
		if err != nil {
			return errors.Join(fmt.Errorf("merge %ss into %s: %w", m.Class, s.Hierarchy, err), x.uncover())
		}
	}
	// From here on there is no way back, and nothing that could fail but for want of memory.
	var errs []error
	for _, covered := range x.covered {
		errs = append(errs, covered.Detach())
	}
	for _, s := range beneath {
		old := merged[s.Hierarchy]
		errs = append(errs, mountapi.Detach(w.Root.Host(old.Resolved)))
		// A work directory that stays is in nobody's way, and goes with the next merge.
		_ = w.removeWork(old)
		delete(merged, s.Hierarchy)
	}
	for _, old := range merged {
		errs = append(errs, w.Unmerge(old, string(m.Class)))
	}
	return errors.Join(errs...)
}

// splitStaged tells the overlays that have a live one in their place from those that have not.
func splitStaged(overlays []staged, merged map[string]*extension.Merged) (beneath, above []staged) {
	for _, s := range overlays {
		if merged[s.Hierarchy] != nil {
			beneath = append(beneath, s)
		} else {
			above = append(above, s)
		}
	}
	return beneath, above
}

// putBeneath attaches an overlay beneath the live one.
func putBeneath(s staged, source string) error {
	if err := keepTopmost(s.Target, source); err != nil {
		return err
	}
	return s.mount.MoveBeneath(s.Target)
}

// exchanged is what can be taken back.
type exchanged struct {
	// attached are places where an overlay was mounted over a bare hierarchy.
	attached []string
	// covered are mounts below bare hierarchies. The overlays have copies of them.
	covered []*mountapi.Attached
	// made are directories that were made to be mounted on.
	made []string
}

func (x *exchanged) close() {
	for _, covered := range x.covered {
		covered.Close()
	}
}

func (x *exchanged) uncover() error {
	var errs []error
	for _, target := range x.attached {
		errs = append(errs, mountapi.Detach(target))
	}
	for _, directory := range slices.Backward(x.made) {
		errs = append(errs, os.Remove(directory))
	}
	return errors.Join(errs...)
}

// cover mounts an overlay over a bare hierarchy. The mounts below it are in the overlay now, and go later from where they are covered.
func (x *exchanged) cover(s staged, aside []submount) error {
	if err := x.makeTarget(s.Target); err != nil {
		return err
	}
	for _, below := range aside {
		held, err := mountapi.Hold(path.Join(s.Target, below.path))
		if err != nil {
			return err
		}
		x.covered = append(x.covered, held)
	}
	if err := s.mount.MoveTo(s.Target); err != nil {
		return err
	}
	x.attached = append(x.attached, s.Target)
	return nil
}

// makeTarget makes a directory and those above it, as far as they are missing.
func (x *exchanged) makeTarget(target string) error {
	if _, err := os.Stat(target); err == nil {
		return nil
	}
	if err := x.makeTarget(path.Dir(target)); err != nil {
		return err
	}
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	x.made = append(x.made, target)
	return nil
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
// after a refresh that was interrupted. What was uncovered was counted then.
func (w *Workspace) CountOverlays(merged *extension.Merged, source string) (int, error) {
	target := w.Root.Host(merged.Resolved)
	if count := w.uncovered[target]; count > 0 {
		return count, nil
	}
	return countOverlays(target, source)
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

// Unmerge takes the overlay of a hierarchy away, and what a refresh that was interrupted left above it. Mounts below the hierarchy
// stay: they are put into the bare one before it shows, where the kernel has a way to it.
func (w *Workspace) Unmerge(old *extension.Merged, source string) error {
	target := w.Root.Host(old.Resolved)
	// What is below is complete, with the mounts that belong there.
	if err := keepTopmost(target, source); err != nil {
		return err
	}
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
	var errs []error
	if len(aside) > 0 {
		bare, err := mountapi.OpenCovered(target)
		if err == nil {
			for _, s := range aside {
				errs = append(errs, s.mount.ReplaceIn(bare, s.path))
			}
			bare.Close()
			aside = nil
		} else if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	if err := errors.Join(errs...); err != nil {
		// It would be lost with the overlay.
		return fmt.Errorf("keep the mounts below %s: %w", old.Path, err)
	}
	if err := mountapi.Detach(target); err != nil {
		return err
	}
	errs = []error{w.removeWork(old)}
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
