package boot

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/bootlog"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
	"github.com/preroot/preroot/internal/superblock"
)

// openUsr opens /usr with dm-verity, after its start was checked in user space:
// from then on the kernel answers damage with a panic.
func (b *boot) openUsr(found devices) error {
	data, hash := found.usrData.Device, found.usrHash.Device
	options := b.plan.Usr.Options
	seen, err := observe.ReadVerity(data, hash, options.HashOffset, options.Bare)
	if err != nil {
		return err
	}
	var parity *blockdev.Device
	if found.usrParity != nil {
		parity = &found.usrParity.Device
	}
	verity, err := plan.PlanVerity(b.plan.Usr, seen, data, hash, parity)
	if err != nil {
		return err
	}
	samples, err := seen.CheckStart(verity.Table.RootHash, data, hash)
	if err != nil {
		return err
	}
	var damage error
	if verity.Probe, damage, err = plan.ProbeVerity(&verity.Table.Options, samples, false); err != nil {
		return explainMismatch(err, data.Node(), hash.Node())
	}
	if damage != nil {
		b.warn("/usr on %s: %v; the kernel corrects it, or does not open it", data.Node(), damage)
	}
	signed, err := b.usrSignature(found, verity.Table.RootHash)
	if err != nil {
		return err
	}
	signed.Key = plan.SignatureKey(seen.Superblock, verity.Name)
	if err := b.load("dm_verity"); err != nil {
		return err
	}
	if b.plan.Usr.SealKeyring {
		if err := b.sealKeyring(); err != nil {
			return err
		}
	}
	if b.dm, err = devmapper.Open(); err != nil {
		return err
	}
	_, outcome, err := apply.OpenSigned(b.dm, verity, signed.Signed)
	if err != nil {
		return explainRefusal(err, b.plan.Usr.Policy, signed.from)
	}
	b.logSignature(outcome, signed.from)
	b.record(func() {
		b.report.Usr = &bootreport.Usr{
			Data: data.Node(), Hash: hash.Node(), UUID: verity.UUID, RootHash: hex.EncodeToString(verity.Table.RootHash),
			RootHashFrom: rootHashSource(b.words), Algorithm: verity.Table.Algorithm,
			Signature: string(outcome.State), SignatureFrom: signed.from, SignatureNote: outcome.Note,
		}
	})
	return nil
}

// explainMismatch adds the device to what the check of the hash tree found.
func explainMismatch(err error, data, hash string) error {
	var mismatch *hashtree.MismatchError
	if !errors.As(err, &mismatch) {
		return err
	}
	node := hash
	if mismatch.Level < 0 {
		node = data
	}
	advice := "the image is damaged or was changed: write it again, or boot the other one"
	if mismatch.TopLevel {
		advice = "usrhash= belongs to another image, or this one is damaged"
	}
	return fmt.Errorf("/usr on %s: %w\n%s", node, err, advice)
}

// mountRoot mounts the root, and /usr once, at its final place below it: a
// second mount would have another mount id, and the real root would merge again.
func (b *boot) mountRoot(found devices) error {
	fsType, err := b.fileSystem(found.root.Node(), b.plan.Root.Type)
	if err == nil {
		err = b.plan.CheckRoot(found.root.Content)
	}
	if err != nil {
		return fmt.Errorf("root %s: %w", found.root.Node(), err)
	}
	if err := apply.MountFileSystem(fsType, found.root.Node(), newRoot, b.plan.Root); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	b.record(func() { b.report.Root = &bootreport.Root{Device: found.root.Node(), FileSystem: fsType} })

	const usrDevice = "/dev/mapper/" + plan.UsrName
	if fsType, err = b.fileSystem(usrDevice, b.plan.Usr.Mount.Type); err != nil {
		return fmt.Errorf("/usr on %s: %w", usrDevice, err)
	}
	if err := apply.MountFileSystem(fsType, usrDevice, newRoot+"/usr", b.plan.Usr.Mount); err != nil {
		return fmt.Errorf("mount /usr: %w", err)
	}
	b.record(func() { b.report.Usr.FileSystem = fsType })
	b.log.Printf(bootlog.Info, "/usr is verified (%s)", fsType)
	return apply.MoveEarly(newRoot)
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
