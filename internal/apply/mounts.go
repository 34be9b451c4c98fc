// Package apply carries plans out: it is the only part of preroot that changes
// the kernel's state. It decides nothing; where a step cannot be carried out
// its error names the thing and the kernel's reason.
package apply

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/preroot/preroot/internal/efivar"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// apiMount is a file system of the kernel that every system has at its place.
type apiMount struct {
	fsType, target string
	options        []mountapi.Option
	attributes     mountapi.Attributes
}

// apiMounts have the options that systemd 262 would mount with, since it keeps
// what it finds (seen with a systemd in the initramfs; the boot scenario
// compares).
var apiMounts = []apiMount{
	{"proc", "/proc", nil, mountapi.NoSUID | mountapi.NoDev | mountapi.NoExec},
	{"sysfs", "/sys", nil, mountapi.NoSUID | mountapi.NoDev | mountapi.NoExec},
	{"devtmpfs", "/dev", []mountapi.Option{{Key: "mode", Value: "0755"}, {Key: "size", Value: "4m"}, {Key: "nr_inodes", Value: "1m"}},
		mountapi.NoSUID | mountapi.StrictATime},
	{"tmpfs", "/run", []mountapi.Option{{Key: "mode", Value: "0755"}, {Key: "size", Value: "20%"}, {Key: "nr_inodes", Value: "800k"}},
		mountapi.NoSUID | mountapi.NoDev | mountapi.StrictATime},
}

// MountAPI mounts /proc, /sys, /dev and /run, where they are not yet.
func MountAPI() error {
	for _, m := range apiMounts {
		if mountapi.IsMountPoint(m.target) {
			continue
		}
		if err := mountapi.Attach(m.fsType, m.fsType, m.target, m.options, m.attributes); err != nil {
			return err
		}
	}
	return nil
}

// HasEFI reports whether the machine was started by EFI.
func HasEFI() bool {
	_, err := os.Stat(efivar.FirmwareDirectory)
	return err == nil
}

// MountEFIVariables mounts efivarfs with systemd's options, unless it is mounted.
func MountEFIVariables() error {
	if mountapi.IsMountPoint(efivar.Directory) {
		return nil
	}
	return mountapi.Attach("efivarfs", "efivarfs", efivar.Directory, nil, mountapi.NoSUID|mountapi.NoDev|mountapi.NoExec)
}

// MountFileSystem mounts node, which holds fsType, at target, which is made when
// missing and must not be a link: below a root that anybody may have written to
// it could lead out of it, and the real root would find something else there.
func MountFileSystem(fsType, node, target string, fs plan.FileSystem) error {
	if err := makeMountPoint(target); err != nil {
		return err
	}
	return mountapi.Attach(fsType, node, target, fs.Options, fs.Attributes)
}

// MountFileSystemBelow does so at a place below root, and makes what is above it as well. No part of it may be a link.
func MountFileSystemBelow(fsType, node, root, inside string, fs plan.FileSystem) error {
	target, err := makeMountPoints(root, inside)
	if err != nil {
		return err
	}
	return mountapi.Attach(fsType, node, target, fs.Options, fs.Attributes)
}

// makeMountPoints makes a directory below root with those above it, and returns its path from outside.
func makeMountPoints(root, inside string) (target string, err error) {
	target = root
	for part := range splitPath(inside) {
		target = path.Join(target, part)
		if err := makeMountPoint(target); err != nil {
			return "", err
		}
	}
	return target, nil
}

// makeMountPoint makes sure that a directory of the name is there, and not a
// link to one. The directory above it must exist.
func makeMountPoint(target string) error {
	err := os.Mkdir(target, 0o755)
	if err == nil {
		return os.Chmod(target, 0o755)
	}
	if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make mount point: %w", err)
	}
	info, err := os.Lstat(target)
	switch {
	case err != nil:
		return fmt.Errorf("make mount point: %w", err)
	case info.Mode()&os.ModeSymlink != 0:
		return fmt.Errorf("make mount point: %s is a symbolic link; it must be a directory", target)
	case !info.IsDir():
		return fmt.Errorf("make mount point: %s: %w", target, unix.ENOTDIR)
	}
	return nil
}

// OpenConsole makes the kernel's console standard input, output and error, for
// the next init as well. A kernel without a console is no error to stop for.
func OpenConsole() error { return OpenTerminal("/dev/console") }

// OpenTerminal makes a terminal standard input, output and error.
func OpenTerminal(name string) error {
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	for target := range 3 {
		if fd == target {
			continue
		}
		if err := unix.Dup3(fd, target, 0); err != nil {
			return fmt.Errorf("use %s as descriptor %d: %w", name, target, err)
		}
	}
	if fd > 2 {
		unix.Close(fd)
	}
	return nil
}

// MoveEarly moves /run and /dev below the new root before the merge, and leaves links in their places. From then on images
// in /run, and links to block devices, are found where the real root will find them.
func MoveEarly(newRoot string) error {
	for _, place := range []string{"/run", "/dev"} {
		if err := MoveMounts(newRoot, []string{place}); err != nil {
			return err
		}
		// Below /dev there may be nodes that came with the image. They go with the rest of it.
		if err := os.Rename(place, place+".initramfs"); err != nil {
			return err
		}
		if err := os.Symlink(newRoot+place, place); err != nil {
			return err
		}
	}
	return nil
}

// UnmountRoot takes back a root that was mounted at newRoot, with what is mounted below it. It does nothing if none is, and is an error
// once /run or /dev were moved there (MoveEarly).
func UnmountRoot(newRoot string) error {
	for _, place := range []string{"/run", "/dev"} {
		if info, err := os.Lstat(place); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return fmt.Errorf("%s lies below %s already", place, newRoot)
		}
	}
	if !mountapi.IsMountPoint(newRoot) {
		return nil
	}
	return mountapi.Detach(newRoot)
}
