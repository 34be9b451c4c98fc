package apply

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// memoryWork is where the parts of a root in memory are put together, in a mount namespace of their own.
const memoryWork = "/run/preroot/root"

// rootMode is for a root directory in memory.
var rootMode = []mountapi.Option{{Key: "mode", Value: "0755"}}

// volatileLimits are those of systemd 262 for a root and a /var in memory.
var volatileLimits = []mountapi.Option{{Key: "mode", Value: "0755"}, {Key: "size", Value: "25%"}, {Key: "nr_inodes", Value: "1m"}}

// MountEmptyRoot makes a root in memory (systemd.volatile=yes). FillEmptyRoot does the rest once /usr is mounted.
func MountEmptyRoot(target string) error {
	return mountapi.Attach("tmpfs", "tmpfs", target, volatileLimits, 0)
}

// FillEmptyRoot makes what systemd makes in a root that has nothing but /usr: directories, and links into /usr.
func FillEmptyRoot(root string) error {
	for name, mode := range map[string]os.FileMode{"etc": 0o755, "var": 0o755, "root": 0o750, "tmp": 0o777 | os.ModeSticky} {
		at := path.Join(root, name)
		if err := os.Mkdir(at, mode); err != nil && !os.IsExist(err) {
			return fmt.Errorf("fill root: %w", err)
		}
		// Whatever the umask is.
		if err := os.Chmod(at, mode); err != nil {
			return fmt.Errorf("fill root: %w", err)
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		var st unix.Stat_t
		if unix.Stat(path.Join(root, "usr", name), &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue
		}
		if err := os.Symlink("usr/"+name, path.Join(root, name)); err != nil && !os.IsExist(err) {
			return fmt.Errorf("fill root: %w", err)
		}
	}
	return nil
}

// MountEmptyState mounts an empty /var in memory (systemd.volatile=state), which the root must have a place for.
func MountEmptyState(root string) error {
	target, err := makeMountPoints(root, "/var")
	if err != nil {
		return err
	}
	return mountapi.Attach("tmpfs", "tmpfs", target, volatileLimits, 0)
}

// MountUsrOfRoot mounts the directory /usr of a file system, and nothing else of it, read-only at its place below root.
func MountUsrOfRoot(fsType, node, root string, fs plan.FileSystem) error {
	target, err := makeMountPoints(root, "/usr")
	if err != nil {
		return err
	}
	usr, err := inOwnNamespace(func() (*mountapi.Mount, error) {
		if err := mountapi.Attach(fsType, node, memoryWork, fs.Options, fs.Attributes|mountapi.ReadOnly); err != nil {
			return nil, err
		}
		at := path.Join(memoryWork, "usr")
		if info, err := os.Lstat(at); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("the root on %s has no directory /usr: %w", node, unix.ENOENT)
		}
		return mountapi.Clone(at)
	})
	if err != nil {
		return err
	}
	return usr.MoveTo(target)
}

// MountOverlaidRoot shows a file system at target with a memory file system above it that takes the writes (systemd.volatile=overlay).
func MountOverlaidRoot(fsType, node, target string, fs plan.FileSystem) error {
	return mountOverlaid(fsType, node, target, fs, volatileLimits)
}

// mountOverlaid does so with the options for the memory. Nothing but the one overlay is left in the mount table.
func mountOverlaid(fsType, node, target string, fs plan.FileSystem, memory []mountapi.Option) error {
	overlay, err := inOwnNamespace(func() (*mountapi.Mount, error) {
		if err := mountapi.Attach("tmpfs", "preroot", memoryWork, memory, 0); err != nil {
			return nil, err
		}
		lower, upper, work := path.Join(memoryWork, "lower"), path.Join(memoryWork, "upper"), path.Join(memoryWork, "work")
		if err := mountapi.Attach(fsType, node, lower, fs.Options, fs.Attributes|mountapi.ReadOnly); err != nil {
			return nil, err
		}
		for _, directory := range []string{upper, work} {
			if err := os.Mkdir(directory, 0o755); err != nil {
				return nil, err
			}
		}
		return mountapi.New("overlay", "overlay", []mountapi.Option{
			{Key: "lowerdir+", Value: lower}, {Key: "upperdir", Value: upper}, {Key: "workdir", Value: work},
		}, fs.Attributes&^mountapi.ReadOnly)
	})
	if err != nil {
		return err
	}
	if err := makeMountPoint(target); err != nil {
		overlay.Close()
		return err
	}
	return overlay.MoveTo(target)
}

// inOwnNamespace makes a mount where nobody sees what it is made of.
func inOwnNamespace(mount func() (*mountapi.Mount, error)) (made *mountapi.Mount, err error) {
	space, err := mountapi.NewNamespace()
	if err != nil {
		return nil, err
	}
	defer space.Close()
	err = space.Do(func() (err error) {
		made, err = mount()
		return err
	})
	// The empty directory below the namespace's own mount.
	_ = os.Remove(memoryWork)
	return made, err
}
