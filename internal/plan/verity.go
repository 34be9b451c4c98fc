package plan

import (
	"fmt"
	"strings"

	"github.com/preroot/preroot/internal/blockdev"
	"github.com/preroot/preroot/internal/fec"
	"github.com/preroot/preroot/internal/observe"
	"github.com/preroot/preroot/internal/veritytable"
)

// Verity is a dm-verity device to open.
type Verity struct {
	Name, UUID string
	Table      veritytable.Table
	// Signature of the root hash in DER, for the kernel to check: it is in the keyring under the
	// description Table.Options.SignatureKey while the table is loaded. nil if there is none.
	Signature []byte
	// Probe says what to read through the device before anybody uses it.
	Probe Probe
	// AcceptExisting says that a device which is there already, with the same UUID and table, will do.
	AcceptExisting bool
}

// bootOptions are the words for the root and /usr: what does not verify, or cannot be read,
// ends the machine, since nothing can go on without them. Both are known to
// every kernel from 6.12 on and are never dropped.
var bootOptions = veritytable.Options{OnCorruption: veritytable.Panic, OnError: veritytable.Panic}

// PlanVerity makes the device of a volume; parity is the device of volume.Options.FEC, nil without one. An error says
// that what the command line says does not fit the tree that was found.
func PlanVerity(volume *Volume, v *observe.Verity, data, hash blockdev.Device, parity *blockdev.Device) (*Verity, error) {
	root, err := veritytable.ParseRootHash(volume.RootHash, v.Superblock.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", volume.HashWord, err)
	}
	r := VerityRequest{
		Name: volume.Name, Superblock: v.Superblock, HashOffset: v.HashOffset, RootHash: root, Options: volume.Options.Table, DataSize: data.Size,
	}
	if volume.Options.FEC != nil {
		if r.FEC, err = planParity(volume.Options.FEC, v, hash, *parity); err != nil {
			return nil, fmt.Errorf("error correction of %s on %s: %w", volume.Title(), parity.Node(), err)
		}
	}
	planned, err := PlanVerityOpen(r)
	if err != nil {
		return nil, err
	}
	planned.Table.DataDevice, planned.Table.HashDevice = data.Number, hash.Number
	if r.FEC != nil {
		planned.Table.Options.FEC.Device = parity.Number
	}
	planned.AcceptExisting = true
	return planned, nil
}

// planParity finds out which blocks the parity covers: see fec.Compute.
func planParity(wanted *VolumeFEC, v *observe.Verity, hash, parity blockdev.Device) (*fec.Layout, error) {
	end := hash.Size
	if parity.Number == hash.Number {
		end = min(end, wanted.Offset)
	}
	layout, err := fec.Compute(v.Superblock, v.Geometry, wanted.Roots, wanted.Offset, end)
	if err != nil {
		return nil, err
	}
	if size := int64(v.Superblock.HashBlockSize); wanted.Offset%size != 0 {
		return nil, fmt.Errorf("the offset %d is not a multiple of the block size %d, as the kernel wants", wanted.Offset, size)
	}
	return &layout, nil
}

// SignatureKey is the description that the signature of a device's root hash has in the keyring.
func SignatureKey(s *veritytable.Superblock, name string) string {
	if s.Bare {
		return "cryptsetup:" + name
	}
	return fmt.Sprintf("cryptsetup:%s-%s", dashed(s.UUID), name)
}

// PlanImageVerity makes the table for an image whose data and hash areas are
// the loop devices "major:minor" given. Damage makes reads fail, as systemd has it:
// one bad image must not end the machine.
func PlanImageVerity(rootHash []byte, s *veritytable.Superblock, data, hash string) (*Verity, error) {
	if want, _ := veritytable.DigestSize(s.Algorithm); len(rootHash) != want {
		return nil, fmt.Errorf("its root hash has %d bytes, %s needs %d", len(rootHash), s.Algorithm, want)
	}
	g, err := s.Geometry(0)
	if err != nil {
		return nil, err
	}
	name := imageDeviceName(data, rootHash)
	return &Verity{
		Name: name,
		UUID: veritytable.DeviceUUID(s.UUID, name),
		Table: veritytable.Table{
			Superblock: *s,
			DataDevice: data,
			HashDevice: hash,
			StartBlock: g.StartBlock,
			RootHash:   rootHash,
		},
		Probe: Probe{Blocks: s.SampleBlocks()},
	}, nil
}

// imageDeviceName names a device after the loop device of its data and the
// content that it shows. Two images with one root hash need a device each:
// the kernel refuses an overlay with the same directory in two layers. It takes
// names of 127 bytes and UUIDs of 128, which hold the name, so of longer root
// hashes than sha256's the first 32 bytes stand for all.
func imageDeviceName(dataDevice string, rootHash []byte) string {
	const enough = 32
	_, minor, _ := strings.Cut(dataDevice, ":")
	return fmt.Sprintf("loop%s-%x-verity", minor, rootHash[:min(enough, len(rootHash))])
}
