package boot

import (
	"errors"
	"fmt"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/superblock"
)

// mountRoot mounts the root, and /usr once, at its final place below it: a
// second mount would have another mount id, and the real root would merge again.
func (b *boot) mountRoot(found devices) (err error) {
	defer func() {
		if err != nil {
			b.unmountRoot()
		}
	}()
	node, how, volume := b.rootNode(found), b.plan.Root, b.plan.RootVolume
	if volume != nil {
		// It is as the root hash says; nothing can be mended there.
		how = how.WithoutReplay(b.rootType)
	}
	if err := b.mountRootAs(node, how); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	b.record(func() {
		if b.report.Root == nil {
			b.report.Root = &bootreport.Root{}
		}
		b.report.Root.Device, b.report.Root.FileSystem, b.report.Root.Volatile = node, b.rootType, string(b.plan.Volatile)
	})
	if b.usrAt != "" {
		// Still the same mount.
		if err := apply.MoveMount(b.usrAt, newRoot, "/usr"); err != nil {
			return err
		}
		b.usrAt = ""
	} else if err := b.mountUsr(found, newRoot, "/usr"); err != nil {
		return err
	}
	if b.plan.Volatile == plan.VolatileYes {
		if err := apply.FillEmptyRoot(newRoot); err != nil {
			return err
		}
	}
	b.mountOEMToStay()
	return apply.MoveEarly(newRoot)
}

// mountRootAs mounts the root, or what the mode of systemd.volatile= has in its place.
func (b *boot) mountRootAs(node string, how plan.FileSystem) error {
	switch b.plan.Volatile {
	case plan.VolatileYes:
		if err := apply.MountEmptyRoot(newRoot); err != nil {
			return err
		}
		if b.plan.Usr.Source != plan.UsrOnRoot {
			// Nothing of the disk's root is wanted.
			return nil
		}
		return apply.MountUsrOfRoot(b.rootType, node, newRoot, how)
	case plan.VolatileOverlay:
		if err := b.load("overlay"); err != nil {
			return err
		}
		return apply.MountOverlaidRoot(b.rootType, node, newRoot, how)
	case plan.VolatileState:
		if err := apply.MountFileSystem(b.rootType, node, newRoot, how); err != nil {
			return err
		}
		return apply.MountEmptyState(newRoot)
	}
	return apply.MountFileSystem(b.rootType, node, newRoot, how)
}

// rootNode returns what the root is mounted from.
func (b *boot) rootNode(found devices) string {
	if b.plan.RootVolume != nil {
		return b.plan.RootVolume.Node()
	}
	return found.Root.Data.Node()
}

// mountUsr mounts /usr, unless it lies on the root, at a place below root, which is made with what is above it. It says whether
// anybody vouches for it.
func (b *boot) mountUsr(found devices, root, inside string) error {
	var node string
	switch b.plan.Usr.Source {
	case plan.UsrVerity:
		node = b.plan.Usr.Volume.Node()
	case plan.UsrDevice:
		node = found.Usr.Data.Node()
		if !b.plan.Usr.Mount.IsReadOnly() {
			if err := b.plan.CheckRoot(found.Usr.Data.Content); err != nil {
				return fmt.Errorf("/usr on %s: %w", node, err)
			}
		}
	case plan.UsrInImage:
		return b.mountSquashfs(root, inside)
	case plan.UsrOnRoot:
		b.noteUsr("", "")
		return nil
	}
	fsType, err := b.fileSystem(node, b.plan.Usr.Mount.Type)
	if err != nil {
		return fmt.Errorf("/usr on %s: %w", node, err)
	}
	if err := apply.MountFileSystemBelow(fsType, node, root, inside, b.plan.Usr.Mount.WithoutReplay(fsType)); err != nil {
		return fmt.Errorf("mount /usr: %w", err)
	}
	b.noteUsr(node, fsType)
	return nil
}

// mountSquashfs mounts the /usr that the initramfs brings. Its memory stays in use as long as the mount does.
func (b *boot) mountSquashfs(root, inside string) error {
	fsType := string(superblock.Squashfs)
	for _, module := range []string{"loop", fsType} {
		if err := b.load(module); err != nil {
			return err
		}
	}
	if err := apply.MountImage(fsType, plan.SquashfsFile, root, inside); err != nil {
		return fmt.Errorf("mount /usr: %w", err)
	}
	b.noteUsr(plan.SquashfsFile, fsType)
	return nil
}

// noteUsr puts into log and report what vouches for /usr.
func (b *boot) noteUsr(node, fsType string) {
	verified := b.plan.IsUsrVerified()
	b.record(func() {
		if b.report.Usr == nil {
			b.report.Usr = &bootreport.Usr{Data: node}
		}
		b.report.Usr.Source, b.report.Usr.Verified, b.report.Usr.FileSystem = string(b.plan.Usr.Source), verified, fsType
	})
	switch {
	case verified && fsType == "":
		b.log.Printf(bootlog.Info, "/usr lies on the root, which is verified")
	case b.plan.Usr.Source == plan.UsrInImage:
		b.log.Printf(bootlog.Info, "/usr is %s of this initramfs", node)
	case verified:
		b.log.Printf(bootlog.Info, "/usr is verified (%s)", fsType)
	case fsType == "":
		b.warn("/usr lies on the root and is not verified: its settings and certificates do not count")
	default:
		b.warn("/usr on %s (%s) is not verified: its settings and certificates do not count", node, fsType)
	}
}

// fileSystem returns what to mount a device as, and makes the kernel know it.
// wanted is the type from the command line, empty if the device shall tell.
func (b *boot) fileSystem(node, wanted string) (string, error) {
	if wanted == "" {
		info, err := observe.FileSystem(node)
		if err != nil {
			return "", err
		}
		if !info.Kind.IsFileSystem() {
			return "", notMountable(info.Kind)
		}
		wanted = mountType(info.Kind)
	}
	return wanted, b.load(wanted)
}

// mountType returns the driver for what a device holds: ext4 is also the one for
// its forerunners, and the only one for them that kernels are built with.
func mountType(kind superblock.Kind) string {
	if kind == superblock.Ext2 || kind == superblock.Ext3 {
		kind = superblock.Ext4
	}
	return string(kind)
}

func notMountable(kind superblock.Kind) error {
	if kind == "" {
		return errors.New("it holds no file system that is known here")
	}
	return fmt.Errorf("it holds %s, which preroot cannot open", kind)
}

// load makes a module's function available: from the kernel, or the image.
func (b *boot) load(module string) error {
	if !b.index.IsLoadable(module) {
		if b.index.Has(module) || observe.KernelHasFileSystem(module) {
			return nil
		}
		return fmt.Errorf("neither this kernel nor this image has the module %s", module)
	}
	if b.reasons[module] == "" {
		b.reasons[module] = "met on disk"
	}
	return b.loader.Load(module)
}
