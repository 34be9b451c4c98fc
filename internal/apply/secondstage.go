package apply

import (
	"errors"
	"fmt"
	"os"

	"github.com/preroot/preroot/internal/loopdev"
	"github.com/preroot/preroot/internal/mountapi"
	"github.com/preroot/preroot/internal/plan"
)

// MountSecondStage shows an image, a squashfs, at target with a memory file system above it that takes writes. Nothing but the one
// overlay is left in the mount table.
func MountSecondStage(image *os.File, target string) error {
	loop, err := loopdev.Attach(image, 0, 0, 512)
	if err != nil {
		return err
	}
	// The mount keeps the device.
	defer loop.Close()
	return mountOverlaid("squashfs", loop.Path, target, plan.FileSystem{Attributes: mountapi.ReadOnly}, rootMode)
}

// MoveMount moves one mount to a place below the next root, which is made with what is above it. It stays the same mount. No part of the place
// below root may be a link.
func MoveMount(source, root, inside string) error {
	target, err := makeMountPoints(root, inside)
	if err != nil {
		return err
	}
	return mountapi.Move(source, target)
}

// Where an initrd that is appended to the image has what Flatcar's second stage works with (PXE), and where it is found there.
const (
	appendedUsr = "/usr.squashfs"
	stageOEM    = "/oem"
)

// appendedOEM are the directories for /oem; what is in the last one counts.
var appendedOEM = []string{"/usr/share/oem", "/oem"}

// appendedExtra is what systemd-stub(7) adds; the service manager of the second stage looks for it in its own root.
const appendedExtra = "/.extra"

// CarryAppended gives a second stage at root what was appended to the initramfs, and returns its names. The files for /oem get a
// memory file system of their own, which is there too where /usr came with the initramfs: Flatcar's second stage takes the partition
// otherwise.
func CarryAppended(root string) (carried []string, err error) {
	_, usrErr := os.Lstat(appendedUsr)
	oem := usrErr == nil
	for _, directory := range appendedOEM {
		oem = oem || isFilled(directory)
	}
	if oem {
		if err := makeMountPoint(root + stageOEM); err != nil {
			return carried, err
		}
		// As large as need be: size=0 is no limit.
		options := []mountapi.Option{{Key: "mode", Value: "0755"}, {Key: "size", Value: "0"}}
		if err := mountapi.Attach("tmpfs", "oem", root+stageOEM, options, mountapi.NoDev); err != nil {
			return carried, err
		}
	}
	for _, directory := range appendedOEM {
		if !isFilled(directory) {
			continue
		}
		if err := copyTree(directory, root+stageOEM); err != nil {
			return carried, fmt.Errorf("take %s along: %w", directory, err)
		}
		carried = append(carried, directory)
	}
	for _, name := range []string{appendedUsr, appendedExtra} {
		err := copyTree(name, root+name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return carried, fmt.Errorf("take %s along: %w", name, err)
		}
		carried = append(carried, name)
	}
	return carried, nil
}

// isFilled reports whether a directory has something in it.
func isFilled(directory string) bool {
	names, err := os.ReadDir(directory)
	return err == nil && len(names) > 0
}

// DetachKernelMounts takes away what Flatcar's first stage takes away before the second one starts, which mounts its own. /run stays, with the report in
// it.
func DetachKernelMounts() error {
	for _, target := range []string{"/dev", "/sys", "/proc"} {
		if err := mountapi.Detach(target); err != nil {
			return err
		}
	}
	return nil
}
