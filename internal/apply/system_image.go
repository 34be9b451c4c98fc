package apply

import (
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/preroot/preroot/internal/ddi"
	"github.com/preroot/preroot/internal/extension"
	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// MountSystemImage mounts the root and /usr of an image file or disk at a directory, read-only, to be looked at. Nothing of it is
// verified. The caller has a mount namespace of its own.
func MountSystemImage(image, at, architecture string) error {
	file, err := os.Open(image)
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := file.Seek(0, 2)
	if err != nil {
		return err
	}
	system, err := ddi.FindSystem(file, size, architecture)
	if err != nil {
		return err
	}
	if system.Root == nil {
		if err := mountapi.Attach("tmpfs", "preroot", at, nil, mountapi.NoSUID|mountapi.NoDev|mountapi.NoExec); err != nil {
			return err
		}
		if err := os.Mkdir(path.Join(at, "usr"), 0o755); err != nil {
			return err
		}
	} else if err := mountPart(file, *system.Root, system.SectorSize, at); err != nil {
		return fmt.Errorf("mount its root: %w", err)
	}
	if system.Usr == nil {
		return nil
	}
	if err := mountPart(file, *system.Usr, system.SectorSize, path.Join(at, "usr")); err != nil {
		return fmt.Errorf("mount its usr: %w", err)
	}
	return nil
}

// MountImage mounts an image file of one file system at a directory, read-only. The file may be deleted then.
func MountImage(fsType, image, root, inside string) error {
	file, err := os.Open(image)
	if err != nil {
		return err
	}
	defer file.Close()
	const sector = 512
	loop, err := loopdev.Attach(file, 0, 0, sector)
	if err != nil {
		return err
	}
	// The mount keeps it.
	defer loop.Close()
	return MountFileSystemBelow(fsType, loop.Path, root, inside, plan.FileSystem{Attributes: mountapi.ReadOnly})
}

func mountPart(file *os.File, part ddi.Area, sectorSize int, at string) error {
	loop, err := loopdev.Attach(file, part.Offset, part.Size, uint32(max(512, sectorSize)))
	if err != nil {
		return err
	}
	defer loop.Close()
	w := Workspace{Environment: Environment{LoadModule: func(string) error { return nil }}}
	mount, err := w.mountDevice(extension.Image{}, loop.Path)
	if err != nil {
		return err
	}
	if err := mount.SetAttributes(mountapi.NoSUID | mountapi.NoExec); err != nil {
		mount.Close()
		return err
	}
	if err := os.MkdirAll(at, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		mount.Close()
		return err
	}
	return mount.MoveTo(at)
}
