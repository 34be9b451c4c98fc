package plan

import (
	"fmt"

	"github.com/preroot/preroot/internal/fec"
	"github.com/preroot/preroot/internal/sentinel"
	"github.com/preroot/preroot/internal/veritytable"
)

// VerityRequest is what somebody wants to have opened, and what is known of the devices.
type VerityRequest struct {
	Name       string // as the device mapper gets it
	Superblock *veritytable.Superblock
	HashOffset int64 // in bytes, of the superblock, or of a bare tree
	RootHash   []byte
	// Options without FEC and SignatureKey.
	Options veritytable.Options
	// FEC is nil without error correction.
	FEC *fec.Layout
	// Signature in DER, nil without one that the kernel shall check.
	Signature []byte
	DataSize  int64 // bytes
}

// ErrDataTooSmall says that the data device is smaller than what the hash tree covers.
const ErrDataTooSmall = sentinel.Error("the data device is smaller than what the hash tree covers")

// PlanVerityOpen makes the device of a request. The numbers of the devices in its table are for apply
// to fill in: an image file has none yet. That the tree lies within its device is for the kernel to judge, which
// says so.
func PlanVerityOpen(r VerityRequest) (*Verity, error) {
	geometry, err := r.Superblock.Geometry(r.HashOffset)
	if err != nil {
		return nil, err
	}
	if len(r.RootHash) != geometry.DigestSize {
		return nil, fmt.Errorf("root hash has %d bytes, %s needs %d", len(r.RootHash), r.Superblock.Algorithm, geometry.DigestSize)
	}
	v := &Verity{
		Name: r.Name,
		UUID: veritytable.DeviceUUID(r.Superblock.UUID, r.Name),
		Table: veritytable.Table{
			Superblock: *r.Superblock,
			StartBlock: geometry.StartBlock,
			RootHash:   r.RootHash,
			Options:    r.Options,
		},
	}
	if r.Superblock.Bare {
		v.UUID = veritytable.BareDeviceUUID(r.Name)
	}
	if r.Signature != nil {
		v.Signature, v.Table.Options.SignatureKey = r.Signature, SignatureKey(r.Superblock, r.Name)
	}
	// Sectors cannot overflow: Geometry has checked the superblock.
	if r.DataSize>>9 < int64(v.Table.Sectors()) {
		return nil, ErrDataTooSmall
	}
	if r.FEC != nil {
		v.Table.Options.FEC = &veritytable.FEC{
			Roots: r.FEC.Roots, Start: uint64(r.FEC.Offset) / uint64(r.FEC.BlockSize), Blocks: r.FEC.Blocks(),
		}
	}
	return v, nil
}

func dashed(uuid [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", uuid[:4], uuid[4:6], uuid[6:8], uuid[8:10], uuid[10:])
}
