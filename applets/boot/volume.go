package boot

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/preroot/preroot/internal/apply"
	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/bootreport"
	"github.com/preroot/preroot/internal/devmapper"
	"github.com/preroot/preroot/internal/hashtree"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/plan"
)

// openUsr opens /usr if it is under dm-verity. The keyring is sealed even if nothing is: images may come.
func (b *boot) openUsr(found devices) error {
	volume := b.plan.Usr.Volume
	if volume == nil {
		if b.plan.Verity.SealKeyring {
			return b.openMapper()
		}
		return nil
	}
	verity, err := b.openVolume(volume, found.Usr, found.partitions)
	if err != nil {
		return err
	}
	b.record(func() {
		b.report.Usr = &bootreport.Usr{}
		b.report.Usr.Set(verity)
	})
	return nil
}

// openRoot opens the root if it is under dm-verity.
func (b *boot) openRoot(found devices) error {
	volume := b.plan.RootVolume
	if volume == nil {
		return nil
	}
	verity, err := b.openVolume(volume, found.Root, found.partitions)
	if err != nil {
		return err
	}
	b.record(func() { b.report.Root = &bootreport.Root{Device: volume.Node(), Verity: &verity} })
	return nil
}

// openMapper makes the device mapper usable for dm-verity, once.
func (b *boot) openMapper() (err error) {
	if b.dm != nil {
		return nil
	}
	if err := b.load("dm_verity"); err != nil {
		return err
	}
	if b.plan.Verity.SealKeyring {
		if err := b.sealKeyring(); err != nil {
			return err
		}
	}
	b.dm, err = devmapper.Open()
	return err
}

// openVolume opens a volume with dm-verity, after its start was checked in user space:
// from then on the kernel answers damage with a panic.
func (b *boot) openVolume(volume *plan.Volume, parts plan.Parts, partitions []observe.Partition) (bootreport.Verity, error) {
	var opened bootreport.Verity
	data, hash := parts.Data.Device, parts.Hash.Device
	offset := volume.HashOffset(parts.Data.Content)
	seen, err := observe.ReadVerity(data, hash, offset, volume.Options.Bare)
	if err != nil {
		return opened, explainNoTree(err, volume, offset)
	}
	var parity *blockdev.Device
	if parts.Parity != nil {
		parity = &parts.Parity.Device
	}
	verity, err := plan.PlanVerity(volume, seen, data, hash, parity)
	if err != nil {
		return opened, err
	}
	samples, err := seen.CheckStart(verity.Table.RootHash, data, hash)
	if err != nil {
		return opened, err
	}
	var damage error
	if verity.Probe, damage, err = plan.ProbeVerity(&verity.Table.Options, samples, false); err != nil {
		return opened, explainMismatch(err, volume, data.Node(), hash.Node())
	}
	if damage != nil {
		b.warn("%s on %s: %v; the kernel corrects it, or does not open it", volume.Title(), data.Node(), damage)
	}
	signed, err := b.volumeSignature(volume, parts.Data.Disk, partitions, verity.Table.RootHash)
	if err != nil {
		return opened, err
	}
	signed.Key = plan.SignatureKey(seen.Superblock, verity.Name)
	if err := b.openMapper(); err != nil {
		return opened, err
	}
	_, outcome, err := apply.OpenSigned(b.dm, verity, signed.Signed)
	if err != nil {
		return opened, explainRefusal(err, volume, signed.Policy, signed.from)
	}
	b.logSignature(volume, outcome, signed.from)
	return bootreport.Verity{
		Data: data.Node(), Hash: hash.Node(), UUID: verity.UUID, RootHash: hex.EncodeToString(verity.Table.RootHash),
		RootHashFrom: volume.HashWord + " on the kernel command line", Algorithm: verity.Table.Algorithm,
		Signature: string(outcome.State), SignatureFrom: signed.from, SignatureNote: outcome.Note,
	}, nil
}

// explainNoTree adds what to do where the place of the tree was not given but computed.
func explainNoTree(err error, volume *plan.Volume, offset int64) error {
	if !volume.OnePartition || volume.Options.HashOffset != 0 {
		return err
	}
	return fmt.Errorf("%s by %s: %w\nits hash tree is expected at byte %d, behind the file system; hash-offset= in %s names another place",
		volume.Title(), volume.DataRole, err, offset, volume.OptionsWord)
}

// explainMismatch adds the device to what the check of the hash tree found.
func explainMismatch(err error, volume *plan.Volume, data, hash string) error {
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
		advice = volume.HashWord + " belongs to another image, or this one is damaged"
	}
	return fmt.Errorf("%s on %s: %w\n%s", volume.Title(), node, err, advice)
}
